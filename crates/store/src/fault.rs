//! Points at which a test can end the process: one between any two steps from a revocation to the
//! end of its settling.
//!
//! They exist only with the feature `fault-points`, which no release has.

/// A point between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// A transaction has run its statements and is not committed.
    BeforeCommit,
    /// The transaction is committed, and the journal does not have its changes yet.
    Committed,
    /// The journal has the changes, and no caller is answered yet.
    Journalled,
    /// The callers that waited are answered.
    Answered,
    /// Settling has begun, up to an epoch that it has read.
    SettlingBegun,
    /// The entries of a list are read.
    ListRead,
    /// A list is signed and not stored.
    ListSigned,
    /// A list is stored, and others are not.
    ListStored,
    /// Every list is stored, and no certificate is settled.
    ListsPublished,
    /// Some certificates are settled.
    Settled,
}

impl FaultPoint {
    /// All points, in the order in which a revocation passes them.
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

/// Aborts the process without a message and without cleanup, if the file in `FAULT_POINT_FILE` has
/// the name of this point, a space, and the number of the pass at which to abort, or `*` for every
/// pass. With the further word `panic`, the task panics instead.
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
    let mut words = wanted.split_whitespace();
    let (Some(name), Some(times), action) = (words.next(), words.next(), words.next()) else {
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
    if times != "*" && times.parse() != Ok(armed.1) {
        return;
    }
    drop(armed);
    match action {
        Some("panic") => panic!("the fault point {point:?}"),
        _ => std::process::abort(),
    }
}

/// Does nothing.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub fn fault_point(_: FaultPoint) {}
