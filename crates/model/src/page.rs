use crate::{AccountId, Status, ZoneId};

/// A page of a list, and the length of the whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The records of the page. The last page may have fewer.
    pub items: Vec<T>,
    /// The exact number of matching records.
    pub total: u64,
}

/// A range of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The number of records to skip.
    pub first: u64,
    /// The maximum number of records to return.
    pub size: u32,
}

/// A query for certificates of a zone, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateQuery {
    /// The status of the certificates; `None` means any status.
    pub status: Option<Status>,
    /// The range of the matching list.
    pub slice: Slice,
}

/// The accounts and zones that the caller may see in a list.
///
/// The caller may see each item that `all`, `accounts` or `zones` includes and that neither
/// `except_accounts` nor `except_zones` excludes. A list of accounts ignores the fields about
/// zones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible {
    /// Includes everything.
    pub all: bool,
    /// Includes these accounts and their zones.
    pub accounts: Vec<AccountId>,
    /// Includes these zones.
    pub zones: Vec<ZoneId>,
    /// Excludes these accounts and their zones.
    pub except_accounts: Vec<AccountId>,
    /// Excludes these zones.
    pub except_zones: Vec<ZoneId>,
}

/// A condition on a name, independent of letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// The name is this text.
    Equal(String),
    /// The name is not this text.
    NotEqual(String),
    /// The name begins with this text.
    StartsWith(String),
    /// The name ends with this text.
    EndsWith(String),
    /// The name contains this text.
    Contains(String),
}

/// The combination of several conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// All conditions must hold.
    #[default]
    All,
    /// At least one condition must hold.
    Any,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// The order of a list of zones. Zones that are equal in it are ordered by ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZoneOrder {
    /// By the time of creation.
    #[default]
    CreatedOn,
    /// By name.
    Name,
    /// By the account's ID.
    AccountId,
    /// By the account's name.
    AccountName,
}

/// A query for zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFilter {
    /// The zones that the caller may see. This condition holds independently of `join`.
    pub visible: Visible,
    /// A condition on the zone's name.
    pub name: Option<TextMatch>,
    /// A condition on the account's ID.
    pub account: Option<AccountId>,
    /// A condition on the account's name.
    pub account_name: Option<TextMatch>,
    /// The combination of the conditions.
    pub join: Join,
    /// The order of the list.
    pub order: ZoneOrder,
    /// The direction of the order.
    pub direction: Direction,
}

/// A query for accounts, ordered by creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFilter {
    /// The accounts that the caller may see.
    pub visible: Visible,
    /// A condition on the name.
    pub name: Option<TextMatch>,
    /// The direction of the order.
    pub direction: Direction,
}
