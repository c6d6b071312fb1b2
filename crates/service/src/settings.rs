use certgate_model::{KeyAlgorithm, Timestamp};

/// The longest validity of a certificate, in days, unless the operator sets another: 15 years.
pub const VALIDITY_DAYS_MAX_DEFAULT: u32 = 5_475;

/// The minutes by which certificates begin before they are made, unless the operator sets another
/// number. The clocks of most verifiers are wrong by less.
pub const BACKDATE_MINUTES_DEFAULT: u32 = 5;

/// The most minutes by which certificates begin before they are made.
pub const BACKDATE_MINUTES_MAX: u32 = 60;

/// The rules that an operator can set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base address of the public responder, such as `http://pki.example.com`. Each CA created from
    /// now on names it in every certificate. Default: the responder's listening address.
    pub public_url: String,
    /// Key algorithm of an account's managed CA, unless the account names one. Default P-256.
    pub authority_algorithm: KeyAlgorithm,
    /// The rules that the operator can change while the server runs.
    pub limits: Limits,
}

/// The rules that an operator can change while the server runs. A request reads them once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest validity that a client can request, in days. Default 5,475 (15 years).
    pub validity_days_max: u32,
    /// Minutes by which certificates and CAs begin before they are made, for verifiers whose clocks
    /// are late. Default 5.
    pub backdate_minutes: u32,
    /// Maximum number of certificates of a zone, of any status. Default: no quota.
    pub zone_certificates_max: Option<u64>,
    /// Maximum number of uploaded certificates of an account. Default: no quota.
    pub account_mtls_certificates_max: Option<u64>,
    /// Maximum number of requests of one token in a minute. Default: no limit.
    pub requests_per_minute: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            validity_days_max: VALIDITY_DAYS_MAX_DEFAULT,
            backdate_minutes: BACKDATE_MINUTES_DEFAULT,
            zone_certificates_max: None,
            account_mtls_certificates_max: None,
            requests_per_minute: None,
        }
    }
}

impl Limits {
    /// Returns the start of a certificate that is made now.
    pub(crate) fn backdated(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(-60 * i64::from(self.backdate_minutes))
            .cut_to_minute()
    }
}

impl Settings {
    /// Returns the defaults with this base address.
    pub fn new(public_url: String) -> Self {
        Self {
            public_url,
            authority_algorithm: KeyAlgorithm::default(),
            limits: Limits::default(),
        }
    }
}
