//! The search of certificates by the conditions of the command line, in zones of any size.
//!
//! The pages of a filtered list of the API end after 10,000 matches. A search with more of them is
//! a walk: each answer says where the next one continues.

use std::collections::HashSet;

use certgate_model::{AuthorityId, FoldedName, NameMatch, TimeRange, Timestamp, ZoneId, read_hex};
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
    /// True if it begins where an earlier answer ended.
    is_part: bool,
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

    /// Returns true if a date is a condition: then the list is in the order of the date.
    fn has_dates(&self) -> bool {
        let ranges = [self.issued_on, self.expires_on, self.revoked_on];
        ranges.iter().any(|range| !range.is_unlimited())
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
        let place = (format!("&page={number}"), false);
        let page = self.read(session, zone, size, place)?;
        // A server of an earlier version ends a list here.
        let is_end = page.info.next.is_none() && !page.is_part && number == 1;
        match page.answer.is_not_counted && is_end {
            true => Err(Failure::failed(format!(
                "more certificates match than the {} that the server lists",
                page.total()
            ))
            .hint("use a server of this client's version, or add a condition")),
            false => Ok(page),
        }
    }

    /// Reads the part of a walk that begins at a place.
    fn part(&self, session: &Session, zone: &ZoneId, next: &str) -> Result<Page, Failure> {
        self.read(session, zone, PAGE_MAX, continuing(next))
    }

    /// Reads the certificates from a place on. Continues a search that found nothing yet until it
    /// finds something or ends.
    fn read(
        &self,
        session: &Session,
        zone: &ZoneId,
        size: u64,
        (mut place, mut is_part): (String, bool),
    ) -> Result<Page, Failure> {
        let path = self.path(zone, size);
        let answer = loop {
            match session.api.get(&format!("{path}{place}")) {
                Err(Refusal::Refused {
                    continuation: Some(next),
                    ..
                }) => (place, is_part) = continuing(&next),
                outcome => break outcome?,
            }
        };
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
            is_part,
            items,
            certificates,
        })
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

    /// Reads the first page of all matches, in the order in which the server reads them fastest: a
    /// name usually selects fewer certificates than a date.
    fn first(&self, session: &Session, zone: &ZoneId, size: u64) -> Result<(Self, Page), Failure> {
        let first = self.page(session, zone, 1, size)?;
        let has_name = matches!(
            self.name,
            Some(NameMatch::Equal(_) | NameMatch::StartsWith(_))
        );
        if first.info.next.is_none() || !has_name || !self.has_dates() || !self.order.is_empty() {
            return Ok((self.clone(), first));
        }
        let by_name = Self {
            order: vec![("order", "common_name".to_owned())],
            ..self.clone()
        };
        let first = by_name.page(session, zone, 1, size)?;
        Ok((by_name, first))
    }

    /// Counts all matches exactly.
    pub fn count(&self, session: &Session, zone: &ZoneId) -> Result<u64, Failure> {
        let first = self.page(session, zone, 1, 1)?;
        match first.info.next {
            None => Ok(first.total()),
            Some(_) => self.every(session, zone, |_, _| Ok(())),
        }
    }

    /// Calls `each` for every page of all matches. Returns the number of certificates.
    pub fn every(
        &self,
        session: &Session,
        zone: &ZoneId,
        mut each: impl FnMut(&Page, &HashSet<Id>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let (search, first) = self.first(session, zone, PAGE_MAX)?;
        match first.info.next {
            None => search.every_page(session, zone, first, &mut each),
            Some(_) => search.every_part(session, zone, first, &mut each),
        }
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

    /// Calls `each` for each part of a walk. It finds every certificate that matches all the time,
    /// because others that change move none to a part that was read.
    fn every_part(
        &self,
        session: &Session,
        zone: &ZoneId,
        first: Page,
        each: &mut impl FnMut(&Page, &HashSet<Id>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let (mut part, mut total) = (first, 0);
        loop {
            total += part.certificates.len() as u64;
            each(&part, &HashSet::new())?;
            let Some(next) = &part.info.next else {
                return Ok(total);
            };
            part = self.part(session, zone, next)?;
        }
    }

    /// Collects all matches. While pages are read, certificates may change and move others: then it
    /// repeats the search until a count of all matches agrees with the collection.
    pub fn collect(&self, session: &Session, zone: &ZoneId) -> Result<Vec<Match>, Failure> {
        for _ in 0..TRIES {
            let mut found: Vec<Match> = Vec::new();
            let mut ids = HashSet::new();
            let mut is_walk = false;
            self.every(session, zone, |page, _| {
                is_walk |= page.info.next.is_some();
                let new = page.certificates.iter().filter(|one| ids.insert(one.id));
                found.extend(new.map(Match::from));
                Ok(())
            })?;
            if is_walk || self.count(session, zone)? == found.len() as u64 {
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

/// The parameter of a request for a part.
fn continuing(next: &str) -> (String, bool) {
    (format!("&continue={}", encoded(next)), true)
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
    fn fingerprints_are_read_with_colons() {
        let digits = "Ab".repeat(32);
        let colons = vec!["aB"; 32].join(":");
        assert_eq!(fingerprint_of(&digits).unwrap(), "ab".repeat(32));
        assert_eq!(fingerprint_of(&colons).unwrap(), "ab".repeat(32));
        assert!(fingerprint_of("ab").is_err());
    }
}
