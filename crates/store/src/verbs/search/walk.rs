//! Walks through an index, within a budget.

use std::sync::Arc;
use std::time::Instant;

use certgate_model::{Direction, FoldedName, INDEXED_NAME_MAX, MatchCount, SearchOutcome};
use tokio::sync::Semaphore;

use super::Searching;
use super::continuation::{Place, resume};
use super::entry::{Entry, Key, Need};
use super::order::Order;
use super::source::{Index, Source};
use crate::StoreError;
use crate::db::Db;

/// The octets of an ID that are its time. An ID of another zone must not be in a continuation, but
/// its time may.
const TIME_OCTETS: usize = 6;

/// The end of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Every entry was examined.
    Complete,
    /// The page is complete, and as many matches were counted as are wanted.
    Enough,
    /// The budget ended.
    Early,
}

/// The matches of a walk so far.
struct Walked {
    matches: Vec<Entry>,
    ended: Ended,
    /// The first entry that was not examined.
    next: (Key, i64),
}

/// Entries that were examined at once.
struct Chunk {
    matches: Vec<Entry>,
    examined: u32,
    /// The first entry after them; `None` after the last one.
    next: Option<(Key, i64)>,
}

impl Searching<'_> {
    /// Walks through a set that is in the order of the answer.
    pub(super) async fn walk<D: Db>(
        &self,
        db: &D,
        source: Source,
        place: Option<Place>,
    ) -> Result<SearchOutcome, StoreError> {
        self.walked(db, source, None, place).await
    }

    /// Searches inside the names of the zone.
    pub(super) async fn inside_names<D: Db>(
        &self,
        db: &D,
        text: &FoldedName,
        place: Option<Place>,
        names: &Arc<Semaphore>,
    ) -> Result<SearchOutcome, StoreError> {
        let Ok(_running) = names.try_acquire() else {
            return Ok(SearchOutcome::Busy);
        };
        let source = Source::all_names(self.number);
        self.walked(db, source, Some(text), place).await
    }

    async fn walked<D: Db>(
        &self,
        db: &D,
        source: Source,
        contained: Option<&FoldedName>,
        place: Option<Place>,
    ) -> Result<SearchOutcome, StoreError> {
        let max = u64::from(self.limits.matches);
        let (index, is_continued) = (source.index, place.is_some());
        let (source, skip) = match place {
            None => (source, self.search.slice.first),
            Some(Place {
                skip,
                position,
                key,
                ..
            }) => (source.from(self.direction, (key, position)), skip.into()),
        };
        let is_beyond = !is_continued && skip >= max;
        let end_of_page = skip + u64::from(self.size);
        let wanted = match (is_continued, is_beyond) {
            (true, _) => end_of_page,
            (false, true) => max + 1,
            (false, false) => end_of_page.max(max + 1),
        };
        let walked = self.matches(db, source, contained, wanted).await?;
        let Walked {
            mut matches,
            ended,
            next,
        } = walked;
        let count = matches.len() as u64;
        let is_all = !is_continued && ended == Ended::Complete && count <= max;
        let is_in_order = contained.is_none() || self.order == Order::Name;
        if is_all {
            if !is_in_order {
                self.sort(&mut matches);
            }
            let page = slice(&matches, skip, self.size);
            return self.found(db, &page, MatchCount::Exact(count), None).await;
        }
        if !is_in_order && self.search.order.is_some() {
            return Ok(match ended {
                Ended::Early => SearchOutcome::StoppedBeforeOrder,
                Ended::Complete | Ended::Enough => SearchOutcome::TooManyToOrder,
            });
        }
        if is_beyond {
            return Ok(SearchOutcome::BeyondMatches);
        }
        let page = slice(&matches, skip, self.size);
        let count_shown = match !is_continued && count > max {
            true => MatchCount::MoreThan(max),
            false => MatchCount::AtLeast(count.min(max)),
        };
        if page.is_empty() && ended != Ended::Complete {
            let skip = u32::try_from(skip.saturating_sub(count)).unwrap_or(u32::MAX);
            let place = Place::new(index, next, skip);
            return Ok(SearchOutcome::NothingYet(place.write()));
        }
        let shown = usize::try_from(skip).unwrap_or(usize::MAX);
        let shown = shown.saturating_add(page.len());
        let next = match matches.get(shown.saturating_sub(1)) {
            _ if ended == Ended::Complete && matches.len() <= shown => None,
            Some(last) if page.len() == self.size as usize => {
                Some(Place::after(index, self.direction, last))
            }
            _ => Some(Place::new(index, next, 0)),
        };
        self.found(db, &page, count_shown, next).await
    }

    /// Collects matches until there are as many as wanted, or the budget ends.
    async fn matches<D: Db>(
        &self,
        db: &D,
        mut source: Source,
        contained: Option<&FoldedName>,
        wanted: u64,
    ) -> Result<Walked, StoreError> {
        let began = now();
        let mut examined = 0_u64;
        let mut walked = Walked {
            matches: Vec::new(),
            ended: Ended::Complete,
            next: (Key::None, 0),
        };
        loop {
            let chunk = match contained {
                None => {
                    let found = walked.matches.len() as u64;
                    let left = wanted.saturating_sub(found);
                    self.chunk(db, &source, left).await?
                }
                Some(text) => self.chunk_of_names(db, &source, text).await?,
            };
            examined += u64::from(chunk.examined);
            walked.matches.extend(chunk.matches);
            let Some(next) = chunk.next else {
                return Ok(walked);
            };
            let is_over = match contained {
                None => examined >= u64::from(self.limits.entries),
                Some(_) => {
                    examined >= u64::from(self.limits.names)
                        || began.elapsed() >= self.limits.names_time
                }
            };
            source = source.from(self.direction, next.clone());
            walked.next = next;
            if walked.matches.len() as u64 >= wanted {
                walked.ended = Ended::Enough;
                return Ok(walked);
            }
            if is_over {
                walked.ended = Ended::Early;
                return Ok(walked);
            }
        }
    }

    /// Examines entries, from which `left` matches are wanted.
    async fn chunk<D: Db>(&self, db: &D, source: &Source, left: u64) -> Result<Chunk, StoreError> {
        let limit = match source.index {
            // A chunk must reach beyond one instant.
            Index::Ids => self.limits.chunk,
            _ => self.chunk_for(left),
        };
        let need = self.need(source, &[]);
        let mut entries = source.read(db, self.direction, limit, need).await?;
        let examined = entries.len() as u32;
        let next = match examined < limit {
            true => None,
            false => cut(source.index, self.direction, &mut entries),
        };
        Ok(Chunk {
            matches: self.matching(source, entries),
            examined,
            next,
        })
    }

    /// Returns the size of the chunk from which so many matches are wanted. There are few sizes,
    /// because each makes another statement.
    fn chunk_for(&self, left: u64) -> u32 {
        let most = self.limits.chunk;
        let sizes = [most / 10, most / 5 * 2].into_iter();
        let mut fitting = sizes.filter(|size| *size > 0 && u64::from(*size) >= left);
        fitting.next().unwrap_or(most)
    }

    async fn chunk_of_names<D: Db>(
        &self,
        db: &D,
        source: &Source,
        text: &FoldedName,
    ) -> Result<Chunk, StoreError> {
        let (limit, direction) = (self.limits.names_chunk, self.direction);
        let last = source.entry_at(db, direction, u64::from(limit - 1)).await?;
        let (part, next) = match last {
            None => (source.clone(), None),
            Some(last) => (
                source.up_to(direction, &last),
                Some(resume(source.index, direction, &last)),
            ),
        };
        let need = self.need(source, &[]);
        let mut entries = part
            .read_containing(db, direction, limit, need, text)
            .await?;
        if !need.certificates {
            let is_cut = |name: &str| name.chars().count() >= INDEXED_NAME_MAX;
            let name = |entry: &Entry| match &entry.key {
                Key::Text(name) => (name.contains(text.as_str()), is_cut(name)),
                _ => (false, false),
            };
            if entries.iter().any(|entry| name(entry) == (false, true)) {
                // The rest of these names is only in the rows.
                let whole = Need {
                    certificates: true,
                    ..need
                };
                entries = part
                    .read_containing(db, direction, limit, whole, text)
                    .await?;
            } else {
                entries.retain(|entry| name(entry).0);
            }
        }
        Ok(Chunk {
            matches: self.matching(source, entries),
            examined: limit,
            next,
        })
    }
}

/// Returns the positions of a page.
pub(super) fn slice(entries: &[Entry], first: u64, size: u32) -> Vec<i64> {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let page = entries.iter().skip(first).take(size as usize);
    page.map(|entry| entry.position).collect()
}

/// Returns the first place after a chunk of entries. Of IDs, leaves out those of the last instant
/// and returns the first place in it, which does not show an ID of another zone.
fn cut(index: Index, direction: Direction, entries: &mut Vec<Entry>) -> Option<(Key, i64)> {
    let last = entries.last()?;
    if let (Key::Id(id), Index::Ids) = (&last.key, index) {
        let fill = match direction {
            Direction::Ascending => 0,
            Direction::Descending => 0xff,
        };
        let mut edge = [fill; 16];
        edge[..TIME_OCTETS].copy_from_slice(&id[..TIME_OCTETS]);
        let is_before = |entry: &Entry| match &entry.key {
            Key::Id(id) => id[..TIME_OCTETS] != edge[..TIME_OCTETS],
            _ => false,
        };
        // More IDs of one millisecond than a chunk has do not occur.
        if let Some(before) = entries.iter().rposition(is_before) {
            entries.truncate(before + 1);
            return Some((Key::Id(edge), 0));
        }
    }
    let last = entries.last()?;
    Some(resume(index, direction, last))
}

#[expect(
    clippy::disallowed_methods,
    reason = "bounds how long a search runs; decides nothing that is stored"
)]
fn now() -> Instant {
    Instant::now()
}
