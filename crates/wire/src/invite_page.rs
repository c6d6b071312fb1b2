//! The requests of the page behind the link of an invite. They are not a part of the API: the page
//! comes from the same server.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{DeviceName, InviteStateName, Time};

/// The secret of an invite, by which the page asks for its content.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenInvite {
    /// The part of the link after the `#`.
    pub secret: String,
}

/// The content of an invite, as its holder sees it.
#[derive(Debug, Serialize)]
pub struct OpenedInvite<'a> {
    /// Common name of the certificate.
    pub name: Cow<'a, str>,
    /// The kind of device that it is for.
    pub device: DeviceName,
    /// Name of the zone.
    pub zone: Cow<'a, str>,
    /// Name of the account of the zone.
    pub account: Cow<'a, str>,
    /// The user or the token that created it; null: it does not exist any more.
    pub invited_by: Option<String>,
    /// State.
    pub state: InviteStateName,
    /// End of its validity.
    pub expires_on: Time,
    /// Number of certificates that are left.
    pub uses_left: u32,
    /// The type of key that every device can use and the zone accepts.
    pub key_type: String,
    /// The server of enrolment; null: there is none.
    pub enrol: Option<InviteEnrolment>,
}

/// The server of enrolment, for the holder of an invite.
#[derive(Debug, Serialize)]
pub struct InviteEnrolment {
    /// The address of EST for the zone.
    pub est: String,
    /// The page that shows the certificate of a browser.
    pub works: String,
    /// SHA-256 of the last certificate of the server's chain, in hexadecimal digits.
    pub fingerprint: String,
}

/// A use of an invite for a key of the holder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifyInvited {
    /// The secret of the invite.
    pub secret: String,
    /// The request, PEM.
    pub csr: String,
}

/// The certificate of an invite.
#[derive(Debug, Serialize)]
pub struct InvitedCertificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// The certificates of the CAs, PEM.
    pub chain: String,
}

/// A use of an invite for a key that the server makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeInviteFile {
    /// The secret of the invite.
    pub secret: String,
    /// The form of the file.
    pub form: InviteFileForm,
}

/// A form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InviteFileForm {
    /// A configuration profile for Apple's devices.
    Mobileconfig,
    /// PKCS #12 with AES-256.
    P12,
    /// PKCS #12 with 3DES.
    P12Legacy,
}

/// A file that the server keeps for some minutes.
#[derive(Serialize)]
pub struct InviteFileMade<'a> {
    /// Its address, seen from that of the page.
    pub path: String,
    /// The password of the key in it. No other answer has it.
    pub password: Cow<'a, str>,
    /// The time for which the server keeps it, in seconds.
    pub seconds: i64,
}
