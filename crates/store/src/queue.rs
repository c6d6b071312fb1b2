//! The queue in front of the writing thread: bounded, first in, first out. It wakes the thread only
//! after as many items wait as the thread asked for. A channel would wake it for every write that
//! arrives while it gathers a transaction.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use certgate_model::lock;
use tokio::sync::watch;

use crate::StoreError;

/// A queue for many threads that add items and one thread that takes them.
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    enough: Condvar,
    length_max: usize,
    /// True after the taker has ended while the queue was open.
    abandoned: watch::Sender<bool>,
}

struct Waiting<T> {
    items: VecDeque<T>,
    /// The length at which the queue wakes the taker; `None` while the taker is not waiting.
    wake_at: Option<usize>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Rejects new items; the waiting ones are still taken.
    Closed,
    /// The taker has ended.
    Abandoned,
}

impl<T> Queue<T> {
    pub(crate) fn new(length_max: usize) -> Self {
        let waiting = Waiting {
            items: VecDeque::new(),
            wake_at: None,
            state: State::Open,
        };
        Self {
            waiting: Mutex::new(waiting),
            enough: Condvar::new(),
            length_max,
            abandoned: watch::channel(false).0,
        }
    }

    /// Waits until the taker has ended although the queue is open: it has panicked.
    pub(crate) async fn abandoned(&self) {
        let mut abandoned = self.abandoned.subscribe();
        // The queue holds the sender, so that this ends with the wanted value only.
        let _ = abandoned.wait_for(|abandoned| *abandoned).await;
    }

    /// Adds an item; returns it if the queue is full or closed.
    pub(crate) fn push(&self, item: T) -> Result<(), (T, StoreError)> {
        let mut waiting = self.waiting();
        let refused = match waiting.state {
            State::Closed => Some("it is closed"),
            State::Abandoned => Some("the writing thread has ended"),
            State::Open if waiting.items.len() >= self.length_max => {
                Some("the write queue is full; send fewer writes at a time")
            }
            State::Open => None,
        };
        if let Some(why) = refused {
            return Err((item, StoreError::Unavailable(why.into())));
        }
        waiting.items.push_back(item);
        // The taker waits for a length that was not reached yet, so the queue reaches it exactly
        // once.
        let wake = waiting.wake_at == Some(waiting.items.len());
        drop(waiting);
        if wake {
            self.enough.notify_one();
        }
        Ok(())
    }

    /// Moves the waiting items to the end of `batch`, at most `max`. If there are fewer than
    /// `wanted`, waits for that many until the deadline, or without a limit if there is not a
    /// deadline. Does not wait if the queue is closed.
    pub(crate) fn take(
        &self,
        batch: &mut Vec<T>,
        max: usize,
        wanted: usize,
        deadline: Option<Instant>,
    ) {
        // The queue never has more items at the same time.
        let wanted = wanted.min(max).min(self.length_max);
        let mut waiting = self.waiting();
        while waiting.items.len() < wanted && waiting.state == State::Open {
            waiting.wake_at = Some(wanted);
            waiting = match deadline.map(time_left) {
                None => self
                    .enough
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => {
                    self.enough
                        .wait_timeout(waiting, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        waiting.wake_at = None;
        let taken = waiting.items.len().min(max);
        batch.extend(waiting.items.drain(..taken));
    }

    /// Rejects every later item.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting();
        if waiting.state == State::Open {
            waiting.state = State::Closed;
        }
        drop(waiting);
        self.enough.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        // No code that can panic runs under the lock, so a poisoned lock guards an intact queue.
        lock(&self.waiting)
    }
}

/// The taking side. Dropping it drops the waiting items, so that no caller waits forever for an
/// answer.
pub(crate) struct Worked<T>(pub(crate) Arc<Queue<T>>);

impl<T> Drop for Worked<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        if waiting.state == State::Open {
            waiting.state = State::Abandoned;
            self.0.abandoned.send_replace(true);
        }
        let left = std::mem::take(&mut waiting.items);
        drop(waiting);
        drop(left);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "bounds how long a commit waits; decides nothing that is stored"
)]
fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests of waiting look at the clock"
)]
mod tests {
    use super::*;

    fn taken(queue: &Queue<u32>, max: usize, wanted: usize, wait: Duration) -> Vec<u32> {
        let mut batch = Vec::new();
        queue.take(&mut batch, max, wanted, Some(Instant::now() + wait));
        batch
    }

    #[test]
    fn items_are_taken_in_order_up_to_the_maximum() {
        let queue = Queue::new(3);
        for item in 1..=3 {
            queue.push(item).unwrap();
        }
        assert!(
            queue
                .push(4)
                .unwrap_err()
                .1
                .to_string()
                .contains("queue is full")
        );
        assert_eq!(taken(&queue, 2, 0, Duration::ZERO), [1, 2]);
        queue.push(5).unwrap();
        assert_eq!(taken(&queue, 9, 2, Duration::from_secs(60)), [3, 5]);
        assert_eq!(taken(&queue, 9, 0, Duration::ZERO), [0_u32; 0]);
    }

    #[test]
    fn taking_waits_for_the_wanted_number_or_the_deadline() {
        let queue = Arc::new(Queue::new(8));
        let pushing = queue.clone();
        let pusher =
            std::thread::spawn(move || (1..=3).for_each(|item| pushing.push(item).unwrap()));
        let mut batch = Vec::new();
        queue.take(&mut batch, 8, 3, None);
        assert_eq!(batch, [1, 2, 3]);
        pusher.join().unwrap();
        queue.push(4).unwrap();
        assert_eq!(
            taken(&queue, 8, 2, Duration::from_millis(1)),
            [4],
            "the deadline ends the wait"
        );
    }

    #[tokio::test]
    async fn the_end_of_a_taker_is_announced_unless_the_queue_is_closed() {
        let queue = Arc::new(Queue::<u32>::new(8));
        let taker = Worked(queue.clone());
        let panicked = std::thread::spawn(move || {
            let _taker = taker;
            panic!("a defect");
        });
        queue.abandoned().await;
        assert!(panicked.join().is_err());

        let queue = Arc::new(Queue::<u32>::new(8));
        queue.close();
        drop(Worked(queue.clone()));
        assert!(!*queue.abandoned.borrow());
    }

    #[test]
    fn a_closed_queue_keeps_its_items_and_an_abandoned_one_drops_them() {
        let queue = Arc::new(Queue::new(8));
        queue.push(1).unwrap();
        queue.close();
        assert!(queue.push(2).unwrap_err().1.to_string().contains("closed"));
        let mut batch = Vec::new();
        queue.take(&mut batch, 8, 2, None);
        queue.take(&mut batch, 8, 2, None);
        assert_eq!(batch, [1]);

        let queue = Arc::new(Queue::new(8));
        let item = Arc::new(());
        queue.push(item.clone()).unwrap();
        drop(Worked(queue.clone()));
        assert_eq!(Arc::strong_count(&item), 1, "the waiting item was dropped");
        assert!(
            queue
                .push(item)
                .unwrap_err()
                .1
                .to_string()
                .contains("has ended")
        );
    }
}
