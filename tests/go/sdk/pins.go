//go:build pins

package main

// Keeps version 6 in go.mod: the tests compile main.go with it too.
import _ "github.com/cloudflare/cloudflare-go/v6/client_certificates"
