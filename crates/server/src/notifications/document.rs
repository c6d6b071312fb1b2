//! The JSON documents of events.

use certgate_model::{Actor, Hex, Status, Timestamp};
use certgate_service::{Notification, NotifiedCertificate, NotifiedZone, Subject};
use serde::Serialize;

/// The ID of an event in headers and documents.
pub fn event_id(event: &Notification) -> String {
    format!("evt_{}", Hex(&event.id))
}

/// Writes the document of an event.
pub fn document(event: &Notification) -> Vec<u8> {
    let document = Document {
        kind: event.name(),
        timestamp: text(event.at),
        data: data(event),
    };
    serde_json::to_vec(&document).expect("texts and numbers are JSON")
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Default, Serialize)]
struct Data<'a> {
    event_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Zone<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<ActorShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<Vec<Certificate<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<Authority<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crl: Option<Crl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforcement_point: Option<Point<'a>>,
}

#[derive(Serialize)]
struct Zone<'a> {
    id: String,
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct ActorShown {
    #[serde(rename = "type")]
    kind: &'static str,
    id: Option<String>,
}

/// Members are null if the certificate does not exist any more.
#[derive(Serialize)]
struct Certificate<'a> {
    id: String,
    common_name: Option<&'a str>,
    serial_number: Option<String>,
    fingerprint_sha256: Option<String>,
    status: Option<&'static str>,
    issued_on: Option<String>,
    expires_on: Option<String>,
}

#[derive(Serialize)]
struct Authority<'a> {
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<String>,
}

#[derive(Serialize)]
struct Crl {
    next_update: String,
}

#[derive(Serialize)]
struct Point<'a> {
    id: String,
    name: &'a str,
    lease_ended_on: String,
}

fn data(event: &Notification) -> Data<'_> {
    let shared = Data {
        event_id: event_id(event),
        account_id: event.account.map(|account| account.to_string()),
        ..Data::default()
    };
    match &event.subject {
        Subject::Certificate {
            actor,
            reason,
            zone: of,
            certificate: about,
            ..
        } => Data {
            zone: Some(zone(of)),
            actor: Some(shown(actor)),
            reason: reason.as_deref(),
            certificate: Some(certificate(about)),
            ..shared
        },
        Subject::Expiring {
            zone: of,
            count,
            certificates,
        } => Data {
            zone: Some(zone(of)),
            count: Some(*count),
            certificates: Some(certificates.iter().map(certificate).collect()),
            ..shared
        },
        Subject::Authority {
            id,
            name,
            expires_on,
        } => Data {
            ca: Some(Authority {
                id: id.to_string(),
                name,
                expires_on: Some(text(*expires_on)),
            }),
            ..shared
        },
        Subject::Crl {
            authority,
            name,
            next_update,
        } => Data {
            ca: Some(Authority {
                id: authority.to_string(),
                name,
                expires_on: None,
            }),
            crl: Some(Crl {
                next_update: text(*next_update),
            }),
            ..shared
        },
        Subject::Point {
            id,
            name,
            lease_ended_on,
        } => Data {
            enforcement_point: Some(Point {
                id: id.to_string(),
                name,
                lease_ended_on: text(*lease_ended_on),
            }),
            ..shared
        },
        Subject::Test => shared,
    }
}

fn zone(zone: &NotifiedZone) -> Zone<'_> {
    Zone {
        id: zone.id.to_string(),
        name: zone.name.as_deref(),
    }
}

fn shown(actor: &Actor) -> ActorShown {
    let kind = match actor {
        Actor::Token(_) => "token",
        Actor::ApiKey(_) => "api_key",
        Actor::System => "system",
        Actor::Offline => "offline",
        Actor::Certificate(_) => "certificate",
        Actor::TrustedCa(_) => "mtls_certificate",
        Actor::Invite(_) => "invite",
    };
    let (_, id) = actor.code();
    ActorShown {
        kind,
        id: id.map(|id| Hex(id).to_string()),
    }
}

fn certificate(certificate: &NotifiedCertificate) -> Certificate<'_> {
    let record = certificate.record.as_deref();
    Certificate {
        id: certificate.id.to_string(),
        common_name: record.map(|record| &*record.subject.common_name),
        serial_number: record.map(|record| record.serial.to_string()),
        fingerprint_sha256: record.map(|record| Hex(&record.fingerprint_sha256).to_string()),
        status: record.map(|record| Status::name(record.status)),
        issued_on: record.map(|record| text(record.issued_on)),
        expires_on: record.map(|record| text(record.expires_on)),
    }
}

fn text(at: Timestamp) -> String {
    at.to_string()
}
