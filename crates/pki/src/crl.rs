//! Certificate revocation lists (RFC 5280 §5). Encoded into one buffer that is hardly larger than the list: a million
//! entries take 53 MB and nothing beside.

use certgate_model::{Revocation, RevocationReason, Timestamp};

use crate::certificate::{Criticality, verify, write_extension, write_signature, write_time};
use crate::issuer::IssuerParts;
use crate::tlv::{self, tag};
use crate::{Issuer, SignError, oid};

/// Which certificates of its authority a list covers.
///
/// Never publish an empty list without a scope beside lists with one: programs would take it as saying that nothing is
/// revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlScope<'a> {
    /// All of them.
    Full,
    /// The client certificates whose distribution point is this address, byte for byte (RFC 5280 §6.3.3 step b).
    Shard {
        /// The address.
        url: &'a str,
    },
    /// Those of authorities: what programs that check every certificate of a chain need beside the shards.
    AuthorityCertificates,
}

/// What a list says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlHead<'a> {
    /// What it covers.
    pub scope: CrlScope<'a>,
    /// Its number; greater than those of all earlier lists of the same authority and scope (RFC 5280 §5.2.3).
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is there at the latest.
    pub next_update: Timestamp,
}

/// Octets of an entry with a reason, and a date before 2050.
pub const CRL_ENTRY_BYTES: usize = 53;

/// Octets of the three headers in front of what is variable: a tag, and a length of up to four octets with its count.
const HEADER_BYTES_MAX: usize = 6;

/// Builds and signs a list; verifies the signature before it is handed out. Entries keep their order.
pub fn sign_crl(
    issuer: &Issuer,
    head: CrlHead<'_>,
    entries: impl IntoIterator<Item = Revocation>,
) -> Result<Vec<u8>, SignError> {
    let entries = entries.into_iter();
    let start = write_start(&issuer.parts, head);
    let mut der =
        Vec::with_capacity(start.len() + entries.size_hint().0 * CRL_ENTRY_BYTES + REST_BYTES);

    // 1. The entries and what follows them, behind a gap for everything whose length depends on them.
    let gap = start.len() + 3 * HEADER_BYTES_MAX;
    der.resize(gap, 0);
    entries.for_each(|entry| write_entry(&mut der, entry));
    let entries_length = der.len() - gap;
    write_extensions(&mut der, &issuer.parts, head);

    // 2. Into the end of the gap, backwards: the header of the entries, what comes before them, the header of the whole.
    let mut from = gap;
    let mut before = |der: &mut [u8], octets: &[u8]| {
        from -= octets.len();
        der[from..from + octets.len()].copy_from_slice(octets);
        from
    };
    // RFC 5280 §5.1.2.6: when there are no revoked certificates, the list of them MUST be absent.
    if entries_length > 0 {
        before(&mut der, &header(entries_length));
    }
    let tbs_content = before(&mut der, &start);
    let tbs_length = der.len() - tbs_content;
    let tbs = before(&mut der, &header(tbs_length));

    // 3. Sign, and verify what was signed.
    let tbs_end = der.len();
    let signature = issuer.sign(&der[tbs..tbs_end])?;
    verify(issuer.verifier(), &der[tbs..tbs_end], &signature)?;
    write_signature(&mut der, &issuer.parts.algorithm, &signature);
    let length = der.len() - tbs;
    let whole = before(&mut der, &header(length));
    der.drain(..whole);
    Ok(der)
}

/// Room for everything behind the entries: extensions, addresses included, and the signature of the largest key.
const REST_BYTES: usize = 1536;

/// TBSCertList up to its entries: version, signature, issuer, thisUpdate, nextUpdate.
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

/// SEQUENCE { userCertificate, revocationDate, crlEntryExtensions OPTIONAL }
fn write_entry(out: &mut Vec<u8>, entry: Revocation) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        tlv::write(out, tag::INTEGER, entry.serial.as_bytes());
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
            out.extend_from_slice(issuer.authority_key_identifier());
            write_extension(out, oid::CRL_NUMBER, NotCritical, |out| {
                tlv::write_unsigned(out, &head.number.to_be_bytes());
            });
            let point: &dyn Fn(&mut Vec<u8>) = match &head.scope {
                CrlScope::Full => return,
                CrlScope::Shard { url } => &|out| write_shard_point(out, url),
                CrlScope::AuthorityCertificates => &|out| tlv::write(out, tag::CONTEXT_2, &[0xff]),
            };
            // RFC 5280 §5.2.5: the extension is critical.
            write_extension(out, oid::ISSUING_DISTRIBUTION_POINT, Critical, |out| {
                tlv::write_with(out, tag::SEQUENCE, point);
            });
        });
    });
}

/// distributionPoint [0] { fullName [0] { URI [6] } }, onlyContainsUserCerts [1] TRUE
fn write_shard_point(out: &mut Vec<u8>, url: &str) {
    tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
            tlv::write(out, tag::CONTEXT_6, url.as_bytes());
        });
    });
    tlv::write(out, tag::CONTEXT_1, &[0xff]);
}

/// Tag and length of a SEQUENCE.
fn header(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX);
    tlv::write_header(&mut out, tag::SEQUENCE, length);
    out
}
