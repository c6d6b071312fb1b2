//! Roles: the permissions of a job, for a new token.

use crate::PermissionGroup;

/// A job that a token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Issues client certificates, and reads none.
    Issuer,
    /// Issues, reads, revokes and restores client certificates.
    Operator,
    /// Reads everything.
    Auditor,
    /// Reports for an enforcement point that it has the revocations.
    Proxy,
    /// Does everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Issuer,
        Self::Operator,
        Self::Auditor,
        Self::Proxy,
        Self::Admin,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Proxy => "proxy",
            Self::Admin => "admin",
        }
    }

    /// Returns the role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The permissions, in the order of [`PermissionGroup::ALL`].
    pub fn permissions(self) -> Vec<PermissionGroup> {
        use PermissionGroup as Group;
        match self {
            Self::Issuer => vec![Group::ClientCertificatesIssue],
            Self::Operator => vec![
                Group::ClientCertificatesIssue,
                Group::ClientCertificatesRead,
                Group::ClientCertificatesRestore,
                Group::ClientCertificatesRevoke,
            ],
            Self::Auditor => {
                let reads = |group: &Group| group.is_read();
                Group::ALL.into_iter().filter(reads).collect()
            }
            Self::Proxy => vec![Group::EnforcementPointsWrite],
            Self::Admin => Group::ALL.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_can_read_everything_and_change_nothing() {
        let auditor = Role::Auditor.permissions();
        for group in PermissionGroup::ALL {
            let is_read = group.name().ends_with(" Read");
            assert_eq!(auditor.contains(&group), is_read, "{}", group.name());
            assert!(is_read || auditor.iter().all(|own| !own.includes(group)));
        }
        assert_eq!(Role::Admin.permissions(), PermissionGroup::ALL);
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
    }
}
