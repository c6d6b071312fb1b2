//! The certificates of an account that a filter of its audit log means.

use certgate_model::{
    AccountId, CertificateFilter, CertificateId, CertificateSearch, Direction, FoldedName,
    NameMatch, SearchOutcome, Slice, Visible, ZoneFilter, ZoneId,
};

use crate::certificate_search::not_indexed;
use crate::error::ApiError;
use crate::query::audit::WantedCertificates;
use crate::state::Api;

/// The most certificates of one name. Each costs two statements for a part of the log.
const CERTIFICATES_MAX: usize = 100;

/// The most zones of an account in which a name is searched, one after another.
const ZONES_MAX: u32 = 100;

/// Returns the certificates.
pub(crate) async fn find(
    api: &Api,
    account: AccountId,
    wanted: WantedCertificates,
) -> Result<Vec<CertificateId>, ApiError> {
    let name = match wanted {
        WantedCertificates::Id(id) => return Ok(vec![id]),
        WantedCertificates::Named(name) => name,
    };
    let filter = ZoneFilter {
        visible: Visible {
            all: true,
            ..Visible::default()
        },
        name: None,
        account: Some(account),
        account_name: None,
        join: Default::default(),
        order: Default::default(),
        direction: Direction::Ascending,
    };
    let slice = Slice {
        first: 0,
        size: ZONES_MAX,
    };
    let zones = api.store.zones(&filter, slice).await?;
    if zones.total > u64::from(ZONES_MAX) {
        return Err(too_many(&format!(
            "the account has more than {ZONES_MAX} zones"
        )));
    }
    let mut found = Vec::new();
    for zone in zones.items {
        found.extend(named(api, zone.id, &name).await?);
        if found.len() > CERTIFICATES_MAX {
            return Err(too_many(&format!(
                "more than {CERTIFICATES_MAX} certificates have this name"
            )));
        }
    }
    Ok(found)
}

async fn named(api: &Api, zone: ZoneId, name: &FoldedName) -> Result<Vec<CertificateId>, ApiError> {
    let search = CertificateSearch {
        filter: CertificateFilter {
            common_name: Some(NameMatch::Equal(name.clone())),
            ..CertificateFilter::default()
        },
        order: None,
        direction: None,
        slice: Slice {
            first: 0,
            size: CERTIFICATES_MAX as u32 + 1,
        },
        after: None,
    };
    match api.store.search(zone, search).await? {
        SearchOutcome::Found {
            items, rest, next, ..
        } => {
            let items = items.into_iter().map(|certificate| certificate.id);
            let found: Vec<_> = items.chain(rest).collect();
            if next.is_some() && found.len() <= CERTIFICATES_MAX {
                return Err(too_many("the search for them stopped at its limit of work"));
            }
            Ok(found)
        }
        SearchOutcome::NotIndexed { done, total } => Err(not_indexed(done, total)),
        SearchOutcome::NothingYet(_)
        | SearchOutcome::BeyondMatches
        | SearchOutcome::TooManyToOrder
        | SearchOutcome::StoppedBeforeOrder
        | SearchOutcome::InvalidContinuation
        | SearchOutcome::Busy => Err(too_many("the search for them stopped at its limit of work")),
    }
}

fn too_many(reason: &str) -> ApiError {
    let message = format!(
        "common_name means too many certificates here, because {reason}: list the certificates of \
         the zone with this name, and send certificate_id for each"
    );
    ApiError::parameter("common_name", message)
}
