//! The search of certificates by the conditions of the command line, in zones of any size.
//!
//! A filtered list of the API ends after 10,000 matches. A search with more of them is divided into
//! windows of time. Only certificates that were issued in the same minute cannot be divided: they
//! are searched in the list without filters, which has no end.

mod scan;

use std::collections::HashSet;

use certgate_model::{
    AuthorityId, FoldedName, NameMatch, Status, TimeRange, Timestamp, ZoneId, read_hex,
};
use certgate_wire::{Id, StatusName, Time};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::certificate::{self, Certificate, is_replaced};
use super::managed;
use crate::arguments::{FilterArgs, Moment, Sort, Statuses};
use crate::failure::Failure;
use crate::http::{Answer, Refusal, parsed};
use crate::session::{Session, encoded};

/// The certificates in one request: the most that the API returns, few in tests.
pub const PAGE_MAX: u64 = if cfg!(test) { 8 } else { 1000 };

/// The matches of a search up to which the API counts and has pages where it has no counters; few
/// in tests.
const EXACT_MAX: u64 = if cfg!(test) {
    20
} else {
    certgate_model::MATCHES_MAX
};

/// The times that a search is repeated if certificates change meanwhile.
const TRIES: u32 = 4;

/// The conditions of a search, as parameters of the API.
#[derive(Debug, Clone)]
pub struct Search {
    pub statuses: Statuses,
    parameters: Vec<(&'static str, String)>,
    order: Vec<(&'static str, String)>,
    /// The same conditions, against a server that does not know the parameters.
    name: Option<NameMatch>,
    authority: Option<AuthorityId>,
    issued_on: TimeRange,
    expires_on: TimeRange,
    revoked_on: TimeRange,
    replaced: Option<bool>,
}

/// `result_info` of a page.
#[derive(Debug, Deserialize)]
struct Info {
    total_count: u64,
    total_pages: u64,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// A page of certificates.
pub struct Page {
    answer: Answer,
    info: Info,
    /// The certificates, byte for byte.
    items: Vec<Box<RawValue>>,
    pub certificates: Vec<Certificate>,
}

impl Page {
    /// The API's answer.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The number of all matches, if the server knows it.
    pub fn total(&self) -> u64 {
        self.info.total_count
    }

    /// The number of pages.
    pub fn pages(&self) -> u64 {
        self.info.total_pages
    }

    /// Returns true if more may match than the server counted.
    pub fn is_at_least(&self) -> bool {
        self.info.next.is_some()
    }

    /// The certificates, byte for byte.
    pub fn items(&self) -> &[Box<RawValue>] {
        &self.items
    }

    /// Keeps the certificates that `is_kept` selects.
    fn retain(&mut self, is_kept: impl Fn(&Certificate) -> bool) {
        let kept: Vec<_> = self.certificates.iter().map(is_kept).collect();
        let mut each = kept.iter();
        self.items.retain(|_| each.next() == Some(&true));
        let mut each = kept.iter();
        self.certificates.retain(|_| each.next() == Some(&true));
    }
}

/// The part of a certificate that a change of many needs: a hundred thousand fit into memory.
#[derive(Debug, Clone)]
pub struct Match {
    pub id: Id,
    pub common_name: String,
    pub status: StatusName,
    pub expires_on: Time,
}

impl From<&Certificate> for Match {
    fn from(certificate: &Certificate) -> Self {
        Self {
            id: certificate.id,
            common_name: certificate.common_name.to_string(),
            status: certificate.status,
            expires_on: certificate.expires_on,
        }
    }
}

impl Search {
    /// The certificates with these statuses.
    pub fn of_statuses(statuses: Statuses) -> Self {
        Self {
            statuses,
            parameters: Vec::new(),
            order: Vec::new(),
            name: None,
            authority: None,
            issued_on: TimeRange::default(),
            expires_on: TimeRange::default(),
            revoked_on: TimeRange::default(),
            replaced: None,
        }
    }

    /// Reads the conditions of the command line. `default` is the status without `--status`.
    pub fn new(
        session: &Session,
        zone: &ZoneId,
        pattern: Option<&str>,
        filter: &FilterArgs,
        default: Statuses,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let concerns_any = filter.revoked_since.is_some()
            || filter.revoked_before.is_some()
            || filter.serial.is_some()
            || filter.fingerprint.is_some();
        let default = if concerns_any { Statuses::All } else { default };
        let mut search = Self::of_statuses(filter.status.unwrap_or(default));
        if let Some(pattern) = pattern {
            search.add_pattern(pattern)?;
        }
        if let Some(serial) = &filter.serial {
            search.add("serial_number", serial.trim().to_owned());
        }
        if let Some(fingerprint) = &filter.fingerprint {
            search.add("fingerprint_sha256", fingerprint_of(fingerprint)?);
        }
        if let Some(named) = &filter.ca {
            let authority = managed::named(session, zone, named)?;
            search.authority = Some(authority);
            search.add("certificate_authority_id", authority.to_string());
        }
        if let Some(replaced) = filter.replaced {
            search.replaced = Some(replaced);
            search.add("replaced", replaced.to_string());
        }
        search.add_times(filter, now);
        Ok(search)
    }

    fn add(&mut self, parameter: &'static str, value: String) {
        self.parameters.push((parameter, value));
    }

    fn add_pattern(&mut self, pattern: &str) -> Result<(), Failure> {
        let pattern = pattern.trim();
        let begins_open = pattern.starts_with('*') && pattern.len() > 1;
        let ends_open = pattern.ends_with('*');
        let text = pattern
            .strip_prefix('*')
            .filter(|_| begins_open)
            .unwrap_or(pattern);
        let text = text.strip_suffix('*').unwrap_or(text);
        if text.contains('*') || begins_open && !ends_open {
            return Err(Failure::usage(format!(
                "{pattern:?} is not a pattern of names: * may be at its end, or at both ends"
            ))
            .hint("use laptop-17, 'laptop-*' or '*top*'"));
        }
        let folded = FoldedName::new(text);
        let (parameter, name) = match (begins_open, ends_open) {
            _ if text.is_empty() && ends_open => return Ok(()),
            (false, false) => ("common_name", NameMatch::Equal(folded)),
            (false, true) => ("common_name.startswith", NameMatch::StartsWith(folded)),
            (true, _) => ("common_name.contains", NameMatch::Contains(folded)),
        };
        self.add(parameter, text.to_owned());
        self.name = Some(name);
        Ok(())
    }

    fn add_times(&mut self, filter: &FilterArgs, now: Timestamp) {
        let before = |moment: Option<Moment>| moment.map(|moment| moment.past(now));
        // "Since" includes the instant itself; the parameter excludes it.
        let since = |moment| before(moment).map(before_by_a_microsecond);
        self.issued_on = TimeRange {
            after: since(filter.issued_since),
            before: before(filter.issued_before),
        };
        self.revoked_on = TimeRange {
            after: since(filter.revoked_since),
            before: before(filter.revoked_before),
        };
        self.expires_on = match filter.expires_within {
            Some(within) => TimeRange {
                after: Some(now),
                before: Some(within.future(now)),
            },
            None => TimeRange {
                after: filter.expires_after.map(|moment| moment.future(now)),
                before: filter.expires_before.map(|moment| moment.future(now)),
            },
        };
    }

    /// Sets the order.
    pub fn sorted(mut self, sort: Option<Sort>, asc: bool, desc: bool) -> Self {
        let order = sort.map(|sort| match sort {
            Sort::Issued => "issued_on",
            Sort::Expires => "expires_on",
            Sort::Name => "common_name",
        });
        let direction = match (asc, desc) {
            (true, _) => Some("asc"),
            (_, true) => Some("desc"),
            _ => None,
        };
        let order = order.map(|order| ("order", order.to_owned()));
        let direction = direction.map(|direction| ("direction", direction.to_owned()));
        self.order = order.into_iter().chain(direction).collect();
        self
    }

    /// The same conditions with other statuses.
    pub fn with_statuses(&self, statuses: Statuses) -> Self {
        Self {
            statuses,
            ..self.clone()
        }
    }

    /// A condition on one more parameter.
    pub fn and(mut self, parameter: &'static str, value: String) -> Self {
        self.add(parameter, value);
        self
    }

    /// A condition on the whole common name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(NameMatch::Equal(FoldedName::new(name)));
        self.and("common_name", name.to_owned())
    }

    /// Returns true if a status is the only condition. The API counts such lists exactly.
    pub fn is_status_only(&self) -> bool {
        self.parameters.is_empty() && self.is_counted()
    }

    /// Returns true if a status and `replaced` are the only conditions, for which the API has
    /// counters.
    fn is_counted(&self) -> bool {
        let times = [self.issued_on, self.expires_on, self.revoked_on];
        let mut names = self.parameters.iter().map(|(name, _)| *name);
        names.all(|name| name == "replaced") && times.iter().all(|range| range.is_unlimited())
    }

    /// Every condition, as parameters of the API.
    fn all(&self) -> Vec<(&'static str, String)> {
        let mut all = self.parameters.clone();
        for (after, before, range) in [
            ("issued_on.after", "issued_on.before", self.issued_on),
            ("expires_on.after", "expires_on.before", self.expires_on),
            ("revoked_on.after", "revoked_on.before", self.revoked_on),
        ] {
            for (parameter, limit) in [(after, range.after), (before, range.before)] {
                all.extend(limit.map(|limit| (parameter, limit.to_string())));
            }
        }
        all
    }

    /// The conditions as text, such as `common_name=a, issued_on.after=2026-08-14T00:00:00Z`.
    pub fn description(&self) -> String {
        let status = ("status", self.statuses.name());
        let all = self.all();
        let others = all.iter().map(|(name, value)| (*name, value.as_str()));
        let texts = std::iter::once(status)
            .chain(others)
            .map(|(name, value)| format!("{name}={value}"));
        texts.collect::<Vec<_>>().join(", ")
    }

    fn path(&self, zone: &ZoneId, size: u64) -> String {
        let (path, status) = (certificate::path(zone), self.statuses.name());
        let mut path = format!("{path}?status={status}&limit={size}");
        for (name, value) in self.all().iter().chain(&self.order) {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
        path
    }

    /// Reads a page.
    pub fn page(
        &self,
        session: &Session,
        zone: &ZoneId,
        number: u64,
        size: u64,
    ) -> Result<Page, Failure> {
        let answer = self.answer(session, zone, number, size)?;
        let info: Info = answer.info()?;
        let items: Vec<Box<RawValue>> = answer.parse()?;
        let certificates = items.iter().map(|item| parsed(item));
        let certificates = certificates.collect::<Result<Vec<Certificate>, _>>()?;
        if let Some(other) = certificates.iter().find(|found| !self.matches(found)) {
            return Err(Failure::failed(format!(
                "the server returned {}, which does not match: it does not know every condition",
                other.id
            ))
            .hint("use a server of this client's version"));
        }
        Ok(Page {
            answer,
            info,
            items,
            certificates,
        })
    }

    /// Continues a search that found nothing yet until it finds something or ends.
    fn answer(
        &self,
        session: &Session,
        zone: &ZoneId,
        number: u64,
        size: u64,
    ) -> Result<Answer, Failure> {
        let path = self.path(zone, size);
        let mut place = format!("&page={number}");
        loop {
            match session.api.get(&format!("{path}{place}")) {
                Err(Refusal::Refused {
                    continuation: Some(next),
                    ..
                }) => place = format!("&continue={}", encoded(&next)),
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Compares the conditions that a certificate shows.
    fn matches(&self, found: &Certificate) -> bool {
        let name = &found.common_name;
        let status = match self.statuses {
            Statuses::All => true,
            Statuses::One(status) => found.status.0 == status,
        };
        status
            && self.name.as_ref().is_none_or(|wanted| wanted.matches(name))
            && self
                .authority
                .is_none_or(|id| found.certificate_authority.id == id.into())
            && self
                .replaced
                .is_none_or(|replaced| is_replaced(found) == replaced)
            && self.issued_on.contains(found.issued_on.0)
            && self.expires_on.contains(found.expires_on.0)
    }

    fn is_exact(&self, page: &Page) -> bool {
        let total = page.info.total_count;
        // A server that does not count replaced certificates yet says this very number.
        let is_known = total < EXACT_MAX || (self.is_counted() && total != EXACT_MAX);
        self.is_status_only() || (page.info.next.is_none() && is_known)
    }

    /// Counts all matches exactly.
    pub fn count(&self, session: &Session, zone: &ZoneId) -> Result<u64, Failure> {
        let first = self.page(session, zone, 1, 1)?;
        if self.is_exact(&first) {
            return Ok(first.total());
        }
        let mut total = 0;
        let crowded = self.each_window(session, zone, 1, |_, first| {
            total += first.total();
            Ok(())
        })?;
        total += scan::every(session, zone, &crowded, &mut |_, _| Ok(()))?;
        Ok(total)
    }

    /// Calls `each` for every page of all matches: one list, or in the order of the IDs if there
    /// are more matches than a list has. Returns the number of certificates.
    pub fn every(
        &self,
        session: &Session,
        zone: &ZoneId,
        mut each: impl FnMut(&Page, &HashSet<Id>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let first = self.page(session, zone, 1, PAGE_MAX)?;
        if self.is_exact(&first) {
            return self.every_page(session, zone, first, &mut each);
        }
        let mut total = 0;
        let crowded = self.each_window(session, zone, PAGE_MAX, |window, first| {
            total += window.every_page(session, zone, first, &mut each)?;
            Ok(())
        })?;
        total += scan::every(session, zone, &crowded, &mut each)?;
        Ok(total)
    }

    /// Calls `each` for each page of a list. A certificate that is issued meanwhile pushes an older
    /// one to the next page: `each` gets the IDs of the page before, to skip it.
    fn every_page(
        &self,
        session: &Session,
        zone: &ZoneId,
        first: Page,
        each: &mut impl FnMut(&Page, &HashSet<Id>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut before = HashSet::new();
        let (mut page, mut total) = (first, 0);
        for number in 2.. {
            if page.certificates.is_empty() {
                break;
            }
            let ids = page.certificates.iter().map(|found| found.id);
            let ids: HashSet<_> = ids.collect();
            total += ids.difference(&before).count() as u64;
            each(&page, &before)?;
            before = ids;
            if number > page.pages() {
                break;
            }
            page = self.page(session, zone, number, PAGE_MAX)?;
        }
        Ok(total)
    }

    /// Divides the matches into windows of time that a list can have, and calls `each` with the
    /// search and the first page (of `size`) of each window that is not empty. Returns the searches
    /// of windows that have more matches and cannot be divided.
    fn each_window(
        &self,
        session: &Session,
        zone: &ZoneId,
        size: u64,
        mut each: impl FnMut(&Self, Page) -> Result<(), Failure>,
    ) -> Result<Vec<Self>, Failure> {
        if !self.order.is_empty() {
            return Err(Failure::failed(format!(
                "more than {EXACT_MAX} certificates match, too many for an order"
            ))
            .hint("add a condition, or leave --sort, --asc and --desc out"));
        }
        let axis = self.axis();
        let mut windows = vec![Window::ALL];
        let mut crowded = Vec::new();
        while let Some(window) = windows.pop() {
            let search = self.within(axis, window);
            let first = search.page(session, zone, 1, size)?;
            if search.is_exact(&first) {
                if !first.certificates.is_empty() {
                    each(&search, first)?;
                }
                continue;
            }
            match (window.halves(axis), axis) {
                (Some([older, newer]), _) => windows.extend([newer, older]),
                (None, Axis::Issued) => crowded.push(search),
                (None, Axis::Revoked) => {
                    return Err(Failure::failed(format!(
                        "more than {EXACT_MAX} certificates were revoked in the same microsecond"
                    ))
                    .hint("add a condition on the name"));
                }
            }
        }
        Ok(crowded)
    }

    /// The time by which to divide the matches.
    fn axis(&self) -> Axis {
        match self.statuses {
            Statuses::One(Status::Revoked | Status::PendingRevocation) => Axis::Revoked,
            _ if !self.revoked_on.is_unlimited() => Axis::Revoked,
            _ => Axis::Issued,
        }
    }

    /// The same conditions in a window of time.
    fn within(&self, axis: Axis, window: Window) -> Self {
        let mut search = self.clone();
        let range = match axis {
            Axis::Issued => &mut search.issued_on,
            Axis::Revoked => &mut search.revoked_on,
        };
        if window.from > Window::ALL.from {
            let after = before_by_a_microsecond(window.from);
            range.after = range.after.max(Some(after));
        }
        if window.to < Window::ALL.to {
            let earlier = range.before.map_or(window.to, |to| to.min(window.to));
            range.before = Some(earlier);
        }
        search
    }

    /// Collects all matches. Certificates may change meanwhile: it repeats the search
    /// until a count of all matches agrees with the collection.
    pub fn collect(&self, session: &Session, zone: &ZoneId) -> Result<Vec<Match>, Failure> {
        for _ in 0..TRIES {
            let mut found: Vec<Match> = Vec::new();
            let mut ids = HashSet::new();
            self.every(session, zone, |page, _| {
                let new = page.certificates.iter().filter(|one| ids.insert(one.id));
                found.extend(new.map(Match::from));
                Ok(())
            })?;
            if self.count(session, zone)? == found.len() as u64 {
                found.sort_by_key(|found| found.id);
                return Ok(found);
            }
        }
        Err(
            Failure::failed("the matching certificates change faster than they can be listed")
                .hint("run the command again later, or add a condition such as --issued-before"),
        )
    }
}

fn before_by_a_microsecond(instant: Timestamp) -> Timestamp {
    instant.plus_microseconds(-1)
}

/// Reads a SHA-256 digest with or without colons.
pub fn fingerprint_of(text: &str) -> Result<String, Failure> {
    let digits: String = text
        .chars()
        .filter(|digit| !matches!(digit, ':' | ' '))
        .collect();
    match read_hex::<32>(&digits) {
        Some(_) => Ok(digits.to_ascii_lowercase()),
        None => Err(Failure::usage(format!(
            "{text:?} is not the SHA-256 of a certificate: it has 64 hexadecimal digits"
        ))
        .hint("`openssl x509 -in FILE -noout -fingerprint -sha256` prints it")),
    }
}

/// The time by which matches are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// `notBefore`, a whole minute.
    Issued,
    /// The time of the revocation, which only revoked certificates have.
    Revoked,
}

impl Axis {
    /// Rounds down to the precision of the time.
    fn cut(self, instant: Timestamp) -> Timestamp {
        match self {
            Self::Issued => instant.cut_to_minute(),
            Self::Revoked => instant,
        }
    }
}

/// A window of time, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: Timestamp,
    to: Timestamp,
}

impl Window {
    const ALL: Self = Self {
        from: Timestamp::EARLIEST,
        to: Timestamp::LATEST,
    };

    /// Divides the window; [`None`] if it is as short as the times are precise.
    fn halves(self, axis: Axis) -> Option<[Self; 2]> {
        let Self { from, to } = self;
        let half = from.until(to).microseconds() / 2;
        let middle = axis.cut(from.plus_microseconds(half));
        let halves = [Self { from, to: middle }, Self { from: middle, to }];
        (from < middle && middle < to).then_some(halves)
    }
}

/// A page without the certificates of the page before.
pub fn new_items<'a>(
    page: &'a Page,
    before: &'a HashSet<Id>,
) -> impl Iterator<Item = (&'a RawValue, &'a Certificate)> {
    let items = page.items().iter().map(|item| &**item);
    let items = items.zip(&page.certificates);
    items.filter(|(_, found)| !before.contains(&found.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pattern: &str) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut search = Search::of_statuses(Statuses::All);
        search.add_pattern(pattern).map(|()| search.parameters)
    }

    #[test]
    fn patterns_have_a_star_at_the_end_or_at_both_ends() {
        for (pattern, parameter, value) in [
            ("laptop-17", "common_name", "laptop-17"),
            ("laptop-*", "common_name.startswith", "laptop-"),
            ("*top*", "common_name.contains", "top"),
        ] {
            assert_eq!(
                parameters(pattern).unwrap(),
                [(parameter, value.to_owned())]
            );
        }
        for everything in ["*", "**"] {
            assert_eq!(parameters(everything).unwrap(), []);
        }
        for bad in ["*top", "a*b", "*a*b*"] {
            assert!(parameters(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_are_divided_down_to_the_precision_of_their_times() {
        for (axis, precision) in [(Axis::Issued, 60_000_000), (Axis::Revoked, 1)] {
            // The instant that each division must keep.
            let instant = Timestamp::from_unix(1_786_702_500);
            let mut window = Window::ALL;
            let mut divisions = 0;
            while let Some(halves) = window.halves(axis) {
                assert_eq!((halves[0].from, halves[1].to), (window.from, window.to));
                assert_eq!(halves[0].to, halves[1].from);
                let holds = |half: &Window| (half.from..half.to).contains(&instant);
                window = halves.into_iter().find(holds).unwrap();
                divisions += 1;
            }
            assert_eq!(window.from.until(window.to).microseconds(), precision);
            assert!(divisions < 64, "{divisions}");
        }
    }

    #[test]
    fn fingerprints_are_read_with_colons() {
        let digits = "Ab".repeat(32);
        let colons = vec!["aB"; 32].join(":");
        assert_eq!(fingerprint_of(&digits).unwrap(), "ab".repeat(32));
        assert_eq!(fingerprint_of(&colons).unwrap(), "ab".repeat(32));
        assert!(fingerprint_of("ab").is_err());
    }
}
