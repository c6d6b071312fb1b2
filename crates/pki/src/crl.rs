//! Certificate revocation lists (RFC 5280 §5), encoded into one buffer that is hardly larger than
//! the list: a million entries take 53 MB.

use certgate_model::{Revocation, RevocationReason, Timestamp};

use crate::certificate::{Criticality, write_extension, write_signature, write_time};
use crate::issuer::Issuer;
use crate::oid;
use crate::profile::{IssuerParts, write_distribution_point};
use crate::signing::{SignError, sign_message};
use crate::tlv::{self, tag};

/// The certificates of a CA that a list covers.
///
/// Do not publish an empty full list next to lists with a scope: verifiers would conclude from it
/// that no certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlScope<'a> {
    /// All certificates.
    Full,
    /// The client certificates whose distribution point is this address, byte for byte (RFC 5280
    /// §6.3.3 step b).
    Shard {
        /// The address.
        url: &'a str,
    },
    /// CA certificates. Verifiers that check each certificate of a chain need this list in addition
    /// to the shards.
    AuthorityCertificates,
}

/// The fields of a list except its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlHead<'a> {
    /// The certificates that it covers.
    pub scope: CrlScope<'a>,
    /// Its number, greater than those of all earlier lists of the same CA and scope (RFC 5280
    /// §5.2.3).
    pub number: u64,
    /// The time of its issue.
    pub this_update: Timestamp,
    /// The time by which the CA issues the next list.
    pub next_update: Timestamp,
}

/// Length of an entry with a reason and a date before 2050, in octets.
pub const CRL_ENTRY_BYTES: usize = 53;

/// Longest header of a DER value, in octets: a tag, and a length of up to four octets with its
/// count.
const HEADER_BYTES_MAX: usize = 6;

/// Builds and signs a list, and verifies the signature. The entries keep their order.
pub fn sign_crl(
    issuer: &Issuer,
    head: CrlHead<'_>,
    entries: impl IntoIterator<Item = Revocation>,
) -> Result<Vec<u8>, SignError> {
    let entries = entries.into_iter();
    let start = write_start(&issuer.parts, head);
    let mut der =
        Vec::with_capacity(start.len() + entries.size_hint().0 * CRL_ENTRY_BYTES + REST_BYTES);

    // 1. The entries and all that follows them, after a gap for the parts before them. The headers
    //    in the gap depend on the length of the entries.
    let gap = start.len() + 3 * HEADER_BYTES_MAX;
    der.resize(gap, 0);
    entries.for_each(|entry| write_entry(&mut der, entry));
    let entries_length = der.len() - gap;
    write_extensions(&mut der, &issuer.parts, head);

    // 2. The gap, from its end backwards: the header of the entries, the start, and the header of
    //    the TBSCertList.
    let mut from = gap;
    let mut before = |der: &mut [u8], octets: &[u8]| {
        from -= octets.len();
        der[from..from + octets.len()].copy_from_slice(octets);
        from
    };
    // RFC 5280 §5.1.2.6: when there are no revoked certificates, the revoked certificates list MUST
    // be absent.
    if entries_length > 0 {
        before(&mut der, &header(entries_length));
    }
    let tbs_content = before(&mut der, &start);
    let tbs_length = der.len() - tbs_content;
    let tbs = before(&mut der, &header(tbs_length));

    // 3. The signature, and the header of the whole.
    let signature = sign_message(&der[tbs..], issuer.key(), issuer.verifier())?;
    write_signature(&mut der, &issuer.parts.algorithm, &signature);
    let length = der.len() - tbs;
    let whole = before(&mut der, &header(length));
    der.drain(..whole);
    Ok(der)
}

/// Room for all that follows the entries, in octets: extensions with their addresses, and the
/// signature of the largest key.
const REST_BYTES: usize = 1536;

/// Writes the fields of a TBSCertList before its entries: version, signature, issuer, thisUpdate,
/// nextUpdate.
fn write_start(issuer: &IssuerParts, head: CrlHead<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(issuer.name.len() + issuer.algorithm.len() + 48);
    // RFC 5280 §5.1.2.1: when extensions are used, the version MUST be v2 (1).
    tlv::write(&mut out, tag::INTEGER, &[1]);
    out.extend_from_slice(&issuer.algorithm);
    out.extend_from_slice(&issuer.name);
    write_time(&mut out, head.this_update);
    write_time(&mut out, head.next_update);
    out
}

/// Appends `SEQUENCE { userCertificate, revocationDate, crlEntryExtensions OPTIONAL }`.
fn write_entry(out: &mut Vec<u8>, entry: Revocation) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        tlv::write(out, tag::INTEGER, entry.serial.to_integer().as_bytes());
        write_time(out, entry.revoked_on);
        // RFC 5280 §5.3.1: the reason SHOULD be absent instead of using unspecified.
        if entry.reason != RevocationReason::Unspecified {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                write_extension(out, oid::CRL_REASON, Criticality::NotCritical, |out| {
                    tlv::write(out, tag::ENUMERATED, &[entry.reason.code()]);
                });
            });
        }
    });
}

fn write_extensions(out: &mut Vec<u8>, issuer: &IssuerParts, head: CrlHead<'_>) {
    use Criticality::{Critical, NotCritical};
    tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            out.extend_from_slice(&issuer.authority_key_identifier);
            write_extension(out, oid::CRL_NUMBER, NotCritical, |out| {
                tlv::write_unsigned(out, &head.number.to_be_bytes());
            });
            let point: &dyn Fn(&mut Vec<u8>) = match &head.scope {
                CrlScope::Full => return,
                // distributionPoint [0], onlyContainsUserCerts [1] TRUE
                CrlScope::Shard { url } => &|out| {
                    write_distribution_point(out, url);
                    tlv::write(out, tag::CONTEXT_1, &[0xff]);
                },
                // onlyContainsCACerts [2] TRUE
                CrlScope::AuthorityCertificates => &|out| tlv::write(out, tag::CONTEXT_2, &[0xff]),
            };
            // RFC 5280 §5.2.5: the extension is critical.
            write_extension(out, oid::ISSUING_DISTRIBUTION_POINT, Critical, |out| {
                tlv::write_with(out, tag::SEQUENCE, point);
            });
        });
    });
}

/// Encodes tag and length of a SEQUENCE.
fn header(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX);
    tlv::write_header(&mut out, tag::SEQUENCE, length);
    out
}
