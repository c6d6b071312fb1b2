//! Addresses and blocks of addresses.

use std::borrow::Cow;
use std::net::IpAddr;

use certgate_model::AddressBlock;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scalars::read_text;

/// An address or a block of addresses in CIDR notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressBlockText<'a>(pub Cow<'a, AddressBlock>);

impl Serialize for AddressBlockText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl<'de> Deserialize<'de> for AddressBlockText<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an address or a block such as 192.0.2.0/24 or 2001:db8::/32";
        let parse = |text: &str| address_block(text).map(|block| Self(Cow::Owned(block)));
        read_text(deserializer, expected, parse)
    }
}

fn address_block(text: &str) -> Option<AddressBlock> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let prefix_length = match length {
        None => full,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) => return None,
    };
    if prefix_length > full {
        return None;
    }
    // The addresses of clients are compared as IPv4 where they are IPv4-mapped (RFC 4291 §2.5.5.2).
    // Therefore blocks must be IPv4 too. A block of IPv6 larger than all of IPv4 matches no IPv4
    // client.
    let (address, prefix_length) = match address.to_canonical() {
        mapped if mapped != address && prefix_length >= 96 => (mapped, prefix_length - 96),
        _ => (address, prefix_length),
    };
    Some(AddressBlock {
        text: text.to_owned(),
        address,
        prefix_length,
    })
}
