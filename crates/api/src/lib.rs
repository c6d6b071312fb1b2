//! The management API (Cloudflare's `client_certificates` contract) and the public responder over
//! HTTP.
//!
//! A handler reads like the API document: an extractor proves the caller's right, the body parses,
//! one call down, envelope out. This crate reads from the store and writes through the service.

mod audit_conditions;
mod audit_log;
mod body;
mod certificate_pages;
mod certificate_search;
mod certificate_source;
mod certificate_text;
mod certificates_of_log;
mod client_address;
mod code;
mod crl_cache;
mod documentation;
mod enforcement_objects;
mod envelope;
mod error;
mod error_translation;
mod extract;
mod failure_log;
mod followers;
mod issuance_rules;
mod json;
mod large_answers;
mod middleware;
mod objects;
mod openapi;
mod query;
mod readiness;
mod refused_head;
mod request_metrics;
mod response;
mod router;
mod routes;
mod sorted_serials;
mod state;
mod token_body;

pub use body::BODY_BYTES_MAX;
pub use client_address::TrustedProxies;
pub use documentation::Documentation;
pub use refused_head::{refused_head, too_many_requests};
pub use router::{
    Console, InvitePage, InviteParts, enrolment, invites, management, openapi_json, responder,
};
pub use state::{Api, ApiParts, PeerAddress, PeerCertificate};
