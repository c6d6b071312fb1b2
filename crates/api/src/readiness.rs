//! The answer of `/readyz`.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// The time for which an answer of the store is used again. To ask the store is to write, and
/// clients without a token may ask as often as they like.
const ANSWER_REUSED: Duration = Duration::from_secs(1);

/// The last answer of the store.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Result<(), String>)>>);

impl Readiness {
    /// Returns the last answer, or asks again. Requests that arrive meanwhile wait for the same
    /// answer.
    pub(crate) async fn check<F>(
        &self,
        now: impl Fn() -> Instant,
        ask: impl FnOnce() -> F,
    ) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>>,
    {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = &*last
            && now().saturating_duration_since(*at) < ANSWER_REUSED
        {
            return answer.clone();
        }
        let answer = ask().await;
        *last = Some((now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests of a duration look at the clock"
)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_store_is_asked_once_a_second_however_many_requests_arrive() {
        let (readiness, asked) = (Readiness::default(), AtomicU32::new(0));
        let begun = Instant::now();
        let check = |milliseconds: u64| {
            readiness.check(
                move || begun + Duration::from_millis(milliseconds),
                || async {
                    // Other requests arrive before the answer.
                    tokio::task::yield_now().await;
                    match asked.fetch_add(1, Ordering::Relaxed) {
                        0 => Ok(()),
                        _ => Err("full".to_owned()),
                    }
                },
            )
        };
        let together = futures_util::future::join_all((0..100).map(|_| check(0))).await;
        assert!(together.iter().all(Result::is_ok));
        assert_eq!(check(999).await, Ok(()));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(check(1_000).await, Err("full".to_owned()));
        assert_eq!(
            check(1_999).await,
            Err("full".to_owned()),
            "failures are reused too"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
