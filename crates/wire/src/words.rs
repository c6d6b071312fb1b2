//! Words of the API: values from a fixed list.

use std::borrow::Cow;
use std::fmt;

use certgate_model::{
    AccountType, Coverage, Device, InviteState, KeyAlgorithm, RevocationReason, SignatureAlgorithm,
    Status, TokenState, WhenStale, ZoneType,
};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::scalars::{read_text, text_schema};

/// Makes a type of the words that a type of the model has; they are read in any letter case.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident($model:ty)) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $model);

        impl $name {
            fn words() -> impl Iterator<Item = &'static str> {
                <$model>::ALL.into_iter().map(<$model>::name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.name())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.name())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let words: Vec<_> = Self::words().collect();
                let expected = format!("one of {}", words.join(", "));
                let parse = |text: &str| {
                    let mut values = <$model>::ALL.into_iter();
                    values.find(|value| value.name().eq_ignore_ascii_case(text)).map(Self)
                };
                read_text(deserializer, &expected, parse)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),+).trim();
                text_schema(description).enum_values(Some(Self::words())).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

words!(
    /// The state of a certificate. `pending_*` is accepted and durable, but not confirmed by every
    /// list and enforcement point yet.
    StatusName(Status)
);
words!(
    /// The algorithm that a certificate is signed with.
    SignatureName(SignatureAlgorithm)
);
words!(
    /// The kind of key of a managed CA.
    KeyAlgorithmName(KeyAlgorithm)
);
words!(
    /// A reason for a revocation (RFC 5280 §5.3.1). Only `certificateHold` can be undone.
    ReasonName(RevocationReason)
);
words!(
    /// The type of an account. It has no effect.
    AccountTypeName(AccountType)
);
words!(
    /// The type of a zone. It has no effect, because certgate serves no DNS.
    ZoneTypeName(ZoneType)
);

words!(
    /// The traffic of a revoked certificate that an enforcement point refuses: `connections` ends
    /// open connections, `requests` refuses each request, `handshakes` refuses new connections only.
    CoverageName(Coverage)
);
words!(
    /// The behaviour of an enforcement point without contact with certgate: `refuse` refuses every
    /// client, `serve` continues with the last known state at one of its hosts at least.
    WhenStaleName(WhenStale)
);

words!(
    /// A kind of device. `device` has no browser.
    DeviceName(Device)
);
words!(
    /// The state of an invite. Only `open` can be used. `locked`: too many wrong secrets were sent.
    InviteStateName(InviteState)
);

/// The effect of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EffectName {
    /// Grants.
    Allow,
    /// Refuses, whatever another policy grants.
    Deny,
}

/// The state that a request gives a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenStateName {
    /// Works while its dates allow it.
    Active,
    /// Does not work.
    Disabled,
}

impl From<TokenStateName> for TokenState {
    fn from(state: TokenStateName) -> Self {
        match state {
            TokenStateName::Active => Self::Active,
            TokenStateName::Disabled => Self::Disabled,
        }
    }
}

/// The state of a token now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenStatus {
    /// Works, if `not_before` has passed.
    Active,
    /// Was switched off.
    Disabled,
    /// `expires_on` has passed.
    Expired,
}

impl fmt::Display for TokenStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
        })
    }
}
