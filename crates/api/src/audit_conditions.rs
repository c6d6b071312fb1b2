//! Conditions on the entries of an audit log that the store has no index for.

use std::borrow::Cow;

use certgate_wire::AuditLog;
use ipnet::IpNet;

/// Most entries of an audit log that a request looks at. Conditions without an index must not read
/// a log to its end, which grows with the number of certificates.
pub(crate) const SCANNED_MAX: usize = 20_000;

/// The members that a condition can name, in the names of Cloudflare's parameters.
pub(crate) const MEMBERS: [&str; 22] = [
    "id",
    "account_name",
    "action_result",
    "action_type",
    "actor_context",
    "actor_email",
    "actor_id",
    "actor_ip_address",
    "actor_token_id",
    "actor_token_name",
    "actor_type",
    "audit_log_id",
    "raw_cf_ray_id",
    "raw_method",
    "raw_status_code",
    "raw_uri",
    "resource_id",
    "resource_product",
    "resource_scope",
    "resource_type",
    "zone_id",
    "zone_name",
];

/// A condition on a member of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuditCondition {
    /// The member is none of these values, in any letter case.
    Not(&'static str, Vec<String>),
    /// The member is this value, in any letter case.
    Is(&'static str, String),
    /// The client's address is in this block.
    From(IpNet),
}

impl AuditCondition {
    /// Returns true if the entry meets the condition.
    pub(crate) fn holds(&self, log: &AuditLog<'_>) -> bool {
        let is = |member, value: &str| {
            text_of(log, member).is_some_and(|text| text.eq_ignore_ascii_case(value))
        };
        match self {
            Self::Not(member, values) => !values.iter().any(|value| is(member, value)),
            Self::Is(member, value) => is(member, value),
            Self::From(block) => {
                let address = log.actor.ip_address.as_deref();
                let address = address.and_then(|address| address.parse().ok());
                address.is_some_and(|address: std::net::IpAddr| block.contains(&address))
            }
        }
    }
}

/// Returns the text of a member; [`None`] if the entry has none. Entries have no `raw` members.
fn text_of<'a>(log: &'a AuditLog<'_>, member: &str) -> Option<Cow<'a, str>> {
    let actor = &log.actor;
    match member {
        "id" | "audit_log_id" => Some(log.id.to_string().into()),
        "account_name" => log.account.as_ref().map(|account| (&*account.name).into()),
        "action_result" => Some((&*log.action.result).into()),
        "action_type" => Some((&*log.action.kind).into()),
        "actor_context" => actor.context.as_deref().map(Into::into),
        "actor_email" => actor.email.as_deref().map(Into::into),
        "actor_id" => actor.id.map(|id| id.to_string().into()),
        "actor_ip_address" => actor.ip_address.as_deref().map(Into::into),
        "actor_token_id" => actor.token_id.map(|id| id.to_string().into()),
        "actor_token_name" => actor.token_name.as_deref().map(Into::into),
        "actor_type" => Some((&*actor.kind).into()),
        "resource_id" => Some((&*log.resource.id).into()),
        "resource_product" => Some((&*log.resource.product).into()),
        "resource_scope" => Some(scope_of(log).into()),
        "resource_type" => Some((&*log.resource.kind).into()),
        "zone_id" => log.zone.as_ref().map(|zone| zone.id.to_string().into()),
        "zone_name" => log.zone.as_ref()?.name.as_deref().map(Into::into),
        _ => None,
    }
}

fn scope_of(log: &AuditLog<'_>) -> &'static str {
    match (&log.account, &log.zone) {
        (None, _) => "user",
        (Some(_), Some(_)) => "zones",
        (Some(_), None) => "accounts",
    }
}
