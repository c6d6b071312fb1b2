//! Search of the certificates of a zone.
//!
//! Every condition that an index serves is a [`Source`]: a set of certificates in the order of the
//! index. A search counts each set through its index, up to the most matches that it counts
//! exactly. If the smallest set is not larger, it is read whole, and the other conditions are
//! checked on its rows: so the order may be any, and the count is exact. Otherwise the set in the
//! order of the answer is walked, within a budget of entries. A walk that the budget ends, or after
//! which there are more matches than pages reach, says where to continue ([`continuation`]). The
//! walk from there counts nothing: it reads the entries of its page, so that a walk through all
//! matches takes time in proportion to the set.
//!
//! A text inside names has no index. Unless another set is small, all names of the zone are walked,
//! one search at a time on each server.

mod conditions;
mod continuation;
mod entry;
mod named;
mod order;
mod page;
mod source;
mod walk;

use std::collections::HashSet;
use std::sync::Arc;

use certgate_model::{
    CertificateFilter, CertificateId, CertificateRecord, CertificateSearch, Direction, FoldedName,
    LinePlace, MatchCount, NameMatch, SearchOutcome, Slice, Status, ZoneId,
};
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use self::conditions::Conditions;
use self::continuation::Place;
use self::entry::{Entry, Need, sort};
pub(crate) use self::named::{Named, newest_named};
use self::order::Order;
use self::source::{Index, Source};
use super::counters::LineSet;
use super::{certificates, counters, indexing, tenants};
use crate::db::{Db, Row, values};
use crate::position::Position;
use crate::{SearchLimits, StoreError};

/// The longest page, as in the API.
const PAGE_MAX: u32 = 1_000;

/// A search, and what it may use.
pub(crate) struct Asked {
    pub(crate) zone: ZoneId,
    pub(crate) search: CertificateSearch,
    pub(crate) limits: SearchLimits,
    /// One permit: for the search inside names that runs.
    pub(crate) names: Arc<Semaphore>,
}

/// A search in a zone that exists.
struct Searching<'s> {
    zone: ZoneId,
    number: i64,
    search: &'s CertificateSearch,
    limits: SearchLimits,
    conditions: Conditions<'s>,
    order: Order,
    direction: Direction,
    size: u32,
    /// The number of the zone's certificates.
    total: u64,
}

/// Searches in a zone.
pub(crate) async fn search<D: Db>(db: &D, asked: &Asked) -> Result<SearchOutcome, StoreError> {
    let search = &asked.search;
    let Some((number, total)) = certificates::end_of_zone(db, asked.zone).await? else {
        return Ok(nothing());
    };
    let Some(conditions) = Conditions::of(db, &search.filter).await? else {
        return Ok(nothing());
    };
    let (order, direction) = Order::of(search);
    let searching = Searching {
        zone: asked.zone,
        number,
        search,
        limits: asked.limits,
        conditions,
        order,
        direction,
        size: search.slice.size.min(PAGE_MAX),
        total,
    };
    let is_counted = order == Order::Position && search.filter.is_counted();
    if is_counted && searching.has_counters(db).await? {
        return match search.after {
            None => searching.by_counters(db).await,
            Some(_) => Ok(SearchOutcome::InvalidContinuation),
        };
    }
    if let Some(not_indexed) = searching.not_indexed(db).await? {
        return Ok(not_indexed);
    }
    if let Some(positions) = searching.conditions.few_positions(db).await? {
        return match search.after {
            None => searching.among(db, &positions).await,
            Some(_) => Ok(SearchOutcome::InvalidContinuation),
        };
    }
    searching.through_indexes(db, &asked.names).await
}

/// The answer of a zone that does not exist, or without a match.
fn nothing() -> SearchOutcome {
    SearchOutcome::Found {
        items: Vec::new(),
        rest: Vec::new(),
        count: MatchCount::Exact(0),
        next: None,
    }
}

impl Searching<'_> {
    /// Returns true if the counters have every certificate that the filter asks for.
    async fn has_counters<D: Db>(&self, db: &D) -> Result<bool, StoreError> {
        match self.search.filter.place {
            None => Ok(true),
            Some(_) => indexing::counts_replaced(db, self.number).await,
        }
    }

    /// Returns a page of all certificates or of those in a status or a place in their lines, in the
    /// order of issuing, at any depth.
    async fn by_counters<D: Db>(&self, db: &D) -> Result<SearchOutcome, StoreError> {
        let CertificateFilter { status, place, .. } = self.search.filter;
        let first = self.search.slice.first;
        let totals = match (status, place) {
            (None, None) => None,
            _ => Some(counters::totals(db, self.number).await?),
        };
        // Without renewals, every certificate is the newest of its line.
        let has_replaced = totals.is_some_and(|(_, replaced)| replaced.all() > 0);
        let has_all = place == Some(LinePlace::Newest) && !has_replaced;
        let (mut positions, total) = match (status, place.filter(|_| !has_all), totals) {
            (status, Some(place), Some(totals)) => {
                let set = LineSet { place, status };
                let total = set.of(totals);
                let range = newest_first(self.direction, total, first, self.size);
                (self.of_lines(db, set, range).await?, total)
            }
            (Some(status), _, Some((all, _))) => {
                let range = newest_first(self.direction, all.of(status), first, self.size);
                self.of_status(db, status, range).await?
            }
            _ => {
                let range = newest_first(self.direction, self.total, first, self.size);
                let newest = self.total - range.first;
                let of = |sequence| Position::in_zone(self.number, sequence).0;
                let positions = (newest - u64::from(range.size)..newest).rev().map(of);
                (positions.collect(), self.total)
            }
        };
        if self.direction == Direction::Ascending {
            positions.reverse();
        }
        self.found(db, &positions, MatchCount::Exact(total), None)
            .await
    }

    /// Returns certificates in a status, the newest first, and their number.
    async fn of_status<D: Db>(
        &self,
        db: &D,
        status: Status,
        range: Slice,
    ) -> Result<(Vec<i64>, u64), StoreError> {
        let (place, total) = counters::locate(db, self.number, status, range.first).await?;
        let Some(place) = place.filter(|_| range.size > 0) else {
            return Ok((Vec::new(), total));
        };
        let source = Source::status_up_to(self.number, status, place.newest);
        let page = source.page(db, Direction::Descending, range.size, place.skip);
        Ok((page.await?, total))
    }

    /// Returns certificates in a place of their lines, the newest first.
    async fn of_lines<D: Db>(
        &self,
        db: &D,
        set: LineSet,
        range: Slice,
    ) -> Result<Vec<i64>, StoreError> {
        if range.size == 0 {
            return Ok(Vec::new());
        }
        let size = u64::from(range.size);
        let pages = counters::pages(db, self.number, set, range.first, size).await?;
        let stretches = pages.stretches.into_iter();
        let read = stretches.map(|stretch| self.of_stretch(db, set, stretch));
        let positions = try_join_all(read).await?.into_iter().flatten();
        let skip = usize::try_from(pages.skip).unwrap_or(usize::MAX);
        Ok(positions.skip(skip).take(range.size as usize).collect())
    }

    /// Returns those of some blocks.
    async fn of_stretch<D: Db>(
        &self,
        db: &D,
        set: LineSet,
        (oldest, newest): (Position, Position),
    ) -> Result<Vec<i64>, StoreError> {
        let last = Position::in_zone(self.number, self.total).0 - 1;
        let newest = Position(newest.0.min(last));
        let count = u32::try_from(newest.0 - oldest.0 + 1).unwrap_or(u32::MAX);
        let read = async |source: Source| {
            let within = source.within((oldest, newest));
            within.page(db, Direction::Descending, count, 0).await
        };
        let replaced = read(Source::replaced(self.number)).await?;
        let mut positions = match (set.status, set.place) {
            (None, LinePlace::Replaced) => return Ok(replaced),
            (None, LinePlace::Newest) => (oldest.0..=newest.0).rev().collect(),
            (Some(status), _) => read(Source::status(self.number, status)).await?,
        };
        let replaced: HashSet<_> = replaced.into_iter().collect();
        let is_wanted = set.place == LinePlace::Replaced;
        positions.retain(|position| replaced.contains(position) == is_wanted);
        Ok(positions)
    }

    /// Searches among a few certificates.
    async fn among<D: Db>(&self, db: &D, positions: &[i64]) -> Result<SearchOutcome, StoreError> {
        let mut matching = page::records_at(db, self.zone, positions).await?;
        matching.retain(|(position, record)| {
            Position(*position).zone() == self.number && self.search.filter.matches(record)
        });
        let entry = |(position, record): &(i64, CertificateRecord)| Entry {
            key: self.order.key_of(record),
            position: *position,
            details: None,
        };
        let mut entries: Vec<_> = matching.iter().map(entry).collect();
        sort(&mut entries, self.direction);
        let count = MatchCount::Exact(entries.len() as u64);
        let page = walk::slice(&entries, self.search.slice.first, self.size);
        self.found(db, &page, count, None).await
    }

    /// Searches through the indexes.
    async fn through_indexes<D: Db>(
        &self,
        db: &D,
        names: &Arc<Semaphore>,
    ) -> Result<SearchOutcome, StoreError> {
        let sources = self.conditions.sources(self.number, self.order);
        let contained = match &self.search.filter.common_name {
            Some(NameMatch::Contains(text)) => Some(text),
            _ => None,
        };
        if let Some(after) = &self.search.after {
            let Some(place) = Place::read(after) else {
                return Ok(SearchOutcome::InvalidContinuation);
            };
            if let Some(text) = contained.filter(|_| place.is_in_names()) {
                return self.inside_names(db, text, Some(place), names).await;
            }
            let mut sources = sources.into_iter();
            let source = sources.find(|source| place.is_in(source) && source.is_in(self.order));
            return match source {
                Some(source) => self.walk(db, source, Some(place)).await,
                None => Ok(SearchOutcome::InvalidContinuation),
            };
        }
        if let [source] = sources.as_slice()
            && contained.is_none()
            && source.index != Index::Ids
            && source.is_in(self.order)
            && self.need(source, &[]) == Need::ENTRIES
        {
            return self.one_set(db, source).await;
        }
        let counts = self.counts(db, &sources).await?;
        let max = u64::from(self.limits.matches);
        let mut small: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| *count <= max)
            .collect();
        small.sort_by_key(|(_, count)| *count);
        let small: Vec<_> = small.into_iter().map(|(source, _)| source).collect();
        if let [source, others @ ..] = small.as_slice() {
            return self.whole_set(db, source, others).await;
        }
        if let Some(text) = contained {
            return self.inside_names(db, text, None, names).await;
        }
        match sources.into_iter().find(|source| source.is_in(self.order)) {
            Some(source) => self.walk(db, source, None).await,
            None => Ok(SearchOutcome::TooManyToOrder),
        }
    }

    /// Returns the columns that the checks and the order need beside those of a source, of which
    /// the entries in `others` are left.
    fn need(&self, source: &Source, others: &[&Source]) -> Need {
        let of_order = match source.is_in(self.order) {
            true => Need::ENTRIES,
            false => self.order.need(),
        };
        self.conditions.need(source, others).and(of_order)
    }

    /// Counts the sets, until one is so small that it is read faster than another one is counted.
    async fn counts<'a, D: Db>(
        &self,
        db: &D,
        sources: &'a [Source],
    ) -> Result<Vec<(&'a Source, u64)>, StoreError> {
        const FEW: u64 = 200;
        let mut counts = Vec::with_capacity(sources.len());
        for source in sources {
            let count = source.count(db, self.limits.matches + 1).await?;
            counts.push((source, count));
            if count <= FEW.min(self.limits.matches.into()) {
                break;
            }
        }
        Ok(counts)
    }

    /// Returns a page of a set that is the answer itself.
    async fn one_set<D: Db>(&self, db: &D, source: &Source) -> Result<SearchOutcome, StoreError> {
        let max = u64::from(self.limits.matches);
        let first = self.search.slice.first;
        let count = source.count(db, self.limits.matches + 1).await?;
        if count > max && first >= max {
            return Ok(SearchOutcome::BeyondMatches);
        }
        let entries = match first < count {
            true => {
                let page = source.entries_at(db, self.direction, self.size, first);
                page.await?
            }
            false => Vec::new(),
        };
        let positions: Vec<_> = entries.iter().map(|entry| entry.position).collect();
        let (count, last) = match count <= max {
            true => (MatchCount::Exact(count), None),
            false => (MatchCount::MoreThan(max), entries.last()),
        };
        let next = last.map(|last| Place::after(source.index, self.direction, last));
        self.found(db, &positions, count, next).await
    }

    /// Reads a set of at most as many entries as are counted, checks and sorts it. `others` are
    /// sets that are not larger either: their positions are read through their indexes, which costs
    /// less than the rows of certificates.
    async fn whole_set<D: Db>(
        &self,
        db: &D,
        source: &Source,
        others: &[&Source],
    ) -> Result<SearchOutcome, StoreError> {
        let limit = self.limits.matches + 1;
        let without = self.need(source, &[]);
        let need = self.need(source, others);
        let sieve = |entry| self.match_of(source, entry);
        let mut matching = source
            .read_through(db, self.direction, limit, need, &sieve)
            .await?;
        for other in others.iter().filter(|_| need != without) {
            let of_other = other.read(db, self.direction, limit, Need::ENTRIES).await?;
            let positions: HashSet<_> = of_other.iter().map(|entry| entry.position).collect();
            matching.retain(|entry| positions.contains(&entry.position));
        }
        if !source.is_in(self.order) {
            self.sort(&mut matching);
        }
        let count = MatchCount::Exact(matching.len() as u64);
        let page = walk::slice(&matching, self.search.slice.first, self.size);
        self.found(db, &page, count, None).await
    }

    /// Brings entries of another order into that of the answer.
    fn sort(&self, entries: &mut [Entry]) {
        for entry in entries.iter_mut() {
            entry.key = self.order.key(entry);
        }
        sort(entries, self.direction);
    }

    /// Returns the entries of the zone that meet the conditions.
    fn matching(&self, source: &Source, entries: Vec<Entry>) -> Vec<Entry> {
        let matches = entries.into_iter();
        matches
            .filter_map(|entry| self.match_of(source, entry))
            .collect()
    }

    /// Returns an entry of the zone that meets the conditions, with the part of its name that the
    /// order needs: a search holds thousands of matches.
    fn match_of(&self, source: &Source, mut entry: Entry) -> Option<Entry> {
        let is_of_zone = Position(entry.position).zone() == self.number;
        if !is_of_zone || !self.conditions.are_met(source, &entry) {
            return None;
        }
        let details = entry.details.as_mut();
        if let Some(certificate) = details.and_then(|row| row.certificate.as_mut()) {
            let name = FoldedName::new(&certificate.common_name);
            certificate.common_name = name.indexed().to_owned();
        }
        Some(entry)
    }

    /// Returns the answer if the search needs an index that is not complete yet. Certificates of
    /// earlier versions are indexed from the newest to the oldest; zone 0 stands for the indexes of
    /// all zones.
    async fn not_indexed<D: Db>(&self, db: &D) -> Result<Option<SearchOutcome>, StoreError> {
        if !self.conditions.need_index(self.order) {
            return Ok(None);
        }
        // The dates of revocations are indexed while certificates are counted.
        let select = "SELECT zone, below, counted_below FROM indexing WHERE zone IN (0, ?1)";
        let read = |row: &dyn Row| {
            let (below, counted_below): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((row.get::<i64>(0)?, below.max(counted_below)))
        };
        let rows = db.rows(select, &values![self.number], read).await?;
        let first = Position::first_of(self.number).0;
        let missing = rows.into_iter().map(|(zone, below)| match zone {
            0 => self.total,
            _ => u64::try_from(below - first).unwrap_or_default(),
        });
        let missing = missing.max().unwrap_or_default().min(self.total);
        Ok((missing > 0).then_some(SearchOutcome::NotIndexed {
            done: self.total - missing,
            total: self.total,
        }))
    }

    /// Reads the certificates at these positions.
    async fn found<D: Db>(
        &self,
        db: &D,
        positions: &[i64],
        count: MatchCount,
        next: Option<Place>,
    ) -> Result<SearchOutcome, StoreError> {
        let (items, rest) = page::part(db, self.zone, positions).await?;
        Ok(SearchOutcome::Found {
            items,
            rest,
            count,
            next: next.map(|place| place.write()),
        })
    }
}

/// Returns the same records of the list with the newest first, without those that do not exist.
fn newest_first(direction: Direction, total: u64, first: u64, size: u32) -> Slice {
    let left = total.saturating_sub(first);
    let size = size.min(u32::try_from(left).unwrap_or(u32::MAX));
    let first = match direction {
        Direction::Descending => first.min(total),
        Direction::Ascending => left - u64::from(size),
    };
    Slice { first, size }
}

/// Returns the certificates of a zone that have these IDs, in this order, up to the octets of a
/// part.
pub(crate) async fn by_ids<D: Db>(
    db: &D,
    zone: ZoneId,
    ids: &[CertificateId],
) -> Result<Vec<CertificateRecord>, StoreError> {
    match tenants::zone_number(db, zone).await? {
        Some(number) => page::by_ids(db, zone, number, ids).await,
        None => Ok(Vec::new()),
    }
}
