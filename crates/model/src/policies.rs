//! Evaluation of policies: the permissions that they give, and where.

use crate::{AccountId, Effect, PermissionGroup, Policy, Resource, Scope, UserId, Visible, ZoneId};

/// The place of an action.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// One user.
    User(UserId),
    /// The accounts themselves, including future ones. For a zone permission: every zone.
    EveryAccount,
    /// One account.
    Account(AccountId),
    /// Every zone of the account, including future ones.
    ZonesOf(AccountId),
    /// One zone, and its account if it is known.
    Zone(ZoneId, Option<AccountId>),
}

/// Returns true if the policies allow `needed` at `place`. A `Deny` outweighs every `Allow`.
pub fn allows(policies: &[Policy], needed: PermissionGroup, place: Place) -> bool {
    let mut allowed = false;
    for policy in policies {
        let (groups, resources) = (&policy.permission_groups, &policy.resources);
        let scope = needed.scope();
        match policy.effect {
            Effect::Allow => {
                allowed |= groups.iter().any(|group| group.includes(needed))
                    && resources
                        .iter()
                        .any(|resource| place.lies_in(*resource, scope));
            }
            // To deny the whole of a place denies each part, and to deny a part denies the whole.
            // Permissions: see `PermissionGroup::denies`.
            Effect::Deny => {
                if groups.iter().any(|denied| denied.denies(needed))
                    && resources
                        .iter()
                        .any(|resource| place.touches(*resource, scope))
                {
                    return false;
                }
            }
        }
    }
    allowed
}

/// Returns true if the policies allow everything that a grant of `group` on `resource` gives.
/// `zones_of` is the account of a resource that is a zone, if it is known.
pub fn allow_grant(
    policies: &[Policy],
    group: PermissionGroup,
    resource: Resource,
    zones_of: Option<AccountId>,
) -> bool {
    let place = match (group.scope(), resource) {
        (Scope::User, Resource::User(id)) => Place::User(id),
        (Scope::Account, Resource::Account(id)) => Place::Account(id),
        (Scope::Account, Resource::AllAccounts) => Place::EveryAccount,
        (Scope::Zone, Resource::Account(id) | Resource::ZonesOfAccount(id)) => Place::ZonesOf(id),
        (Scope::Zone, Resource::AllAccounts | Resource::AllZones) => Place::EveryAccount,
        // Without its account, to grant one zone needs that zone or everything.
        (Scope::Zone, Resource::Zone(id)) => Place::Zone(id, zones_of),
        // The group does not apply to this kind of resource: it grants nothing.
        _ => return true,
    };
    allows(policies, group, place)
}

/// Returns the visible part of a list that needs `group`. `None`: the policies allow it nowhere.
pub fn visible(policies: &[Policy], group: PermissionGroup) -> Option<Visible> {
    let mut visible = Visible::default();
    for policy in policies {
        let applies = match policy.effect {
            Effect::Allow => policy
                .permission_groups
                .iter()
                .any(|allowed| allowed.includes(group)),
            Effect::Deny => policy
                .permission_groups
                .iter()
                .any(|denied| denied.denies(group)),
        };
        if !applies {
            continue;
        }
        for resource in &policy.resources {
            let everything = match *resource {
                Resource::AllAccounts => true,
                Resource::AllZones => group.scope() == Scope::Zone,
                _ => false,
            };
            match (policy.effect, *resource) {
                (Effect::Deny, _) if everything => return None,
                (Effect::Allow, _) if everything => visible.all = true,
                // The zones of an account are not the account.
                (_, Resource::ZonesOfAccount(_)) if group.scope() != Scope::Zone => {}
                (Effect::Allow, Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                    visible.accounts.push(id);
                }
                (Effect::Allow, Resource::Zone(id)) => visible.zones.push(id),
                (Effect::Deny, Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                    visible.except_accounts.push(id);
                }
                (Effect::Deny, Resource::Zone(id)) => visible.except_zones.push(id),
                _ => {}
            }
        }
    }
    let somewhere = visible.all || !visible.accounts.is_empty() || !visible.zones.is_empty();
    somewhere.then_some(visible)
}

impl Place {
    /// Returns the place of a permission on an account: for a zone permission, all its zones.
    pub fn of_account(needed: PermissionGroup, account: AccountId) -> Self {
        match needed.scope() {
            Scope::Zone => Self::ZonesOf(account),
            Scope::Account | Scope::User => Self::Account(account),
        }
    }

    /// Returns true if `resource` covers this place for permissions of `scope`.
    fn lies_in(self, resource: Resource, scope: Scope) -> bool {
        let zones = scope == Scope::Zone;
        match (self, resource) {
            (Self::User(user), Resource::User(id)) => user == id,
            (Self::User(_), _) | (_, Resource::User(_)) => false,
            (_, Resource::AllAccounts) => true,
            (_, Resource::AllZones) => zones,
            (Self::EveryAccount, _) => false,
            (Self::Account(account), Resource::Account(id)) => account == id,
            (Self::Account(_), _) => false,
            (Self::ZonesOf(account), Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                zones && account == id
            }
            (Self::ZonesOf(_), Resource::Zone(_)) => false,
            (Self::Zone(_, account), Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                zones && account == Some(id)
            }
            (Self::Zone(zone, _), Resource::Zone(id)) => zones && zone == id,
        }
    }

    /// Returns true if `resource` covers this place or a part of it.
    fn touches(self, resource: Resource, scope: Scope) -> bool {
        match (self, resource) {
            (Self::EveryAccount, Resource::Account(_)) => scope != Scope::User,
            (Self::EveryAccount, Resource::Zone(_) | Resource::ZonesOfAccount(_)) => {
                scope == Scope::Zone
            }
            // The zone may belong to the account: refuse instead of looking it up.
            (Self::ZonesOf(_), Resource::Zone(_))
            | (Self::Zone(_, None), Resource::Account(_) | Resource::ZonesOfAccount(_)) => {
                scope == Scope::Zone
            }
            _ => self.lies_in(resource, scope),
        }
    }
}
