//! Reading the serial numbers on published CRLs, to see if a list has a change yet. The reader of a
//! list verifies its signature later: this file does not.

use crate::certificate::SignedParts;
use crate::pem::Block;
use crate::tlv::{Cursor, NotDer, tag};

/// Reads the serial numbers on all CRLs in a PEM text, right-aligned in 20 octets, in ascending
/// order. [`None`]: it is malformed, or has no CRL.
pub fn listed_serials(pem: &str) -> Option<Vec<[u8; 20]>> {
    let mut serials = Vec::new();
    for block in Block::all(pem).ok()? {
        if block.label != "X509 CRL" {
            return None;
        }
        read(&block.decode()?, &mut serials).ok()?;
    }
    serials.sort_unstable();
    Some(serials)
}

/// TBSCertList ::= SEQUENCE { version, signature, issuer, thisUpdate, nextUpdate,
/// revokedCertificates OPTIONAL, crlExtensions [0] } (RFC 5280 §5.1)
fn read(der: &[u8], serials: &mut Vec<[u8; 20]>) -> Result<(), NotDer> {
    let signed = SignedParts::read(der)?;
    let mut list = Cursor::new(signed.tbs).inside(tag::SEQUENCE)?;
    list.optional(tag::INTEGER)?;
    list.expect(tag::SEQUENCE)?;
    list.expect(tag::SEQUENCE)?;
    list.any()?;
    for time in [tag::UTC_TIME, tag::GENERALIZED_TIME] {
        list.optional(time)?;
    }
    let Some(entries) = list.optional(tag::SEQUENCE)? else {
        return Ok(());
    };
    let mut entries = Cursor::new(entries.content);
    while !entries.is_empty() {
        let mut entry = entries.inside(tag::SEQUENCE)?;
        let content = entry.expect(tag::INTEGER)?.content;
        let zeros = content.iter().take_while(|octet| **octet == 0).count();
        let significant = &content[zeros..];
        let mut serial = [0; 20];
        let start = serial.len().checked_sub(significant.len()).ok_or(NotDer)?;
        serial[start..].copy_from_slice(significant);
        serials.push(serial);
    }
    Ok(())
}
