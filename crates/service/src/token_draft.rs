use certgate_model::{
    AccountId, AddressBlock, Effect, PermissionGroup, Policy, Random, Resource, Scope, StoredRules,
    Timestamp, TokenId, TokenRecord, TokenState, UserId,
};

use crate::access::{AccountScope, Caller, ManageAccountTokens, ManageTokens, UserScope};
use crate::error::TokenError;
use crate::names::checked_name;

/// Maximum number of policies of a token, and of permission groups and resources of a policy.
const POLICIES_MAX: usize = 100;

/// Maximum number of address blocks that a token allows, and that it refuses.
const ADDRESS_BLOCKS_MAX: usize = 100;

/// Proof that the caller may manage the tokens of the user, or of an account. Only the scopes make
/// one.
#[derive(Clone, Copy)]
pub struct TokenOwner<'a> {
    caller: &'a Caller,
    user: UserId,
    account: Option<AccountId>,
}

impl<'a> From<&'a UserScope<ManageTokens>> for TokenOwner<'a> {
    fn from(scope: &'a UserScope<ManageTokens>) -> Self {
        Self {
            caller: scope.caller(),
            user: scope.user().id,
            account: None,
        }
    }
}

impl<'a> From<&'a AccountScope<ManageAccountTokens>> for TokenOwner<'a> {
    fn from(scope: &'a AccountScope<ManageAccountTokens>) -> Self {
        let caller = scope.caller();
        Self {
            caller,
            user: caller.principal().token().user,
            account: Some(scope.account().id),
        }
    }
}

impl TokenOwner<'_> {
    pub(crate) fn caller(&self) -> &Caller {
        self.caller
    }

    /// Returns the user that owns the tokens, or that creates them for the account.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// Returns the account that owns the tokens.
    pub(crate) fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// Returns true if the token is one of this owner.
    pub(crate) fn owns(&self, token: &TokenRecord) -> bool {
        match self.account {
            None => token.account.is_none() && token.user == self.user,
            account => token.account == account,
        }
    }
}

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
    /// The limits on its certificates. `None` leaves those of a replaced token as they are.
    pub issuance_rules: Option<StoredRules>,
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
        owner: TokenOwner<'_>,
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
        if let Some(account) = owner.account {
            check_belongs_to(account, &self.policies)?;
        }
        check_is_weaker(
            owner,
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

/// Checks that the policies name only the account and its zones. (The account of a zone is checked
/// before, because the store knows it.)
fn check_belongs_to(account: AccountId, policies: &[Policy]) -> Result<(), TokenError> {
    for (index, policy) in policies.iter().enumerate() {
        let of_user = policy.permission_groups.iter();
        if let Some(group) = of_user.copied().find(|group| group.scope() == Scope::User) {
            let pointer = format!("/policies/{index}/permission_groups");
            let reason = format!(
                "{} is a permission of the user: a token of an account has permissions of accounts \
                 and zones",
                group.name()
            );
            return Err(invalid(&pointer, reason));
        }
        for resource in &policy.resources {
            let belongs = match *resource {
                Resource::Account(id) | Resource::ZonesOfAccount(id) => id == account,
                Resource::Zone(_) => true,
                Resource::User(_) | Resource::AllAccounts | Resource::AllZones => false,
            };
            if !belongs {
                return Err(not_of_account(index, *resource, account));
            }
        }
    }
    Ok(())
}

/// Refuses a resource that does not belong to the account that owns the token.
pub(crate) fn not_of_account(index: usize, resource: Resource, account: AccountId) -> TokenError {
    let own = Resource::Account(account);
    let reason = format!(
        "{resource} does not belong to the account that owns the token: use {own} or its zones"
    );
    invalid(&format!("/policies/{index}/resources"), reason)
}

/// Checks that a token with these policies and limits could do nothing that the caller's own token
/// does not allow.
pub(crate) fn check_is_weaker(
    owner: TokenOwner<'_>,
    policies: &[Policy],
    allowed: &[AddressBlock],
    refused: &[AddressBlock],
    expires_on: Option<Timestamp>,
) -> Result<(), TokenError> {
    let principal = owner.caller.principal();
    let exceeds = |reason: String| Err(TokenError::ExceedsOwn(reason));
    for policy in policies
        .iter()
        .filter(|policy| policy.effect == Effect::Allow)
    {
        for group in &policy.permission_groups {
            for resource in &policy.resources {
                if !principal.may_grant(*group, *resource, owner.account) {
                    let zones = match resource {
                        Resource::ZonesOfAccount(_) => " (its zones)",
                        _ => "",
                    };
                    let name = group.name();
                    return exceeds(format!(
                        "it lacks {name} on {resource}{zones}, use a token that has it"
                    ));
                }
            }
        }
    }
    match principal.may_pass_limits_on(allowed, refused, expires_on) {
        true => Ok(()),
        false => exceeds("keep the address limits and the expiry within its own".to_owned()),
    }
}

/// Checks that the token could issue no certificate that the rules of the caller's own token
/// forbid.
pub(crate) fn check_rules(owner: TokenOwner<'_>, token: &TokenRecord) -> Result<(), TokenError> {
    let issues = |policy: &Policy| {
        let mut groups = policy.permission_groups.iter();
        policy.effect == Effect::Allow
            && groups.any(|group| group.includes(PermissionGroup::ClientCertificatesIssue))
    };
    let principal = owner.caller.principal();
    let is_own = principal.token_id() == token.id;
    match token.policies.iter().any(issues)
        && !principal.may_pass_rules_on(&token.issuance_rules, is_own)
    {
        true => Err(TokenError::ExceedsRules),
        false => Ok(()),
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
