use crate::{AccountId, KeyAlgorithm, Timestamp, UserId, ZoneId};

/// The installation. The first start creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// A known text sealed under the master key. The server checks its master key with it at start.
    pub master_key_check: Vec<u8>,
    /// The time of its creation.
    pub created_on: Timestamp,
}

/// A user, who owns API tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its ID.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The time of its creation.
    pub created_on: Timestamp,
}

/// An account, which owns zones and their CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its ID.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The key algorithm of the managed CA that the first use creates.
    pub authority_algorithm: KeyAlgorithm,
    /// The time of its creation.
    pub created_on: Timestamp,
}

/// A zone: a domain with client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Its ID.
    pub id: ZoneId,
    /// Its domain name in lower case, unique in the installation.
    pub name: String,
    /// The account that owns it.
    pub account: AccountId,
    /// The name of that account.
    pub account_name: String,
    /// The time of its creation.
    pub created_on: Timestamp,
    /// The time of its last change.
    pub modified_on: Timestamp,
}
