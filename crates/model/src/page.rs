use crate::{AccountId, Status, ZoneId};

/// Some records of a list, and how many the whole list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The records asked for, fewer at the end of the list.
    pub items: Vec<T>,
    /// The exact number of records that match.
    pub total: u64,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// How many records to skip.
    pub first: u64,
    /// How many to return at the most.
    pub size: u32,
}

/// Which certificates of a zone, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateQuery {
    /// Only those in this status; `None` is all of them.
    pub status: Option<Status>,
    /// Which part of the matching list.
    pub slice: Slice,
}

/// What the caller may see of a list of accounts or zones.
///
/// Seen is what `all`, `accounts` or `zones` names and neither `except_accounts` nor `except_zones` does. In a list of
/// accounts the members about zones count for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible {
    /// Everything.
    pub all: bool,
    /// All of these accounts.
    pub accounts: Vec<AccountId>,
    /// These zones.
    pub zones: Vec<ZoneId>,
    /// Nothing of these accounts.
    pub except_accounts: Vec<AccountId>,
    /// None of these zones.
    pub except_zones: Vec<ZoneId>,
}

/// A condition on a name. Letter case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// Is this text.
    Equal(String),
    /// Is not this text.
    NotEqual(String),
    /// Begins with it.
    StartsWith(String),
    /// Ends with it.
    EndsWith(String),
    /// Has it somewhere.
    Contains(String),
}

/// How several conditions count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// All must hold.
    #[default]
    All,
    /// One suffices.
    Any,
}

/// Ascending or descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// What a list of zones is ordered by; ties by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZoneOrder {
    /// By the time of creation.
    #[default]
    CreatedOn,
    /// By name.
    Name,
    /// By the account's id.
    AccountId,
    /// By the account's name.
    AccountName,
}

/// Which zones, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFilter {
    /// What the caller may see; always holds, whatever `join` says.
    pub visible: Visible,
    /// Condition on the zone's name.
    pub name: Option<TextMatch>,
    /// Condition on the account's id.
    pub account: Option<AccountId>,
    /// Condition on the account's name.
    pub account_name: Option<TextMatch>,
    /// How the conditions count together.
    pub join: Join,
    /// What to order by.
    pub order: ZoneOrder,
    /// In which direction.
    pub direction: Direction,
}

/// Which accounts; ordered by creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFilter {
    /// What the caller may see.
    pub visible: Visible,
    /// Condition on the name.
    pub name: Option<TextMatch>,
    /// In which direction.
    pub direction: Direction,
}
