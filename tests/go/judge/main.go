// Judges signed objects with zlint and Go's OCSP library.
//
// Each line of standard input is a JSON object with the kind and the file (DER) of an object, and
// the file of its issuer. Each line of standard output is the verdict about it, in the same order.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"
	_ "github.com/zmap/zlint/v3/lints/community"
	_ "github.com/zmap/zlint/v3/lints/rfc"
	"golang.org/x/crypto/ocsp"
)

type object struct {
	Kind   string `json:"kind"`
	File   string `json:"file"`
	Issuer string `json:"issuer"`
}

type verdict struct {
	// Findings of zlint at error or above, each with its details.
	Findings []string `json:"findings"`
	// The number of lints that applied to the object.
	Applied int `json:"applied"`
	// The members of an OCSP response, after Go has verified its signature.
	Status     string    `json:"status,omitempty"`
	Serial     string    `json:"serial,omitempty"`
	ThisUpdate time.Time `json:"this_update"`
	RevokedAt  time.Time `json:"revoked_at"`
	// The type of the key that signed the response.
	Signer string `json:"signer,omitempty"`
	// The reason for which Go rejects the object.
	Error string `json:"error,omitempty"`
}

func (v *verdict) add(name string, result *lint.LintResult) {
	if result.Status >= lint.Pass {
		v.Applied++
	}
	if result.Status >= lint.Error {
		v.Findings = append(v.Findings, fmt.Sprintf("%s: %s", name, result.Details))
	}
}

func judge(o object) (verdict, error) {
	v := verdict{Findings: []string{}}
	der, err := os.ReadFile(o.File)
	if err != nil {
		return v, err
	}
	registry := lint.GlobalRegistry()
	switch o.Kind {
	case "certificate":
		certificate, err := zcrypto.ParseCertificate(der)
		if err != nil {
			return v, err
		}
		for _, l := range registry.CertificateLints().Lints() {
			v.add(l.Name, l.Execute(certificate, registry.GetConfiguration()))
		}
	case "crl":
		list, err := zcrypto.ParseRevocationList(der)
		if err != nil {
			return v, err
		}
		for _, l := range registry.RevocationListLints().Lints() {
			v.add(l.Name, l.Execute(list, registry.GetConfiguration()))
		}
	case "ocsp":
		issuer, err := os.ReadFile(o.Issuer)
		if err != nil {
			return v, err
		}
		certificate, err := x509.ParseCertificate(issuer)
		if err != nil {
			return v, err
		}
		response, err := ocsp.ParseResponse(der, certificate)
		if err != nil {
			return v, err
		}
		v.Status = map[int]string{0: "good", 1: "revoked", 2: "unknown"}[response.Status]
		v.Serial = response.SerialNumber.Text(16)
		v.ThisUpdate, v.RevokedAt = response.ThisUpdate, response.RevokedAt
		v.Signer = response.SignatureAlgorithm.String()
		for _, l := range registry.OcspResponseLints().Lints() {
			v.add(l.Name, l.Execute(response, registry.GetConfiguration()))
		}
	default:
		return v, fmt.Errorf("the kind %q is unknown", o.Kind)
	}
	sort.Strings(v.Findings)
	return v, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var o object
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			panic(err)
		}
		v, err := judge(o)
		if err != nil {
			v.Error = err.Error()
		}
		if err := out.Encode(v); err != nil {
			panic(err)
		}
	}
}
