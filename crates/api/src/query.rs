//! Query parameters. A parameter outside its rule is refused by name, an unknown one is ignored.

pub(crate) mod audit;
pub(crate) mod certificates;

use std::borrow::Cow;
use std::str::FromStr;

use certgate_model::{
    Direction, Join, MtlsCertificateRecord, Slice, TextMatch, Timestamp, Visible, ZoneFilter,
    ZoneOrder,
};

use crate::envelope::PageRequest;
use crate::error::ApiError;
use crate::json::shown_quoted;

/// The largest `page` and `offset`: the largest whole number that JSON carries exactly (RFC 8259
/// §6). With it, every position fits in 64 bits.
const NUMBER_MAX: u64 = (1 << 53) - 1;

const PER_PAGE_DEFAULT: u64 = 20;
const PER_PAGE: (u64, u64) = (5, 50);

/// Page sizes of zones and accounts: clients look for one by its name, with pages of one.
const PER_PAGE_OF_TENANTS: (u64, u64) = (1, 50);

const LIMIT: (u64, u64) = (1, 1000);

/// Seconds that a request can wait for a change: less than the usual limit of proxies.
const WAIT_SECONDS: (u64, u64) = (0, 20);

/// Seconds that a stream of changes can last: an hour, after which the follower opens another one.
const STREAM_SECONDS: (u64, u64) = (0, 3_600);
const STREAM_SECONDS_DEFAULT: u64 = 300;

/// Query parameters of a request; more are an attack.
const PARAMETERS_MAX: usize = 100;

/// The query string, decoded.
pub(crate) struct Query<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The filters of a list of uploaded certificates.
pub(crate) struct MtlsCertificateFilter {
    pub(crate) page: u64,
    /// `false` if the type is another one than `custom`, the type of every certificate here.
    custom: bool,
    name: Option<String>,
    ca: Option<bool>,
}

impl MtlsCertificateFilter {
    /// Returns true for a certificate that meets every filter.
    pub(crate) fn matches(&self, certificate: &MtlsCertificateRecord) -> bool {
        let is_named = |name: &String| *name == certificate.name;
        self.custom
            && self.name.as_ref().is_none_or(is_named)
            && self.ca.is_none_or(|ca| ca == certificate.ca)
    }
}

impl<'a> Query<'a> {
    /// Reads a query string. A parameter without a value counts as absent: clients send the empty
    /// fields of their forms.
    pub(crate) fn parse(raw: Option<&'a str>) -> Result<Self, ApiError> {
        let mut parameters: Vec<_> = form_urlencoded::parse(raw.unwrap_or("").as_bytes())
            .take(PARAMETERS_MAX + 1)
            .collect();
        if parameters.len() > PARAMETERS_MAX {
            let message =
                format!("The request has more than {PARAMETERS_MAX} query parameters: send fewer");
            return Err(ApiError::parameter("", message));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self { parameters })
    }

    /// Returns the value of a parameter.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        let mut values = self
            .parameters
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| &**value);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            let message = format!("{name} has several values: send one");
            return Err(ApiError::parameter(name, message));
        }
        Ok(first)
    }

    /// Returns the value of a parameter as it is, and decoded once more: the reference of the SDKs
    /// wants an encoded value, which they encode again.
    pub(crate) fn encoded_once_or_twice(
        &self,
        name: &'static str,
    ) -> Result<Option<[String; 2]>, ApiError> {
        let decoded = |text: &str| {
            let mut pairs = form_urlencoded::parse(text.as_bytes());
            pairs
                .next()
                .map_or_else(String::new, |(text, _)| text.into_owned())
        };
        let value = self.one(name)?;
        Ok(value.map(|text| [text.to_owned(), decoded(text)]))
    }

    /// Returns the value of a parameter, which `parse` reads. The error names the values that
    /// belong there.
    fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        expected: impl FnOnce() -> String,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let value = parse(text).ok_or_else(|| misfit(name, text, &expected()))?;
        Ok(Some(value))
    }

    /// Returns a whole number between two bounds; `1.0` is a whole number too.
    fn number(&self, name: &'static str, (min, max): (u64, u64)) -> Result<Option<u64>, ApiError> {
        let parse = |text: &str| whole_number(text).filter(|number| (min..=max).contains(number));
        self.parsed(name, parse, || {
            format!("a whole number from {min} to {max}")
        })
    }

    /// Returns the value of a word, in any letter case.
    pub(crate) fn choice<T: Copy>(
        &self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| {
            let found = choices
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(_, value)| *value)
        };
        self.parsed(name, parse, || {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        })
    }

    /// Returns an ID of 32 hexadecimal digits; `owner` names its object.
    fn id<T: FromStr>(&self, name: &'static str, owner: &str) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| text.parse().ok();
        self.parsed(name, parse, || {
            format!("the {owner}'s 32 hexadecimal digits")
        })
    }

    fn page_number(&self) -> Result<u64, ApiError> {
        Ok(self.number("page", (1, NUMBER_MAX))?.unwrap_or(1))
    }

    fn page_of(&self, sizes: (u64, u64)) -> Result<PageRequest, ApiError> {
        let size = self.number("per_page", sizes)?;
        let page = self.page_number()?;
        Ok(page_request(page, size.unwrap_or(PER_PAGE_DEFAULT), 0))
    }

    /// Returns the page of `page` and `per_page`.
    pub(crate) fn page(&self) -> Result<PageRequest, ApiError> {
        self.page_of(PER_PAGE)
    }

    /// Returns the page of a list of zones or accounts.
    pub(crate) fn page_of_tenants(&self) -> Result<PageRequest, ApiError> {
        self.page_of(PER_PAGE_OF_TENANTS)
    }

    /// Returns `after` and `wait_seconds` of a list of changes.
    pub(crate) fn revocation_changes(&self) -> Result<(u64, u64), ApiError> {
        let after = self.number("after", (0, NUMBER_MAX))?.unwrap_or(0);
        let wait_seconds = self.number("wait_seconds", WAIT_SECONDS)?.unwrap_or(0);
        Ok((after, wait_seconds))
    }

    /// Returns `after` and `for_seconds` of a stream of changes.
    pub(crate) fn revocation_stream(&self) -> Result<(u64, u64), ApiError> {
        let after = self.number("after", (0, NUMBER_MAX))?.unwrap_or(0);
        let seconds = self
            .number("for_seconds", STREAM_SECONDS)?
            .unwrap_or(STREAM_SECONDS_DEFAULT);
        Ok((after, seconds))
    }

    /// Returns an instant; a date stands for its first instant in UTC.
    fn instant(&self, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
        let parse = |text: &str| Timestamp::from_date_or_time(text).ok();
        let expected = "an RFC 3339 date or time such as 2026-11-24 or 2026-11-24T12:00:00Z";
        self.parsed(name, parse, || expected.to_owned())
    }

    /// Returns the conditions and the order of a list of zones; [`None`] if no zone can match.
    pub(crate) fn zones(&self, visible: Visible) -> Result<Option<ZoneFilter>, ApiError> {
        let join = self.join()?;
        let statuses = [
            ("active", true),
            ("initializing", false),
            ("pending", false),
            ("moved", false),
        ];
        let account = self.id("account.id", "account")?;
        let filter = ZoneFilter {
            visible,
            name: self.one("name")?.map(text_match),
            account,
            account_name: self.one("account.name")?.map(text_match),
            join,
            order: self.zone_order()?,
            direction: self.direction()?,
        };
        // Every zone here is active.
        let conditions =
            filter.name.is_some() || filter.account.is_some() || filter.account_name.is_some();
        Ok(match (self.choice("status", &statuses)?, join) {
            (Some(false), Join::All) => None,
            (Some(false), Join::Any) if !conditions => None,
            (Some(true), Join::Any) => Some(ZoneFilter {
                name: None,
                account: None,
                account_name: None,
                ..filter
            }),
            _ => Some(filter),
        })
    }

    /// Returns the filters of a list of uploaded certificates.
    pub(crate) fn mtls_certificates(&self) -> Result<MtlsCertificateFilter, ApiError> {
        let page = self.number("page", (1, NUMBER_MAX))?.unwrap_or(1);
        let types = self.parameters.iter().filter(|(key, _)| key == "type");
        let types = types.flat_map(|(_, value)| value.split(','));
        let mut types = types.filter(|name| !name.is_empty()).peekable();
        let mut custom = types.peek().is_none();
        for name in types {
            match name {
                "custom" => custom = true,
                "gateway_managed" | "access_managed" => {}
                _ => {
                    let allowed = "custom, gateway_managed, access_managed";
                    return Err(misfit("type", name, &format!("one of {allowed}")));
                }
            }
        }
        Ok(MtlsCertificateFilter {
            page,
            custom,
            name: self.one("name")?.map(str::to_owned),
            ca: self.choice("ca", &[("true", true), ("false", false)])?,
        })
    }

    /// Returns the condition on the account and the order of a list of memberships; [`None`] if no
    /// membership can match.
    pub(crate) fn memberships(&self) -> Result<Option<(Option<TextMatch>, Direction)>, ApiError> {
        let statuses = [("accepted", true), ("pending", false), ("rejected", false)];
        let is_possible = self.choice("status", &statuses)?.unwrap_or(true);
        // The IDs of accounts are ordered by creation, and every status is the same.
        let orders = [("id", ()), ("account.name", ()), ("status", ())];
        self.choice("order", &orders)?;
        let of_account = self.text_match("account.name")?;
        let name = match self.text_match("name")? {
            Some(name) if of_account.as_ref().is_some_and(|other| *other != name) => {
                let message = "name and account.name are the same condition and differ: send one";
                return Err(ApiError::parameter("name", message.to_owned()));
            }
            name => name.or(of_account),
        };
        let direction = self.direction()?;
        Ok(is_possible.then_some((name, direction)))
    }

    fn join(&self) -> Result<Join, ApiError> {
        let join = self.choice("match", &[("all", Join::All), ("any", Join::Any)])?;
        Ok(join.unwrap_or_default())
    }

    fn zone_order(&self) -> Result<ZoneOrder, ApiError> {
        let orders = [
            ("name", ZoneOrder::Name),
            // Every zone here has the same status.
            ("status", ZoneOrder::CreatedOn),
            ("account.id", ZoneOrder::AccountId),
            ("account.name", ZoneOrder::AccountName),
        ];
        Ok(self.choice("order", &orders)?.unwrap_or_default())
    }

    pub(crate) fn direction(&self) -> Result<Direction, ApiError> {
        self.direction_or(Direction::default())
    }

    fn direction_or(&self, default: Direction) -> Result<Direction, ApiError> {
        let directions = [
            ("asc", Direction::Ascending),
            ("desc", Direction::Descending),
        ];
        Ok(self.choice("direction", &directions)?.unwrap_or(default))
    }

    /// Returns a condition on a name.
    pub(crate) fn text_match(&self, name: &'static str) -> Result<Option<TextMatch>, ApiError> {
        Ok(self.one(name)?.map(text_match))
    }
}

/// Refuses the value of a parameter.
fn misfit(name: &'static str, text: &str, expected: &str) -> ApiError {
    let message = format!("{name} is {}: use {expected}", shown_quoted(text));
    ApiError::parameter(name, message)
}

fn whole_number(text: &str) -> Option<u64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            whole
        }
        Some(_) => return None,
        None => text,
    };
    let is_digits = whole.bytes().all(|byte| byte.is_ascii_digit());
    whole.parse().ok().filter(|_| is_digits)
}

fn page_request(page: u64, size: u64, offset: u64) -> PageRequest {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    // Both are below 2^53 and the size is at most 1000, so the sum stays below 2^63.
    PageRequest {
        page,
        slice: Slice {
            first: offset + (page - 1) * u64::from(size),
            size,
        },
    }
}

fn text_match(text: &str) -> TextMatch {
    match text.split_once(':') {
        Some(("equal", rest)) => TextMatch::Equal(rest.to_owned()),
        Some(("not_equal", rest)) => TextMatch::NotEqual(rest.to_owned()),
        Some(("starts_with", rest)) => TextMatch::StartsWith(rest.to_owned()),
        Some(("ends_with", rest)) => TextMatch::EndsWith(rest.to_owned()),
        Some(("contains", rest)) => TextMatch::Contains(rest.to_owned()),
        _ => TextMatch::Equal(text.to_owned()),
    }
}
