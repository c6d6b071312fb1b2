//! The feed of changes: the stream, and requests instead of it where it does not work.

use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::time::Duration;

use certgate_model::{AuthorityId, lock};
use certgate_wire::{FeedChange, RevocationFeed};
use tokio::time::timeout;

use super::api::{ApiError, Body, parse};
use super::progress::Applied;
use super::{CODE_AHEAD, Enforce, Follower, RETRY, STREAM_SILENCE, Trouble, snapshot, wait};
use crate::revoked::Change;

/// The longest line of the stream of changes, in bytes: 1,000 changes have a quarter of it.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The wait for the first line, which the server sends at once. A proxy that buffers answers holds
/// it back.
const FIRST_LINE: Duration = Duration::from_secs(8);

/// The part of this wait after which requests follow the changes beside the stream: a slow network
/// delivers the line before.
const FIRST_LINE_ALONE: Duration = Duration::from_secs(1);

/// The time in which the stream delivers a change that the answer to an acknowledgement tells of.
/// One server on PostgreSQL may see the change of another one after a second.
const DELIVERY: Duration = Duration::from_secs(2);

/// The duration of a stream. Then the server reads the permission again, and the point the token.
const STREAM_SECONDS: u64 = 3_600;

/// The number of requests that wait for changes before the next attempt to open a stream.
const POLLS: u32 = 6;

/// The wait of such a request, in seconds.
const POLL_SECONDS: u64 = 10;

/// The number of requests that do not wait before the next attempt to open a stream, and the pause
/// after each: a server that refuses streams must not get more load than necessary.
const QUESTIONS: u32 = 10;
const QUESTION_PAUSE: Duration = Duration::from_millis(500);

impl<E: Enforce> Follower<E> {
    /// Publishes changes as they come, forever.
    pub(super) async fn read(&self) {
        let mut trouble = Trouble::new(
            "cannot follow revocations; clients are judged by the last view",
            "revocations are followed again",
        );
        let mut is_held = false;
        loop {
            let followed = match self.follow(&mut trouble, &mut is_held).await {
                Err(error) if error.is_too_many() => {
                    trouble.begin(&error, error.is_permanent(), &*self.random);
                    self.poll_without_waiting().await
                }
                followed => followed,
            };
            match followed {
                // A proxy may end each stream at once.
                Ok(()) => wait(RETRY).await,
                Err(error) => {
                    if error.code() == Some(CODE_AHEAD) {
                        self.is_lost.store(true, Ordering::Release);
                    }
                    wait(trouble.begin(&error, error.is_permanent(), &*self.random)).await;
                }
            }
        }
    }

    /// Reads everything if necessary, and then follows until the stream ends. `is_held`: the last
    /// stream was held back by a proxy.
    async fn follow(&self, trouble: &mut Trouble, is_held: &mut bool) -> Result<(), ApiError> {
        if self.is_lost.load(Ordering::Acquire) {
            self.read_everything().await?;
        }
        // 1. The first line. Where proxies hold it back, requests follow the changes meanwhile.
        let mut opening = pin!(timeout(FIRST_LINE, self.first_line()));
        let alone = match *is_held {
            true => Duration::ZERO,
            false => FIRST_LINE_ALONE,
        };
        let opened = match timeout(alone, &mut opening).await {
            Ok(opened) => Some(opened),
            Err(_) => self.poll_beside(opening, trouble).await?,
        };
        let (mut stream, mut line) = match opened {
            Some(Ok(opened)) => opened?,
            Some(Err(_)) => return self.poll(trouble, is_held).await,
            None => return Ok(()),
        };
        // 2. The other lines.
        while let Some(octets) = line {
            let feed = parse::<RevocationFeed>(&octets)?;
            // Requests beside the stream have delivered the changes of an earlier line.
            match feed.epoch < self.view.epoch() {
                true => self.heard(),
                false => self.apply(feed).await?,
            }
            trouble.end();
            let next = stream.line(LINE_BYTES_MAX, STREAM_SILENCE);
            let next = match *is_held {
                // A proxy may hold back every line but the first one.
                true => match self.poll_beside(pin!(next), trouble).await? {
                    Some(next) => next,
                    None => return Ok(()),
                },
                false => tokio::select! {
                    next = next => next,
                    () = self.lost.notified() => return Ok(()),
                    () = self.is_behind() => return self.poll(trouble, is_held).await,
                },
            };
            line = match next {
                Err(ApiError::Timeout(_)) => return self.poll(trouble, is_held).await,
                next => next?,
            };
            *is_held = false;
        }
        Ok(())
    }

    /// Replaces the view by the present one of the server.
    async fn read_everything(&self) -> Result<(), ApiError> {
        let read = snapshot::read(&self.api).await?;
        tracing::info!(
            epoch = read.epoch,
            revoked = read.revoked.len(),
            "the view was read"
        );
        self.view
            .publish(read.epoch, read.configuration, read.revoked);
        self.save_later();
        // A restored database may not have waited for this point.
        *lock(&self.accepted) = None;
        self.told.store(0, Ordering::Release);
        self.is_lost.store(false, Ordering::Release);
        self.progress.publish(read.epoch, Applied::Everything);
        self.heard();
        Ok(())
    }

    /// Opens the stream and reads its first line; a proxy may hold back the head, too.
    async fn first_line(&self) -> Result<(Body, Option<bytes::Bytes>), ApiError> {
        let after = self.view.epoch();
        let path = format!("revocation_stream?after={after}&for_seconds={STREAM_SECONDS}");
        let mut stream = self.api.open(&path, "application/x-ndjson").await?;
        let line = stream.line(LINE_BYTES_MAX, STREAM_SILENCE).await?;
        Ok((stream, line))
    }

    /// Waits until a change that the server told of is missing, although no line came for a while:
    /// a proxy holds the line back. Each line ends the wait.
    async fn is_behind(&self) {
        loop {
            let told = self.told.load(Ordering::Acquire);
            if self.view.epoch() < told {
                return wait(DELIVERY).await;
            }
            self.told_more.notified().await;
        }
    }

    /// Follows with requests that wait, until `line` is ready: the line of a stream. [`None`]: the
    /// view must be read again.
    async fn poll_beside<T>(
        &self,
        mut line: Pin<&mut impl Future<Output = T>>,
        trouble: &mut Trouble,
    ) -> Result<Option<T>, ApiError> {
        loop {
            let feed = tokio::select! {
                line = &mut line => return Ok(Some(line)),
                () = self.lost.notified() => return Ok(None),
                feed = self.changes(POLL_SECONDS) => feed?,
            };
            self.apply(feed).await?;
            trouble.end();
        }
    }

    /// Follows with requests that wait, where a proxy holds back the lines of a stream.
    async fn poll(&self, trouble: &mut Trouble, is_held: &mut bool) -> Result<(), ApiError> {
        if !std::mem::replace(is_held, true) {
            tracing::warn!("the stream of changes is held back, probably by a proxy that buffers");
        }
        for _ in 0..POLLS {
            let feed = tokio::select! {
                () = self.lost.notified() => return Ok(()),
                feed = self.changes(POLL_SECONDS) => feed?,
            };
            self.apply(feed).await?;
            trouble.end();
        }
        Ok(())
    }

    /// Follows with requests that do not wait, while the server has too many streams and waiting
    /// requests.
    async fn poll_without_waiting(&self) -> Result<(), ApiError> {
        for _ in 0..QUESTIONS {
            self.apply(self.changes(0).await?).await?;
            wait(QUESTION_PAUSE).await;
        }
        Ok(())
    }

    /// Asks for the changes after the view; with a wait, until there are some.
    async fn changes(&self, wait_seconds: u64) -> Result<RevocationFeed, ApiError> {
        let after = self.view.epoch();
        let path = match wait_seconds {
            0 => format!("revocation_changes?after={after}"),
            wait => format!("revocation_changes?after={after}&wait_seconds={wait}"),
        };
        self.api.large_object(&path, LINE_BYTES_MAX).await
    }

    /// Publishes changes. Those of certificates do not wait for a new configuration.
    async fn apply(&self, feed: RevocationFeed) -> Result<(), ApiError> {
        let mut changes = Vec::with_capacity(feed.changes.len());
        let mut has_configuration = false;
        for change in feed.changes {
            match change {
                FeedChange::Certificate(change) => changes.push(Change {
                    authority: AuthorityId::from(change.certificate.certificate_authority_id),
                    serial: change.certificate.serial_number.0,
                    revoked: change.revoked,
                }),
                FeedChange::Configuration(_) => has_configuration = true,
            }
        }
        // 1. Certificates. Without a configuration to read, the epoch is complete.
        let (before, applied) = (
            self.view.epoch(),
            Applied::Changes {
                certificates: changes.clone(),
                configuration: false,
            },
        );
        let epoch = if has_configuration {
            before
        } else {
            feed.epoch
        };
        self.view.publish_changes(epoch, &changes, None);
        self.progress.publish(epoch, applied);
        self.heard();
        if let Some(disk) = &self.disk
            && !changes.is_empty()
            && let Err(error) = lock(disk).append(&changes)
        {
            tracing::warn!(%error, "cannot write changes to the state directory");
        }
        if !has_configuration {
            return Ok(());
        }
        // 2. Hosts and CAs.
        let configuration = snapshot::read_configuration(&self.api).await?;
        self.view
            .publish_changes(feed.epoch, &[], Some(configuration));
        self.progress.publish(
            feed.epoch,
            Applied::Changes {
                certificates: Vec::new(),
                configuration: true,
            },
        );
        self.save_later();
        Ok(())
    }
}
