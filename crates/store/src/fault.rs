//! Where a test can end the process: between any two steps from a revocation to the end of its settling.
//!
//! Only with the feature `fault-points`, which nothing that is shipped has.

/// A place between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// A transaction has done its work and is not committed.
    BeforeCommit,
    /// It is committed, the journal does not know yet.
    Committed,
    /// The journal knows, nobody is answered yet.
    Journalled,
    /// Whoever waited is answered.
    Answered,
    /// Settling has begun: it knows up to which epoch.
    SettlingBegun,
    /// What a list has to hold is read.
    ListRead,
    /// A list is signed, not stored.
    ListSigned,
    /// A list is stored, others are not.
    ListStored,
    /// Every list is stored, nothing is settled.
    ListsPublished,
    /// Some certificates are settled.
    Settled,
}

impl FaultPoint {
    /// All of them, in the order in which they are passed.
    pub const ALL: [Self; 10] = [
        Self::BeforeCommit,
        Self::Committed,
        Self::Journalled,
        Self::Answered,
        Self::SettlingBegun,
        Self::ListRead,
        Self::ListSigned,
        Self::ListStored,
        Self::ListsPublished,
        Self::Settled,
    ];
}

/// Ends the process, without a word and without tidying up, if the file that `FAULT_POINT_FILE` names has this point's
/// name in it and then, behind a space, how often it has to be passed.
#[cfg(feature = "fault-points")]
pub fn fault_point(point: FaultPoint) {
    use std::sync::Mutex;

    static ARMED: Mutex<(String, u32)> = Mutex::new((String::new(), 0));
    let Some(path) = std::env::var_os("FAULT_POINT_FILE") else {
        return;
    };
    let Ok(wanted) = std::fs::read_to_string(path) else {
        return;
    };
    let Some((name, times)) = wanted.trim().split_once(' ') else {
        return;
    };
    if name != format!("{point:?}") {
        return;
    }
    let mut armed = ARMED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if armed.0 != wanted {
        *armed = (wanted.clone(), 0);
    }
    armed.1 += 1;
    if times.parse() == Ok(armed.1) {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub fn fault_point(_: FaultPoint) {}
