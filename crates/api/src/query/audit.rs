//! Query parameters of audit logs.

use certgate_model::{Actor, AuditQuery, CertificateId, Direction, FoldedName, Timestamp, UserId};
use ipnet::IpNet;

use super::{LIMIT, Query};
use crate::audit_conditions::{AuditCondition, MEMBERS, SCANNED_MAX};
use crate::error::ApiError;

/// Entries of an audit log in an answer, without a `limit` or `per_page`.
const ENTRIES_DEFAULT: u64 = 100;

/// The conditions that the store has an index for. Other conditions of Cloudflare's exist only as
/// negations. If the others were ignored, the answer would have entries that the client did not ask
/// for.
const INDEXED: [&str; 3] = ["actor_token_id", "actor_context", "actor_type"];

/// The certificates that the entries of an audit log must be about.
pub(crate) enum WantedCertificates {
    /// The one with this ID.
    Id(CertificateId),
    /// Those with this common name.
    Named(FoldedName),
}

/// The conditions of an audit log in Cloudflare's first version, and the page.
pub(crate) struct AuditPage {
    pub(crate) query: AuditQuery,
    pub(crate) conditions: Vec<AuditCondition>,
    pub(crate) page: u64,
    pub(crate) per_page: u32,
    /// True if the entries of the user's own log are hidden.
    pub(crate) hides_user: bool,
}

impl Query<'_> {
    /// Returns the conditions and the order of an audit log. The condition on an API key means the
    /// key of `user`.
    pub(crate) fn audit(&self, user: UserId) -> Result<AuditQuery, ApiError> {
        let is_unsupported = |name: &str| match name.strip_suffix(".not") {
            Some(member) => member == "product_category",
            None => {
                name == "product_category" || MEMBERS.contains(&name) && !INDEXED.contains(&name)
            }
        };
        let mut names = self.parameters.iter().map(|(name, _)| &**name);
        if let Some(name) = names.find(|name| is_unsupported(name)) {
            let message = format!(
                "{name} is not a supported condition: use since, before, actor_token_id, \
                 actor_context, actor_type, certificate_id, common_name or a negation such as \
                 action_type.not, and filter the entries yourself"
            );
            return Err(ApiError::parameter("", message));
        }
        let limit = self.number("limit", LIMIT)?.unwrap_or(ENTRIES_DEFAULT);
        let cursor = |text: &str| match text {
            "" => Some(None),
            text => audit_cursor(text).map(Some),
        };
        let expected = "the cursor of the answer before, or none to start again";
        let after = self.parsed("cursor", cursor, || expected.to_owned())?;
        Ok(AuditQuery {
            actor: self.actor(user)?,
            after: after.flatten(),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            ..self.stretch()?
        })
    }

    /// Returns the certificates that the entries of an audit log must be about.
    pub(crate) fn audit_certificates(&self) -> Result<Option<WantedCertificates>, ApiError> {
        let id = self.id("certificate_id", "certificate")?;
        let name = self.name("common_name", 1)?;
        match (id, name) {
            (Some(_), Some(_)) => {
                let message = "certificate_id and common_name exclude each other: use one of them";
                Err(ApiError::parameter("certificate_id", message.to_owned()))
            }
            (Some(id), None) => Ok(Some(WantedCertificates::Id(id))),
            (None, Some(name)) => Ok(Some(WantedCertificates::Named(name))),
            (None, None) => Ok(None),
        }
    }

    /// Returns the negated conditions of an audit log.
    pub(crate) fn audit_exceptions(&self) -> Vec<AuditCondition> {
        let values = |member: &str| -> Vec<String> {
            let named = |name: &str| name.strip_suffix(".not") == Some(member);
            let given = self.parameters.iter().filter(|(name, _)| named(name));
            let values = given.flat_map(|(_, value)| value.split(','));
            values
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let named = MEMBERS.map(|member| (member, values(member)));
        let given = named.into_iter().filter(|(_, values)| !values.is_empty());
        given
            .map(|(member, values)| AuditCondition::Not(member, values))
            .collect()
    }

    /// Returns the conditions and the page of an audit log in Cloudflare's first version.
    pub(crate) fn audit_page(&self) -> Result<AuditPage, ApiError> {
        if self.choice("export", &[("true", true), ("false", false)])? == Some(true) {
            let message = "export is true: certgate has no export as CSV, so read the pages";
            return Err(ApiError::parameter("export", message.to_owned()));
        }
        let mut conditions = Vec::new();
        for (name, member) in [
            ("id", "id"),
            ("action.type", "action_type"),
            ("actor.email", "actor_email"),
            ("zone.name", "zone_name"),
        ] {
            let value = self.one(name)?.filter(|value| !value.is_empty());
            conditions.extend(value.map(|value| AuditCondition::Is(member, value.to_owned())));
        }
        let block = |text: &str| {
            text.parse::<IpNet>()
                .ok()
                .or_else(|| Some(IpNet::from(text.parse::<std::net::IpAddr>().ok()?)))
        };
        let expected = || "an address or a block such as 192.0.2.0/24".to_owned();
        let block = self.parsed("actor.ip", block, expected)?;
        conditions.extend(block.map(AuditCondition::From));
        let hides = self.choice("hide_user_logs", &[("true", true), ("false", false)])?;
        let per_page = self.number("per_page", LIMIT)?.unwrap_or(ENTRIES_DEFAULT);
        Ok(AuditPage {
            query: self.stretch()?,
            conditions,
            page: self.number("page", (1, SCANNED_MAX as u64))?.unwrap_or(1),
            per_page: u32::try_from(per_page).unwrap_or(u32::MAX),
            hides_user: hides.unwrap_or_default(),
        })
    }

    /// Returns the part of a log between two instants, by any actor.
    fn stretch(&self) -> Result<AuditQuery, ApiError> {
        Ok(AuditQuery {
            since: self.instant("since")?.unwrap_or(Timestamp::EARLIEST),
            before: self.instant("before")?.unwrap_or(Timestamp::LATEST),
            actor: None,
            direction: self.direction_or(Direction::Descending)?,
            after: None,
            limit: 0,
        })
    }

    fn actor(&self, user: UserId) -> Result<Option<Actor>, ApiError> {
        let token = self.id("actor_token_id", "token")?.map(Actor::Token);
        let context = self.choice("actor_context", &[("api_key", Actor::ApiKey(user))])?;
        let kind = self.choice(
            "actor_type",
            &[("system", Actor::System), ("offline", Actor::Offline)],
        )?;
        let mut given = token.into_iter().chain(context).chain(kind);
        let first = given.next();
        if given.next().is_some() {
            let message = "actor_token_id, actor_context and actor_type exclude each other: \
                           use one of them";
            return Err(ApiError::parameter("actor_token_id", message.to_owned()));
        }
        Ok(first)
    }
}

/// Reads a cursor that [`audit_cursor_text`] wrote.
fn audit_cursor(text: &str) -> Option<(Timestamp, u64)> {
    let (at, number) = text.split_once('.')?;
    let at = Timestamp::from_unix_microseconds(at.parse().ok()?);
    let is_instant = (Timestamp::EARLIEST..=Timestamp::LATEST).contains(&at);
    Some((at, number.parse().ok().filter(|_| is_instant)?))
}

/// Returns the cursor after an entry of this time and number.
pub(crate) fn audit_cursor_text((at, number): (Timestamp, u64)) -> String {
    format!("{}.{number}", at.unix_microseconds())
}
