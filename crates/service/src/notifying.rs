//! The background job that delivers notifications.
//!
//! A destination reads the audit logs and the log of conditions from its stored place on, and the
//! place moves after a delivery. So nothing is lost, and an event comes again, with the same ID,
//! after a crash between a delivery and the move. An event that cannot be delivered holds up the
//! later ones of its destination, until its time is over and it is set aside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::{
    DestinationRecord, EventPlace, NotificationId, NotificationKind, PendingEvent, Timestamp,
    UndeliveredEvent, lock,
};
use certgate_store::{BackgroundJob, LeaseHolder};
use futures_util::future::{join, join_all};
use tokio::sync::Semaphore;

use crate::access::{ManageUser, UserScope};
use crate::conditions::Conditions;
use crate::environment::Environment;
use crate::error::Fault;
use crate::measures;
use crate::notification::{DESTINATIONS, NotDelivered, Notification, Outlet, Subject};
use crate::notification_details::Details;
use crate::pause::pause;

/// Length of this process's lease on delivering, in seconds. It is renewed when half of it has
/// passed, and an attempt takes less than that.
const LEASE_SECONDS: i64 = 60;

/// Interval at which a process looks for new events, for the end of a pause, or for a retry.
const LOOK: Duration = Duration::from_secs(1);

/// Interval at which a process without the lease tries to get it.
const LEASE_LOOK: Duration = Duration::from_secs(5);

/// Pause after a failure of the store.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// Number of entries of the logs that are read at once for a destination with one event in each
/// message.
const READ_BATCH: u32 = 100;

/// The time, in seconds, after which the place of a destination is stored while events are
/// delivered. A crash repeats the events of at most this time.
const STORE_PLACE_SECONDS: i64 = 1;

/// Pause after the first failed attempt, in milliseconds. It doubles up to the next figure, five
/// minutes, and varies by a fifth, so that many servers do not try at the same time.
const PAUSE_MILLISECONDS: u64 = 1_000;
const PAUSE_MILLISECONDS_MAX: u64 = 300_000;

/// The longest pause of a webhook's `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The most refusals of one event that a repetition would not change, such as 422. Then it is set
/// aside, so that it does not hold up the others.
const REFUSALS_MAX: u32 = 5;

/// The longest reason of a failed notification, in characters.
const ERROR_CHARACTERS_MAX: usize = 300;

/// The most undelivered events of a destination. The oldest make room.
const UNDELIVERED_MAX: u64 = 10_000;

/// Time after the start before the first look for conditions.
const CONDITIONS_GRACE: Duration = Duration::from_secs(30);

/// Interval of looks for conditions, and the number of such looks from one look for certificates
/// that expire to the next: five minutes.
const CONDITIONS_LOOK: Duration = Duration::from_secs(30);
const EXPIRING_LOOKS: u64 = 10;

/// Interval at which the metrics of a destination are measured, in seconds.
const MEASURE_SECONDS: i64 = 15;

/// The rules of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifierSettings {
    /// The number of days before their end at which certificates are reported.
    pub expiring_days: u32,
    /// The age in seconds from which on an event that cannot be delivered is set aside.
    pub retry_seconds: u32,
}

/// The background job that delivers notifications.
pub struct Notifier {
    environment: Environment,
    destinations: Vec<Destination>,
    settings: NotifierSettings,
    /// The identity of this process as a lease holder.
    holder: LeaseHolder,
    /// End of this process's lease.
    lease_until: Mutex<Option<Timestamp>>,
    /// One permit: for the test that runs.
    testing: Semaphore,
    conditions: Conditions,
}

/// A destination with the state of this process.
struct Destination {
    outlet: Arc<dyn Outlet>,
    /// Deliveries that are not stored yet.
    progress: Mutex<Progress>,
    /// The time of the last message.
    sent: Mutex<Option<Timestamp>>,
    /// The first event of the last message that the receiver refused permanently, and how often.
    refused: Mutex<(NotificationId, u32)>,
    /// True after an event that was retried has failed: the events that wait have their turn.
    is_turn_of_others: Mutex<bool>,
    measured: Mutex<Option<Timestamp>>,
}

#[derive(Default)]
struct Progress {
    /// The last place of each log.
    places: BTreeMap<i64, EventPlace>,
    delivered: u64,
    /// The time of the first delivery in it.
    since: Option<Timestamp>,
}

/// The outcome of a test of a destination.
pub struct TestedDestination {
    /// Its name.
    pub name: &'static str,
    /// The ID of the event.
    pub id: NotificationId,
    /// The time that the delivery took, in milliseconds.
    pub milliseconds: u64,
    /// The reason of a failure.
    pub error: Option<String>,
}

impl Notifier {
    pub(crate) fn new(
        environment: Environment,
        outlets: Vec<Arc<dyn Outlet>>,
        settings: NotifierSettings,
    ) -> Self {
        let mut holder = LeaseHolder::default();
        environment.random.fill(&mut holder);
        for name in DESTINATIONS {
            measures::notifications_begin(name);
        }
        let destinations = outlets.into_iter().map(|outlet| Destination {
            outlet,
            progress: Mutex::default(),
            sent: Mutex::default(),
            refused: Mutex::default(),
            is_turn_of_others: Mutex::default(),
            measured: Mutex::default(),
        });
        let store = environment.store.clone();
        Self {
            conditions: Conditions::new(store, settings.expiring_days),
            destinations: destinations.collect(),
            environment,
            settings,
            holder,
            lease_until: Mutex::default(),
            testing: Semaphore::new(1),
        }
    }

    /// Returns the destinations.
    pub fn outlets(&self) -> impl Iterator<Item = &dyn Outlet> {
        self.destinations.iter().map(|one| &*one.outlet)
    }

    /// Makes the destinations that are new: they get events from now on.
    pub async fn begin(&self) -> Result<(), Fault> {
        let now = self.environment.now();
        for outlet in self.outlets() {
            let store = &self.environment.store;
            store.begin_destination(outlet.name(), now).await?;
        }
        Ok(())
    }

    /// Delivers events, now and whenever there are new ones: a background job that never returns.
    pub async fn deliver_forever(&self) {
        if self.destinations.is_empty() {
            return std::future::pending().await;
        }
        let deliveries = join_all(self.destinations.iter().map(|one| self.serve(one)));
        join(deliveries, self.find_forever()).await;
    }

    /// Looks for conditions.
    async fn find_forever(&self) {
        // Enforcement points come back, and lists are renewed, after the server was away.
        pause(CONDITIONS_GRACE).await;
        let mut looks = 0;
        loop {
            if let Err(fault) = self.find_conditions(looks).await {
                let text = "conditions for notifications cannot be read or noted";
                tracing::error!(error = %fault, "{text}");
            }
            looks += 1;
            pause(CONDITIONS_LOOK).await;
        }
    }

    async fn find_conditions(&self, looks: u64) -> Result<(), Fault> {
        if !self.hold_lease().await? {
            return Ok(());
        }
        let now = self.environment.now();
        self.conditions.find_states(now).await?;
        if looks.is_multiple_of(EXPIRING_LOOKS) {
            self.conditions.find_expiring(now).await?;
            self.conditions.forget(now).await?;
        }
        Ok(())
    }

    /// Stores the deliveries that are not stored yet, and gives up the lease.
    pub async fn finish(&self) -> Result<(), Fault> {
        for destination in &self.destinations {
            self.store_progress(destination).await?;
        }
        if lock(&self.lease_until).take().is_some() {
            let store = &self.environment.store;
            store
                .release_lease(BackgroundJob::Notifying, self.holder)
                .await?;
        }
        Ok(())
    }

    /// Marks every undelivered event for one more attempt, now; returns their number.
    pub async fn retry(&self, _: &UserScope<ManageUser>) -> Result<u64, Fault> {
        Ok(self.environment.store.retry_undelivered().await?)
    }

    /// Sends an event without a meaning to each destination, outside of the order of the others.
    pub async fn test(&self, _: &UserScope<ManageUser>) -> Vec<TestedDestination> {
        let _turn = self.testing.acquire().await;
        join_all(self.destinations.iter().map(|one| self.test_one(one))).await
    }

    async fn test_one(&self, destination: &Destination) -> TestedDestination {
        let mut id = NotificationId::default();
        self.environment.random.fill(&mut id);
        let begun = self.environment.now();
        let event = Notification {
            id,
            at: begun,
            account: None,
            subject: Subject::Test,
        };
        let delivered = destination.outlet.deliver(&[event]).await;
        let took = begun.until(self.environment.now()).microseconds() / 1_000;
        TestedDestination {
            name: destination.outlet.name(),
            id,
            milliseconds: took.unsigned_abs(),
            error: delivered.err().map(|error| error.text),
        }
    }

    async fn serve(&self, destination: &Destination) {
        loop {
            let time = match self.round(destination).await {
                Ok(time) => time,
                Err(fault) => {
                    let name = destination.outlet.name();
                    let text = "notifications cannot be read or noted; they are tried again";
                    tracing::error!(error = %fault, destination = name, "{text}");
                    STORE_RETRY
                }
            };
            if !time.is_zero() {
                pause(time).await;
            }
        }
    }

    /// Delivers the next events; returns the time until the next look.
    async fn round(&self, destination: &Destination) -> Result<Duration, Fault> {
        let (store, outlet) = (&self.environment.store, &destination.outlet);
        if !self.hold_lease().await? {
            measures::notifications_backlog(outlet.name(), 0, 0, 0);
            return Ok(LEASE_LOOK);
        }
        self.measure(destination).await?;
        let Some(state) = store.destination(outlet.name()).await? else {
            self.begin().await?;
            return Ok(LOOK);
        };
        if self.is_paused(destination, &state) {
            return Ok(LOOK);
        }
        let is_turn_of_others = std::mem::take(&mut *lock(&destination.is_turn_of_others));
        if !is_turn_of_others && self.deliver_retried(destination, &state).await? {
            return Ok(Duration::ZERO);
        }
        let limit = outlet.events_max().max(READ_BATCH);
        let pending = store.pending_events(outlet.name(), limit).await?;
        if pending.is_empty() {
            return Ok(LOOK);
        }
        let rest = self.deliver_pending(destination, &state, &pending).await?;
        // The log had no later entry.
        let is_all = pending.len() < limit as usize;
        Ok(if is_all { LOOK } else { rest })
    }

    /// Returns true before the next attempt after a failure, and before the next message.
    fn is_paused(&self, destination: &Destination, state: &DestinationRecord) -> bool {
        let now = self.environment.now();
        // A later time comes from a clock that is, or was, wrong.
        let latest = now.plus_seconds(2 * RETRY_AFTER_MAX.as_secs() as i64);
        let is_failing = state.attempt_on.is_some_and(|on| on > now && on < latest);
        let interval = destination.outlet.interval();
        let is_early = lock(&destination.sent)
            .is_some_and(|sent| sent <= now && sent.until(now).duration() < interval);
        is_failing || is_early
    }

    async fn deliver_pending(
        &self,
        destination: &Destination,
        state: &DestinationRecord,
        pending: &[PendingEvent],
    ) -> Result<Duration, Fault> {
        let (store, outlet) = (&self.environment.store, &destination.outlet);
        let is_wanted = |event: &PendingEvent| is_of(event, outlet.kinds());
        let wanted: Vec<_> = pending.iter().filter(|event| is_wanted(event)).collect();
        let details = Details::read(store, &wanted).await?;
        let mut rest = pending;
        while !rest.is_empty() {
            let part = rest.split_at(message_end(rest, outlet.events_max(), is_wanted));
            let (message, later) = part;
            rest = later;
            let events: Vec<_> = message.iter().filter(|event| is_wanted(event)).collect();
            if !self.hold_lease().await? {
                break;
            }
            if !events.is_empty()
                && let Err(error) = self.send(destination, &details, &events).await
            {
                self.store_progress(destination).await?;
                // The events before may have ended earlier failures.
                let now = store.destination(outlet.name()).await?;
                let state = now.as_ref().unwrap_or(state);
                self.fail(destination, state, &events, error).await?;
                return Ok(LOOK);
            }
            self.note_delivered(destination, message, events.len());
            if self.is_progress_old(destination) {
                self.store_progress(destination).await?;
            }
            if !events.is_empty() && !outlet.interval().is_zero() {
                break;
            }
        }
        self.store_progress(destination).await?;
        if state.failing_since.is_some() {
            let text = "notifications are delivered again";
            tracing::info!(destination = outlet.name(), "{text}");
        }
        Ok(Duration::ZERO)
    }

    /// Sends one message with these events.
    async fn send(
        &self,
        destination: &Destination,
        details: &Details,
        events: &[&PendingEvent],
    ) -> Result<(), NotDelivered> {
        let events = events.iter().copied();
        let message: Vec<_> = events
            .filter_map(|event| details.notification(event))
            .collect();
        *lock(&destination.sent) = Some(self.environment.now());
        let name = destination.outlet.name();
        let sent = destination.outlet.deliver(&message).await;
        match &sent {
            Ok(()) => measures::notifications_delivered(name, message.len() as u64),
            Err(_) => measures::notification_failed(name),
        }
        sent
    }

    /// Notes a failed attempt, and sets the events aside whose time is over.
    async fn fail(
        &self,
        destination: &Destination,
        state: &DestinationRecord,
        events: &[&PendingEvent],
        error: NotDelivered,
    ) -> Result<(), Fault> {
        let (store, name) = (&self.environment.store, destination.outlet.name());
        let (now, text) = (self.environment.now(), short(&error.text));
        let seconds = self.settings.retry_seconds;
        let since = state.failing_since.unwrap_or(now);
        // The destination fails for this time, and the event waits for it: a receiver that was
        // away for longer still gets the events that it can.
        let is_late = |from: Timestamp| from.until(now).seconds() >= i64::from(seconds);
        let is_refused = error.is_permanent && self.is_refused_often(destination, events);
        let is_over = |event: &PendingEvent| {
            is_refused || !error.is_permanent && is_late(since) && is_late(event.place.at)
        };
        let over = events.iter().take_while(|event| is_over(event));
        let over: Vec<_> = over
            .filter_map(|event| undelivered(name, event, now, &text))
            .collect();
        if state.failing_since.is_none() {
            tracing::warn!(
                destination = name,
                error = text,
                "a notification cannot be delivered; it is tried again"
            );
        }
        for event in &over {
            let id = certgate_model::Hex(&event.id);
            tracing::warn!(
                destination = name,
                %id,
                kind = event.kind.name(),
                error = text,
                "a notification is set aside as undelivered"
            );
        }
        if !over.is_empty() {
            store.set_events_aside(name, over, UNDELIVERED_MAX).await?;
        }
        // A receiver that refuses one event may accept the next.
        let attempts = if is_refused { 0 } else { state.attempts };
        let attempt_on = now.plus_microseconds(self.pause(attempts, &error));
        let noted = store.note_failed_attempt(name, text, now, attempt_on);
        Ok(noted.await?)
    }

    /// Counts a permanent refusal of a message; returns true after the last one that it gets.
    fn is_refused_often(&self, destination: &Destination, events: &[&PendingEvent]) -> bool {
        let first = events.first().map(|event| event.event.id());
        let mut refused = lock(&destination.refused);
        match first {
            Some(id) if refused.0 == id => refused.1 += 1,
            Some(id) => *refused = (id, 1),
            None => {}
        }
        refused.1 >= REFUSALS_MAX
    }

    /// Returns the pause after a failed attempt, in microseconds.
    fn pause(&self, attempts: u64, error: &NotDelivered) -> i64 {
        let doubled = PAUSE_MILLISECONDS << attempts.min(16);
        let longest = doubled.min(PAUSE_MILLISECONDS_MAX);
        let mut random = [0; 8];
        self.environment.random.fill(&mut random);
        let varied = longest * 4 / 5 + u64::from_le_bytes(random) % (longest * 2 / 5);
        let wanted = error.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        Duration::from_millis(varied).max(wanted).as_micros() as i64
    }

    /// Tries events once more that an operator wants to be tried; `false` if there is none.
    async fn deliver_retried(
        &self,
        destination: &Destination,
        state: &DestinationRecord,
    ) -> Result<bool, Fault> {
        if state.undelivered == 0 {
            return Ok(false);
        }
        let (store, outlet) = (&self.environment.store, &destination.outlet);
        let name = outlet.name();
        let retried = store.retried_events(name, outlet.events_max()).await?;
        if retried.is_empty() {
            return Ok(false);
        }
        let (listed, found): (Vec<_>, Vec<_>) = retried.into_iter().unzip();
        let found = found.into_iter().flatten();
        let found: Vec<_> = found.filter(|event| is_of(event, outlet.kinds())).collect();
        let events: Vec<_> = found.iter().collect();
        let details = Details::read(store, &events).await?;
        // Events that are in no log any more, or not wanted, leave the list.
        let sent = match events.is_empty() {
            true => Ok(()),
            false => self.send(destination, &details, &events).await,
        };
        let now = self.environment.now();
        let Err(error) = sent else {
            store.note_retried(name, listed, None, now).await?;
            return Ok(true);
        };
        let text = short(&error.text);
        store
            .note_retried(name, listed, Some(text.clone()), now)
            .await?;
        let attempt_on = now.plus_microseconds(self.pause(state.attempts, &error));
        store
            .note_failed_attempt(name, text, now, attempt_on)
            .await?;
        *lock(&destination.is_turn_of_others) = true;
        Ok(true)
    }

    fn note_delivered(
        &self,
        destination: &Destination,
        message: &[PendingEvent],
        delivered: usize,
    ) {
        let now = self.environment.now();
        let mut progress = lock(&destination.progress);
        for event in message {
            progress.places.insert(event.place.log, event.place);
        }
        progress.delivered += delivered as u64;
        progress.since.get_or_insert(now);
    }

    fn is_progress_old(&self, destination: &Destination) -> bool {
        let since = lock(&destination.progress).since;
        since.is_some_and(|since| {
            let now = self.environment.now();
            !since.until(now).is_within(STORE_PLACE_SECONDS)
        })
    }

    async fn store_progress(&self, destination: &Destination) -> Result<(), Fault> {
        let (places, delivered) = {
            let progress = lock(&destination.progress);
            let places: Vec<_> = progress.places.values().copied().collect();
            (places, progress.delivered)
        };
        if places.is_empty() {
            return Ok(());
        }
        let (store, name) = (&self.environment.store, destination.outlet.name());
        let now = self.environment.now();
        store
            .advance_destination(name, places, delivered, now)
            .await?;
        *lock(&destination.progress) = Progress::default();
        Ok(())
    }

    async fn measure(&self, destination: &Destination) -> Result<(), Fault> {
        let now = self.environment.now();
        let measured = *lock(&destination.measured);
        if measured.is_some_and(|at| at <= now && at.until(now).is_within(MEASURE_SECONDS)) {
            return Ok(());
        }
        let (store, outlet) = (&self.environment.store, &destination.outlet);
        let (name, kinds) = (outlet.name(), outlet.kinds().to_vec());
        let backlog = store.backlog(name, kinds).await?;
        let state = store.destination(name).await?;
        let undelivered = state.map_or(0, |state| state.undelivered);
        let age = backlog
            .oldest
            .map_or(0, |at| at.until(now).seconds().max(0));
        measures::notifications_backlog(name, backlog.entries, age, undelivered);
        *lock(&destination.measured) = Some(now);
        Ok(())
    }

    /// Returns true if this process holds the lease. Two processes at once would deliver events
    /// twice, with the same IDs.
    async fn hold_lease(&self) -> Result<bool, Fault> {
        let now = self.environment.now();
        let (half, whole) = (
            now.plus_seconds(LEASE_SECONDS / 2),
            now.plus_seconds(LEASE_SECONDS),
        );
        let until = *lock(&self.lease_until);
        if until.is_some_and(|until| (half..=whole).contains(&until)) {
            return Ok(true);
        }
        let store = &self.environment.store;
        let job = BackgroundJob::Notifying;
        let is_ours = store.hold_lease(job, self.holder, now, whole).await?;
        *lock(&self.lease_until) = is_ours.then_some(whole);
        Ok(is_ours)
    }
}

fn is_of(pending: &PendingEvent, kinds: &[NotificationKind]) -> bool {
    let kind = pending.event.kind();
    kind.is_some_and(|kind| kinds.contains(&kind))
}

/// Returns the number of entries that belong to the next message: at most `events_max` events, and
/// the entries between them that are not sent.
fn message_end(
    entries: &[PendingEvent],
    events_max: u32,
    is_wanted: impl Fn(&PendingEvent) -> bool,
) -> usize {
    let mut left = events_max;
    for (index, entry) in entries.iter().enumerate() {
        if is_wanted(entry) {
            left -= 1;
            if left == 0 {
                return index + 1;
            }
        }
    }
    entries.len()
}

fn undelivered(
    destination: &str,
    pending: &PendingEvent,
    now: Timestamp,
    error: &str,
) -> Option<UndeliveredEvent> {
    Some(UndeliveredEvent {
        destination: destination.to_owned(),
        place: pending.place,
        id: pending.event.id(),
        kind: pending.event.kind()?,
        object: pending.event.object(),
        set_aside_on: now,
        error: error.to_owned(),
        is_retried: false,
    })
}

/// Returns the beginning of a text of a receiver, without control characters.
fn short(text: &str) -> String {
    let safe = text.chars().filter(|character| !character.is_control());
    safe.take(ERROR_CHARACTERS_MAX).collect()
}
