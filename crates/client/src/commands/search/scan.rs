//! The search in the list without filters, for more certificates of one minute than a filtered list
//! has.

use std::collections::HashSet;

use certgate_model::{Timestamp, ZoneId};
use certgate_wire::Id;

use super::{EXACT_MAX, PAGE_MAX, Page, Search};
use crate::arguments::Statuses;
use crate::failure::Failure;
use crate::session::Session;

/// Receives a page, with the IDs on it that earlier pages had.
pub type Each<'a> = &'a mut dyn FnMut(&Page, &HashSet<Id>) -> Result<(), Failure>;

/// Calls `each` with the matches of these searches, each of which has a window of `issued_on`.
/// Returns their number.
pub fn every(
    session: &Session,
    zone: &ZoneId,
    searches: &[Search],
    each: Each<'_>,
) -> Result<u64, Failure> {
    let ranges = searches.iter().map(|search| search.issued_on);
    let Some(newest) = ranges.clone().filter_map(|range| range.before).max() else {
        return Ok(0);
    };
    let oldest = ranges.filter_map(|range| range.after).min();
    let mut scan = Scan {
        session,
        zone,
        searches,
        list: Search::of_statuses(Statuses::All),
        seen: HashSet::new(),
    };
    let begin = scan.first_page(newest)?;
    scan.read(begin, oldest, each)?;
    // Adopted certificates are older than their neighbours in the list.
    if !scan.has_first_matches()? {
        scan.read(1, None, each)?;
    }
    Ok(scan.seen.len() as u64)
}

/// A scan. The list begins with the newest certificate, and loses none while it is read: new ones
/// only push others to later pages.
struct Scan<'a> {
    session: &'a Session,
    zone: &'a ZoneId,
    searches: &'a [Search],
    list: Search,
    /// The matches.
    seen: HashSet<Id>,
}

impl Scan<'_> {
    fn page(&self, number: u64) -> Result<Page, Failure> {
        self.list.page(self.session, self.zone, number, PAGE_MAX)
    }

    /// Finds the page before the first one with a certificate that was issued before `newest`.
    fn first_page(&self, newest: Timestamp) -> Result<u64, Failure> {
        let (mut low, mut high) = (1, self.page(1)?.pages().max(1));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(middle)?.certificates.last() {
                Some(last) if last.issued_on.0 >= newest => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low.saturating_sub(1).max(1))
    }

    /// Reads pages until all certificates of one were issued at `oldest` or earlier.
    fn read(
        &mut self,
        begin: u64,
        oldest: Option<Timestamp>,
        each: Each<'_>,
    ) -> Result<(), Failure> {
        for number in begin.. {
            let mut page = self.page(number)?;
            let first = page.certificates.first().map(|first| first.issued_on.0);
            let is_past = first.is_none_or(|first| oldest.is_some_and(|oldest| first <= oldest));
            let is_last = is_past || number >= page.pages();
            page.retain(|found| {
                let matches = self.searches.iter().any(|search| search.matches(found));
                matches && !self.seen.contains(&found.id)
            });
            if !page.certificates.is_empty() {
                each(&page, &HashSet::new())?;
            }
            self.seen
                .extend(page.certificates.iter().map(|found| found.id));
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Returns true if the scan has found the matches that filtered lists have.
    fn has_first_matches(&self) -> Result<bool, Failure> {
        for search in self.searches {
            for number in 1..=EXACT_MAX / PAGE_MAX {
                let page = search.page(self.session, self.zone, number, PAGE_MAX)?;
                if !page
                    .certificates
                    .iter()
                    .all(|found| self.seen.contains(&found.id))
                {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
