use certgate_model::{
    AddressBlock, Effect, Policy, Random, Resource, Timestamp, TokenId, TokenState,
};

use crate::access::{ManageTokens, UserScope};
use crate::error::TokenError;
use crate::names::checked_name;

/// Maximum number of policies of a token, and of permission groups and resources of a policy.
const POLICIES_MAX: usize = 100;

/// Maximum number of address blocks that a token allows, and that it refuses.
const ADDRESS_BLOCKS_MAX: usize = 100;

/// The changeable members of a token, for a new token or to replace those of an old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraft {
    /// Its name.
    pub name: String,
    /// Active or disabled.
    pub state: TokenState,
    /// Its permissions. A policy with an empty ID gets a new one.
    pub policies: Vec<Policy>,
    /// Addresses that it may be used from; empty is anywhere.
    pub allowed_addresses: Vec<AddressBlock>,
    /// Addresses that it must not be used from.
    pub refused_addresses: Vec<AddressBlock>,
    /// Not valid before.
    pub not_before: Option<Timestamp>,
    /// Not valid from this instant on.
    pub expires_on: Option<Timestamp>,
}

impl TokenDraft {
    /// Checks the members, gives policies their IDs, and checks that the token would not exceed
    /// the caller's own.
    pub(crate) fn checked(
        mut self,
        scope: &UserScope<ManageTokens>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Self, TokenError> {
        self.name = checked_name(&self.name).map_err(|reason| invalid("/name", reason))?;
        check_counts(&self)?;
        if let (Some(from), Some(end)) = (self.not_before, self.expires_on)
            && end <= from
        {
            let reason = format!("{end} is not after not_before, {from}: use a later time");
            return Err(invalid("/expires_on", reason));
        }
        for policy in self.policies.iter_mut().filter(|new| new.id.is_empty()) {
            policy.id = new_policy_id(now, random);
        }
        check_is_weaker(
            scope,
            &self.policies,
            &self.allowed_addresses,
            &self.refused_addresses,
            self.expires_on,
        )?;
        Ok(self)
    }
}

fn check_counts(draft: &TokenDraft) -> Result<(), TokenError> {
    let policies = &draft.policies;
    let mut counts = vec![("/policies".to_owned(), policies.len(), 1..=POLICIES_MAX)];
    for (index, policy) in policies.iter().enumerate() {
        let groups = format!("/policies/{index}/permission_groups");
        counts.push((groups, policy.permission_groups.len(), 1..=POLICIES_MAX));
        let resources = format!("/policies/{index}/resources");
        counts.push((resources, policy.resources.len(), 1..=POLICIES_MAX));
    }
    for (member, blocks) in [
        ("in", &draft.allowed_addresses),
        ("not_in", &draft.refused_addresses),
    ] {
        let pointer = format!("/condition/request.ip/{member}");
        counts.push((pointer, blocks.len(), 0..=ADDRESS_BLOCKS_MAX));
    }
    for (pointer, count, range) in counts {
        if !range.contains(&count) {
            let (min, max) = (range.start(), range.end());
            let reason = format!("there are {count} entries: use {min} to {max}");
            return Err(invalid(&pointer, reason));
        }
    }
    Ok(())
}

/// Checks that a token with these policies and limits could do nothing that the caller's own token
/// does not allow.
pub(crate) fn check_is_weaker(
    scope: &UserScope<ManageTokens>,
    policies: &[Policy],
    allowed: &[AddressBlock],
    refused: &[AddressBlock],
    expires_on: Option<Timestamp>,
) -> Result<(), TokenError> {
    let principal = scope.caller().principal();
    let exceeds = |reason: String| Err(TokenError::ExceedsOwn(reason));
    for policy in policies
        .iter()
        .filter(|policy| policy.effect == Effect::Allow)
    {
        for group in &policy.permission_groups {
            for resource in &policy.resources {
                if !principal.may_grant(*group, *resource) {
                    let zones = match resource {
                        Resource::ZonesOfAccount(_) => " (its zones)",
                        _ => "",
                    };
                    let name = group.name();
                    return exceeds(format!("it lacks {name} on {resource}{zones}"));
                }
            }
        }
    }
    match principal.may_pass_limits_on(allowed, refused, expires_on) {
        true => Ok(()),
        false => exceeds("keep the address limits and the expiry within its own".to_owned()),
    }
}

/// Returns a new ID of a policy: 32 unique hex digits, the form of a token's ID.
pub(crate) fn new_policy_id(now: Timestamp, random: &dyn Random) -> String {
    TokenId::time_ordered(now, random).to_string()
}

fn invalid(pointer: &str, reason: String) -> TokenError {
    TokenError::Invalid {
        pointer: pointer.to_owned(),
        reason,
    }
}
