//! The management API (Cloudflare's client_certificates contract) and the public responder over HTTP.
