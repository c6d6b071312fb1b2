//! The open connections, by certificate and by expiry.
//!
//! A connection is inserted first and judged then. The follower publishes a change in the view
//! first and looks into this table then. So one of the two always sees the other.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use certgate_model::{AuthorityId, Timestamp, lock};
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::{Limits, seconds};
use crate::{Judged, Serial};

/// The identity of a certificate: never its fingerprint, because a signature (r, n−s) gives the
/// same certificate another one.
pub type CertificateKey = (AuthorityId, Serial);

/// The reason for which the gateway ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutReason {
    /// Its certificate was revoked.
    Revoked,
    /// Its certificate has no place at its hostname any more.
    Refused,
    /// Its certificate has expired.
    Expired,
    /// The host has no proof of freshness.
    Stale,
    /// The host was removed, or its policy changed.
    Host,
    /// It was idle for too long.
    Idle,
    /// The head of a request took too long.
    Head,
    /// Its client does not read.
    Unread,
    /// Its client canceled too many requests.
    Resets,
    /// The gateway stops.
    Stop,
}

impl CutReason {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Revoked,
        Self::Refused,
        Self::Expired,
        Self::Stale,
        Self::Host,
        Self::Idle,
        Self::Head,
        Self::Unread,
        Self::Resets,
        Self::Stop,
    ];

    /// The reason in metrics and log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Stale => "stale",
            Self::Host => "host",
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Unread => "unread",
            Self::Resets => "resets",
            Self::Stop => "stop",
        }
    }

    /// Counts a cut connection. Zero makes the counter visible.
    pub fn count(self, number: u64) {
        metrics::counter!("certgate_gateway_connections_cut_total", "reason" => self.as_str())
            .increment(number);
    }
}

/// An open connection after its TLS handshake.
#[derive(Debug)]
pub struct Connection {
    /// The hostname of the handshake.
    pub host: Arc<str>,
    /// The certificates that the client presented, its own first. Empty without a certificate.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its number in the table.
    number: AtomicU64,
    /// Its use, from which the sweep knows how long nothing happened.
    pub activity: Activity,
    was_admitted: AtomicBool,
    is_tracked: AtomicBool,
    cut: OnceLock<CutReason>,
    cutting: Notify,
}

impl Connection {
    /// Makes a connection of a client.
    pub fn new(host: Arc<str>, chain: Vec<CertificateDer<'static>>) -> Self {
        Self {
            host,
            chain,
            number: AtomicU64::new(0),
            activity: Activity::new(),
            was_admitted: AtomicBool::new(false),
            is_tracked: AtomicBool::new(false),
            cut: OnceLock::new(),
            cutting: Notify::new(),
        }
    }

    /// Records the verdict at the begin, before the connection is inserted.
    pub fn judged(&self, judged: &Judged) {
        let is_admitted = judged.verdict.is_admitted();
        self.was_admitted.store(is_admitted, Ordering::Release);
        self.is_tracked
            .store(judged.is_verified(), Ordering::Release);
    }

    /// Returns true if the certificate was admitted at the begin or for a later request.
    pub fn was_admitted(&self) -> bool {
        self.was_admitted.load(Ordering::Acquire)
    }

    /// Returns true if the table has all that this verdict would add to it.
    pub fn knows(&self, judged: &Judged) -> bool {
        let knows_admitted = self.was_admitted() || !judged.verdict.is_admitted();
        let knows_path = self.is_tracked.load(Ordering::Acquire) || !judged.is_verified();
        knows_admitted && knows_path
    }

    /// Ends the connection. Returns false if it was cut before.
    pub fn cut(&self, reason: CutReason) -> bool {
        let is_first = self.cut.set(reason).is_ok();
        if is_first {
            reason.count(1);
            self.cutting.notify_waiters();
        }
        is_first
    }

    /// The reason, after the connection was cut.
    pub fn cut_reason(&self) -> Option<CutReason> {
        self.cut.get().copied()
    }

    /// Waits until the connection is cut.
    pub async fn until_cut(&self) {
        let mut notified = std::pin::pin!(self.cutting.notified());
        // From now on no notification is missed, and an earlier one is in the cell.
        notified.as_mut().enable();
        if self.cut.get().is_none() {
            notified.await;
        }
    }
}

/// The use of a connection. Instants are milliseconds after its begin, plus one; zero is none.
#[derive(Debug)]
pub struct Activity {
    begin: Instant,
    requests: AtomicU32,
    resets: AtomicU32,
    completed: AtomicU32,
    is_stream: AtomicBool,
    has_heads: AtomicBool,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    moved: AtomicU64,
    answers: Mutex<Vec<Weak<Unread>>>,
}

/// The instant since which a part of an answer waits until the client reads, as in [`Activity`].
/// HTTP/2 has a window for each answer, and the connection itself is not blocked.
#[derive(Debug, Default)]
pub struct Unread(AtomicU64);

impl Unread {
    /// Records that no part waits.
    pub fn was_read(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Activity {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            requests: AtomicU32::new(0),
            resets: AtomicU32::new(0),
            completed: AtomicU32::new(0),
            is_stream: AtomicBool::new(false),
            has_heads: AtomicBool::new(false),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            moved: AtomicU64::new(1),
            answers: Mutex::new(Vec::new()),
        }
    }

    fn now(&self) -> u64 {
        let elapsed = self.begin.elapsed().as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX - 1) + 1
    }

    /// Records the begin of a request.
    pub fn begin_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
    }

    /// Records the end of a request and its answer.
    pub fn end_request(&self) {
        self.idle_since.store(self.now(), Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records a request that the client did not cancel.
    pub fn complete(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Records a canceled request, and returns by how many the canceled ones exceed the others.
    pub fn reset(&self) -> usize {
        let resets = self.resets.fetch_add(1, Ordering::Relaxed) + 1;
        let completed = self.completed.load(Ordering::Relaxed);
        usize::try_from(resets.saturating_sub(completed)).unwrap_or(usize::MAX)
    }

    /// Begins to watch an answer of several parts, until it is dropped.
    pub fn watch_answer(&self) -> Arc<Unread> {
        let answer = Arc::new(Unread::default());
        lock(&self.answers).push(Arc::downgrade(&answer));
        answer
    }

    /// Records that a part of an answer waits until the client reads.
    pub fn awaits_reader(&self, answer: &Unread) {
        answer.0.store(self.now(), Ordering::Relaxed);
    }

    /// Records that the connection carries octets from now on, such as a WebSocket.
    pub fn become_stream(&self) {
        self.is_stream.store(true, Ordering::Relaxed);
    }

    /// Records that received octets between requests are the head of the next: HTTP/1.1. In
    /// HTTP/2, they can be anything.
    pub fn expect_heads(&self) {
        self.has_heads.store(true, Ordering::Relaxed);
    }

    /// Records received octets.
    pub fn received(&self) {
        let now = self.now();
        self.moved.store(now, Ordering::Relaxed);
        if self.requests.load(Ordering::Relaxed) == 0 {
            let (set, relaxed) = (Ordering::Relaxed, Ordering::Relaxed);
            // A failure means that an earlier octet of the head has set it.
            let _ = self.head_since.compare_exchange(0, now, set, relaxed);
        }
    }

    /// Records whether octets wait until the client reads.
    pub fn sent(&self, is_blocked: bool) {
        match is_blocked {
            false => {
                self.moved.store(self.now(), Ordering::Relaxed);
                self.blocked_since.store(0, Ordering::Relaxed);
            }
            true => {
                let (set, relaxed) = (Ordering::Relaxed, Ordering::Relaxed);
                let now = self.now();
                // A failure means that they wait already.
                let _ = self.blocked_since.compare_exchange(0, now, set, relaxed);
            }
        }
    }

    /// Records that no octets wait until the client reads.
    pub fn flushed(&self) {
        self.blocked_since.store(0, Ordering::Relaxed);
    }

    /// Returns the limit that the connection has exceeded.
    pub fn overdue(&self, limits: &Limits) -> Option<CutReason> {
        let now = self.now();
        let exceeds = |since: &AtomicU64, limit: Duration| {
            let since = since.load(Ordering::Relaxed);
            let elapsed = Duration::from_millis(now.saturating_sub(since));
            since != 0 && elapsed >= limit
        };
        if self.is_stream.load(Ordering::Relaxed) {
            let limit = seconds(limits.stream_idle_seconds);
            return exceeds(&self.moved, limit).then_some(CutReason::Idle);
        }
        let idle = seconds(limits.idle_seconds);
        let mut answers = lock(&self.answers);
        answers.retain(|answer| answer.strong_count() > 0);
        let mut answers = answers.iter().filter_map(Weak::upgrade);
        if exceeds(&self.blocked_since, idle) || answers.any(|answer| exceeds(&answer.0, idle)) {
            return Some(CutReason::Unread);
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let has_heads = self.has_heads.load(Ordering::Relaxed);
        if has_heads && exceeds(&self.head_since, seconds(limits.head_seconds)) {
            return Some(CutReason::Head);
        }
        exceeds(&self.idle_since, idle).then_some(CutReason::Idle)
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub struct Table {
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    last: u64,
    all: HashMap<u64, Entry>,
    by_certificate: HashMap<CertificateKey, Vec<u64>>,
    by_expiry: BTreeSet<(Timestamp, u64)>,
    untracked: usize,
}

#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    tracked: Option<Tracked>,
    is_untracked: bool,
}

/// The tracked certificates of a connection: its own, and those of the CAs above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Their identities.
    pub keys: Vec<CertificateKey>,
    /// The last second in which all of them are valid.
    pub not_after: Timestamp,
}

impl Tracked {
    /// Returns the certificates of a valid path, by which changes and the expiry find the
    /// connection.
    pub fn of(judged: &Judged) -> Option<Self> {
        let path = judged.path.as_ref()?;
        let keys = path.links.iter().map(|link| (link.authority, link.serial));
        Some(Self {
            keys: keys.collect(),
            not_after: path.until,
        })
    }
}

impl Table {
    /// Inserts a connection until the returned value is dropped. Without a tracked certificate, no
    /// revocation can reach it.
    pub fn insert(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        tracked: Option<Tracked>,
    ) -> Inserted {
        let is_untracked = tracked.is_none() && !connection.chain.is_empty();
        let mut connections = lock(&self.connections);
        connections.last += 1;
        let number = connections.last;
        connection.number.store(number, Ordering::Relaxed);
        if let Some(tracked) = &tracked {
            connections.index(number, tracked);
        }
        let entry = Entry {
            connection,
            tracked,
            is_untracked,
        };
        connections.all.insert(number, entry);
        connections.untracked += usize::from(is_untracked);
        connections.measure();
        drop(connections);
        Inserted {
            table: self.clone(),
            number,
        }
    }

    /// Replaces the tracked certificates of a connection: it has its first path, or another one
    /// after a change of the CAs.
    pub fn track(&self, connection: &Connection, tracked: Tracked) {
        lock(&self.connections).track(connection, tracked);
    }

    /// Records the verdict on one more request. Judge again afterwards: the lock of the table
    /// decides whether a change sees this record or the verdict sees the change.
    pub fn learn(&self, connection: &Connection, judged: &Judged) {
        let mut connections = lock(&self.connections);
        if let Some(tracked) = Tracked::of(judged) {
            connections.track(connection, tracked);
        }
        if judged.verdict.is_admitted() {
            connection.was_admitted.store(true, Ordering::Release);
        }
    }

    /// Cuts the connections of exactly this certificate, and returns their number.
    pub fn cut_certificate(&self, key: &CertificateKey, reason: CutReason) -> usize {
        let connections = lock(&self.connections);
        let numbers = connections.by_certificate.get(key);
        let found = numbers.into_iter().flatten();
        let found = found.filter_map(|number| connections.all.get(number));
        found.filter(|entry| entry.connection.cut(reason)).count()
    }

    /// Cuts the connections whose certificates have expired.
    pub fn cut_expired(&self, now: Timestamp) {
        let mut connections = lock(&self.connections);
        while let Some(&(not_after, number)) = connections.by_expiry.first()
            && not_after < now
        {
            connections.by_expiry.pop_first();
            if let Some(entry) = connections.all.get(&number) {
                entry.connection.cut(CutReason::Expired);
            }
        }
    }

    /// Cuts the connections for which `judge` returns a reason.
    pub fn cut_where(&self, judge: impl Fn(&Connection) -> Option<CutReason>) {
        // Verdicts take time. New connections are judged by themselves.
        let all: Vec<_> = {
            let connections = lock(&self.connections);
            let entries = connections.all.values();
            entries.map(|entry| entry.connection.clone()).collect()
        };
        for connection in all {
            if let Some(reason) = judge(&connection) {
                connection.cut(reason);
            }
        }
    }

    /// Sets the gauges of open connections, which are visible from then on.
    pub fn measure(&self) {
        lock(&self.connections).measure();
    }

    /// The number of open connections.
    pub fn len(&self) -> usize {
        lock(&self.connections).all.len()
    }
}

impl Connections {
    fn track(&mut self, connection: &Connection, tracked: Tracked) {
        let number = connection.number.load(Ordering::Relaxed);
        let Some(entry) = self.all.get_mut(&number) else {
            return;
        };
        if entry.tracked.as_ref() == Some(&tracked) {
            return;
        }
        let earlier = entry.tracked.replace(tracked.clone());
        let was_untracked = std::mem::take(&mut entry.is_untracked);
        if let Some(earlier) = earlier {
            self.forget(number, &earlier);
        }
        self.index(number, &tracked);
        connection.is_tracked.store(true, Ordering::Release);
        if was_untracked {
            self.untracked -= 1;
            self.measure();
        }
    }

    fn index(&mut self, number: u64, tracked: &Tracked) {
        for key in &tracked.keys {
            let numbers = self.by_certificate.entry(*key).or_default();
            numbers.push(number);
        }
        self.by_expiry.insert((tracked.not_after, number));
    }

    fn forget(&mut self, number: u64, tracked: &Tracked) {
        self.by_expiry.remove(&(tracked.not_after, number));
        for key in &tracked.keys {
            if let Some(numbers) = self.by_certificate.get_mut(key) {
                numbers.retain(|known| *known != number);
                if numbers.is_empty() {
                    self.by_certificate.remove(key);
                }
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge of connections")]
    fn measure(&self) {
        metrics::gauge!("certgate_gateway_connections").set(self.all.len() as f64);
        metrics::gauge!("certgate_gateway_connections_untracked").set(self.untracked as f64);
    }
}

/// A connection in the table. Dropping it removes the connection.
#[derive(Debug)]
pub struct Inserted {
    table: Arc<Table>,
    number: u64,
}

impl Drop for Inserted {
    fn drop(&mut self) {
        let mut connections = lock(&self.table.connections);
        let Some(entry) = connections.all.remove(&self.number) else {
            return;
        };
        if let Some(tracked) = &entry.tracked {
            connections.forget(self.number, tracked);
        }
        connections.untracked -= usize::from(entry.is_untracked);
        connections.measure();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Arc<Connection> {
        Arc::new(Connection::new("a.example.com".into(), Vec::new()))
    }

    fn tracked(authority: u8, serial: u8, not_after: i64) -> Tracked {
        let mut octets = [0; 20];
        octets[19] = serial;
        Tracked {
            keys: vec![(AuthorityId::from_bytes([authority; 16]), octets)],
            not_after: Timestamp::from_unix(not_after),
        }
    }

    #[test]
    fn a_revocation_cuts_the_connections_of_one_certificate() {
        let table = Arc::new(Table::default());
        let (one, again, other, of_other) =
            (connection(), connection(), connection(), connection());
        let certificate = tracked(1, 7, 100);
        let _kept = [
            table.insert(one.clone(), Some(certificate.clone())),
            table.insert(again.clone(), Some(certificate.clone())),
            table.insert(other.clone(), Some(tracked(1, 8, 100))),
            table.insert(of_other.clone(), Some(tracked(2, 7, 100))),
        ];
        assert_eq!(
            table.cut_certificate(&certificate.keys[0], CutReason::Revoked),
            2
        );
        assert_eq!(
            table.cut_certificate(&certificate.keys[0], CutReason::Revoked),
            0
        );
        let reasons = [&one, &again, &other, &of_other].map(|of| of.cut_reason());
        let revoked = Some(CutReason::Revoked);
        assert_eq!(reasons, [revoked, revoked, None, None]);
    }

    #[test]
    fn a_certificate_is_cut_after_its_last_second_and_not_before() {
        let table = Arc::new(Table::default());
        let (early, late) = (connection(), connection());
        let _kept = [
            table.insert(early.clone(), Some(tracked(1, 1, 100))),
            table.insert(late.clone(), Some(tracked(1, 2, 200))),
        ];
        table.cut_expired(Timestamp::from_unix(100));
        assert_eq!(early.cut_reason(), None);
        table.cut_expired(Timestamp::from_unix(101));
        assert_eq!(early.cut_reason(), Some(CutReason::Expired));
        assert_eq!(late.cut_reason(), None);
    }

    #[test]
    fn a_connection_is_found_by_its_first_path() {
        let table = Arc::new(Table::default());
        let client = Connection::new("a.example.com".into(), vec![vec![0].into()]);
        let client = Arc::new(client);
        let certificate = tracked(1, 7, 100);
        let kept = table.insert(client.clone(), None);
        assert_eq!(lock(&table.connections).untracked, 1);
        table.track(&client, certificate.clone());
        assert_eq!(lock(&table.connections).untracked, 0);
        table.cut_certificate(&certificate.keys[0], CutReason::Revoked);
        assert_eq!(client.cut_reason(), Some(CutReason::Revoked));
        drop(kept);
        let connections = lock(&table.connections);
        assert!(connections.by_certificate.is_empty() && connections.by_expiry.is_empty());
        assert_eq!(connections.untracked, 0);
    }

    #[test]
    fn a_connection_is_found_by_its_latest_path() {
        let table = Arc::new(Table::default());
        let (one, other) = (connection(), connection());
        let (before, after) = (tracked(1, 1, 200), tracked(2, 1, 100));
        let kept = table.insert(one.clone(), Some(before.clone()));
        let _other = table.insert(other.clone(), Some(before.clone()));
        table.track(&one, after.clone());
        table.cut_certificate(&after.keys[0], CutReason::Revoked);
        assert_eq!(one.cut_reason(), Some(CutReason::Revoked));
        assert_eq!(
            table.cut_certificate(&before.keys[0], CutReason::Revoked),
            1,
            "the other connection has its path as before"
        );
        drop(kept);
        table.track(&one, before);
        let connections = lock(&table.connections);
        assert_eq!(connections.by_expiry.len(), 1);
        assert_eq!(connections.by_certificate.len(), 1);
    }

    #[test]
    fn a_closed_connection_leaves_nothing() {
        let table = Arc::new(Table::default());
        drop(table.insert(connection(), Some(tracked(1, 1, 100))));
        drop(table.insert(connection(), None));
        let connections = lock(&table.connections);
        assert!(connections.all.is_empty() && connections.by_certificate.is_empty());
        assert!(connections.by_expiry.is_empty() && connections.untracked == 0);
    }
}
