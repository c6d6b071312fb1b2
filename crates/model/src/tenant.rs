use crate::{AccountId, KeyAlgorithm, Timestamp, UserId, ZoneId};

/// The installation: made once, by the first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// A known text sealed under the master key, to recognise a wrong one at start.
    pub master_key_check: Vec<u8>,
    /// When the installation was made.
    pub created_on: Timestamp,
}

/// A user, owner of API tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its id.
    pub id: UserId,
    /// E-mail address.
    pub email: String,
    /// When it was made.
    pub created_on: Timestamp,
}

/// An account: owns zones and one managed authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The kind of key its managed authority gets when it is made.
    pub authority_algorithm: KeyAlgorithm,
    /// When it was made.
    pub created_on: Timestamp,
}

/// A zone: the domain that certificates are issued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Its id.
    pub id: ZoneId,
    /// Its domain name, lower case, unique.
    pub name: String,
    /// The account that owns it.
    pub account: AccountId,
    /// The name of that account.
    pub account_name: String,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub modified_on: Timestamp,
}
