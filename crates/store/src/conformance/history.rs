//! Random histories, compared with a model in memory.

use std::collections::BTreeMap;

use certgate_model::{
    AuthorityRecord, AuthorityRef, CertificateFilter, CertificateId, CertificateQuery,
    CertificateRecord, CertificateSearch, CrlKind, Direction, Event, LinePlace, MatchCount,
    SECONDS_PER_DAY, SUMMARY_EXPIRING_DAYS, SUMMARY_PAST_DAYS, SearchOutcome, Slice, Status,
    Timestamp, Totals, Transition, ZoneId, ZoneSummary,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use super::replacements::record_by;
use crate::{
    Basis, CertificateRecorded, CertificatesPart, Neighbours, Renewal, RenewalRefused,
    SearchLimits, Settled, StatusChange, Store, ZoneDeleted, ZoneRecorded,
};

/// The time from one certificate to the next, for changes.
const CHANGE_SECONDS: u32 = 1_000;

/// Limits under which a search finds only what counters lead to.
const NOTHING: SearchLimits = SearchLimits {
    matches: 0,
    chunk: 1,
    entries: 0,
    ..SearchLimits::DEFAULT
};

/// The number of zones that a history has at a time.
const ZONES: u32 = 3;

/// A change. Its numbers are taken modulo the number of zones or certificates, so that any numbers
/// make a valid step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Records some certificates in a zone, in a status.
    Issue {
        /// The index of the zone.
        zone: u32,
        /// Their number.
        count: u8,
        /// The number of their first status.
        status: u8,
        /// The quota of the zone, if any.
        quota: Option<u16>,
    },
    /// Renews some certificates, one after another.
    Renew {
        /// The index of the first among all.
        certificate: u32,
        /// Their number.
        count: u8,
    },
    /// Applies an event to one certificate.
    Change {
        /// The index of the certificate among all.
        certificate: u32,
        /// The event.
        event: Event,
    },
    /// Settles the oldest pending changes.
    Settle {
        /// The most changes to settle.
        limit: u8,
    },
    /// Deletes a zone, and records a new one if the zone was deleted.
    Replace {
        /// The index of the zone.
        zone: u32,
    },
    /// Revokes the certificates of a zone, settles, and deletes the zone.
    Empty {
        /// The index of the zone.
        zone: u32,
    },
}

/// A store and its expected content.
pub struct History<'s> {
    store: &'s dyn Store,
    authority: AuthorityRecord,
    zones: Vec<Zone>,
    /// Positions in `zones` of pending certificates, in the order of their last accepted change.
    pending: Vec<(ZoneId, CertificateId)>,
    /// The revoked certificates of deleted zones, which stay on the lists.
    gone: Vec<CertificateRecord>,
    issued: u32,
    made: u32,
    /// The state of the generator that chooses the pages to compare.
    draw: u64,
}

struct Zone {
    id: ZoneId,
    /// The certificates, oldest first.
    certificates: Vec<CertificateRecord>,
}

impl<'s> History<'s> {
    /// Initialises an empty store and begins. `seed` decides which pages are compared.
    pub async fn begin(store: &'s dyn Store, seed: u64) -> Self {
        let records = fixtures::first_records();
        assert!(
            store.initialise(records.clone()).await.expect("initialise"),
            "the store is not empty"
        );
        let authority = store
            .record_managed_authority(fixtures::authority(0, &records.account), by())
            .await
            .expect("record a CA")
            .expect("the account exists");
        let mut history = Self {
            store,
            authority,
            zones: vec![Zone {
                id: records.zone.id,
                certificates: Vec::new(),
            }],
            pending: Vec::new(),
            gone: Vec::new(),
            issued: 0,
            made: 1,
            draw: seed | 1,
        };
        while history.zones.len() < ZONES as usize {
            let zone = history.new_zone().await;
            history.zones.push(zone);
        }
        history
    }

    /// Plays a step on the store and the model, and compares them.
    pub async fn play(&mut self, step: Step) {
        match step {
            Step::Issue {
                zone,
                count,
                status,
                quota,
            } => {
                let status = Status::ALL[usize::from(status) % Status::ALL.len()];
                self.issue(zone, u32::from(count), status, quota.map(u64::from))
                    .await;
            }
            Step::Renew { certificate, count } => {
                for n in 0..u32::from(count) {
                    let all = self.count();
                    if all > 0 {
                        self.renew(certificate.wrapping_add(n) as usize % all).await;
                    }
                }
            }
            Step::Change { certificate, event } => {
                let count = self.count();
                if count > 0 {
                    self.change(certificate as usize % count, event).await;
                }
            }
            Step::Settle { limit } => self.settle(u32::from(limit)).await,
            Step::Replace { zone } => self.replace(zone).await,
            Step::Empty { zone } => {
                let at = (zone % ZONES) as usize;
                let before: usize = self.zones[..at]
                    .iter()
                    .map(|zone| zone.certificates.len())
                    .sum();
                for index in 0..self.zones[at].certificates.len() {
                    self.change(before + index, Event::HOLD).await;
                }
                self.settle(u32::MAX).await;
                self.replace(zone).await;
            }
        }
        self.compare().await;
    }

    /// Returns the number of recorded certificates.
    pub fn issued(&self) -> u32 {
        self.issued
    }

    async fn issue(&mut self, zone: u32, count: u32, status: Status, quota: Option<u64>) {
        let zone = &mut self.zones[(zone % ZONES) as usize];
        for _ in 0..count {
            let certificate = fixtures::certificate(self.issued, zone.id, &self.authority, status);
            let recorded = self
                .store
                .record_certificate(certificate.clone(), quota, by())
                .await
                .expect("record");
            if quota.is_some_and(|quota| zone.certificates.len() as u64 >= quota) {
                assert_eq!(recorded, CertificateRecorded::QuotaReached);
                continue;
            }
            assert_eq!(recorded, CertificateRecorded::Recorded);
            if status.is_pending() {
                self.pending.push((zone.id, certificate.id));
            }
            zone.certificates.push(certificate);
            self.issued += 1;
        }
    }

    /// The number of certificates of all zones.
    fn count(&self) -> usize {
        self.zones.iter().map(|zone| zone.certificates.len()).sum()
    }

    /// Returns the index of the zone of a certificate, and its index there.
    fn place(&self, mut index: usize) -> (usize, usize) {
        let mut zone = 0;
        while index >= self.zones[zone].certificates.len() {
            index -= self.zones[zone].certificates.len();
            zone += 1;
        }
        (zone, index)
    }

    async fn renew(&mut self, index: usize) {
        let (zone, index) = self.place(index);
        let zone = &mut self.zones[zone];
        let old = &mut zone.certificates[index];
        let mut new = fixtures::certificate(self.issued, zone.id, &self.authority, Status::Active);
        let renewal = Renewal {
            replaced: old.id,
            interval_seconds: 0,
            per_day_max: u64::MAX,
            revoke_on: None,
        };
        let basis = Basis::Renewal(renewal);
        let recorded = record_by(self.store, new.clone(), basis, by()).await;
        let expected = match (old.status, old.lineage.replaced_by) {
            (Status::PendingRevocation | Status::Revoked, _) => {
                RenewalRefused::Revoked(old.revocation_reason.unwrap_or_default())
            }
            (_, Some(by)) => RenewalRefused::Replaced {
                by,
                on: fixtures::by().at,
            },
            (_, None) => {
                assert_eq!(recorded, CertificateRecorded::Recorded);
                old.lineage.replaced_by = Some(new.id);
                new.lineage.replaces = Some(old.id);
                zone.certificates.push(new);
                self.issued += 1;
                return;
            }
        };
        assert_eq!(recorded, CertificateRecorded::NotReplaced(expected));
    }

    async fn change(&mut self, index: usize, event: Event) {
        let (zone, index) = self.place(index);
        let zone = &mut self.zones[zone];
        let certificate = &mut zone.certificates[index];
        // Hours later each time, so that the revocations are on several days.
        let at = fixtures::instant(self.issued * CHANGE_SECONDS);
        let changed = self
            .store
            .change_status(zone.id, certificate.id, event, by_at(at))
            .await
            .expect("change");
        let expected = match certificate.apply(event, at) {
            Transition::Refused => StatusChange::Refused,
            Transition::Unchanged => StatusChange::Unchanged(certificate.clone()),
            Transition::To(next) => {
                let key = (zone.id, certificate.id);
                self.pending.retain(|pending| *pending != key);
                if next.is_pending() {
                    self.pending.push(key);
                }
                StatusChange::Changed(certificate.clone())
            }
        };
        assert_eq!(changed, Some(expected));
    }

    async fn settle(&mut self, limit: u32) {
        let settled = self
            .store
            .settle_pending(u64::MAX, fixtures::instant(0), &[], limit)
            .await
            .expect("settle");
        let mut expected = Settled::default();
        let count = self.pending.len().min(limit as usize);
        for (zone, id) in self.pending.drain(..count) {
            let certificate = self
                .zones
                .iter_mut()
                .find(|candidate| candidate.id == zone)
                .and_then(|zone| {
                    zone.certificates
                        .iter_mut()
                        .find(|certificate| certificate.id == id)
                })
                .expect("a pending certificate is in a zone that is not deleted");
            let before = certificate.status;
            let Transition::To(next) = certificate.apply(Event::Settle, fixtures::instant(0))
            else {
                panic!("the model has {before} as pending")
            };
            match next {
                Status::Active => expected.reactivated += 1,
                _ => expected.revoked += 1,
            }
        }
        assert_eq!(settled, expected);
    }

    async fn replace(&mut self, zone: u32) {
        let at = (zone % ZONES) as usize;
        let totals = self.zones[at].totals();
        let id = self.zones[at].id;
        let deleted = self
            .store
            .delete_zone(id, by_at(fixtures::instant(self.issued)))
            .await
            .expect("delete");
        if totals.all() > totals.of(Status::Revoked) {
            assert_eq!(deleted, ZoneDeleted::InUse(totals));
            return;
        }
        assert_eq!(deleted, ZoneDeleted::Deleted);
        assert_eq!(
            self.store.totals(id).await.expect("totals"),
            Totals::default()
        );
        if let Some(certificate) = self.zones[at].certificates.first() {
            assert_eq!(
                self.store
                    .certificate(id, certificate.id)
                    .await
                    .expect("certificate"),
                None
            );
        }
        let zone = self.new_zone().await;
        self.gone
            .append(&mut std::mem::replace(&mut self.zones[at], zone).certificates);
    }

    async fn new_zone(&mut self) -> Zone {
        let zone = fixtures::zone(self.made, &fixtures::account(0));
        self.made += 1;
        let recorded = self
            .store
            .record_zone(zone.clone(), Neighbours::Every, by())
            .await
            .expect("record a zone");
        assert_eq!(recorded, ZoneRecorded::Recorded);
        Zone {
            id: zone.id,
            certificates: Vec::new(),
        }
    }

    /// Compares the totals of every zone, and of one zone the first page, the last one and two
    /// random ones for every filter.
    async fn compare(&mut self) {
        for zone in &self.zones {
            assert_eq!(
                self.store.totals(zone.id).await.expect("totals"),
                zone.totals()
            );
            self.compare_summary(zone).await;
        }
        let at = self.next(u64::from(ZONES)) as usize;
        for status in [None].into_iter().chain(Status::ALL.map(Some)) {
            let matching = self.zones[at].matching(status).count() as u64;
            for first in [
                0,
                matching.saturating_sub(1),
                self.next(matching + 2),
                self.next(matching + 2),
            ] {
                let size = self.next(40) as u32;
                self.compare_page(
                    at,
                    CertificateQuery {
                        status,
                        slice: Slice { first, size },
                    },
                )
                .await;
            }
        }
        for place in [LinePlace::Newest, LinePlace::Replaced] {
            let status = Status::ALL.get(self.next(5) as usize).copied();
            let of_set = self.zones[at].of_lines(place, status).count() as u64;
            for first in [0, self.next(of_set + 2)] {
                let size = self.next(40) as u32;
                self.compare_lines(at, place, status, Slice { first, size })
                    .await;
            }
        }
    }

    /// Compares a page of the certificates in a place of their lines, in both directions. The
    /// search counts and walks nothing.
    async fn compare_lines(
        &self,
        at: usize,
        place: LinePlace,
        status: Option<Status>,
        slice: Slice,
    ) {
        let zone = &self.zones[at];
        let mut expected: Vec<_> = zone.of_lines(place, status).map(|one| one.id).collect();
        for direction in [Direction::Descending, Direction::Ascending] {
            let filter = CertificateFilter {
                status,
                place: Some(place),
                ..CertificateFilter::default()
            };
            let search = CertificateSearch {
                filter,
                order: None,
                direction: Some(direction),
                slice,
                after: None,
            };
            let outcome = self.store.search_within(zone.id, search.clone(), NOTHING);
            let SearchOutcome::Found {
                items,
                rest,
                count,
                next: None,
            } = outcome.await.expect("search")
            else {
                panic!("{search:?}")
            };
            assert_eq!(
                count,
                MatchCount::Exact(expected.len() as u64),
                "{search:?}"
            );
            let found: Vec<_> = items.iter().map(|one| one.id).chain(rest).collect();
            let first = usize::try_from(slice.first).expect("a small number");
            let page = expected.iter().skip(first).take(slice.size as usize);
            assert!(found.iter().eq(page), "{search:?}");
            expected.reverse();
        }
    }

    /// Compares the summary of a zone, on a day after all changes.
    async fn compare_summary(&self, zone: &Zone) {
        let day = |at: Timestamp| at.unix().div_euclid(SECONDS_PER_DAY);
        let today = day(fixtures::instant(self.issued * CHANGE_SECONDS));
        let past = |day: &i64| (today - SUMMARY_PAST_DAYS + 1..=today).contains(day);
        let ahead = |day: &i64| (today..today + SUMMARY_EXPIRING_DAYS).contains(day);
        let certificates = &zone.certificates;
        let is_valid = |one: &&CertificateRecord| {
            matches!(one.status, Status::Active | Status::PendingReactivation)
        };
        let is_newest = |one: &&CertificateRecord| one.lineage.replaced_by.is_none();
        let expiring = certificates.iter().filter(is_valid).filter(is_newest);
        let name = AuthorityRef {
            id: self.authority.id,
            name: self.authority.name.clone(),
        };
        let is_used = !certificates.is_empty();
        let expected = ZoneSummary {
            totals: zone.totals(),
            replaced: Some(Totals::new(Status::ALL.map(|status| {
                zone.of_lines(LinePlace::Replaced, Some(status)).count() as u64
            }))),
            by_authority: is_used.then(|| (name, zone.totals())).into_iter().collect(),
            expiring: by_day(expiring.map(|one| day(one.expires_on)).filter(ahead)),
            issued: by_day(
                certificates
                    .iter()
                    .map(|one| day(one.issued_on))
                    .filter(past),
            ),
            revoked: by_day(
                certificates
                    .iter()
                    .filter_map(|one| one.revoked_on.map(day))
                    .filter(past),
            ),
            uncounted: 0,
        };
        let summary = self.store.summary(zone.id, today).await.expect("summary");
        assert_eq!(summary, Some(expected));
    }

    /// Compares the summary of all zones, and those of no zone.
    async fn compare_installation(&self) {
        let days = SUMMARY_EXPIRING_DAYS;
        let read = self.store.installation_summary(0, i64::MAX).await;
        let all = read.expect("summary");
        let mut totals = [0; 4];
        for certificate in &self.gone {
            totals[usize::from(certificate.status.code())] += 1;
        }
        let mut valid = 0;
        for zone in &self.zones {
            for status in Status::ALL {
                totals[usize::from(status.code())] += zone.totals().of(status);
            }
            for status in [Status::Active, Status::PendingReactivation] {
                valid += zone.of_lines(LinePlace::Newest, Some(status)).count() as u64;
            }
        }
        assert_eq!(all.totals, Totals::new(totals));
        assert_eq!(all.expiring_within(0, i64::MAX), valid);
        assert_eq!(all.expiring_within(0, days), 0);
        assert_eq!(all.unindexed, 0);
        let unknown = ZoneId::from_bytes([0xfe; 16]);
        let none = self.store.summary(unknown, 0).await.expect("summary");
        assert_eq!(none, None);
    }

    async fn compare_page(&self, at: usize, query: CertificateQuery) {
        let zone = &self.zones[at];
        let page = self
            .store
            .certificates(zone.id, query)
            .await
            .expect("certificates");
        let expected: Vec<_> = zone
            .matching(query.status)
            .skip(usize::try_from(query.slice.first).expect("a small number"))
            .take(query.slice.size as usize)
            .collect();
        assert_eq!(page.items.iter().collect::<Vec<_>>(), expected, "{query:?}");
        assert_eq!(
            page.total,
            zone.matching(query.status).count() as u64,
            "{query:?}"
        );
        assert_eq!(self.in_parts(zone.id, query).await, page.items, "{query:?}");
    }

    /// Reads a page in parts of at most seven records and a few certificates' octets.
    async fn in_parts(&self, zone: ZoneId, query: CertificateQuery) -> Vec<CertificateRecord> {
        let CertificateQuery { status, slice } = query;
        let mut items: Vec<CertificateRecord> = Vec::new();
        loop {
            let size = (slice.size - items.len() as u32).min(7);
            let first = slice.first;
            let part = CertificatesPart {
                query: CertificateQuery {
                    status,
                    slice: Slice { first, size },
                },
                after: items.last().map(|last| last.id),
                octets_max: 1 + slice.first as usize % 5 * 900,
            };
            let found = self.store.certificates_part(zone, part).await;
            let found = found.expect("certificates").items;
            let octets = |record: &CertificateRecord| record.der.len() + record.csr.len();
            let before_last = found.iter().rev().skip(1).map(octets).sum::<usize>();
            assert!(
                found.len() as u32 <= size && before_last < part.octets_max,
                "{part:?}"
            );
            if found.is_empty() {
                return items;
            }
            items.extend(found);
        }
    }

    /// Plays certificates of several blocks of counters, and compares everything.
    pub async fn play_blocks_of_the_real_size(&mut self) {
        for n in 0..12_u32 {
            let issue = Step::Issue {
                zone: n / 8,
                count: 200,
                status: n as u8,
                quota: None,
            };
            self.play(issue).await;
            for k in 0..15 {
                let event = if k % 3 == 0 {
                    Event::Reactivate
                } else {
                    Event::HOLD
                };
                let certificate = n * 7_919 + k * 104_729;
                self.play(Step::Change { certificate, event }).await;
            }
            self.play(Step::Settle { limit: 30 }).await;
            // So that whole blocks are replaced, and others in part.
            self.play(Step::Renew {
                certificate: n * 150,
                count: 150,
            })
            .await;
        }
        assert!(self.issued() > 4 * 512);
        self.compare_everything(50).await;
    }

    /// Compares every page of every zone and filter, with pages of `size`.
    pub async fn compare_everything(&self, size: u32) {
        for (at, zone) in self.zones.iter().enumerate() {
            for status in [None].into_iter().chain(Status::ALL.map(Some)) {
                let matching = zone.matching(status).count() as u64;
                let mut first = 0;
                while first <= matching {
                    self.compare_page(
                        at,
                        CertificateQuery {
                            status,
                            slice: Slice { first, size },
                        },
                    )
                    .await;
                    first += u64::from(size);
                }
                for place in [LinePlace::Newest, LinePlace::Replaced] {
                    let of_set = zone.of_lines(place, status).count() as u64;
                    for page in 0..=of_set / u64::from(size) {
                        let first = page * u64::from(size);
                        self.compare_lines(at, place, status, Slice { first, size })
                            .await;
                    }
                }
            }
        }
        self.compare_lists().await;
        self.compare_installation().await;
        assert_eq!(
            self.store.check().await.expect("check"),
            Vec::<String>::new()
        );
    }

    /// Compares every list of the CA with the revoked certificates, settled or not.
    async fn compare_lists(&self) {
        let certificates = self
            .zones
            .iter()
            .flat_map(|zone| &zone.certificates)
            .chain(&self.gone);
        let revoked: Vec<_> = certificates
            .filter(|certificate| certificate.revoked_on.is_some())
            .collect();
        for kind in CrlKind::all() {
            let belongs = |certificate: &CertificateRecord| match kind {
                CrlKind::Shard(shard) => certificate.serial.shard() == shard,
                CrlKind::AuthorityCertificates => false,
                CrlKind::Full => true,
            };
            let content = self
                .store
                .crl_content(self.authority.id, kind, fixtures::instant(0), u32::MAX)
                .await
                .expect("read");
            let mut listed: Vec<_> = content
                .expect("the CA exists")
                .revocations
                .iter()
                .map(|listed| {
                    (
                        *listed.serial.as_bytes(),
                        listed.revoked_on,
                        listed.reason.code(),
                    )
                })
                .collect();
            let mut expected: Vec<_> = revoked
                .iter()
                .filter(|certificate| belongs(certificate))
                .filter_map(|certificate| {
                    let reason = certificate.revocation_reason?.code();
                    Some((
                        *certificate.serial.as_bytes(),
                        certificate.revoked_on?,
                        reason,
                    ))
                })
                .collect();
            listed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(listed, expected, "{kind:?}");
        }
    }

    /// Returns a random number below `bound` (xorshift).
    fn next(&mut self, bound: u64) -> u64 {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        self.draw % bound
    }
}

/// Counts equal days.
fn by_day(days: impl Iterator<Item = i64>) -> Vec<(i64, u64)> {
    let mut counts = BTreeMap::new();
    for day in days {
        *counts.entry(day).or_default() += 1;
    }
    counts.into_iter().collect()
}

impl Zone {
    /// Returns the certificates with a status, newest first.
    fn matching(&self, status: Option<Status>) -> impl Iterator<Item = &CertificateRecord> {
        self.certificates
            .iter()
            .rev()
            .filter(move |certificate| status.is_none_or(|status| certificate.status == status))
    }

    /// Returns the certificates in a place of their lines with a status, newest first.
    fn of_lines(
        &self,
        place: LinePlace,
        status: Option<Status>,
    ) -> impl Iterator<Item = &CertificateRecord> {
        let is_wanted = place == LinePlace::Replaced;
        self.matching(status)
            .filter(move |one| one.lineage.replaced_by.is_some() == is_wanted)
    }

    fn totals(&self) -> Totals {
        Totals::new(Status::ALL.map(|status| self.matching(Some(status)).count() as u64))
    }
}
