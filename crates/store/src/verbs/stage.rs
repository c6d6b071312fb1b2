//! The column of a CA's state.

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{AuthorityState, Hex};

use crate::StoreError;
use crate::error::corrupt;

/// The column of a CA's state: a word, the epochs of publication and activation, and check digits,
/// with spaces between them. A row of an earlier version has none, and never was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) step: Step,
    /// The epoch of the change that published the CA.
    pub(super) published: u64,
    /// The epoch of its last activation; 0 before there is one.
    pub(super) activated: u64,
}

/// The part of the state that the row of a CA holds. Its account names the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Prepared,
    /// It signs or has signed.
    Signing,
    Retired,
}

impl Step {
    const ALL: [Self; 3] = [Self::Prepared, Self::Signing, Self::Retired];

    const fn word(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Signing => "signing",
            Self::Retired => "retired",
        }
    }
}

impl Stage {
    /// Reads the column.
    pub(super) fn read(text: Option<String>) -> Result<Self, StoreError> {
        let Some(text) = text else {
            return Ok(Self {
                step: Step::Signing,
                published: 0,
                activated: 0,
            });
        };
        Self::parse(&text).ok_or_else(|| corrupt(format!("a CA has the state {text:?}")))
    }

    fn parse(text: &str) -> Option<Self> {
        let (stage, check) = text.split_at(text.rfind(' ')? + 1);
        let mut words = stage.trim_end().split(' ');
        let word = words.next()?;
        let read = Self {
            step: Step::ALL.into_iter().find(|step| step.word() == word)?,
            published: words.next()?.parse().ok()?,
            activated: words.next()?.parse().ok()?,
        };
        (check == check_digits(stage)).then_some(read)
    }

    /// Returns the text of the column.
    pub(super) fn write(self) -> String {
        let Self {
            step,
            published,
            activated,
        } = self;
        let stage = format!("{} {published} {activated} ", step.word());
        let check = check_digits(&stage);
        stage + &check
    }

    /// Returns true if the epochs can be those of such a CA, after the epoch `last` of the store.
    pub(super) const fn is_possible(self, last: u64) -> bool {
        let Self {
            step,
            published,
            activated,
        } = self;
        let never_activated = matches!(step, Step::Prepared) && activated != 0;
        published <= last && activated <= last && !never_activated
    }

    /// Returns the state of the CA.
    pub(super) const fn state(self, is_active: bool) -> AuthorityState {
        match (self.step, is_active) {
            (_, true) => AuthorityState::Active,
            (Step::Prepared, false) => AuthorityState::Prepared,
            (Step::Signing, false) => AuthorityState::Superseded,
            (Step::Retired, false) => AuthorityState::Retired,
        }
    }
}

fn check_digits(text: &str) -> String {
    Hex(&digest(&SHA256, text.as_bytes()).as_ref()[..4]).to_string()
}
