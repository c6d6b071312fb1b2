//! The follower: it registers a point, follows the feed, and acknowledges each change after the
//! point enforces it.
//!
//! Three loops run side by side. `read` publishes changes in the view, `enforce` hands them to the
//! point, and `acknowledge` reports the latest epoch that is enforced. None of them waits for
//! another one, so that a slow point never delays the view.

mod address;
mod api;
mod disk;
mod feed;
mod pace;
mod progress;
mod snapshot;
mod trust;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::{
    AccountId, Clock, Coverage, EnforcementPointId, Hex, Random, Timestamp, WhenStale, lock,
};
use certgate_wire::{
    AcknowledgeEpoch, CoverageName, EnforcementPoint, RegisterEnforcementPoint, WhenStaleName,
    WholeNumber,
};
use http::Method;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, timeout};

pub use self::address::{Address, AddressError};
use self::api::Api;
pub(crate) use self::api::PublicFiles;
pub use self::api::{ApiError, TokenSource};
use self::disk::Disk;
use self::pace::Pace;
pub use self::progress::Applied;
use self::progress::Progress;
pub use self::trust::{TrustError, client_config as trusting};
use crate::boot::BootInstant;
use crate::view::View;

/// The server sends a line every 10 s. A stream without one for longer is dead.
const STREAM_SILENCE: Duration = Duration::from_secs(15);

/// The longest time between two acknowledgements without a change.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

/// The pause after a failure; it doubles up to the next figure. A server that is back is followed
/// again within a second.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// The longest pause after a refusal that an operator must resolve.
const REFUSED_RETRY_MAX: Duration = Duration::from_secs(15);

/// The longest pause before changes are handed to a failing point again.
const ENFORCE_RETRY_MAX: Duration = Duration::from_secs(5);

/// Limits each of two steps at the end: the answer to a registration, and the deletion of the
/// point.
const FAREWELL: Duration = Duration::from_secs(2);

/// The API's codes for an unknown point, an epoch of another history, and a name of another token.
const CODE_NO_POINT: u32 = 1520;
const CODE_AHEAD: u32 = 1521;
const CODE_OF_ANOTHER_TOKEN: u32 = 1523;

/// The settings of a point.
#[derive(Debug, Clone)]
pub struct PointSettings {
    /// The address of the server.
    pub api: String,
    /// Its token needs the permission Enforcement Points Write.
    pub token: TokenSource,
    /// The account whose certificates are followed.
    pub account: AccountId,
    /// The name. The server knows this process as the name, `-` and 8 hexadecimal digits.
    pub name: String,
    /// The directory for the view; [`None`]: a start needs the server.
    pub state_dir: Option<PathBuf>,
    /// A PEM file with the CAs to trust for https instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Permits an http address of another machine.
    pub allow_cleartext: bool,
    /// The traffic that the point refuses.
    pub covers: Vec<Coverage>,
    /// The treatment of clients while the view is stale: `serve` if any host serves.
    pub when_stale: WhenStale,
    /// The lease, in seconds: more than the largest age of a view that is not stale.
    pub lease_seconds: u32,
    /// The silence after which the server deletes the point, in seconds; [`None`]: its default.
    pub forget_seconds: Option<u32>,
}

/// The error for settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// The address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Others could read the token.
    #[error("the token would cross the network to {0} in clear text: use an https address")]
    Cleartext(String),
    /// The CAs for https.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The state directory.
    #[error("cannot use the state directory {directory}: {error}")]
    StateDirectory {
        /// The directory.
        directory: String,
        /// The reason.
        error: std::io::Error,
    },
}

/// The error of a point that does not enforce changes. The follower reports it and tries again.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EnforceError {
    message: String,
    is_view_old: bool,
}

impl EnforceError {
    /// A point that fails for this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_view_old: false,
        }
    }

    /// A point that fails because the view may be wrong: the follower reads everything again.
    pub fn reading_again(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_view_old: true,
        }
    }
}

/// A point. The follower publishes in the view, then calls this, then acknowledges.
pub trait Enforce: Send + Sync {
    /// Makes sure that from now on no client is served against the view: looks at the open
    /// connections, or updates a proxy. Return only after that.
    fn enforce(&self, applied: &Applied) -> impl Future<Output = Result<(), EnforceError>> + Send;
}

/// The follower of one point.
pub struct Follower<E> {
    settings: PointSettings,
    api: Api,
    view: Arc<View>,
    point: E,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    disk: Option<Mutex<Disk>>,
    progress: Progress,
    /// The name with its digits.
    name: Mutex<String>,
    id: Mutex<Option<EnforcementPointId>>,
    /// The server may have a point of this name whose ID is not known.
    is_registering: AtomicBool,
    registered: Notify,
    /// The view must be read again before the next change.
    is_lost: AtomicBool,
    /// The instant of the last line of the feed, 0 before the first.
    heard: AtomicU64,
    /// The last epoch by the answer to an acknowledgement: the feed must reach it.
    told: AtomicU64,
    told_more: Notify,
    /// The instant of the last accepted acknowledgement of this registration.
    accepted: Mutex<Option<BootInstant>>,
    lost: Notify,
}

impl<E: Enforce> Follower<E> {
    /// Prepares to follow, and publishes the view of an earlier process if there is one.
    pub fn new(
        settings: PointSettings,
        view: Arc<View>,
        point: E,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, FollowerError> {
        let address = Address::read(&settings.api)?;
        if !address.is_tls && !address.is_loopback() && !settings.allow_cleartext {
            return Err(FollowerError::Cleartext(address.authority));
        }
        let authorities = settings.ca_file.as_deref();
        let api = Api::new(
            address,
            authorities,
            settings.token.clone(),
            settings.account,
        )?;
        let disk = match &settings.state_dir {
            Some(directory) => {
                Disk::open(directory, &settings.api, settings.account).map_err(|error| {
                    FollowerError::StateDirectory {
                        directory: directory.display().to_string(),
                        error,
                    }
                })?
            }
            None => None,
        };
        if let (Some(directory), None) = (&settings.state_dir, &disk) {
            let directory = directory.display();
            tracing::warn!(
                %directory,
                "another process uses the state directory: this one has no view on disk"
            );
        }
        let follower = Self {
            name: Mutex::new(random_name(&settings.name, &*random)),
            settings,
            api,
            view,
            point,
            clock,
            random,
            disk: disk.map(Mutex::new),
            progress: Progress::new(),
            id: Mutex::default(),
            is_registering: AtomicBool::new(false),
            registered: Notify::new(),
            is_lost: AtomicBool::new(true),
            heard: AtomicU64::new(0),
            told: AtomicU64::new(0),
            told_more: Notify::new(),
            accepted: Mutex::default(),
            lost: Notify::new(),
        };
        follower.load();
        Ok(follower)
    }

    /// The name of the point on the server.
    pub fn name(&self) -> String {
        lock(&self.name).clone()
    }

    /// The point that enforces.
    pub fn point(&self) -> &E {
        &self.point
    }

    /// Follows until `stop` is ready, and then deletes the point, so that no change waits for it.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut acknowledging = pin!(self.acknowledge());
        tokio::select! {
            () = stop => {}
            () = self.read() => {}
            () = self.enforce() => {}
            () = &mut acknowledging => {}
            () = self.measure() => {}
        }
        // Without its answer, a registration would leave a point that delays changes.
        if self.is_registering.load(Ordering::Acquire) {
            let answered = async {
                while self.is_registering.load(Ordering::Acquire) {
                    tokio::select! {
                        () = self.registered.notified() => {}
                        () = &mut acknowledging => {}
                    }
                }
            };
            if timeout(FAREWELL, answered).await.is_err() {
                tracing::warn!("the server did not answer the registration in time");
            }
        }
        let id = lock(&self.id).take();
        if let Some(id) = id {
            let path = format!("enforcement_points/{id}");
            let deleted = self
                .api
                .object::<serde_json::Value>(Method::DELETE, &path, None::<&()>);
            match timeout(FAREWELL, deleted).await {
                Ok(Ok(_)) => tracing::info!(name = self.name(), "the enforcement point is deleted"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "cannot delete the enforcement point");
                }
                Err(_) => tracing::warn!("the server did not delete the enforcement point in time"),
            }
        }
    }

    /// Publishes the view on disk.
    fn load(&self) {
        let Some(disk) = &self.disk else { return };
        let stored = match lock(disk).load() {
            Ok(Some(stored)) => stored,
            Ok(None) => return,
            Err(error) => {
                let text = "the view on disk cannot be used: it is read from the server";
                tracing::warn!(%error, "{text}");
                return;
            }
        };
        // A clock that was set back since then says nothing about the age.
        let age = stored.confirmed_on.until(self.clock.now());
        if age.is_within(i64::from(u32::MAX)) {
            self.view
                .publish(stored.epoch, stored.configuration, stored.revoked);
            self.view.confirm(BootInstant::now().minus(age.duration()));
            self.is_lost.store(false, Ordering::Release);
            self.progress.publish(stored.epoch, Applied::Everything);
            let age_seconds = age.seconds();
            tracing::info!(
                epoch = stored.epoch,
                age_seconds,
                "the view on disk is used"
            );
        }
    }

    /// Hands changes to the point, forever.
    async fn enforce(&self) {
        let mut trouble = Trouble::new(
            "changes are not enforced; they are tried again",
            "changes are enforced again",
        );
        loop {
            let Some((applied, epoch)) = self.progress.take() else {
                self.progress.published.notified().await;
                continue;
            };
            match self.point.enforce(&applied).await {
                Ok(()) => {
                    trouble.end();
                    self.progress.enforced(epoch);
                }
                Err(error) => {
                    self.progress.put_back(applied);
                    if error.is_view_old {
                        self.is_lost.store(true, Ordering::Release);
                        self.lost.notify_one();
                    }
                    let pause = trouble.begin_up_to(&error, ENFORCE_RETRY_MAX, &*self.random);
                    wait(pause).await;
                }
            }
        }
    }

    /// Acknowledges the latest epoch after each enforcement and at intervals, forever.
    async fn acknowledge(&self) {
        let mut trouble = Trouble::new(
            "cannot acknowledge changes; the server reports them as pending",
            "changes are acknowledged again",
        );
        let mut stale_after = self.view.stale_after();
        let mut pace = Pace::default();
        loop {
            let heartbeat = self.heartbeat(*stale_after.borrow_and_update());
            let begun = BootInstant::now();
            let pause = match self.acknowledge_now().await {
                Ok(true) => {
                    trouble.end();
                    let next = pace.sent(begun);
                    wait(next.since(BootInstant::now())).await;
                    heartbeat
                }
                // The feed is interrupted, or nothing is enforced yet: an event ends the wait.
                Ok(false) => heartbeat,
                Err(error) => {
                    match error.code() {
                        Some(CODE_NO_POINT) => *lock(&self.id) = None,
                        Some(CODE_OF_ANOTHER_TOKEN) => {
                            *lock(&self.id) = None;
                            *lock(&self.name) = random_name(&self.settings.name, &*self.random);
                        }
                        Some(CODE_AHEAD) => {
                            self.is_lost.store(true, Ordering::Release);
                            self.lost.notify_one();
                        }
                        _ => {}
                    }
                    let pause = trouble.begin(&error, error.is_permanent(), &*self.random);
                    // A change ends the next wait, but not this one.
                    wait(pace::INTERVAL).await;
                    pause
                }
            };
            let due = async {
                tokio::select! {
                    () = self.progress.due.notified() => {}
                    // The view owns the sender.
                    _ = stale_after.changed() => {}
                }
            };
            let _ = timeout(pause, due).await;
        }
    }

    /// Registers the point if necessary, and sends an acknowledgement. Returns false if there is
    /// nothing to acknowledge.
    async fn acknowledge_now(&self) -> Result<bool, ApiError> {
        let id = *lock(&self.id);
        let id = match id {
            Some(id) => id,
            None => self.register().await?,
        };
        // The server waits for this point from the moment at which it accepts. The moment before
        // the choice of the epoch is earlier, also if the process is stopped in between.
        let (sent, sent_on) = (BootInstant::now(), self.clock.now());
        let Some(epoch) = self.progress.epoch().filter(|_| self.is_following()) else {
            return Ok(false);
        };
        let path = format!("enforcement_points/{id}/acknowledgement");
        let body = AcknowledgeEpoch {
            epoch: WholeNumber(i64::try_from(epoch).unwrap_or(i64::MAX)),
        };
        let path = path.as_str();
        let accepted = self
            .api
            .object::<EnforcementPoint<'_>>(Method::PUT, path, Some(&body));
        let last_epoch = accepted.await?.last_epoch;
        self.told.store(last_epoch, Ordering::Release);
        self.told_more.notify_one();
        // Without an interruption, the server waited for this point with each change since the last
        // proof. After one, it may have settled changes that the view does not have yet.
        if !self.was_waited_for(BootInstant::now()) && !self.reaches(last_epoch).await {
            return Ok(false);
        }
        *lock(&self.accepted) = Some(sent);
        self.view.confirm(sent);
        self.remember(epoch, sent_on);
        Ok(true)
    }

    /// Returns true if the lease since the last proof of freshness has not ended before `now`.
    fn was_waited_for(&self, now: BootInstant) -> bool {
        let lease = Duration::from_secs(u64::from(self.settings.lease_seconds));
        lock(&self.accepted).is_some_and(|accepted| now.since(accepted) < lease)
    }

    /// Returns true as soon as the view has every change up to `epoch`, and false if it does not
    /// get them soon.
    async fn reaches(&self, epoch: u64) -> bool {
        if self.view.epoch() >= epoch {
            return true;
        }
        let reached = async {
            while self.view.epoch() < epoch {
                self.progress.due.notified().await;
            }
        };
        let is_reached = timeout(RETRY_MAX, reached).await.is_ok();
        // This wait has used up the event that those changes are to be acknowledged.
        self.progress.due.notify_one();
        is_reached
    }

    async fn register(&self) -> Result<EnforcementPointId, ApiError> {
        let settings = &self.settings;
        let seconds = |seconds: u32| WholeNumber(i64::from(seconds));
        let body = RegisterEnforcementPoint {
            name: self.name().into(),
            lease_seconds: Some(seconds(settings.lease_seconds)),
            covers: Some(
                settings
                    .covers
                    .iter()
                    .map(|name| CoverageName(*name))
                    .collect(),
            ),
            when_stale: Some(WhenStaleName(settings.when_stale)),
            forget_seconds: settings.forget_seconds.map(seconds),
        };
        self.is_registering.store(true, Ordering::Release);
        let registered = self.api.object::<EnforcementPoint<'_>>(
            Method::POST,
            "enforcement_points",
            Some(&body),
        );
        let registered = registered.await;
        // An answer that was lost: the next attempt has the same name, and gets the same point.
        if matches!(registered, Ok(_) | Err(ApiError::Refused { .. })) {
            self.is_registering.store(false, Ordering::Release);
            self.registered.notify_one();
        }
        let id = EnforcementPointId::from(registered?.id);
        tracing::info!(name = self.name(), %id, "the enforcement point is registered");
        *lock(&self.id) = Some(id);
        *lock(&self.accepted) = None;
        Ok(id)
    }

    /// Returns true if the feed is alive: an acknowledgement without it would make an old view look
    /// fresh.
    fn is_following(&self) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        let is_alive = is_recent(heard, BootInstant::now());
        is_alive && !self.is_lost.load(Ordering::Acquire)
    }

    fn heard(&self) {
        let now = BootInstant::now().nanoseconds();
        let before = self.heard.swap(now, Ordering::AcqRel);
        let (now, before) = (now, BootInstant::from_nanoseconds(before));
        if BootInstant::from_nanoseconds(now).since(before) >= RETRY_MAX {
            // The view may be stale: prove its freshness at once.
            self.progress.due.notify_one();
        }
    }

    fn heartbeat(&self, stale_after: Duration) -> Duration {
        let lease = Duration::from_secs(u64::from(self.settings.lease_seconds));
        let shortest = pace::INTERVAL * 2;
        (lease / 12)
            .min(stale_after / 4)
            .min(HEARTBEAT_MAX)
            .max(shortest)
    }

    /// Writes the whole view after the next acknowledgement: a change must not wait for the disk.
    fn save_later(&self) {
        if let Some(disk) = &self.disk {
            lock(disk).set_full();
        }
    }

    /// Records an accepted acknowledgement on disk. Nothing else is published meanwhile, because
    /// one task runs all loops.
    fn remember(&self, epoch: u64, sent_on: Timestamp) {
        let Some(disk) = &self.disk else { return };
        let mut disk = lock(disk);
        let outcome = match disk.is_full() {
            true => {
                let (_, revoked) = self.view.epoch_and_revoked();
                disk.write(epoch, sent_on, self.view.configuration().source(), &revoked)
            }
            false => disk.confirm(epoch, sent_on),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot write the view to the state directory");
        }
    }

    /// Updates the metrics, forever.
    async fn measure(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            metrics::gauge!("certgate_enforcement_epoch").set(self.view.epoch() as f64);
            let age = self.view.age(BootInstant::now());
            let age = age.map_or(f64::INFINITY, |age| age.as_secs_f64());
            metrics::gauge!("certgate_enforcement_fresh_seconds").set(age);
        }
    }
}

/// Returns true if the feed had a line within [`STREAM_SILENCE`]. `heard` is 0 before the first
/// line, also within the first seconds after the start of the machine.
fn is_recent(heard: u64, now: BootInstant) -> bool {
    heard != 0 && now.since(BootInstant::from_nanoseconds(heard)) < STREAM_SILENCE
}

fn random_name(name: &str, random: &dyn Random) -> String {
    let mut digits = [0; 4];
    random.fill(&mut digits);
    format!("{name}-{}", Hex(&digits))
}

/// Waits for a time in which no event can help.
async fn wait(pause: Duration) {
    let _ = timeout(pause, std::future::pending::<()>()).await;
}

/// A failure that lasts: it is logged once when it begins or changes, and once when it ends.
struct Trouble {
    text: &'static str,
    end: &'static str,
    error: Option<String>,
    pause: Duration,
}

impl Trouble {
    fn new(text: &'static str, end: &'static str) -> Self {
        Self {
            text,
            end,
            error: None,
            pause: RETRY,
        }
    }

    /// Logs a failure, and returns the pause before the next attempt.
    fn begin(&mut self, error: &ApiError, is_permanent: bool, random: &dyn Random) -> Duration {
        let most = match is_permanent {
            true => REFUSED_RETRY_MAX,
            false => RETRY_MAX,
        };
        self.begin_up_to(error, most, random)
    }

    fn begin_up_to(
        &mut self,
        error: &dyn std::fmt::Display,
        most: Duration,
        random: &dyn Random,
    ) -> Duration {
        let error = error.to_string();
        if self.error.as_ref() != Some(&error) {
            tracing::warn!(error, "{}", self.text);
            self.error = Some(error);
        }
        let pause = self.pause.min(most);
        self.pause = (pause * 2).min(most);
        // Points that lost the same server do not return in step.
        let mut octet = [0];
        random.fill(&mut octet);
        pause.mul_f64(1.0 + f64::from(octet[0]) / 512.0)
    }

    fn end(&mut self) {
        self.pause = RETRY;
        if self.error.take().is_some() {
            tracing::info!("{}", self.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix(1_000)
        }
    }

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    impl Enforce for Fixed {
        async fn enforce(&self, _: &Applied) -> Result<(), EnforceError> {
            Ok(())
        }
    }

    fn follower() -> Follower<Fixed> {
        let settings = PointSettings {
            api: "http://127.0.0.1:1".to_owned(),
            token: TokenSource::Text("token".to_owned().into()),
            account: AccountId::from_bytes([1; 16]),
            name: "edge".to_owned(),
            state_dir: None,
            ca_file: None,
            allow_cleartext: false,
            covers: vec![Coverage::Requests],
            when_stale: WhenStale::Refuse,
            lease_seconds: 60,
            forget_seconds: None,
        };
        let view = Arc::new(View::new());
        Follower::new(settings, view, Fixed, Arc::new(Fixed), Arc::new(Fixed)).unwrap()
    }

    #[test]
    fn the_feed_is_alive_after_a_line_and_not_by_the_start_of_the_machine() {
        let at = |seconds: u64| BootInstant::from_nanoseconds(seconds * 1_000_000_000);
        assert!(!is_recent(0, at(5)));
        assert!(is_recent(at(5).nanoseconds(), at(19)));
        assert!(!is_recent(at(5).nanoseconds(), at(20)));
    }

    #[test]
    fn an_interruption_is_as_long_as_the_lease() {
        let follower = follower();
        let now = BootInstant::now();
        assert!(!follower.was_waited_for(now), "it was never accepted");
        *lock(&follower.accepted) = Some(now);
        let after = |seconds| now.plus(Duration::from_secs(seconds));
        assert!(follower.was_waited_for(after(59)));
        assert!(!follower.was_waited_for(after(60)));
    }

    #[tokio::test]
    async fn a_proof_after_an_interruption_waits_for_the_changes_before_it() {
        let follower = follower();
        let publish = |epoch| {
            follower.view.publish_changes(epoch, &[], None);
            follower.progress.publish(epoch, Applied::Everything);
            let (_, taken) = follower.progress.take().unwrap();
            follower.progress.enforced(taken);
        };
        publish(5);
        assert!(follower.reaches(5).await);
        assert!(!follower.reaches(6).await);
        let later = async {
            tokio::task::yield_now().await;
            publish(6);
        };
        let (is_reached, ()) = tokio::join!(follower.reaches(6), later);
        assert!(is_reached);
        let due = timeout(RETRY, follower.progress.due.notified()).await;
        assert!(due.is_ok(), "those changes are acknowledged at once");
    }
}
