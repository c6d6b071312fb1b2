use std::fmt;
use std::str::FromStr;

use crate::{Actor, CertificateId, InviteId, Lifetime, Timestamp, TokenHash, ZoneId};

/// The kind of device that an invite is for: it decides what the page behind the link offers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// `iphone`: an iPhone or iPad.
    Iphone,
    /// `android`
    Android,
    /// `windows`
    Windows,
    /// `macos`
    Macos,
    /// `linux`
    Linux,
    /// `firefox`: Firefox on any system, which has certificates of its own.
    Firefox,
    /// `device`: a machine or program without a browser.
    Device,
}

/// The error for a text that names no kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use iphone, android, windows, macos, linux, firefox or device")]
pub struct UnknownDevice;

impl Device {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Iphone,
        Self::Android,
        Self::Windows,
        Self::Macos,
        Self::Linux,
        Self::Firefox,
        Self::Device,
    ];

    /// The name in the API and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iphone => "iphone",
            Self::Android => "android",
            Self::Windows => "windows",
            Self::Macos => "macos",
            Self::Linux => "linux",
            Self::Firefox => "firefox",
            Self::Device => "device",
        }
    }
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let mut all = Self::ALL.into_iter();
        all.find(|device| device.name() == text)
            .ok_or(UnknownDevice)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The stored record of an invite: the right of its holder, who knows its secret, to certificates
/// of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// Its ID, which is not its secret.
    pub id: InviteId,
    /// The zone whose certificates it gives.
    pub zone: ZoneId,
    /// The common name of the certificates.
    pub name: String,
    /// The kind of device.
    pub device: Device,
    /// The lifetime of the certificates; `None`: that of the zone's rules, or the default.
    pub lifetime: Option<Lifetime>,
    /// Maximum number of certificates.
    pub uses_max: u32,
    /// The hash of the secret.
    pub hash: TokenHash,
    /// The caller that created it.
    pub created_by: Actor,
    /// The time of creation.
    pub created_on: Timestamp,
    /// The end of its validity, exclusive.
    pub expires_on: Timestamp,
    /// The time at which it was withdrawn.
    pub withdrawn_on: Option<Timestamp>,
    /// The number of wrong secrets that clients have sent.
    pub wrong_secrets: u32,
    /// The number of certificates that were issued for it.
    pub uses: u32,
    /// These certificates, oldest first.
    pub certificates: Vec<CertificateId>,
}

/// The state of an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// `open`: it can be used.
    Open,
    /// `used`: as often as it may.
    Used,
    /// `withdrawn`
    Withdrawn,
    /// `locked`: clients have sent [`InviteRecord::WRONG_SECRETS_MAX`] wrong secrets.
    Locked,
    /// `expired`
    Expired,
}

impl InviteState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Used,
        Self::Withdrawn,
        Self::Locked,
        Self::Expired,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Withdrawn => "withdrawn",
            Self::Locked => "locked",
            Self::Expired => "expired",
        }
    }
}

impl InviteRecord {
    /// Maximum number of wrong secrets. A client copies the secret, so that it is wrong by accident
    /// a few times at most.
    pub const WRONG_SECRETS_MAX: u32 = 10;

    /// Returns the state at a time.
    pub fn state(&self, at: Timestamp) -> InviteState {
        if self.uses >= self.uses_max {
            InviteState::Used
        } else if self.withdrawn_on.is_some() {
            InviteState::Withdrawn
        } else if self.wrong_secrets >= Self::WRONG_SECRETS_MAX {
            InviteState::Locked
        } else if at >= self.expires_on {
            InviteState::Expired
        } else {
            InviteState::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_depends_on_uses_withdrawal_guesses_and_time() {
        let at = Timestamp::from_unix;
        let open = InviteRecord {
            id: InviteId::from_bytes([1; 16]),
            zone: ZoneId::from_bytes([2; 16]),
            name: "anna".to_owned(),
            device: Device::Iphone,
            lifetime: None,
            uses_max: 1,
            hash: TokenHash([3; 32]),
            created_by: Actor::System,
            created_on: at(10),
            expires_on: at(20),
            withdrawn_on: None,
            wrong_secrets: 9,
            uses: 0,
            certificates: Vec::new(),
        };
        assert_eq!(open.state(at(19)), InviteState::Open);
        assert_eq!(open.state(at(20)), InviteState::Expired);
        let locked = InviteRecord {
            wrong_secrets: 10,
            ..open.clone()
        };
        assert_eq!(locked.state(at(19)), InviteState::Locked);
        let withdrawn = InviteRecord {
            withdrawn_on: Some(at(12)),
            ..locked
        };
        assert_eq!(withdrawn.state(at(30)), InviteState::Withdrawn);
        let used = InviteRecord {
            uses: 1,
            ..withdrawn
        };
        assert_eq!(used.state(at(30)), InviteState::Used);
    }

    #[test]
    fn devices_are_read_by_their_names() {
        for device in Device::ALL {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("iPhone".parse::<Device>(), Err(UnknownDevice));
    }
}
