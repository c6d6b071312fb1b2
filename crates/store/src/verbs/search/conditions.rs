//! The conditions of a search in the terms of the tables.

use certgate_model::{
    AuthorityId, CertificateFilter, FoldedName, INDEXED_NAME_MAX, LinePlace, NameMatch, Status,
    TimeRange,
};

use super::entry::{Entry, Need};
use super::order::Order;
use super::source::{Index, Source};
use crate::StoreError;
use crate::db::{Db, Row, values};
use crate::verbs::indexing;

/// The most certificates that are read for a fingerprint. Its first eight octets are indexed, and
/// two certificates with the same ones are improbable.
const FINGERPRINTS_MAX: i64 = 1_000;

/// The conditions of a search.
pub(super) struct Conditions<'f> {
    filter: &'f CertificateFilter,
    /// The number of the CA.
    authority: Option<i64>,
}

impl<'f> Conditions<'f> {
    /// Returns the conditions; `None` if no certificate of the zone meets them.
    pub(super) async fn of<D: Db>(
        db: &D,
        filter: &'f CertificateFilter,
    ) -> Result<Option<Self>, StoreError> {
        let authority = match filter.authority {
            None => None,
            Some(id) => match authority_number(db, id).await? {
                Some(number) => Some(number),
                None => return Ok(None),
            },
        };
        Ok(Some(Self { filter, authority }))
    }

    /// Returns true if the search reads an index that certificates of earlier versions may miss.
    pub(super) fn need_index(&self, order: Order) -> bool {
        if self.filter.serials.is_some() {
            return false;
        }
        let has_one = |source: Source| {
            let index = source.index;
            matches!(
                index,
                Index::Ids | Index::Status(_) | Index::Replaced | Index::All
            )
        };
        let is_inside_names = matches!(self.filter.common_name, Some(NameMatch::Contains(_)));
        let mut sources = self.sources(0, order).into_iter();
        self.filter.fingerprint_sha256.is_some() || is_inside_names || !sources.all(has_one)
    }

    /// Returns the positions of a superset of the matches that is small by nature, if a condition
    /// has one.
    pub(super) async fn few_positions<D: Db>(
        &self,
        db: &D,
    ) -> Result<Option<Vec<i64>>, StoreError> {
        if let Some(serials) = &self.filter.serials {
            let ids = serials.iter().filter_map(|(_, id)| *id);
            let ids: Vec<_> = ids.map(|id| values![id].to_vec()).collect();
            let select = "SELECT position FROM certificates WHERE id = ?1";
            let positions = db.optional_each(select, &ids, |row: &dyn Row| row.get(0));
            let mut positions: Vec<i64> = positions.await?.into_iter().flatten().collect();
            // The serial numbers of other CAs lead to no ID.
            let select = "SELECT position FROM adopted_certificates WHERE serial = ?1";
            for (serial, _) in serials {
                let values = values![serial];
                let adopted = db.rows(select, &values, |row| row.get::<i64>(0));
                positions.extend(adopted.await?);
            }
            positions.sort_unstable();
            positions.dedup();
            return Ok(Some(positions));
        }
        if let Some(fingerprint) = &self.filter.fingerprint_sha256 {
            let select = "SELECT position FROM certificate_fingerprints WHERE prefix = ?1 LIMIT ?2";
            let prefix = indexing::prefix(fingerprint);
            let values = values![&prefix[..], FINGERPRINTS_MAX];
            return Ok(Some(db.rows(select, &values, |row| row.get(0)).await?));
        }
        Ok(None)
    }

    /// Returns the set of each condition that has an index, those that are usually small first.
    pub(super) fn sources(&self, zone: i64, order: Order) -> Vec<Source> {
        let filter = self.filter;
        let mut sources = Vec::new();
        match &filter.common_name {
            Some(NameMatch::Equal(name)) => sources.push(Source::name(zone, name)),
            Some(NameMatch::StartsWith(text)) => sources.push(Source::names_from(zone, text)),
            Some(NameMatch::Contains(_)) | None => {}
        }
        sources.extend(filter.ids.map(|ids| Source::ids(zone, ids)));
        let status = filter.status.map(|status| Source::status(zone, status));
        let is_active = filter.status == Some(Status::Active);
        if filter.place == Some(LinePlace::Replaced) {
            sources.push(Source::replaced(zone));
        }
        sources.extend(status.clone().filter(|_| !is_active));
        for (index, range) in [
            (Index::Revocations, filter.revoked_on),
            (Index::Expiries, filter.expires_on),
            (Index::IssueDates, filter.issued_on),
        ] {
            if !range.is_unlimited() {
                sources.push(Source::dates(zone, index, range));
            }
        }
        sources.extend(self.authority.map(|number| Source::authority(zone, number)));
        sources.extend(status.filter(|_| is_active));
        // A list of a status, or of a place in a line, may have any order that an index has.
        let other = CertificateFilter {
            place: None,
            ..filter.clone()
        };
        if other.is_status_only() {
            match order {
                Order::Position if filter.place.is_some() => sources.push(Source::all(zone)),
                Order::ExpiresOn => {
                    let whole = TimeRange::default();
                    sources.push(Source::dates(zone, Index::Expiries, whole));
                }
                Order::Name => sources.push(Source::all_names(zone)),
                _ if sources.is_empty() => {
                    // To be sorted, if there are few.
                    let whole = TimeRange::default();
                    sources.push(Source::dates(zone, Index::Expiries, whole));
                }
                _ => {}
            }
        }
        sources
    }

    /// Returns the columns that the conditions need which neither a source nor others meet.
    pub(super) fn need(&self, source: &Source, others: &[&Source]) -> Need {
        let filter = self.filter;
        let has = |index| source.index == index || others.iter().any(|one| one.index == index);
        let is_limited = |range: TimeRange| !range.is_unlimited();
        let name = match &filter.common_name {
            None => false,
            // The walk through the names has looked for the text.
            Some(NameMatch::Contains(_)) => !has(Index::Names),
            Some(NameMatch::Equal(name) | NameMatch::StartsWith(name)) => {
                !has(Index::Names) || is_cut(name)
            }
        };
        let rows = name
            || filter.ids.is_some() && !has(Index::Ids)
            || is_limited(filter.issued_on) && !has(Index::IssueDates)
            || is_limited(filter.expires_on) && !has(Index::Expiries);
        let states = filter
            .status
            .is_some_and(|status| !has(Index::Status(status)))
            || self
                .authority
                .is_some_and(|number| !has(Index::Authority(number)))
            || is_limited(filter.revoked_on) && !has(Index::Revocations);
        Need {
            states,
            places: filter.place.is_some() && !has(Index::Replaced),
            certificates: rows,
        }
    }

    /// Returns true if an entry of a source meets the conditions. It has the columns of
    /// [`Self::need`].
    pub(super) fn are_met(&self, source: &Source, entry: &Entry) -> bool {
        let Some(row) = &entry.details else {
            return true;
        };
        let filter = self.filter;
        let is_in_state = row.state.as_ref().is_none_or(|state| {
            let is_status = filter.status.is_none_or(|status| status == state.status);
            let is_of_authority = self
                .authority
                .is_none_or(|number| number == state.authority);
            let is_revoked = filter.revoked_on.is_unlimited()
                || state
                    .revoked_on
                    .is_some_and(|at| filter.revoked_on.contains(at));
            is_status && is_of_authority && is_revoked
        });
        let is_in_place = row.is_replaced.is_none_or(|it| filter.is_in_place(it));
        let Some(certificate) = &row.certificate else {
            return is_in_state && is_in_place;
        };
        let in_ids = filter.ids.is_none_or(|ids| {
            let id = certificate.id.as_bytes();
            (ids.first.as_bytes()..=ids.last.as_bytes()).contains(&id)
        });
        // Last, because folding costs most.
        let is_named = || match &filter.common_name {
            None => true,
            Some(NameMatch::Equal(name) | NameMatch::StartsWith(name))
                if source.index == Index::Names && !is_cut(name) =>
            {
                true
            }
            Some(name) => name.matches(&certificate.common_name),
        };
        is_in_state
            && is_in_place
            && in_ids
            && filter.issued_on.contains(certificate.issued_on)
            && filter.expires_on.contains(certificate.expires_on)
            && is_named()
    }
}

/// Returns true if the index of names cannot decide about this name: its names may be longer.
fn is_cut(name: &FoldedName) -> bool {
    name.as_str().chars().count() >= INDEXED_NAME_MAX
}

async fn authority_number<D: Db>(db: &D, id: AuthorityId) -> Result<Option<i64>, StoreError> {
    let select = "SELECT number FROM authorities WHERE id = ?1";
    db.optional(select, &values![id], |row| row.get(0)).await
}
