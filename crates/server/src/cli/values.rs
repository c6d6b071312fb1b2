//! Values on the command line, checked while it is parsed.

use certgate_model::{AccountId, read_hex};

/// One entry of a log, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The ID of the account or user.
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
        "must be a head that `certgate audit verify` printed: ID, number and hash, separated by \
         colons"
            .to_owned()
    })
}
