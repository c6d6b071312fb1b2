//! Examples of schemas, and links from the answer that creates an object to the operations on it.

use serde_json::{Value, json};

use super::refine::for_each_operation;

const ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const UUID: &str = "b2134436-2555-4acf-be5b-26c48136575e";

/// An operation that creates an object, and operations on the object with the parameter of its ID.
const LINKS: [(&str, &str, &[&str]); 7] = [
    (
        "client-certificate-for-a-zone-create-client-certificate",
        "client_certificate_id",
        &[
            "client-certificate-for-a-zone-client-certificate-details",
            "client-certificate-for-a-zone-delete-client-certificate",
        ],
    ),
    (
        "m-tls-certificate-management-upload-m-tls-certificate",
        "mtls_certificate_id",
        &[
            "m-tls-certificate-management-get-m-tls-certificate",
            "m-tls-certificate-management-delete-m-tls-certificate",
        ],
    ),
    (
        "zones-post",
        "zone_id",
        &["zones-0-get", "zones-0-patch", "zones-0-delete"],
    ),
    (
        "account-creation",
        "account_id",
        &[
            "accounts-account-details",
            "accounts-update-account",
            "account-deletion",
        ],
    ),
    (
        "user-api-tokens-create-token",
        "token_id",
        &[
            "user-api-tokens-token-details",
            "user-api-tokens-update-token",
            "user-api-tokens-delete-token",
            "user-api-tokens-roll-token",
        ],
    ),
    (
        "account-api-tokens-create-token",
        "token_id",
        &[
            "account-api-tokens-token-details",
            "account-api-tokens-update-token",
            "account-api-tokens-delete-token",
            "account-api-tokens-roll-token",
        ],
    ),
    (
        "invites-create",
        "invite_id",
        &["invites-get", "invites-withdraw"],
    ),
];

/// Adds the examples and the links.
pub(super) fn add(document: &mut Value) {
    for (name, example) in of_answers().into_iter().chain(of_requests()) {
        let schema = document.pointer_mut(&format!("/components/schemas/{name}"));
        if let Some(schema) = schema {
            schema["examples"] = json!([example]);
        }
    }
    for_each_operation(document, |operation| {
        let id = operation["operationId"].as_str().map(str::to_owned);
        let links = LINKS
            .iter()
            .find(|(create, ..)| id.as_deref() == Some(create));
        let Some((_, parameter, targets)) = links else {
            return;
        };
        // The parents of the object are in the path of the request.
        let parents = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let parents = parents.into_iter().filter(|parent| parent["in"] == "path");
        let mut parameters = serde_json::Map::new();
        for parent in parents {
            let name = parent["name"].as_str().unwrap_or_default();
            parameters.insert(name.to_owned(), json!(format!("$request.path.{name}")));
        }
        parameters.insert((*parameter).to_owned(), json!("$response.body#/result/id"));
        for target in *targets {
            operation["responses"]["200"]["links"][*target] = json!({
                "operationId": target,
                "parameters": parameters,
            });
        }
    });
}

fn pem(label: &str) -> String {
    format!("-----BEGIN {label}-----\n…\n-----END {label}-----\n")
}

/// Returns examples of values and of members of answers.
fn of_answers() -> Vec<(&'static str, Value)> {
    vec![
        ("Id", json!(ID)),
        ("Uuid", json!(UUID)),
        ("Time", json!("2033-02-20T23:18:00Z")),
        ("Date", json!("2033-02-20")),
        ("DayCount", json!({ "date": "2033-02-20", "count": 3 })),
        (
            "CertificateEvent",
            json!({
                "action": "revoked",
                "at": "2026-11-24T09:12:44.120511Z",
                "actor": { "type": "token", "id": ID, "name": "on-call" },
                "address": "192.0.2.1",
                "reason": "keyCompromise",
                "audit_entry": 1841,
                "epoch": 7,
            }),
        ),
        (
            "Sha256",
            json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ),
        (
            "Octets20",
            json!("8e375af1389a069a0f921f8cc8e1eb12d784b949"),
        ),
    ]
}

/// Returns examples of the bodies of requests.
fn of_requests() -> Vec<(&'static str, Value)> {
    let zone = format!("com.cloudflare.api.account.zone.{ID}");
    let token = json!({
        "name": "device enrolment",
        "policies": [{
            "effect": "allow",
            "permission_groups": [{ "id": "c03055bc037c4ea9afb9a9f104b7b721" }],
            "resources": { (zone): "*" },
        }],
        "condition": { "request.ip": { "in": ["192.0.2.0/24"] } },
        "expires_on": "2033-02-20T23:18:00Z",
    });
    vec![
        (
            "CreateAccount",
            json!({ "name": "Example Inc.", "authority_algorithm": "P-256" }),
        ),
        (
            "UpdateAccount",
            json!({ "name": "Example Inc.", "type": "standard" }),
        ),
        (
            "CreateZone",
            json!({ "name": "example.com", "account": { "id": ID } }),
        ),
        ("UpdateZone", json!({ "paused": true })),
        (
            "UpdateUser",
            json!({ "first_name": "Ada", "country": "UK" }),
        ),
        ("CreateToken", token),
        (
            "TokenAddresses",
            json!({ "in": ["192.0.2.0/24"], "not_in": ["192.0.2.7"] }),
        ),
        (
            "CreateClientCertificate",
            json!({
                "csr": pem("CERTIFICATE REQUEST"),
                "validity_days": 365,
            }),
        ),
        (
            "CreateInvite",
            json!({ "name": "anna", "device": "iphone", "lifetime": 7_776_000 }),
        ),
        ("ReactivateClientCertificate", json!({ "reactivate": true })),
        (
            "RevokeClientCertificate",
            json!({ "reason": "keyCompromise" }),
        ),
        (
            "CreateMtlsCertificate",
            json!({
                "certificates": pem("CERTIFICATE"),
                "ca": true,
                "name": "Partner CA",
            }),
        ),
        (
            "ReplaceHostnameAssociations",
            json!({ "hostnames": ["api.example.com"], "mtls_certificate_id": UUID }),
        ),
        (
            "RegisterEnforcementPoint",
            json!({ "name": "edge-1", "lease_seconds": 60 }),
        ),
        ("AcknowledgeEpoch", json!({ "epoch": 7 })),
        ("RotateCa", json!({ "algorithm": "P-384" })),
        (
            "NewCa",
            json!({ "algorithm": "P-256", "name": "Devices 2027" }),
        ),
        (
            "AdoptCertificates",
            json!({ "certificates": [pem("CERTIFICATE")] }),
        ),
        ("ChangeCaState", json!({ "anyway": true })),
        ("RequestCa", json!({ "name": "Devices 2027" })),
        (
            "IssuanceRuleSet",
            json!({
                "common_names": ["build-*"],
                "forbidden_attributes": ["country"],
                "key_types": ["P-256", "RSA-3072"],
                "max_lifetime": 604_800,
                "certificates_per_day": 1_000,
                "alternative_names": { "dns": ["*.ci.example.com"], "beyond": "reject" },
            }),
        ),
    ]
}
