//! Values on the command line: what is typed, and what it means.

use certgate_model::{AccountId, read_hex};

/// One entry of a log, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The account's or the user's id.
    pub owner: [u8; 16],
    /// The entry's number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

pub(super) fn parse_head(text: &str) -> Result<AuditHead, String> {
    let parse = || -> Option<AuditHead> {
        let [owner, number, digits] = text.split(':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let owner = *owner.parse::<AccountId>().ok()?.as_bytes();
        Some(AuditHead {
            owner,
            number: number.parse().ok().filter(|number| *number > 0)?,
            hash: read_hex(digits)?,
        })
    };
    parse().ok_or_else(|| {
        "must be what `certgate audit verify` printed: id, number and hash, with a colon between".to_owned()
    })
}
