//! Lists of words in the OpenAPI document: the members and the query parameters that have one of
//! them.

use certgate_model::{AuditAction, ResourceType, Status};

/// A schema of words.
pub(super) struct Words {
    /// The name of the schema.
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) words: Vec<&'static str>,
    /// Members of objects: the schema and the member.
    pub(super) members: &'static [(&'static str, &'static str)],
    /// Query parameters: the ID of the operation (empty: every operation), the parameter, and its
    /// default (empty: it has none).
    pub(super) parameters: &'static [(&'static str, &'static str, &'static str)],
}

/// Returns every list.
pub(super) fn lists() -> Vec<Words> {
    let mut lists = of_audit_logs();
    lists.extend(of_parameters());
    lists
}

fn list(
    name: &'static str,
    description: &'static str,
    words: Vec<&'static str>,
    members: &'static [(&'static str, &'static str)],
    parameters: &'static [(&'static str, &'static str, &'static str)],
) -> Words {
    Words {
        name,
        description,
        words,
        members,
        parameters,
    }
}

fn of_audit_logs() -> Vec<Words> {
    vec![
        list(
            "AuditActionName",
            "The action of an audit log entry.",
            AuditAction::ALL
                .iter()
                .map(|action| action.name())
                .collect(),
            &[("AuditLogAction", "type"), ("AuditEntryAction", "type")],
            &[],
        ),
        list(
            "AuditResourceType",
            "The type of the object that was changed.",
            ResourceType::ALL.iter().map(|kind| kind.name()).collect(),
            &[("AuditResource", "type"), ("AuditEntryResource", "type")],
            &[],
        ),
        list(
            "AuditActorType",
            "The kind of the caller.",
            vec![
                "user",
                "account",
                "system",
                "offline",
                "certificate",
                "mtls_certificate",
                "invite",
            ],
            &[("AuditActor", "type")],
            &[],
        ),
        list(
            "CertificateEventAction",
            "An event in the life of a client certificate.",
            vec!["issued", "revoked", "restored", "settled"],
            &[("CertificateEvent", "action")],
            &[],
        ),
        list(
            "EventActorType",
            "The kind of the caller.",
            vec![
                "token",
                "api_key",
                "system",
                "offline",
                "certificate",
                "mtls_certificate",
                "invite",
            ],
            &[("EventActor", "type")],
            &[],
        ),
        list(
            "AuditActorContext",
            "The credential of the caller.",
            vec!["api_token", "api_key"],
            &[("AuditActor", "context")],
            &[],
        ),
    ]
}

fn of_parameters() -> Vec<Words> {
    vec![
        list(
            "Direction",
            "Smallest first, or largest first.",
            vec!["asc", "desc"],
            &[],
            &[
                ("accounts-list-accounts", "direction", "asc"),
                ("account-api-tokens-list-tokens", "direction", "asc"),
                ("audit-logs-get-account-audit-logs", "direction", "desc"),
                ("audit-logs-get-user-audit-logs", "direction", "desc"),
                ("audit-logs-v2-get-account-audit-logs", "direction", "desc"),
                (
                    "client-certificate-for-a-zone-list-client-certificates",
                    "direction",
                    "",
                ),
                (
                    "user-account-memberships-list-memberships",
                    "direction",
                    "asc",
                ),
                ("user-api-tokens-list-tokens", "direction", "asc"),
                ("user-audit-logs-list", "direction", "desc"),
                ("zones-get", "direction", "asc"),
            ],
        ),
        list(
            "Match",
            "All conditions must hold, or one of them.",
            vec!["all", "any"],
            &[],
            &[("zones-get", "match", "all")],
        ),
        list(
            "StatusFilter",
            "The status of the certificates in a list.",
            std::iter::once("all")
                .chain(Status::ALL.map(Status::name))
                .collect(),
            &[],
            &[(
                "client-certificate-for-a-zone-list-client-certificates",
                "status",
                "",
            )],
        ),
        list(
            "CertificateOrder",
            "The order of certificates.",
            vec!["issued_on", "expires_on", "common_name"],
            &[],
            &[(
                "client-certificate-for-a-zone-list-client-certificates",
                "order",
                "",
            )],
        ),
        list(
            "ZoneStatus",
            "The status of a zone. Every zone is active.",
            vec!["active", "initializing", "pending", "moved"],
            &[("Zone", "status")],
            &[("zones-get", "status", "")],
        ),
        list(
            "ZoneOrder",
            "The order of zones. Without one, they are ordered by creation.",
            vec!["name", "status", "account.id", "account.name"],
            &[],
            &[("zones-get", "order", "")],
        ),
        list(
            "MembershipStatus",
            "The status of a membership. Every membership is accepted.",
            vec!["accepted", "pending", "rejected"],
            &[("Membership", "status")],
            &[("user-account-memberships-list-memberships", "status", "")],
        ),
        list(
            "MembershipOrder",
            "The order of memberships. It is always by creation of the account.",
            vec!["id", "account.name", "status"],
            &[],
            &[("user-account-memberships-list-memberships", "order", "")],
        ),
    ]
}
