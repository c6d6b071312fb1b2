//! Query parameters of the list of client certificates: pages, filters and the order.

use base64ct::{Base64UrlUnpadded, Encoding};
use certgate_model::{
    CONTAINS_MIN, CertificateFilter, CertificateId, CertificateOrder, CertificateQuery,
    CertificateSearch, Continuation, Direction, FoldedName, ID_PREFIX_MIN, IdRange, LinePlace,
    NameMatch, SerialNumber, Status, TimeRange, ZoneId, read_hex,
};
use certgate_pki::sha256;

use super::{LIMIT, NUMBER_MAX, PER_PAGE, PER_PAGE_DEFAULT, Query, page_request, whole_number};
use crate::envelope::PageRequest;
use crate::error::ApiError;

/// The longest filter of a name, in octets: names in certificates are much shorter.
const NAME_OCTETS_MAX: usize = 1_024;

/// The longest serial number as text, in octets: 40 digits with colons take 59.
const SERIAL_OCTETS_MAX: usize = 64;

/// The longest `continue`, in octets. It has a folded name at most, and a position.
const CONTINUE_OCTETS_MAX: usize = 4_096;

/// The octets of the digest at the beginning of a `continue`. It detects mistakes, and protects
/// nothing.
const CONTINUE_DIGEST_OCTETS: usize = 12;

const COMMON_NAME: &str = "common_name";
const STARTS_WITH: &str = "common_name.startswith";
const CONTAINS: &str = "common_name.contains";
const SERIAL_NUMBER: &str = "serial_number";
const FINGERPRINT: &str = "fingerprint_sha256";
const ID_STARTS_WITH: &str = "id.startswith";
const AUTHORITY: &str = "certificate_authority_id";
const REPLACED: &str = "replaced";
const ORDER: &str = "order";
const DIRECTION: &str = "direction";
const CONTINUE: &str = "continue";

/// The parameters that a `continue` belongs to.
const SEARCH: [&str; 17] = [
    "status",
    COMMON_NAME,
    STARTS_WITH,
    CONTAINS,
    SERIAL_NUMBER,
    FINGERPRINT,
    ID_STARTS_WITH,
    AUTHORITY,
    "issued_on.after",
    "issued_on.before",
    "expires_on.after",
    "expires_on.before",
    "revoked_on.after",
    "revoked_on.before",
    REPLACED,
    ORDER,
    DIRECTION,
];

const PLACES: [(&str, LinePlace); 2] =
    [("false", LinePlace::Newest), ("true", LinePlace::Replaced)];

/// The serial numbers that a text can mean, each with the ID that it leads to.
type Serials = Vec<(SerialNumber, Option<CertificateId>)>;

/// A request for a list of certificates.
#[derive(Debug)]
pub(crate) enum CertificateList {
    /// By status, newest first: exact at any depth.
    Status(PageRequest, CertificateQuery),
    /// With filters, or in another order.
    Search(PageRequest, Box<SearchRequest>),
}

/// A search, and the parameters that it comes from.
#[derive(Debug)]
pub(crate) struct SearchRequest {
    pub(crate) search: CertificateSearch,
    /// The zone and the values of [`SEARCH`] as text.
    parameters: String,
}

impl SearchRequest {
    /// Returns the `continue` parameter of the request that continues this search.
    pub(crate) fn continue_text(&self, Continuation(place): &Continuation) -> String {
        let mut octets = self.digest(place).to_vec();
        octets.extend(place);
        Base64UrlUnpadded::encode_string(&octets)
    }

    fn digest(&self, place: &[u8]) -> [u8; CONTINUE_DIGEST_OCTETS] {
        let digest = sha256(&[self.parameters.as_bytes(), place].concat());
        let mut first = [0; CONTINUE_DIGEST_OCTETS];
        first.copy_from_slice(&digest[..CONTINUE_DIGEST_OCTETS]);
        first
    }

    /// Reads a `continue` that [`Self::continue_text`] wrote for the same search.
    fn continuation(&self, text: &str) -> Result<Continuation, ApiError> {
        if text.len() > CONTINUE_OCTETS_MAX {
            return Err(refused_continuation());
        }
        let octets = Base64UrlUnpadded::decode_vec(text).map_err(|_| refused_continuation())?;
        match octets.split_at_checked(CONTINUE_DIGEST_OCTETS) {
            Some((digest, place)) if self.digest(place) == digest => {
                Ok(Continuation(place.to_vec()))
            }
            _ => Err(refused_continuation()),
        }
    }
}

/// Refuses the value of `continue`.
pub(crate) fn refused_continuation() -> ApiError {
    let message = "continue is not from an answer to this search: send it with the same filters, \
                   order and direction, or leave it out to start again";
    ApiError::parameter(CONTINUE, message.to_owned())
}

impl Query<'_> {
    /// Returns the page and the filters of a list of a zone's certificates. `read_serial` reads
    /// serial numbers.
    pub(crate) fn certificates(
        &self,
        zone: ZoneId,
        read_serial: impl FnOnce(&str) -> Option<Serials>,
    ) -> Result<CertificateList, ApiError> {
        let asked = self.certificates_page()?;
        let named = Status::ALL.map(|status| (status.name(), Some(status)));
        let statuses = [&[("all", None)], &named[..]].concat();
        let status = self.choice("status", &statuses)?;
        let filter = CertificateFilter {
            status: None,
            common_name: self.name_match()?,
            serials: self.serials(read_serial)?,
            fingerprint_sha256: self.fingerprint()?,
            ids: self.id_range()?,
            authority: self.parsed(
                AUTHORITY,
                |text| text.parse().ok(),
                || "the CA's UUID of 36 characters".to_owned(),
            )?,
            issued_on: self.time_range("issued_on.after", "issued_on.before")?,
            expires_on: self.time_range("expires_on.after", "expires_on.before")?,
            revoked_on: self.time_range("revoked_on.after", "revoked_on.before")?,
            place: self.choice(REPLACED, &PLACES)?,
        };
        let names_one =
            filter.serials.is_some() || filter.fingerprint_sha256.is_some() || filter.ids.is_some();
        let default = match names_one {
            true => None,
            // A client that trusts an unfiltered list must not admit revoked certificates.
            false => Some(Status::Active),
        };
        let filter = CertificateFilter {
            status: status.unwrap_or(default),
            ..filter
        };
        let (order, direction) = self.certificate_order()?;
        let place = self.one(CONTINUE)?;
        let is_newest_first = matches!(order, None | Some(CertificateOrder::IssuedOn))
            && direction != Some(Direction::Ascending);
        if filter.is_status_only() && is_newest_first && place.is_none() {
            let (status, slice) = (filter.status, asked.slice);
            return Ok(CertificateList::Status(
                asked,
                CertificateQuery { status, slice },
            ));
        }
        let mut request = SearchRequest {
            search: CertificateSearch {
                filter,
                order,
                direction,
                slice: asked.slice,
                after: None,
            },
            parameters: self.search_parameters(zone)?,
        };
        if let Some(text) = place {
            // A client that raises page would read the same records for ever.
            if asked.slice.first > 0 {
                let message = "continue and page or offset exclude each other: the page begins \
                               where the search stopped, so leave page and offset out";
                return Err(ApiError::parameter(CONTINUE, message.to_owned()));
            }
            request.search.after = Some(request.continuation(text)?);
        }
        Ok(CertificateList::Search(asked, Box::new(request)))
    }

    fn certificates_page(&self) -> Result<PageRequest, ApiError> {
        let (page, per_page) = (self.page_number()?, self.certificates_per_page()?);
        // SDKs leave limit and offset in the query while they raise page: the page counts in steps
        // of limit.
        let size = self.number("limit", LIMIT)?.unwrap_or(per_page);
        let offset = self.number("offset", (0, NUMBER_MAX))?.unwrap_or(0);
        Ok(page_request(page, size, offset))
    }

    /// Returns the page size of a list of certificates without a `limit`.
    fn certificates_per_page(&self) -> Result<u64, ApiError> {
        let (min, max) = PER_PAGE;
        let parse = |text: &str| whole_number(text).filter(|size| (min..=max).contains(size));
        let size = self.parsed("per_page", parse, || {
            let (least, most) = LIMIT;
            format!("a whole number from {min} to {max}, or limit, from {least} to {most}")
        });
        Ok(size?.unwrap_or(PER_PAGE_DEFAULT))
    }

    fn name_match(&self) -> Result<Option<NameMatch>, ApiError> {
        let equal = self.name(COMMON_NAME, 1)?.map(NameMatch::Equal);
        let begins = self.name(STARTS_WITH, 1)?.map(NameMatch::StartsWith);
        let contains = self.name(CONTAINS, CONTAINS_MIN)?.map(NameMatch::Contains);
        let mut given = equal.into_iter().chain(begins).chain(contains);
        let first = given.next();
        if given.next().is_some() {
            let message = format!(
                "{COMMON_NAME}, {STARTS_WITH} and {CONTAINS} exclude each other: use one of them"
            );
            return Err(ApiError::parameter(COMMON_NAME, message));
        }
        Ok(first)
    }

    /// Returns a name, or a part of one with at least `min` characters.
    pub(super) fn name(
        &self,
        parameter: &'static str,
        min: usize,
    ) -> Result<Option<FoldedName>, ApiError> {
        let parse = |text: &str| {
            // PostgreSQL has no text with NUL, and names in certificates have none.
            let is_name = text.len() <= NAME_OCTETS_MAX && !text.contains('\0');
            let folded = Some(FoldedName::new(text)).filter(|_| is_name)?;
            (folded.as_str().chars().count() >= min).then_some(folded)
        };
        self.parsed(parameter, parse, || {
            let text = match min {
                0 | 1 => "text".to_owned(),
                min => format!("text of at least {min} characters"),
            };
            format!("{text} without NUL, at most {NAME_OCTETS_MAX} octets in UTF-8")
        })
    }

    fn serials(
        &self,
        read: impl FnOnce(&str) -> Option<Serials>,
    ) -> Result<Option<Serials>, ApiError> {
        let read = |text: &str| match text.len() <= SERIAL_OCTETS_MAX {
            true => read(text),
            false => None,
        };
        self.parsed(SERIAL_NUMBER, read, || {
            "1 to 40 hexadecimal digits, with or without colons between octets, or a decimal \
             number below 2^160"
                .to_owned()
        })
    }

    fn fingerprint(&self) -> Result<Option<[u8; 32]>, ApiError> {
        let parse = |text: &str| {
            // 31 colons, each after two digits.
            let with_colons = text.len() == 95 && text.split(':').all(|octet| octet.len() == 2);
            match with_colons {
                true => read_hex(&text.replace(':', "")),
                false => read_hex(text),
            }
        };
        self.parsed(FINGERPRINT, parse, || {
            "64 hexadecimal digits, with or without colons between octets".to_owned()
        })
    }

    fn id_range(&self) -> Result<Option<IdRange>, ApiError> {
        self.parsed(ID_STARTS_WITH, IdRange::of_prefix, || {
            format!("the first {ID_PREFIX_MIN} to 32 hexadecimal digits of an ID")
        })
    }

    fn time_range(&self, after: &'static str, before: &'static str) -> Result<TimeRange, ApiError> {
        Ok(TimeRange {
            after: self.instant(after)?,
            before: self.instant(before)?,
        })
    }

    fn certificate_order(&self) -> Result<(Option<CertificateOrder>, Option<Direction>), ApiError> {
        let orders = [
            ("issued_on", CertificateOrder::IssuedOn),
            ("expires_on", CertificateOrder::ExpiresOn),
            (COMMON_NAME, CertificateOrder::CommonName),
        ];
        let directions = [
            ("asc", Direction::Ascending),
            ("desc", Direction::Descending),
        ];
        let order = self.choice(ORDER, &orders)?;
        Ok((order, self.choice(DIRECTION, &directions)?))
    }

    /// Returns the zone and the parameters of a search, so that no two searches have the same text.
    fn search_parameters(&self, zone: ZoneId) -> Result<String, ApiError> {
        let mut text = zone.to_string();
        for name in SEARCH {
            let value = self.one(name)?.unwrap_or_default();
            text.push_str(&format!("\n{name}={}:{value}", value.len()));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code;

    const ZONE: ZoneId = ZoneId::from_bytes([7; 16]);

    fn read(query: &str) -> Result<CertificateList, ApiError> {
        let serial = |text: &str| {
            let octets = read_hex(text).map(SerialNumber::from_bytes);
            octets.map(|serial| vec![(serial, None)])
        };
        Query::parse(Some(query))
            .unwrap()
            .certificates(ZONE, serial)
    }

    fn by_status(query: &str) -> (PageRequest, CertificateQuery) {
        match read(query).unwrap() {
            CertificateList::Status(asked, query) => (asked, query),
            CertificateList::Search(..) => panic!("{query} is a search"),
        }
    }

    fn search(query: &str) -> SearchRequest {
        match read(query).unwrap() {
            CertificateList::Search(_, search) => *search,
            CertificateList::Status(..) => panic!("{query} is not a search"),
        }
    }

    fn asked(query: &str) -> (u64, u32) {
        let (asked, query) = by_status(query);
        assert_eq!(asked.slice, query.slice);
        (asked.slice.first, asked.slice.size)
    }

    #[test]
    fn the_first_record_is_offset_plus_the_pages_before() {
        assert_eq!(asked(""), (0, 20));
        assert_eq!(asked("page=&per_page=&limit=&offset="), (0, 20));
        assert_eq!(asked("page=3&per_page=50"), (100, 50));
        assert_eq!(asked("limit=2&offset=0&page=3"), (4, 2));
        assert_eq!(
            asked("limit=1000&offset=7&page=2.0&per_page=5"),
            (1007, 1000)
        );
        assert_eq!(
            asked("page=9007199254740991&limit=1000&offset=9007199254740991").1,
            1000
        );
    }

    #[test]
    fn a_parameter_outside_its_rule_is_named() {
        let long = format!("common_name={}", "a".repeat(NAME_OCTETS_MAX + 1));
        let digits = format!("serial_number={}", "1".repeat(SERIAL_OCTETS_MAX + 1));
        for (query, name) in [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=1.5", "page"),
            ("page=1.", "page"),
            ("page=.0", "page"),
            ("page=1e3", "page"),
            ("page=9007199254740992", "page"),
            ("page=99999999999999999999999999", "page"),
            ("page=1&page=2", "page"),
            ("per_page=4", "per_page"),
            ("per_page=51", "per_page"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("offset=-1", "offset"),
            ("offset=%00", "offset"),
            ("status=gone", "status"),
            ("status=%20", "status"),
            ("status=&status=gone", "status"),
            ("page=&page=1&page=2", "page"),
            (&long, "common_name"),
            ("common_name=a&common_name=b", "common_name"),
            ("common_name=a%00b", "common_name"),
            ("common_name.startswith=%00", "common_name.startswith"),
            ("common_name.contains=ab", "common_name.contains"),
            ("common_name=a&common_name.contains=abc", "common_name"),
            ("serial_number=xyz", "serial_number"),
            (&digits, "serial_number"),
            ("fingerprint_sha256=00", "fingerprint_sha256"),
            ("id.startswith=01929", "id.startswith"),
            ("id.startswith=01929g", "id.startswith"),
            ("certificate_authority_id=1", "certificate_authority_id"),
            ("issued_on.after=today", "issued_on.after"),
            ("expires_on.before=2026-02-30", "expires_on.before"),
            ("revoked_on.after=1", "revoked_on.after"),
            ("order=status", "order"),
            ("order=revoked_on", "order"),
            ("direction=up", "direction"),
            ("continue=AAAA", "continue"),
            ("continue=%2B", "continue"),
        ] {
            let error = read(query).unwrap_err();
            assert_eq!(error.code, code::INVALID_PARAMETER, "{query}");
            assert!(
                error.message.starts_with(name),
                "{query}: {}",
                error.message
            );
        }
    }

    #[test]
    fn a_status_is_read_in_any_letter_case() {
        let status = |query| by_status(query).1.status;
        assert_eq!(
            status("status=Pending_Revocation"),
            Some(Status::PendingRevocation)
        );
        assert_eq!(status("status=ALL"), None);
        assert_eq!(status("status=&status=Revoked"), Some(Status::Revoked));
        for absent in [
            "",
            "unknown=1",
            "status",
            "status=",
            "Status=revoked",
            "order=issued_on&direction=desc",
            "common_name=&serial_number=&continue=",
        ] {
            assert_eq!(status(absent), Some(Status::Active), "{absent}");
        }
    }

    #[test]
    fn a_search_for_one_certificate_means_every_status() {
        let status = |query: &str| search(query).search.filter.status;
        let fingerprint = format!("fingerprint_sha256={}", "0A:".repeat(31) + "0a");
        let serial = format!("serial_number={}", "0b".repeat(20));
        for query in [&fingerprint, &serial, "id.startswith=0192ab"] {
            assert_eq!(status(query), None, "{query}");
            let active = format!("{query}&status=active");
            assert_eq!(status(&active), Some(Status::Active));
        }
        for query in [
            "common_name=a",
            "expires_on.after=2026-11-24",
            "order=expires_on",
        ] {
            assert_eq!(status(query), Some(Status::Active), "{query}");
        }
        let filter = search(&fingerprint).search.filter;
        assert_eq!(filter.fingerprint_sha256, Some([10; 32]));
    }

    #[test]
    fn filters_are_read() {
        let CertificateSearch {
            filter,
            order,
            direction,
            ..
        } = search(
            "common_name.contains=LapTop%25&certificate_authority_id=\
             b2134436-2555-4acf-be5b-26c48136575e&issued_on.after=2026-11-24&\
             expires_on.before=2027-01-01T12:00:00%2B02:00&order=Expires_On&direction=DESC",
        )
        .search;
        let contains = NameMatch::Contains(FoldedName::new("laptop%"));
        assert_eq!(filter.common_name, Some(contains));
        assert!(filter.authority.is_some());
        assert_eq!(
            filter.issued_on.after.unwrap().to_string(),
            "2026-11-24T00:00:00Z"
        );
        assert_eq!(
            filter.expires_on.before.unwrap().to_string(),
            "2027-01-01T10:00:00Z"
        );
        assert!(filter.revoked_on.is_unlimited());
        assert_eq!(
            (order, direction),
            (
                Some(CertificateOrder::ExpiresOn),
                Some(Direction::Descending)
            )
        );
        let ascending = search("direction=asc").search;
        assert!(ascending.filter.is_status_only());
    }

    #[test]
    fn a_continue_belongs_to_its_search() {
        let place = Continuation(vec![1, 2, 3]);
        let first = "common_name.contains=abc&status=all";
        let text = search(&format!("{first}&page=2")).continue_text(&place);
        let next = search(&format!("{first}&page=1&limit=7&continue={text}"));
        assert_eq!(next.search.after, Some(place.clone()));
        for other in [
            "common_name.contains=abx&status=all",
            "common_name.startswith=abc&status=all",
            "common_name.contains=abc",
            "common_name.contains=abc&status=all&direction=asc",
            "",
        ] {
            let error = read(&format!("{other}&continue={text}")).unwrap_err();
            assert!(error.message.starts_with("continue is not"), "{other}");
        }
        for page in ["page=2", "offset=1"] {
            let error = read(&format!("{first}&{page}&continue={text}")).unwrap_err();
            assert!(error.message.starts_with("continue and page"), "{page}");
        }
        let changed = text.replacen(char::is_alphanumeric, "_", 1);
        assert!(read(&format!("{first}&continue={changed}")).is_err());
        let long = "A".repeat(CONTINUE_OCTETS_MAX + 4);
        assert!(read(&format!("{first}&continue={long}")).is_err());
        // The longest place of a search fits: a folded name of four octets a character.
        let longest = Continuation(vec![0xff; 4 * certgate_model::INDEXED_NAME_MAX + 64]);
        assert!(search(first).continue_text(&longest).len() <= CONTINUE_OCTETS_MAX);
    }
}
