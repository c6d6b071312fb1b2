use crate::{AccountId, KeyAlgorithm, StoredRules, Timestamp, UserId, ZoneId};

/// The installation. The first start creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// A known text sealed under the master key. The server checks its master key with it at start.
    pub master_key_check: Vec<u8>,
    /// The time of its creation.
    pub created_on: Timestamp,
}

/// A user, who owns API tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its ID.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The person's name and address, as far as the person gave them.
    pub profile: UserProfile,
    /// The time of its creation.
    pub created_on: Timestamp,
    /// The time of its last change.
    pub modified_on: Timestamp,
}

/// The members of a user that only describe the person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserProfile {
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Telephone number.
    pub telephone: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Postal code.
    pub zipcode: Option<String>,
}

/// A change of a user: `None` leaves a member as it is, `Some(None)` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// First name.
    pub first_name: Option<Option<String>>,
    /// Last name.
    pub last_name: Option<Option<String>>,
    /// Telephone number.
    pub telephone: Option<Option<String>>,
    /// Country.
    pub country: Option<Option<String>>,
    /// Postal code.
    pub zipcode: Option<Option<String>>,
}

impl UserProfile {
    /// Returns the profile after a change.
    pub fn changed(self, change: UserChange) -> Self {
        Self {
            first_name: change.first_name.unwrap_or(self.first_name),
            last_name: change.last_name.unwrap_or(self.last_name),
            telephone: change.telephone.unwrap_or(self.telephone),
            country: change.country.unwrap_or(self.country),
            zipcode: change.zipcode.unwrap_or(self.zipcode),
        }
    }
}

/// Makes an enumeration of words that the API and the store share.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All values.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The name in the API and in the store.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Returns the value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.name() == name)
            }
        }
    };
}

named!(
    /// The type of an account. It has no effect.
    AccountType {
        /// The default.
        #[default]
        Standard = "standard",
        /// Another type of Cloudflare's.
        Enterprise = "enterprise",
    }
);

named!(
    /// The type of a zone: the place of its DNS. It has no effect.
    ZoneType {
        /// The default.
        #[default]
        Full = "full",
        /// Another type of Cloudflare's.
        Partial = "partial",
        /// Another type of Cloudflare's.
        Secondary = "secondary",
        /// Another type of Cloudflare's.
        Internal = "internal",
    }
);

/// An account, which owns zones and their CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its ID.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: AccountType,
    /// Its settings.
    pub settings: AccountSettings,
    /// The key algorithm of the managed CA that the first use creates.
    pub authority_algorithm: KeyAlgorithm,
    /// The time of its creation.
    pub created_on: Timestamp,
}

/// The settings of an account. They have no effect: certgate has no logins and sends no mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// True if members must log in with two factors.
    pub enforce_twofactor: bool,
    /// The address for reports of abuse.
    pub abuse_contact_email: Option<String>,
}

/// A change of an account: `None` leaves a member as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Its name.
    pub name: Option<String>,
    /// Its type.
    pub kind: Option<AccountType>,
    /// Two factors for logins.
    pub enforce_twofactor: Option<bool>,
    /// The address for reports of abuse; `Some(None)` removes it.
    pub abuse_contact_email: Option<Option<String>>,
}

impl AccountRecord {
    /// Returns the account after a change.
    pub fn changed(self, change: AccountChange) -> Self {
        let settings = self.settings;
        Self {
            name: change.name.unwrap_or(self.name),
            kind: change.kind.unwrap_or(self.kind),
            settings: AccountSettings {
                enforce_twofactor: change
                    .enforce_twofactor
                    .unwrap_or(settings.enforce_twofactor),
                abuse_contact_email: change
                    .abuse_contact_email
                    .unwrap_or(settings.abuse_contact_email),
            },
            ..self
        }
    }
}

/// A zone: a domain with client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Its ID.
    pub id: ZoneId,
    /// Its domain name in lower case, unique in the installation.
    pub name: String,
    /// The account that owns it.
    pub account: AccountId,
    /// The name of that account.
    pub account_name: String,
    /// Its properties.
    pub properties: ZoneProperties,
    /// The limits on its certificates.
    pub issuance_rules: StoredRules,
    /// The time of its creation.
    pub created_on: Timestamp,
    /// The time of its last change.
    pub modified_on: Timestamp,
}

/// The properties of a zone that clients can change. They have no effect: certgate serves no DNS,
/// and a paused zone still has its certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneProperties {
    /// True if it is paused.
    pub paused: bool,
    /// Its type.
    pub kind: ZoneType,
    /// The names of its own name servers.
    pub vanity_name_servers: Vec<String>,
}

/// A change of a zone: `None` leaves a member as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneChange {
    /// True if it is paused.
    pub paused: Option<bool>,
    /// Its type.
    pub kind: Option<ZoneType>,
    /// The names of its own name servers.
    pub vanity_name_servers: Option<Vec<String>>,
}

impl ZoneProperties {
    /// Returns the properties after a change.
    pub fn changed(self, change: ZoneChange) -> Self {
        Self {
            paused: change.paused.unwrap_or(self.paused),
            kind: change.kind.unwrap_or(self.kind),
            vanity_name_servers: change
                .vanity_name_servers
                .unwrap_or(self.vanity_name_servers),
        }
    }
}
