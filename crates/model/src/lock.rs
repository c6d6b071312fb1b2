use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also one that a thread left poisoned when it panicked.
///
/// Use it for data that stays valid if a panic interrupts a change, such as a cache or a counter.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
