//! Searches, compared with a naive model: every condition, every pair of conditions, every order,
//! with the limits of a server and with small ones.

mod walks;

use certgate_model::{
    AuthorityRecord, CertificateFilter, CertificateId, CertificateOrder, CertificateRecord,
    CertificateSearch, Continuation, Direction, Event, FoldedName, IdRange, LinePlace, MatchCount,
    NameMatch, RevocationReason, SearchOutcome, SerialNumber, Slice, Status, TimeRange, Timestamp,
    ZoneId,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use super::replacements::record_by;
use crate::{
    AuthorityReplaced, Basis, CertificateRecorded, Neighbours, Renewal, SearchLimits, Store,
};

/// The certificates of the zone that is searched.
const CERTIFICATES: u32 = 150;

/// The certificates of another zone, recorded between them.
const OTHERS: u32 = 30;

/// The number of conditions.
const KINDS: u64 = 12;

/// Limits at which a few certificates are too many.
const SMALL: SearchLimits = SearchLimits {
    matches: 20,
    chunk: 4,
    entries: 12,
    names_chunk: 5,
    names: 15,
    ..SearchLimits::DEFAULT
};

/// The same texts of statements as in a server, and every set is too large to be read whole.
const NONE: SearchLimits = SearchLimits {
    matches: 0,
    ..SearchLimits::DEFAULT
};

/// The same chunks as in a server, and pages end after the first.
const WALK: SearchLimits = SearchLimits {
    matches: 1,
    ..SearchLimits::DEFAULT
};

const ORDERS: [Option<CertificateOrder>; 5] = [
    None,
    Some(CertificateOrder::IssuedOn),
    Some(CertificateOrder::ExpiresOn),
    Some(CertificateOrder::CommonName),
    Some(CertificateOrder::RevokedOn),
];

const DIRECTIONS: [Option<Direction>; 3] = [
    None,
    Some(Direction::Ascending),
    Some(Direction::Descending),
];

/// A zone to search, and its expected content.
pub struct Searched<'s> {
    store: &'s dyn Store,
    zone: ZoneId,
    /// The other zone, in which nothing was replaced.
    other: ZoneId,
    authorities: [AuthorityRecord; 2],
    /// The certificates of the zone, oldest first.
    certificates: Vec<CertificateRecord>,
    /// Every ID, also those of another zone.
    ids: Vec<CertificateId>,
    draw: u64,
    /// True once the second CA is active.
    is_late: bool,
}

impl<'s> Searched<'s> {
    /// Records an account with two zones, two CAs and their certificates, which have numbers from
    /// `number` on.
    pub async fn begin(store: &'s dyn Store, number: u32, seed: u64) -> Self {
        let account = fixtures::account(number);
        store
            .record_account(account.clone(), by())
            .await
            .expect("record an account");
        let zones = [number, number + 1].map(|number| fixtures::zone(number, &account));
        for zone in zones.clone() {
            let recorded = store.record_zone(zone, Neighbours::Every, by()).await;
            recorded.expect("record a zone");
        }
        let authorities = [number, number + 1].map(|n| fixtures::authority(n, &account));
        store
            .record_managed_authority(authorities[0].clone(), by())
            .await
            .expect("record a CA");
        let mut searched = Self {
            store,
            zone: zones[0].id,
            other: zones[1].id,
            authorities,
            certificates: Vec::new(),
            ids: Vec::new(),
            draw: seed | 1,
            is_late: false,
        };
        for n in 0..CERTIFICATES {
            if n == CERTIFICATES / 3 {
                searched.is_late = true;
                let [old, new] = &searched.authorities;
                let replaced = store
                    .replace_managed_authority(Some(old.id), new.clone(), 100, by())
                    .await;
                assert!(
                    matches!(replaced, Ok(AuthorityReplaced::Replaced { .. })),
                    "{replaced:?}"
                );
            }
            if n % (CERTIFICATES / OTHERS) == 0 {
                let other = searched.certificate(number, CERTIFICATES + n, zones[1].id);
                searched.record(other).await;
            }
            let certificate = searched.certificate(number, n, zones[0].id);
            searched.record(certificate).await;
            if n % 3 == 2 {
                searched.replace_last().await;
            }
        }
        searched
    }

    async fn record(&mut self, certificate: CertificateRecord) {
        self.ids.push(certificate.id);
        let recorded = self
            .store
            .record_certificate(certificate.clone(), None, by())
            .await;
        assert_eq!(recorded.expect("record"), CertificateRecorded::Recorded);
        if certificate.zone == self.zone {
            self.certificates.push(certificate);
        }
    }

    /// Records one more certificate in the place of the last, if that is active.
    async fn replace_last(&mut self) {
        let Some(last) = self.certificates.last_mut() else {
            return;
        };
        if last.status != Status::Active {
            return;
        }
        let mut successor = last.clone();
        successor.id = CertificateId::from_bytes(last.id.as_bytes().map(|octet| !octet));
        let serial = last.serial.as_bytes().map(|octet| !octet);
        successor.serial = SerialNumber::from_random(serial);
        successor.lineage.replaces = Some(last.id);
        last.lineage.replaced_by = Some(successor.id);
        let renewal = Renewal {
            replaced: last.id,
            interval_seconds: 0,
            per_day_max: u64::MAX,
            revoke_on: None,
        };
        let basis = Basis::Renewal(renewal);
        let recorded = record_by(self.store, successor.clone(), basis, by()).await;
        assert_eq!(recorded, CertificateRecorded::Recorded);
        self.ids.push(successor.id);
        self.certificates.push(successor);
    }

    /// Makes a certificate whose ID is not in the order of issuing.
    fn certificate(&mut self, number: u32, n: u32, zone: ZoneId) -> CertificateRecord {
        let is_late = self.is_late;
        let authority = &self.authorities[usize::from(is_late)];
        let scattered = number * 1_000 + n * 89 % 500;
        let status = match self.draw % 7 {
            0 => Status::Revoked,
            1 => Status::PendingRevocation,
            2 => Status::PendingReactivation,
            _ => Status::Active,
        };
        let mut certificate = fixtures::certificate(scattered, zone, authority, status);
        let name = self.next(NAMES.len() as u64 + 10) as usize;
        certificate.subject.common_name = match NAMES.get(name) {
            Some((name, count)) => name.repeat(*count),
            None => format!("Device-{n:03}"),
        };
        let minute = |minutes: u64| fixtures::instant(0).plus_seconds(60 * minutes as i64);
        certificate.issued_on = minute(u64::from(n) / 4 + self.next(5));
        certificate.expires_on = minute(1_000 + self.next(25));
        certificate.revoked_on = certificate.revoked_on.map(|_| minute(self.next(30)));
        // Pairs with the same indexed octets.
        certificate.fingerprint_sha256 = [(scattered / 2) as u8; 32];
        certificate.fingerprint_sha256[8..12].copy_from_slice(&scattered.to_be_bytes());
        certificate
    }

    /// Compares every condition and every pair of conditions in every order and direction, with
    /// the limits of a server, with small ones and with none.
    pub async fn compare_everything(&mut self) {
        self.compare(&CertificateFilter::default(), true).await;
        for one in 0..KINDS {
            for other in 0..=one {
                let filter = self.filter(&[one, other]);
                self.compare(&filter, one == other).await;
            }
        }
        self.compare_large().await;
        self.without_renewals().await;
        self.hostile().await;
    }

    /// Compares pages that are read in parts.
    async fn compare_large(&self) {
        for order in ORDERS {
            let search = CertificateSearch {
                filter: CertificateFilter::default(),
                order,
                direction: None,
                slice: Slice {
                    first: 0,
                    size: u32::MAX,
                },
                after: None,
            };
            let outcome = self.store.search(self.zone, search.clone()).await;
            let Ok(SearchOutcome::Found { items, rest, .. }) = &outcome else {
                panic!("{outcome:?}")
            };
            let octets = |record: &CertificateRecord| record.der.len() + record.csr.len();
            let before_last: usize = items.iter().rev().skip(1).map(octets).sum();
            assert!(before_last < 128 * 1024 && !rest.is_empty(), "{search:?}");
            self.compare_whole(&search).await;
        }
    }

    /// Changes statuses at random and compares random conditions, so many times.
    pub async fn compare_random(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.change().await;
            let kinds: Vec<_> = (0..=self.next(4)).map(|_| self.next(KINDS)).collect();
            let filter = self.filter(&kinds);
            self.compare(&filter, false).await;
        }
    }

    async fn change(&mut self) {
        let index = self.next(self.certificates.len() as u64) as usize;
        let event = match self.next(4) {
            0 => Event::Reactivate,
            1 => Event::Revoke(RevocationReason::KeyCompromise),
            _ => Event::HOLD,
        };
        let at = fixtures::instant(60 * self.next(40) as u32);
        let certificate = &mut self.certificates[index];
        let changed = self
            .store
            .change_status(self.zone, certificate.id, event, by_at(at))
            .await;
        changed.expect("change").expect("it exists");
        let _ = certificate.apply(event, at);
        if self.next(5) == 0 {
            let settled = self
                .store
                .settle_pending(u64::MAX, fixtures::instant(0), &[], 1_000)
                .await;
            settled.expect("settle");
            for certificate in &mut self.certificates {
                if certificate.status.is_pending() {
                    let _ = certificate.apply(Event::Settle, fixtures::instant(0));
                }
            }
        }
    }

    /// Returns a filter with conditions of these kinds, which many of the certificates meet.
    fn filter(&mut self, kinds: &[u64]) -> CertificateFilter {
        let mut filter = CertificateFilter::default();
        let index = self.next(self.certificates.len() as u64) as usize;
        let one = self.certificates[index].clone();
        let name = one.subject.common_name.clone();
        for kind in kinds {
            match kind {
                0 => filter.status = Some(Status::ALL[self.next(4) as usize]),
                1 => {
                    let name = match self.next(2) {
                        0 => name.to_uppercase(),
                        _ => name.clone(),
                    };
                    filter.common_name = Some(NameMatch::Equal(FoldedName::new(&name)));
                }
                2 => {
                    let length = 1 + self.next(5) as usize * self.next(70) as usize;
                    let text: String = name.chars().take(length).collect();
                    filter.common_name = Some(NameMatch::StartsWith(FoldedName::new(&text)));
                }
                3 => {
                    let skip = self.next(name.chars().count() as u64 + 1) as usize;
                    let text: String = name.chars().skip(skip).take(1 + skip % 4).collect();
                    filter.common_name = Some(NameMatch::Contains(FoldedName::new(&text)));
                }
                4 => {
                    let stray =
                        fixtures::certificate(1, self.zone, &self.authorities[0], one.status);
                    filter.serials = Some(vec![(one.serial, Some(one.id)), (stray.serial, None)]);
                }
                5 => filter.fingerprint_sha256 = Some(one.fingerprint_sha256),
                6 => {
                    let digits = one.id.to_string();
                    let length = 6 + self.next(3) as usize;
                    filter.ids = IdRange::of_prefix(&digits[..length]);
                }
                7 => filter.authority = Some(self.authorities[self.next(2) as usize].id),
                8 => filter.issued_on = self.range(one.issued_on),
                9 => filter.expires_on = self.range(one.expires_on),
                10 => {
                    let places = [LinePlace::Newest, LinePlace::Replaced];
                    filter.place = Some(places[self.next(2) as usize]);
                }
                _ => filter.revoked_on = self.range(fixtures::instant(900)),
            }
        }
        filter
    }

    fn range(&mut self, at: Timestamp) -> TimeRange {
        let before = at.plus_seconds(60 * self.next(20) as i64);
        let after = at.plus_seconds(-60 * self.next(20) as i64);
        match self.next(3) {
            0 => TimeRange {
                after: Some(after),
                before: None,
            },
            1 => TimeRange {
                after: None,
                before: Some(before),
            },
            _ => TimeRange {
                after: Some(after),
                before: Some(before),
            },
        }
    }

    /// Compares a filter in every order (or in two of them) and direction.
    async fn compare(&mut self, filter: &CertificateFilter, in_every: bool) {
        let some = self.next(ORDERS.len() as u64) as usize;
        for (number, order) in ORDERS.into_iter().enumerate() {
            if !in_every && number != 0 && number != some {
                continue;
            }
            for direction in DIRECTIONS {
                let mut search = CertificateSearch {
                    filter: filter.clone(),
                    order,
                    direction,
                    slice: Slice { first: 0, size: 7 },
                    after: None,
                };
                let count = self.expected(&search).len() as u64;
                for first in [0, self.next(count + 3)] {
                    search.slice = Slice {
                        first,
                        size: 1 + self.next(20) as u32,
                    };
                    self.compare_whole(&search).await;
                    self.compare_small(&search).await;
                    self.follow(search.clone(), NONE).await;
                    self.follow(search.clone(), WALK).await;
                }
            }
        }
    }

    /// Compares a page of a search whose matches are few enough to be counted and sorted.
    async fn compare_whole(&self, search: &CertificateSearch) {
        let outcome = self.store.search(self.zone, search.clone()).await;
        let SearchOutcome::Found {
            items,
            rest,
            count,
            next: None,
        } = outcome.expect("search")
        else {
            panic!("{search:?}")
        };
        let expected = self.expected(search);
        assert_eq!(
            count,
            MatchCount::Exact(expected.len() as u64),
            "{search:?}"
        );
        let items = self.page(items, rest).await;
        assert_same(&items, &page(&expected, search.slice), search);
    }

    /// Compares the outcome of a search for which a few certificates are too many.
    async fn compare_small(&self, search: &CertificateSearch) {
        let max = u64::from(SMALL.matches);
        let expected = self.expected(search);
        let outcome = self.within(search, SMALL).await;
        match outcome {
            SearchOutcome::Found {
                items,
                rest,
                count: count @ (MatchCount::Exact(_) | MatchCount::MoreThan(_)),
                next,
            } => {
                let items = self.page(items, rest).await;
                let is_listed = search.filter.is_counted()
                    && matches!(search.order, None | Some(CertificateOrder::IssuedOn));
                let is_exact = is_listed || expected.len() as u64 <= max || is_few(search);
                match count {
                    MatchCount::Exact(count) => {
                        assert_eq!(count, expected.len() as u64, "{search:?}");
                        assert!(is_exact && next.is_none(), "{search:?}");
                    }
                    MatchCount::MoreThan(count) | MatchCount::AtLeast(count) => {
                        assert_eq!(count, max, "{search:?}");
                        assert!(!is_exact && search.slice.first < max, "{search:?}");
                        // Pages end, so that there must be another way to the others.
                        let end = search.slice.first as usize + items.len();
                        assert!(next.is_some() || end == expected.len(), "{search:?}");
                    }
                }
                let expected = self.expected_of(search, count, SMALL);
                assert_same(&items, &page(&expected, search.slice), search);
                if next.is_some() {
                    self.follow(search.clone(), SMALL).await;
                }
            }
            SearchOutcome::Found { .. } | SearchOutcome::NothingYet(_) => {
                self.follow(search.clone(), SMALL).await;
            }
            SearchOutcome::BeyondMatches => assert!(search.slice.first >= max, "{search:?}"),
            SearchOutcome::TooManyToOrder => {
                assert!(
                    search.order.is_some() && self.is_large(search, SMALL),
                    "{search:?}"
                );
            }
            SearchOutcome::StoppedBeforeOrder => {
                let name = &search.filter.common_name;
                let is_inside = matches!(name, Some(NameMatch::Contains(_)));
                assert!(search.order.is_some() && is_inside, "{search:?}");
            }
            other => panic!("{other:?} of {search:?}"),
        }
    }

    /// Follows the continuations of a search, and compares all that is found.
    async fn follow(&self, mut search: CertificateSearch, limits: SearchLimits) {
        let asked = search.clone();
        let expected = self.walked(&asked, limits);
        let first = asked.slice.first as usize;
        let expected: Vec<_> = expected.into_iter().skip(first).collect();
        let mut found = Vec::new();
        for _ in 0..1_000 {
            let (next, at_least) = match self.within(&search, limits).await {
                SearchOutcome::Found {
                    items,
                    rest,
                    count,
                    next,
                } => {
                    let items = self.page(items, rest).await;
                    assert!(next.is_none() || !items.is_empty(), "{search:?}");
                    assert!(items.len() <= search.slice.size as usize);
                    found.extend(items);
                    (next, count)
                }
                SearchOutcome::NothingYet(next) => (Some(next), MatchCount::AtLeast(0)),
                SearchOutcome::BeyondMatches
                | SearchOutcome::TooManyToOrder
                | SearchOutcome::StoppedBeforeOrder => return,
                other => panic!("{other:?} of {search:?}"),
            };
            let (MatchCount::Exact(count)
            | MatchCount::MoreThan(count)
            | MatchCount::AtLeast(count)) = at_least;
            assert!(count <= self.expected(&asked).len() as u64, "{search:?}");
            let Some(next) = next else {
                let is_page = search.after.is_none();
                let expected = match is_page {
                    true => page(&self.expected_of(&asked, at_least, limits), asked.slice),
                    false => expected.into_iter().cloned().collect(),
                };
                assert_same(&found, &expected, &asked);
                return;
            };
            search.after = Some(next);
        }
        panic!("{asked:?} never ends");
    }

    fn expected_of(
        &self,
        search: &CertificateSearch,
        count: MatchCount,
        limits: SearchLimits,
    ) -> Vec<&CertificateRecord> {
        match count {
            MatchCount::Exact(_) => self.expected(search),
            MatchCount::MoreThan(_) | MatchCount::AtLeast(_) => self.walked(search, limits),
        }
    }

    async fn within(&self, search: &CertificateSearch, limits: SearchLimits) -> SearchOutcome {
        let outcome = self.store.search_within(self.zone, search.clone(), limits);
        outcome.await.expect("search")
    }

    /// Returns a whole page.
    async fn page(
        &self,
        mut items: Vec<CertificateRecord>,
        mut rest: Vec<CertificateId>,
    ) -> Vec<CertificateRecord> {
        while !rest.is_empty() {
            let part = self
                .store
                .certificates_by_ids(self.zone, rest.clone())
                .await;
            let part = part.expect("read");
            assert!(!part.is_empty(), "a part has at least one certificate");
            rest.drain(..part.len());
            items.extend(part);
        }
        items
    }

    /// Returns the certificates that match, in the order of the search.
    fn expected(&self, search: &CertificateSearch) -> Vec<&CertificateRecord> {
        self.in_order(search, search.order.or(default_order(&search.filter)))
    }

    /// Returns them in the order of a walk: a text inside names is looked for in their order.
    fn walked(&self, search: &CertificateSearch, limits: SearchLimits) -> Vec<&CertificateRecord> {
        let is_inside = matches!(search.filter.common_name, Some(NameMatch::Contains(_)));
        match is_inside && self.is_large(search, limits) {
            true => {
                let order = search.order.or(default_order(&search.filter));
                let (_, direction) = self.order_of(search, order);
                let search = CertificateSearch {
                    direction: search.direction.or(Some(direction)),
                    ..search.clone()
                };
                self.in_order(&search, Some(CertificateOrder::CommonName))
            }
            false => self.expected(search),
        }
    }

    fn order_of(
        &self,
        search: &CertificateSearch,
        order: Option<CertificateOrder>,
    ) -> (Option<CertificateOrder>, Direction) {
        let natural = match order {
            None | Some(CertificateOrder::IssuedOn) => Direction::Descending,
            Some(_) => Direction::Ascending,
        };
        (order, search.direction.unwrap_or(natural))
    }

    fn in_order(
        &self,
        search: &CertificateSearch,
        order: Option<CertificateOrder>,
    ) -> Vec<&CertificateRecord> {
        let (order, direction) = self.order_of(search, order);
        let filter = &search.filter;
        let mut matching: Vec<_> = self.certificates.iter().collect();
        matching.retain(|certificate| filter.matches(certificate));
        // Stable: equal certificates stay in the order of issuing.
        match order {
            Some(CertificateOrder::IssuedOn) if !filter.issued_on.is_unlimited() => {
                matching.sort_by_key(|certificate| certificate.issued_on);
            }
            Some(CertificateOrder::IssuedOn) => {}
            Some(CertificateOrder::ExpiresOn) => {
                matching.sort_by_key(|certificate| certificate.expires_on);
            }
            Some(CertificateOrder::RevokedOn) => {
                matching.sort_by_key(|certificate| certificate.revoked_on);
            }
            Some(CertificateOrder::CommonName) => matching.sort_by_key(|certificate| {
                let name = FoldedName::new(&certificate.subject.common_name);
                name.indexed().to_owned()
            }),
            None if filter.ids.is_some() => matching.sort_by_key(|certificate| certificate.id),
            None => {}
        }
        if direction == Direction::Descending {
            matching.reverse();
        }
        matching
    }

    /// Returns true if each condition alone has more matches than are read whole.
    fn is_large(&self, search: &CertificateSearch, limits: SearchLimits) -> bool {
        let filter = &search.filter;
        let none = CertificateFilter::default();
        let mut alone = Vec::new();
        if filter.status.is_some() {
            alone.push(CertificateFilter {
                status: filter.status,
                ..none.clone()
            });
        }
        if !matches!(filter.common_name, None | Some(NameMatch::Contains(_))) {
            alone.push(CertificateFilter {
                common_name: filter.common_name.clone(),
                ..none.clone()
            });
        }
        if filter.authority.is_some() {
            alone.push(CertificateFilter {
                authority: filter.authority,
                ..none.clone()
            });
        }
        if filter.place == Some(LinePlace::Replaced) {
            alone.push(CertificateFilter {
                place: filter.place,
                ..none.clone()
            });
        }
        for range in 0..3 {
            let mut one = none.clone();
            match range {
                0 => one.issued_on = filter.issued_on,
                1 => one.expires_on = filter.expires_on,
                _ => one.revoked_on = filter.revoked_on,
            }
            alone.extend((one != none).then_some(one));
        }
        let is_large = |one: &CertificateFilter| {
            let matching = self.certificates.iter().filter(|found| one.matches(found));
            matching.count() > limits.matches as usize
        };
        // The index of IDs has those of all zones.
        let ids = filter.ids.map(|ids| {
            let in_range = |id: &&CertificateId| {
                (ids.first.as_bytes()..=ids.last.as_bytes()).contains(&id.as_bytes())
            };
            self.ids.iter().filter(in_range).count()
        });
        !is_few(search)
            && ids.is_none_or(|count| count > limits.matches as usize)
            && alone.iter().all(is_large)
    }

    /// Sends continuations that no answer had.
    /// Without renewals, the list of the newest is exact and has pages at any depth.
    async fn without_renewals(&self) {
        let search = CertificateSearch {
            filter: CertificateFilter {
                place: Some(LinePlace::Newest),
                ..CertificateFilter::default()
            },
            order: None,
            direction: None,
            slice: Slice {
                first: u64::from(OTHERS) - 3,
                size: 5,
            },
            after: None,
        };
        const { assert!(OTHERS - 3 > SMALL.matches) };
        let found = self.store.search_within(self.other, search, SMALL).await;
        match found {
            Ok(SearchOutcome::Found { items, count, .. }) => {
                let number = u64::from(OTHERS);
                assert_eq!((items.len(), count), (3, MatchCount::Exact(number)));
            }
            other => panic!("{other:?}"),
        }
    }

    async fn hostile(&mut self) {
        for kind in [0, 1, 2, 3, 6, 7, 8, 9, 10] {
            let filter = self.filter(&[kind]);
            for octets in self.octets() {
                let search = CertificateSearch {
                    filter: filter.clone(),
                    order: None,
                    direction: None,
                    slice: Slice { first: 0, size: 5 },
                    after: Some(Continuation(octets)),
                };
                let found = match self.within(&search, SMALL).await {
                    SearchOutcome::Found { items, rest, .. } => self.page(items, rest).await,
                    SearchOutcome::InvalidContinuation
                    | SearchOutcome::NothingYet(_)
                    | SearchOutcome::TooManyToOrder
                    | SearchOutcome::StoppedBeforeOrder => continue,
                    other => panic!("{other:?} of {search:?}"),
                };
                let expected = self.expected(&search);
                assert!(
                    found.iter().all(|one| expected.contains(&one)),
                    "{search:?}"
                );
            }
        }
        for text in [
            "%%%",
            "___",
            "'--",
            "\0\0\0",
            "\u{1}\u{2}",
            "\"",
            &"x".repeat(1 << 20),
        ] {
            for name in [NameMatch::Equal, NameMatch::StartsWith, NameMatch::Contains] {
                let filter = CertificateFilter {
                    common_name: Some(name(FoldedName::new(text))),
                    ..CertificateFilter::default()
                };
                let search = CertificateSearch {
                    filter,
                    order: None,
                    direction: None,
                    slice: Slice { first: 0, size: 50 },
                    after: None,
                };
                self.compare_whole(&search).await;
            }
        }
    }

    fn octets(&mut self) -> Vec<Vec<u8>> {
        let mut all = vec![Vec::new(), vec![0xff; 40]];
        for kind in 0..9 {
            for key in [0, 8, 16, 300] {
                for fill in [0, 0x7f, 0x80, 0xff, self.next(256) as u8] {
                    let mut octets = vec![1, kind, 0, 0, 0, fill % 9];
                    octets.extend([fill; 8]);
                    octets.extend(std::iter::repeat_n(fill, key));
                    all.push(octets);
                }
            }
        }
        all
    }

    /// Returns a random number below `bound` (xorshift).
    fn next(&mut self, bound: u64) -> u64 {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        self.draw % bound
    }
}

/// Common names, and how often each is repeated.
const NAMES: &[(&str, usize)] = &[
    ("laptop-17", 1),
    ("Laptop-17", 1),
    ("LAPTOP-17", 1),
    ("laptop-170", 1),
    ("laptop-", 1),
    ("laptop", 1),
    ("lap%top", 1),
    ("lap_top", 1),
    ("lap'top\"--", 1),
    ("KÖLN-1", 1),
    ("köln-1", 1),
    ("Straße", 1),
    ("STRASSE", 1),
    ("İstanbul", 1),
    ("ΣΑΣ", 1),
    ("σας", 1),
    ("", 1),
    ("nul\0inside", 1),
    ("\u{1}one", 1),
    ("\0", 300),
    ("back\\slash", 1),
    ("\u{10ffff}", 1),
    ("\u{10ffff}", 256),
    ("A", 255),
    ("a", 256),
    ("A", 257),
    ("a", 300),
    ("Ä", 300),
    ("long-name-", 40),
];

/// Searches by a serial or a fingerprint are exact: they have few matches.
fn is_few(search: &CertificateSearch) -> bool {
    search.filter.serials.is_some() || search.filter.fingerprint_sha256.is_some()
}

/// The order of a search that names none.
fn default_order(filter: &CertificateFilter) -> Option<CertificateOrder> {
    if !filter.expires_on.is_unlimited() {
        return Some(CertificateOrder::ExpiresOn);
    }
    if !filter.revoked_on.is_unlimited() {
        return Some(CertificateOrder::RevokedOn);
    }
    if !filter.issued_on.is_unlimited() {
        return Some(CertificateOrder::IssuedOn);
    }
    match filter.common_name {
        Some(NameMatch::StartsWith(_) | NameMatch::Contains(_)) => {
            Some(CertificateOrder::CommonName)
        }
        _ => None,
    }
}

fn page(expected: &[&CertificateRecord], slice: Slice) -> Vec<CertificateRecord> {
    let page = expected.iter().skip(slice.first as usize);
    let page = page.take(slice.size as usize);
    page.map(|record| CertificateRecord::clone(record))
        .collect()
}

/// Compares IDs first, so that a difference is short.
fn assert_same(
    found: &[CertificateRecord],
    expected: &[CertificateRecord],
    search: &CertificateSearch,
) {
    let ids = |records: &[CertificateRecord]| -> Vec<_> {
        let id = |record: &CertificateRecord| record.id;
        records.iter().map(id).collect()
    };
    assert_eq!(ids(found), ids(expected), "{search:?}");
    assert_eq!(found, expected, "{search:?}");
}
