//! Columns of a token that are read and written as a whole: JSON in every database.

use std::net::IpAddr;

use certgate_model::{AddressBlock, Effect, PermissionGroup, Policy, Resource, TokenState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::error::corrupt;

/// Returns the stored name of a state.
pub(crate) fn state_name(state: TokenState) -> &'static str {
    match state {
        TokenState::Active => "active",
        TokenState::Disabled => "disabled",
    }
}

/// Returns the state with this stored name.
pub(crate) fn state(name: &str) -> Result<TokenState, StoreError> {
    match name {
        "active" => Ok(TokenState::Active),
        "disabled" => Ok(TokenState::Disabled),
        other => Err(corrupt(format!("a token has the unknown state {other:?}"))),
    }
}

/// Returns the column of these policies.
pub(crate) fn policies_text(policies: &[Policy]) -> Result<String, StoreError> {
    to_json(&policies.iter().map(PolicyRow::from).collect::<Vec<_>>())
}

/// Reads the column of policies.
pub(crate) fn policies(text: &str) -> Result<Vec<Policy>, StoreError> {
    let rows: Vec<PolicyRow> = from_json(text)?;
    rows.into_iter().map(Policy::try_from).collect()
}

/// Returns the column of these address blocks.
pub(crate) fn address_blocks_text(addresses: &[AddressBlock]) -> Result<String, StoreError> {
    to_json(&blocks(addresses))
}

/// The permission groups that existed before version 2 of the schema.
const GROUPS_OF_VERSION_1: [PermissionGroup; 13] = [
    PermissionGroup::AccountSettingsRead,
    PermissionGroup::AccountSettingsWrite,
    PermissionGroup::AccountSslAndCertificatesRead,
    PermissionGroup::AccountSslAndCertificatesWrite,
    PermissionGroup::ApiTokensRead,
    PermissionGroup::ApiTokensWrite,
    PermissionGroup::EnforcementPointsRead,
    PermissionGroup::EnforcementPointsWrite,
    PermissionGroup::SslAndCertificatesRead,
    PermissionGroup::SslAndCertificatesWrite,
    PermissionGroup::UserDetailsRead,
    PermissionGroup::ZoneRead,
    PermissionGroup::ZoneWrite,
];

/// The version of the schema that added the latest permission groups.
const GROUPS_VERSION: i64 = 2;

const fn first_version() -> i64 {
    1
}

#[derive(Serialize, Deserialize)]
struct PolicyRow {
    /// The version of the permission groups that the writer knew. A policy of version 1 with all
    /// of its groups means every permission. Otherwise no token of an older installation could
    /// grant the permissions that are newer than the token.
    #[serde(default = "first_version")]
    groups_version: i64,
    id: String,
    effect: EffectRow,
    permission_groups: Vec<String>,
    resources: Vec<ResourceRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EffectRow {
    Allow,
    Deny,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResourceRow {
    User(String),
    AllAccounts,
    Account(String),
    AllZones,
    Zone(String),
    ZonesOfAccount(String),
}

#[derive(Serialize, Deserialize)]
struct AddressBlockRow {
    text: String,
    address: IpAddr,
    prefix_length: u8,
}

impl From<&Policy> for PolicyRow {
    fn from(policy: &Policy) -> Self {
        Self {
            groups_version: GROUPS_VERSION,
            id: policy.id.clone(),
            effect: match policy.effect {
                Effect::Allow => EffectRow::Allow,
                Effect::Deny => EffectRow::Deny,
            },
            permission_groups: policy
                .permission_groups
                .iter()
                .map(|group| group.id().to_owned())
                .collect(),
            resources: policy.resources.iter().map(ResourceRow::from).collect(),
        }
    }
}

impl TryFrom<PolicyRow> for Policy {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        let group = |id: String| {
            id.parse::<PermissionGroup>()
                .map_err(|_| corrupt(format!("unknown permission group {id:?}")))
        };
        let mut permission_groups = row
            .permission_groups
            .into_iter()
            .map(group)
            .collect::<Result<Vec<_>, _>>()?;
        let has = |group: &PermissionGroup| permission_groups.contains(group);
        if row.groups_version == first_version() && GROUPS_OF_VERSION_1.iter().all(has) {
            permission_groups = PermissionGroup::ALL.to_vec();
        }
        Ok(Self {
            id: row.id,
            effect: match row.effect {
                EffectRow::Allow => Effect::Allow,
                EffectRow::Deny => Effect::Deny,
            },
            permission_groups,
            resources: row
                .resources
                .into_iter()
                .map(Resource::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Resource> for ResourceRow {
    fn from(resource: &Resource) -> Self {
        match resource {
            Resource::User(id) => Self::User(id.to_string()),
            Resource::AllAccounts => Self::AllAccounts,
            Resource::Account(id) => Self::Account(id.to_string()),
            Resource::AllZones => Self::AllZones,
            Resource::Zone(id) => Self::Zone(id.to_string()),
            Resource::ZonesOfAccount(id) => Self::ZonesOfAccount(id.to_string()),
        }
    }
}

impl TryFrom<ResourceRow> for Resource {
    type Error = StoreError;

    fn try_from(row: ResourceRow) -> Result<Self, StoreError> {
        let resource = match row {
            ResourceRow::User(id) => id.parse().map(Self::User),
            ResourceRow::AllAccounts => Ok(Self::AllAccounts),
            ResourceRow::Account(id) => id.parse().map(Self::Account),
            ResourceRow::AllZones => Ok(Self::AllZones),
            ResourceRow::Zone(id) => id.parse().map(Self::Zone),
            ResourceRow::ZonesOfAccount(id) => id.parse().map(Self::ZonesOfAccount),
        };
        resource.map_err(|error| corrupt(format!("the ID of a policy's resource: {error}")))
    }
}

fn blocks(addresses: &[AddressBlock]) -> Vec<AddressBlockRow> {
    let row = |block: &AddressBlock| AddressBlockRow {
        text: block.text.clone(),
        address: block.address,
        prefix_length: block.prefix_length,
    };
    addresses.iter().map(row).collect()
}

/// Reads a column of address blocks.
pub(crate) fn address_blocks(text: &str) -> Result<Vec<AddressBlock>, StoreError> {
    let rows: Vec<AddressBlockRow> = from_json(text)?;
    rows.into_iter()
        .map(
            |AddressBlockRow {
                 text,
                 address,
                 prefix_length,
             }| {
                if prefix_length > if address.is_ipv4() { 32 } else { 128 } {
                    return Err(corrupt(format!(
                        "{address} has the impossible prefix length {prefix_length}"
                    )));
                }
                Ok(AddressBlock {
                    text,
                    address,
                    prefix_length,
                })
            },
        )
        .collect()
}

fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Conflict(error.to_string()))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| corrupt(format!("a column of a token is corrupt: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: &str, groups: &[PermissionGroup]) -> Vec<PermissionGroup> {
        let groups: Vec<_> = groups.iter().map(|group| group.id()).collect();
        let text = format!(
            r#"[{{{version}"id":"1","effect":"allow","permission_groups":{},"resources":[]}}]"#,
            serde_json::to_string(&groups).unwrap()
        );
        policies(&text).unwrap().remove(0).permission_groups
    }

    #[test]
    fn only_an_old_policy_with_every_permission_gets_the_newer_ones() {
        let all = PermissionGroup::ALL.to_vec();
        let (_, most) = GROUPS_OF_VERSION_1.split_first().unwrap();
        assert_eq!(read("", &GROUPS_OF_VERSION_1), all);
        assert_eq!(read("", most), most);
        let new = r#""groups_version":2,"#;
        assert_eq!(read(new, &GROUPS_OF_VERSION_1), GROUPS_OF_VERSION_1);
        let policy = Policy {
            id: "1".to_owned(),
            effect: Effect::Allow,
            permission_groups: GROUPS_OF_VERSION_1.to_vec(),
            resources: vec![Resource::AllZones],
        };
        let text = policies_text(std::slice::from_ref(&policy)).unwrap();
        assert_eq!(policies(&text).unwrap(), [policy]);
    }
}
