use std::fmt;

use crate::RevocationReason;

/// The life cycle of a certificate. A `pending_*` change is accepted and durable, but not yet
/// settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Valid and not revoked.
    Active,
    /// Restored; the change is not settled yet.
    PendingReactivation,
    /// Revoked; the change is not settled yet.
    PendingRevocation,
    /// Revoked, and confirmed by every list and enforcement point.
    Revoked,
}

/// An event in the life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A client revokes it (DELETE), for a reason.
    Revoke(RevocationReason),
    /// A client restores it (PATCH).
    Reactivate,
    /// Every list and enforcement point has confirmed the last change.
    Settle,
}

impl Event {
    /// A revocation that can be undone: the default of DELETE.
    pub const HOLD: Self = Self::Revoke(RevocationReason::CertificateHold);
}

/// The effect of an event on a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The status changes to this one.
    To(Status),
    /// The status stays the same: the answer is the unchanged certificate.
    Unchanged,
    /// The event is an error in this status.
    Refused,
}

impl Status {
    /// Every status, in the order of [`Status::code`].
    pub const ALL: [Self; 4] = [
        Self::Active,
        Self::PendingReactivation,
        Self::PendingRevocation,
        Self::Revoked,
    ];

    /// Returns the effect of an event: the whole status machine, except for the rules of reasons in
    /// [`crate::CertificateState::apply`].
    pub const fn on(self, event: Event) -> Transition {
        use Event::{Reactivate, Revoke, Settle};
        use Status::{Active, PendingReactivation, PendingRevocation, Revoked};
        use Transition::{To, Unchanged};
        match (self, event) {
            (Active, Revoke(_)) => To(PendingRevocation),
            (Active, Reactivate) => Unchanged,
            (Active, Settle) => Unchanged,
            (PendingRevocation, Revoke(_)) => Unchanged,
            (PendingRevocation, Reactivate) => To(PendingReactivation),
            (PendingRevocation, Settle) => To(Revoked),
            (Revoked, Revoke(_)) => Unchanged,
            (Revoked, Reactivate) => To(PendingReactivation),
            (Revoked, Settle) => Unchanged,
            (PendingReactivation, Revoke(_)) => To(PendingRevocation),
            (PendingReactivation, Reactivate) => Unchanged,
            (PendingReactivation, Settle) => To(Active),
        }
    }

    /// Returns whether it is revoked, settled or not: clients must not use the certificate.
    pub const fn is_revoked(self) -> bool {
        matches!(self, Self::PendingRevocation | Self::Revoked)
    }

    /// Returns whether the last change is not settled yet.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::PendingReactivation | Self::PendingRevocation)
    }

    /// Returns the API's name of the status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PendingReactivation => "pending_reactivation",
            Self::PendingRevocation => "pending_revocation",
            Self::Revoked => "revoked",
        }
    }

    /// Returns the status with this name in the API, in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.name().eq_ignore_ascii_case(name))
    }

    /// Returns the stored number of the status.
    pub const fn code(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::PendingReactivation => 1,
            Self::PendingRevocation => 2,
            Self::Revoked => 3,
        }
    }

    /// Returns the status with this stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_round_trip() {
        for status in Status::ALL {
            assert_eq!(
                Status::from_name(&status.name().to_uppercase()),
                Some(status)
            );
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_name("all"), None);
        assert_eq!(Status::from_code(4), None);
    }

    #[test]
    fn settling_ends_every_pending_status_and_changes_no_other() {
        for status in Status::ALL {
            match status.on(Event::Settle) {
                Transition::To(next) => assert!(status.is_pending() && !next.is_pending()),
                other => assert!(!status.is_pending() && other == Transition::Unchanged),
            }
        }
    }

    #[test]
    fn repeating_an_event_changes_nothing() {
        for status in Status::ALL {
            for event in [Event::HOLD, Event::Reactivate, Event::Settle] {
                let after = match status.on(event) {
                    Transition::To(next) => next,
                    other => {
                        assert_eq!(other, Transition::Unchanged);
                        status
                    }
                };
                assert_eq!(after.on(event), Transition::Unchanged, "{status} {event:?}");
            }
        }
    }
}
