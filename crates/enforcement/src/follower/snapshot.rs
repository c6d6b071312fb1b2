//! Reading everything: the hosts and CAs, and all revoked certificates.

use certgate_model::AuthorityId;
use certgate_wire::EnforcementView;

use super::api::{Api, ApiError, Body};
use crate::configuration::Configuration;
use crate::revoked::{Revoked, RevokedSerials};

/// The media type of the binary list of revoked certificates.
const BINARY: &str = "application/vnd.certgate.revocations";

/// The first octets of the list: its form and version.
const MAGIC: &[u8; 4] = b"CGR1";

/// The largest view, in bytes: 50,000 hosts and 1,000 CAs with chains have a tenth of it.
const VIEW_BYTES_MAX: usize = 128 << 20;

/// The most serial numbers in a block of the binary list.
const BLOCK_MAX: usize = 65_536;

/// The most revoked certificates that a point holds: 400 MB. More are a fault of the server.
const REVOKED_MAX: u64 = 20_000_000;

/// Everything, as of an epoch. Changes after the epoch complete it.
pub(super) struct Snapshot {
    pub epoch: u64,
    pub configuration: Configuration,
    pub revoked: Revoked,
}

/// Reads everything from the server.
pub(super) async fn read(api: &Api) -> Result<Snapshot, ApiError> {
    let configuration = read_configuration(api).await?;
    let mut body = api.open("revocations", BINARY).await?;
    let (epoch, revoked) = read_revoked(&mut body).await?;
    Ok(Snapshot {
        // Changes that one of the two has already are applied again, with the same result.
        epoch: epoch.min(configuration.source().epoch),
        configuration,
        revoked,
    })
}

/// Reads the hosts and CAs.
pub(super) async fn read_configuration(api: &Api) -> Result<Configuration, ApiError> {
    let view: EnforcementView<'static> = api.large_object("enforcement", VIEW_BYTES_MAX).await?;
    Configuration::read(&view).map_err(|error| ApiError::NotUnderstood(error.to_string()))
}

/// Reads the binary list. All numbers are big-endian:
///
/// ```text
/// "CGR1" | epoch u64 | { 1 | CA 16 octets | { count u32 > 0 | serials } | 0 u32 } | 0 | total u64
/// ```
async fn read_revoked(body: &mut Body) -> Result<(u64, Revoked), ApiError> {
    let malformed = |what: &str| ApiError::NotUnderstood(what.to_owned());
    if body.octets(MAGIC.len()).await? != MAGIC.as_slice() {
        return Err(malformed("it is not a list of revoked certificates"));
    }
    let epoch = read_u64(body).await?;
    let mut revoked = Revoked::default();
    let mut count = 0_u64;
    loop {
        match body.octets(1).await?[..] {
            [1] => {}
            [0] => break,
            _ => return Err(malformed("a mark of the list is not known")),
        }
        let octets = body.octets(16).await?;
        let id = octets.first_chunk().copied().unwrap_or_default();
        let mut serials = RevokedSerials::default();
        loop {
            let octets = body.octets(4).await?;
            let block = u32::from_be_bytes(octets.first_chunk().copied().unwrap_or_default());
            let block = usize::try_from(block).unwrap_or(usize::MAX);
            if block == 0 {
                break;
            }
            count += block as u64;
            if block > BLOCK_MAX || count > REVOKED_MAX {
                return Err(malformed("it has too many serial numbers"));
            }
            let octets = body.octets(block * 20).await?;
            let (found, _) = octets.as_chunks::<20>();
            if !serials.append(found.iter().copied()) {
                return Err(malformed("its serial numbers are not sorted"));
            }
        }
        serials.shrink();
        revoked.insert(AuthorityId::from_bytes(id), serials);
    }
    match read_u64(body).await? == count {
        true => Ok((epoch, revoked)),
        false => Err(malformed("its total is not the number of its entries")),
    }
}

async fn read_u64(body: &mut Body) -> Result<u64, ApiError> {
    let octets = body.octets(8).await?;
    Ok(u64::from_be_bytes(
        octets.first_chunk().copied().unwrap_or_default(),
    ))
}
