use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also one that a thread left poisoned when it panicked.
///
/// The data behind such a mutex must be consistent after every statement, because the panic may
/// have interrupted the thread between any two of them. A cache or a counter is; a pair of fields
/// that belong together is not.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
