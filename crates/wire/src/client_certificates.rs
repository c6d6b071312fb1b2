//! `/zones/{zone_id}/client_certificates`

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, Octets20, ReasonName, Sha256, SignatureName, StatusName, Time, Uuid, WholeNumber};

/// A client certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClientCertificate<'a> {
    /// ID.
    pub id: Id,
    /// The certificate in PEM: 64 columns, without an LF at the end.
    pub certificate: Cow<'a, str>,
    /// The CA that signed it.
    pub certificate_authority: CertificateAuthority<'a>,
    /// CN of the request's subject; empty if it has none. The same holds for the other names.
    pub common_name: Cow<'a, str>,
    /// C.
    pub country: Cow<'a, str>,
    /// The request exactly as it was sent.
    pub csr: Cow<'a, str>,
    /// `notAfter`, a whole minute.
    pub expires_on: Time,
    /// Digest of the certificate's DER form.
    pub fingerprint_sha256: Sha256,
    /// `notBefore`, a whole minute.
    pub issued_on: Time,
    /// L.
    pub location: Cow<'a, str>,
    /// O.
    pub organization: Cow<'a, str>,
    /// OU.
    pub organizational_unit: Cow<'a, str>,
    /// Serial number.
    pub serial_number: Octets20,
    /// The algorithm that the certificate is signed with.
    pub signature: SignatureName,
    /// Subject key identifier.
    pub ski: Octets20,
    /// ST.
    pub state: Cow<'a, str>,
    /// State.
    pub status: StatusName,
    /// The requested validity.
    pub validity_days: u32,
    /// Members of certgate alone; absent unless one of them is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certgate: Option<CertificateLine>,
}

/// The place of a certificate in its line: each renewal replaces the newest certificate of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateLine {
    /// ID of the certificate that it replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Id>,
    /// ID of the certificate that replaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Id>,
}

/// The CA that signed a certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CertificateAuthority<'a> {
    /// ID.
    pub id: Uuid,
    /// Name.
    pub name: Cow<'a, str>,
}

/// A client certificate to issue.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateClientCertificate<'a> {
    /// Certificate signing request (PKCS #10, RFC 2986) in PEM, at most 16 KiB.
    pub csr: Cow<'a, str>,
    /// From 1 to the configured maximum, 5,475 by default.
    #[schema(value_type = i64, minimum = 1, maximum = 5475)]
    pub validity_days: WholeNumber,
}

/// A reactivation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReactivateClientCertificate {
    /// `true` restores; `false` and null change nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivate: Option<bool>,
}

impl ReactivateClientCertificate {
    /// Returns true for `{}` and `{"reactivate": true}`.
    pub fn is_asked(self) -> bool {
        self.reactivate != Some(false)
    }
}

/// Terraform sends `{"reactivate": null}` and `{"csr": …}` on its own account: an update of any
/// attribute must not restore a certificate that an operator revoked. Every body that changes
/// nothing is read as `{"reactivate": false}`.
impl<'de> Deserialize<'de> for ReactivateClientCertificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReactivateVisitor;
        impl<'de> Visitor<'de> for ReactivateVisitor {
            type Value = ReactivateClientCertificate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                let reactivate = Some(false);
                Ok(ReactivateClientCertificate { reactivate })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut reactivate = None;
                let mut has_others = false;
                while let Some(name) = map.next_key::<String>()? {
                    if name == "reactivate" {
                        let value: Option<bool> = map.next_value()?;
                        reactivate = Some(value.unwrap_or(false));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        has_others = true;
                    }
                }
                let reactivate = if has_others { Some(false) } else { reactivate };
                Ok(ReactivateClientCertificate { reactivate })
            }
        }
        deserializer.deserialize_any(ReactivateVisitor)
    }
}

/// A revocation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RevokeClientCertificate {
    /// Default: `certificateHold`, the only reason that can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonName>,
}
