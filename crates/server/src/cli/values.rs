//! Values on the command line: what is typed, and what it means.

use std::net::IpAddr;

use certgate_model::{AccountId, RevocationReason, Status, Timestamp, read_hex};

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

pub(super) fn parse_status(text: &str) -> Result<Status, String> {
    Status::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Status::ALL.into_iter().map(Status::name).collect();
        format!("must be one of {}", names.join(", "))
    })
}

pub(super) fn parse_reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::from_name(text).ok_or_else(|| {
        let names: Vec<_> = RevocationReason::ALL
            .into_iter()
            .map(RevocationReason::name)
            .collect();
        format!("must be one of {}", names.join(", "))
    })
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

/// A date alone is its first instant in UTC.
pub(super) fn parse_instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_date_or_time(text).map_err(|_| {
        "must be a date or a time, such as 2027-01-31 or 2027-01-31T12:00:00Z".to_owned()
    })
}

pub(super) fn parse_network(text: &str) -> Result<String, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let longest = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return Err("must be an address or a network, such as 192.0.2.0/24".to_owned()),
    };
    match prefix.map(str::parse::<u8>) {
        None => Ok(text.to_owned()),
        Some(Ok(length)) if length <= longest => Ok(text.to_owned()),
        Some(_) => Err(format!("the prefix length must be 0 to {longest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_networks_are_checked_before_anything_is_sent() {
        assert_eq!(
            parse_instant("2027-01-31").unwrap().to_string(),
            "2027-01-31T00:00:00Z"
        );
        assert_eq!(
            parse_instant("2027-01-31T01:00:00+01:00")
                .unwrap()
                .to_string(),
            "2027-01-31T00:00:00Z"
        );
        assert!(parse_instant("tomorrow").is_err() && parse_instant("2027-02-30").is_err());
        for good in ["192.0.2.1", "192.0.2.0/24", "2001:db8::/32"] {
            assert_eq!(parse_network(good).unwrap(), good);
        }
        for bad in [
            "",
            "host",
            "192.0.2.0/33",
            "2001:db8::/129",
            "1.2.3.4/",
            "1.2.3.4/x",
        ] {
            assert!(parse_network(bad).is_err(), "{bad}");
        }
    }
}
