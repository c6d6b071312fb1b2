use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::lock;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};

use super::origin::Origin;

/// The limit of a TLS handshake and of the head of a request. A client sends a head in one packet,
/// and a lost packet is sent again within three seconds.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit of a TLS handshake and of a head while three quarters of the places are taken.
const NEARLY_FULL_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// The part of the places that one address can have: 1 / 2. The other half stays for the others.
const ADDRESS_SHARE: usize = 2;

/// The interval at which connections beyond their time are closed.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// The limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The number of open connections.
    pub connections: usize,
    /// The limit of an idle connection and of an unread answer.
    pub idle_timeout: Duration,
}

impl Closed {
    const ALL: [Self; 4] = [Self::Full, Self::Address, Self::Refused, Self::Timeout];

    fn count(self, number: u64) {
        let reason = match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
        };
        metrics::counter!("certgate_connections_closed_total", "reason" => reason)
            .increment(number);
    }
}

impl Limits {
    fn of_an_address(&self) -> usize {
        (self.connections / ADDRESS_SHARE).max(1)
    }
}

const OPEN: &str = "the semaphore is never closed";

/// The places of a listener.
///
/// A connection that waits for its client can lose its place to a new one: the oldest of the same
/// address if that address has its share, the oldest of all if all places are taken. A connection
/// whose request is being answered keeps its place.
pub struct Places {
    limits: Limits,
    free: Arc<Semaphore>,
    state: Mutex<State>,
    /// A connection has begun to wait for its client while no place was free.
    closable: Notify,
    started: Instant,
}

#[derive(Default)]
struct State {
    /// The next number of a place, and of a turn.
    next: u64,
    taken: HashMap<u64, Taken>,
    /// The places whose connections wait for their clients, in the order in which they are closed.
    waiting: BTreeMap<Turn, u64>,
    of_origins: HashMap<Origin, OfOrigin>,
}

/// The places of one address.
#[derive(Default)]
struct OfOrigin {
    count: usize,
    waiting: BTreeMap<Turn, u64>,
}

/// Clients that do not send come before clients that do not read; then the order of time.
type Turn = (Waits, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waits {
    /// For a request: a handshake, a head, a body, or the next request.
    ForRequest,
    /// For a client that does not read its answer.
    ForReader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A new connection without a complete head.
    First,
    /// Between two requests, with or without a part of the next head.
    Idle,
    /// The head of a request is there, its body is not.
    Body,
    /// The request is there, and its answer is not sent.
    Answer,
}

/// The room of an address in its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Free,
    /// A connection of the address is being closed.
    Made,
    None,
}

/// The reason why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFree {
    /// Its address has its share.
    Share,
    /// All places are taken.
    Full,
}

/// The reason of the server to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// All places were taken.
    Full,
    /// The address had its share.
    Address,
    /// The address had its share, and all of its requests were being answered.
    Refused,
    /// The client sent or read too slowly.
    Timeout,
}

struct Taken {
    /// The address of the peer; [`None`] for a trusted proxy, which has no share of its own.
    peer: Option<Origin>,
    /// The address that the place counts for.
    origin: Option<Origin>,
    phase: Phase,
    is_unread: bool,
    since: Instant,
    turn: Option<Turn>,
    link: Arc<Link>,
}

/// The part of a place that its connection reads without a lock.
#[derive(Default)]
struct Link {
    close: Notify,
    /// Milliseconds from the start of the listener to the first octet of the next head; 0 before.
    head_begun: AtomicU64,
    /// The number of requests so far.
    requests: AtomicU64,
    is_answering: AtomicBool,
}

/// The reason for a request that must not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// Its connection was chosen to be closed.
    #[error("the connection gave its place to another one")]
    Closed,
    /// The client of a proxy has its share of places.
    #[error("the client has its share of connections")]
    TooMany,
}

/// The place of an open connection, which ends with it.
pub struct Place {
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

/// The reports of a connection about its place.
pub struct Seat {
    places: Arc<Places>,
    id: u64,
    link: Arc<Link>,
}

impl Places {
    /// Returns the places of a listener.
    pub fn new(limits: Limits) -> Arc<Self> {
        // A counter that appears with its first event shows no increase to a monitoring system.
        for reason in Closed::ALL {
            reason.count(0);
        }
        Arc::new(Self {
            limits,
            free: Arc::new(Semaphore::new(limits.connections)),
            state: Mutex::default(),
            closable: Notify::new(),
            started: Instant::now(),
        })
    }

    /// Closes connections that wait beyond their limit.
    pub async fn sweep_forever(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep_at(Instant::now());
        }
    }

    /// Returns a place for a new connection from `peer`. Closes another connection if the address
    /// has its share or all places are taken, and waits if none can be closed. [`None`]: the
    /// address has its share, and none of its connections can be closed.
    pub async fn take(self: &Arc<Self>, peer: Option<Origin>) -> Option<Place> {
        let permit = match self.make_room(peer) {
            Room::Free => self.permit().await,
            Room::Made => self.free.clone().acquire_owned().await.expect(OPEN),
            Room::None => return None,
        };
        Some(self.seat(peer, permit))
    }

    /// Returns a place if one is free, without waiting.
    pub fn take_free(self: &Arc<Self>, peer: Option<Origin>) -> Result<Place, NotFree> {
        if self.make_room(peer) == Room::None {
            return Err(NotFree::Share);
        }
        let permit = self.free.clone().try_acquire_owned();
        let permit = permit.map_err(|_| NotFree::Full)?;
        Ok(self.seat(peer, permit))
    }

    /// Closes the connection that has waited longest for its client, if there is one.
    pub fn close_oldest(&self) -> bool {
        let mut state = lock(&self.state);
        let oldest = state.waiting.first_key_value().map(|(_, id)| *id);
        oldest.is_some_and(|id| state.close(id, Closed::Full))
    }

    fn make_room(&self, peer: Option<Origin>) -> Room {
        let share = self.limits.of_an_address();
        peer.map_or(Room::Free, |origin| {
            lock(&self.state).make_room(origin, share)
        })
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                return permit;
            }
            let freed = self.free.clone().acquire_owned();
            if self.close_oldest() {
                return freed.await.expect(OPEN);
            }
            tokio::select! {
                permit = freed => return permit.expect(OPEN),
                () = self.closable.notified() => {}
            }
        }
    }

    fn seat(self: &Arc<Self>, peer: Option<Origin>, permit: OwnedSemaphorePermit) -> Place {
        let mut state = lock(&self.state);
        let id = state.number();
        let link = Arc::new(Link::default());
        let taken = Taken {
            peer,
            origin: None,
            phase: Phase::First,
            is_unread: false,
            since: Instant::now(),
            turn: None,
            link: link.clone(),
        };
        state.taken.insert(id, taken);
        state.count_for(id, peer);
        state.wait(id);
        drop(state);
        let seat = Seat {
            places: self.clone(),
            id,
            link,
        };
        Place {
            seat: Arc::new(seat),
            _permit: permit,
        }
    }

    fn sweep_at(&self, now: Instant) {
        let mut state = lock(&self.state);
        let is_nearly_full = |count: usize, max: usize| count * 4 >= max * 3;
        let full = is_nearly_full(state.taken.len(), self.limits.connections);
        let share = self.limits.of_an_address();
        let overdue: Vec<_> = state
            .waiting
            .values()
            .filter(|id| {
                let taken = &state.taken[*id];
                let of_origin = |origin| is_nearly_full(state.of_origins[&origin].count, share);
                let head = match full || taken.origin.is_some_and(of_origin) {
                    true => NEARLY_FULL_HEAD_TIMEOUT,
                    false => HEAD_TIMEOUT,
                };
                self.is_overdue(taken, head.min(self.limits.idle_timeout), now)
            })
            .copied()
            .collect();
        for id in overdue {
            state.close(id, Closed::Timeout);
        }
    }

    fn is_overdue(&self, taken: &Taken, head_timeout: Duration, now: Instant) -> bool {
        let waited = now.saturating_duration_since(taken.since);
        if taken.is_unread {
            return waited > self.limits.idle_timeout;
        }
        let begun = match taken.link.head_begun.load(Ordering::Relaxed) {
            0 => None,
            begun => Some(self.started + Duration::from_millis(begun)),
        };
        match (taken.phase, begun) {
            (Phase::First, _) => waited > head_timeout,
            (Phase::Idle, Some(begun)) => now.saturating_duration_since(begun) > head_timeout,
            (Phase::Idle, None) => waited > self.limits.idle_timeout,
            // The limit of the request counts.
            (Phase::Body | Phase::Answer, _) => false,
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Closes the oldest connection of `origin` if it has its share.
    fn make_room(&mut self, origin: Origin, share: usize) -> Room {
        let of_origin = self.of_origins.get(&origin);
        let Some(of_origin) = of_origin.filter(|of_origin| of_origin.count >= share) else {
            return Room::Free;
        };
        let oldest = of_origin.waiting.first_key_value().map(|(_, id)| *id);
        if oldest.is_some_and(|id| self.close(id, Closed::Address)) {
            return Room::Made;
        }
        Closed::Refused.count(1);
        Room::None
    }

    /// Tells a connection to close. Its place counts as free for its address at once.
    fn close(&mut self, id: u64, reason: Closed) -> bool {
        let closed = self.remove(id);
        if let Some(taken) = &closed {
            reason.count(1);
            taken.link.close.notify_one();
        }
        closed.is_some()
    }

    fn remove(&mut self, id: u64) -> Option<Taken> {
        self.stop_waiting(id);
        self.count_for(id, None);
        self.taken.remove(&id)
    }

    /// Counts a place for `origin`, and for no other address any more.
    fn count_for(&mut self, id: u64, origin: Option<Origin>) {
        let Some(taken) = self.taken.get_mut(&id) else {
            return;
        };
        let turn = taken.turn;
        let before = std::mem::replace(&mut taken.origin, origin);
        if before == origin {
            return;
        }
        if let Some(before) = before
            && let Some(of_origin) = self.of_origins.get_mut(&before)
        {
            of_origin.count -= 1;
            if let Some(turn) = turn {
                of_origin.waiting.remove(&turn);
            }
            if of_origin.count == 0 {
                self.of_origins.remove(&before);
            }
        }
        if let Some(origin) = origin {
            let of_origin = self.of_origins.entry(origin).or_default();
            of_origin.count += 1;
            if let Some(turn) = turn {
                of_origin.waiting.insert(turn, id);
            }
        }
    }

    /// Puts a connection at the end of those that wait.
    fn wait(&mut self, id: u64) {
        self.stop_waiting(id);
        let number = self.number();
        let Some(taken) = self.taken.get_mut(&id) else {
            return;
        };
        let waits = match taken.is_unread {
            true => Waits::ForReader,
            false => Waits::ForRequest,
        };
        let turn = (waits, number);
        taken.turn = Some(turn);
        self.waiting.insert(turn, id);
        if let Some(origin) = taken.origin
            && let Some(of_origin) = self.of_origins.get_mut(&origin)
        {
            of_origin.waiting.insert(turn, id);
        }
    }

    fn stop_waiting(&mut self, id: u64) {
        let Some(taken) = self.taken.get_mut(&id) else {
            return;
        };
        let Some(turn) = taken.turn.take() else {
            return;
        };
        self.waiting.remove(&turn);
        if let Some(origin) = taken.origin
            && let Some(of_origin) = self.of_origins.get_mut(&origin)
        {
            of_origin.waiting.remove(&turn);
        }
    }
}

impl Place {
    /// Returns the seat, on which the connection reports.
    pub fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Waits until the connection must be closed.
    pub async fn closed(&self) {
        self.seat.link.close.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.seat.places.state).remove(self.seat.id);
    }
}

impl Seat {
    /// Reports the end of a TLS handshake: the limit of the head begins again.
    pub fn secured(&self) {
        let mut state = lock(&self.places.state);
        if let Some(taken) = state.taken.get_mut(&self.id) {
            taken.since = Instant::now();
        }
    }

    /// Reports that octets came.
    pub(super) fn received(&self) {
        let begun = &self.link.head_begun;
        if begun.load(Ordering::Relaxed) == 0 && !self.is_answering() {
            let after = self.places.started.elapsed().as_millis();
            let after = u64::try_from(after).unwrap_or(u64::MAX).max(1);
            begun.store(after, Ordering::Relaxed);
        }
    }

    /// Begins a request whose head is complete. `client` is the client of a trusted proxy: the
    /// place counts for it until the answer.
    pub fn begin(&self, has_body: bool, client: Option<Origin>) -> Result<(), NotBegun> {
        let mut state = lock(&self.places.state);
        if !state.taken.contains_key(&self.id) {
            return Err(NotBegun::Closed);
        }
        state.stop_waiting(self.id);
        let mut begun = Ok(());
        if let Some(client) = client {
            match state.make_room(client, self.places.limits.of_an_address()) {
                Room::Free | Room::Made => state.count_for(self.id, Some(client)),
                Room::None => begun = Err(NotBegun::TooMany),
            }
        }
        self.link.requests.fetch_add(1, Ordering::Relaxed);
        self.link.is_answering.store(true, Ordering::Relaxed);
        match has_body && begun.is_ok() {
            true => self.enter(&mut state, Phase::Body),
            false => self.enter(&mut state, Phase::Answer),
        }
        begun
    }

    /// Reports that the body of the request is complete, or is not read any more.
    pub(super) fn complete(&self) {
        let mut state = lock(&self.places.state);
        let taken = state.taken.get(&self.id);
        if taken.is_some_and(|taken| taken.phase == Phase::Body) {
            self.enter(&mut state, Phase::Answer);
        }
    }

    /// Reports that the answer is written as far as the connection is concerned.
    pub(super) fn answered(&self) {
        self.link.head_begun.store(0, Ordering::Relaxed);
        self.link.is_answering.store(false, Ordering::Relaxed);
        let mut state = lock(&self.places.state);
        let peer = state.taken.get(&self.id).and_then(|taken| taken.peer);
        state.count_for(self.id, peer);
        self.enter(&mut state, Phase::Idle);
    }

    /// Reports that the client does not read, or reads again.
    pub(super) fn unread(&self, is_unread: bool) {
        let mut state = lock(&self.places.state);
        let Some(taken) = state.taken.get_mut(&self.id) else {
            return;
        };
        taken.is_unread = is_unread;
        let phase = taken.phase;
        self.enter(&mut state, phase);
    }

    pub(super) fn requests(&self) -> u64 {
        self.link.requests.load(Ordering::Relaxed)
    }

    pub(super) fn is_answering(&self) -> bool {
        self.link.is_answering.load(Ordering::Relaxed)
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        let Some(taken) = state.taken.get_mut(&self.id) else {
            return;
        };
        taken.phase = phase;
        taken.since = Instant::now();
        if taken.is_unread || phase != Phase::Answer {
            state.wait(self.id);
            if self.places.free.available_permits() == 0 {
                self.places.closable.notify_one();
            }
        } else {
            state.stop_waiting(self.id);
        }
    }
}

#[cfg(test)]
mod tests;
