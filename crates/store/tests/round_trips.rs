//! The statements and round trips of each verb on PostgreSQL, counted on the wire.
//!
//! SQLite answers immediately and hides an extra round trip. Over a network, each round trip delays
//! a request equally. [`Meter`] is a proxy between the store and the server. It delays each answer
//! until the store sends nothing more: all statements until then are one round trip.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[expect(dead_code, reason = "other tests use the rest")]
mod postgres_server;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::{
    AccountId, AuditOwner, AuditQuery, AuthorityRecord, CertificateId, CertificateQuery,
    CertificateRecord, Coverage, CrlKind, CrlRecord, Direction, EnforcementPointId,
    EnforcementPointRecord, Event, Slice, Status, Timestamp, TokenId, WhenStale, ZoneId, lock,
};
use certgate_store::conformance::{self, by, instant};
use certgate_store::prelude::*;
use certgate_store::{FirstRecords, PostgresOptions, PostgresStore};
use futures_util::future::{join, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A store that sends nothing for this time waits for an answer. It computes for microseconds
/// between two statements, but a busy machine may delay it.
const QUIET: Duration = Duration::from_millis(25);

/// The statements and the round trips of each verb, once its statements are prepared. The round
/// trips of a write include BEGIN with the lock, and COMMIT.
const EXPECTED: &[(&str, usize, usize)] = &[
    ("record a certificate", 12, 5),
    ("record 64 certificates", 12, 5),
    ("revoke a certificate", 19, 8),
    ("revoke 64 certificates", 254, 8),
    ("settle 64 certificates", 71, 7),
    ("settle nothing", 1, 3),
    ("restore 64 certificates", 254, 8),
    ("get a certificate", 1, 1),
    ("page of all certificates", 3, 3),
    ("page of a status", 5, 5),
    ("totals of a zone", 2, 2),
    ("status of a known certificate", 1, 1),
    ("token by hash", 1, 1),
    ("a zone", 1, 1),
    ("the active CA", 1, 1),
    ("content of a shard", 4, 4),
    ("content of the full list", 4, 4),
    ("changes of an account", 4, 3),
    ("page of an audit log", 2, 2),
    ("CRLs to renew", 3, 1),
    ("renew an enforcement point", 3, 5),
    ("acknowledge", 3, 5),
    ("record a CRL", 3, 5),
    ("record the use of a token", 1, 3),
];

/// One round trip: the statements that were sent together.
type Trip = Vec<String>;

/// Counts the statements and round trips between a store and its server.
#[derive(Clone, Default)]
struct Meter {
    trips: Arc<Mutex<Vec<Trip>>>,
    /// The statements of the current round trip.
    open: Arc<Mutex<Trip>>,
}

impl Meter {
    async fn start(&self, server: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let meter = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(meter.clone().forward(client, server));
            }
        });
        port
    }

    async fn forward(self, mut client: TcpStream, server: u16) {
        let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (mut sent, mut received) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut requests, mut answers) = (Messages::with_startup(), Messages::default());
        let mut texts = HashMap::new();
        // The answer to the first message is complete like that to a statement.
        let mut unanswered = 1_i32;
        let mut held = Vec::new();
        loop {
            let moved = async {
                tokio::select! {
                    read = client.read(&mut sent) => read.map(|count| (true, count)),
                    read = server.read(&mut received) => read.map(|count| (false, count)),
                }
            };
            let moved = match unanswered == 0 && !held.is_empty() {
                false => moved.await,
                true => match timeout(QUIET, moved).await {
                    Ok(moved) => moved,
                    Err(_) => {
                        let trip = std::mem::take(&mut *lock(&self.open));
                        if !trip.is_empty() {
                            lock(&self.trips).push(trip);
                        }
                        if client.write_all(&held).await.is_err() {
                            return;
                        }
                        held.clear();
                        continue;
                    }
                },
            };
            match moved {
                Ok((true, count @ 1..)) => {
                    for (tag, body) in requests.read(&sent[..count]) {
                        unanswered += i32::from(matches!(tag, b'S' | b'Q'));
                        self.note(tag, &body, &mut texts);
                    }
                    if server.write_all(&sent[..count]).await.is_err() {
                        return;
                    }
                }
                Ok((false, count @ 1..)) => {
                    let answered = answers.read(&received[..count]);
                    unanswered -= answered.filter(|(tag, _)| *tag == b'Z').count() as i32;
                    held.extend_from_slice(&received[..count]);
                }
                _ => return,
            }
        }
    }

    /// Notes the statement that a message begins to run.
    fn note(&self, tag: u8, body: &[u8], texts: &mut HashMap<String, String>) {
        let mut parts = body.split(|octet| *octet == 0);
        let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        match tag {
            b'P' => {
                let (name, text) = (part(), part());
                texts.insert(name, text);
            }
            b'B' => {
                let (_portal, name) = (part(), part());
                let text = texts.get(&name).cloned().unwrap_or_default();
                lock(&self.open).push(text);
            }
            b'Q' => lock(&self.open).push(format!("{}{}", CONTROL, part())),
            _ => {}
        }
    }

    /// Runs a verb and returns its round trips. One with ROLLBACK alone ends a snapshot, and the
    /// caller does not wait for it.
    async fn measure<T>(&self, verb: impl Future<Output = T>) -> Vec<Trip> {
        self.settled().await;
        lock(&self.trips).clear();
        verb.await;
        self.settled().await;
        let mut trips = std::mem::take(&mut *lock(&self.trips));
        trips.retain(|trip| *trip != [format!("{CONTROL}ROLLBACK")]);
        trips
    }

    /// Waits until every statement has its answer.
    async fn settled(&self) {
        let mut count = usize::MAX;
        loop {
            let _ = timeout(3 * QUIET, std::future::pending::<()>()).await;
            let now = lock(&self.trips).len();
            if now == count && lock(&self.open).is_empty() {
                return;
            }
            count = now;
        }
    }

    /// Waits until a write has begun.
    async fn begun(&self) {
        while !lock(&self.open).iter().any(|text| text.contains("BEGIN")) {
            tokio::task::yield_now().await;
        }
    }
}

/// The mark of a message that controls a transaction, which is not counted as a statement.
const CONTROL: &str = "control: ";

/// Splits received octets into messages of PostgreSQL's protocol.
#[derive(Default)]
struct Messages {
    octets: Vec<u8>,
    /// The first message of a client has no tag.
    is_startup: bool,
}

impl Messages {
    fn with_startup() -> Self {
        Self {
            is_startup: true,
            ..Self::default()
        }
    }

    fn read(&mut self, octets: &[u8]) -> std::vec::IntoIter<(u8, Vec<u8>)> {
        self.octets.extend_from_slice(octets);
        let mut messages = Vec::new();
        loop {
            let tag = usize::from(!self.is_startup);
            let Some(length) = self.octets.get(tag..tag + 4) else {
                break;
            };
            let end = tag + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.octets.len() < end {
                break;
            }
            let message: Vec<u8> = self.octets.drain(..end).collect();
            if !self.is_startup {
                messages.push((message[0], message[5..].to_vec()));
            }
            self.is_startup = false;
        }
        messages.into_iter()
    }
}

/// Measured verbs, in their order.
struct Measured {
    meter: Meter,
    counts: Vec<(&'static str, usize, usize)>,
    trips: String,
}

impl Measured {
    /// `others` are round trips that belong to another write.
    fn add(&mut self, name: &'static str, trips: Vec<Trip>, others: usize) {
        let statements = trips
            .iter()
            .flatten()
            .filter(|text| !text.starts_with(CONTROL))
            .count();
        self.counts
            .push((name, statements, trips.len().saturating_sub(others)));
        writeln!(self.trips, "{name}:").unwrap();
        for (number, trip) in (1..).zip(&trips) {
            let mut times: Vec<(&String, usize)> = Vec::new();
            for text in trip {
                match times.last_mut() {
                    Some((last, count)) if *last == text => *count += 1,
                    _ => times.push((text, 1)),
                }
            }
            for (text, count) in times {
                let short: String = text.chars().take(90).collect();
                writeln!(self.trips, "  {number}. {count} × {short}").unwrap();
            }
        }
    }

    /// Measures a read. It runs once before, so that its statements are prepared.
    async fn read<T>(&mut self, name: &'static str, verb: impl AsyncFn() -> T) {
        verb().await;
        let trips = self.meter.measure(verb()).await;
        self.add(name, trips, 0);
    }

    /// Measures a write. An earlier one of the kind has prepared its statements.
    async fn write<T>(&mut self, name: &'static str, verb: impl Future<Output = T>) {
        let trips = self.meter.measure(verb).await;
        self.add(name, trips, 0);
    }

    /// Measures writes that share a transaction: they wait while an empty one runs, which takes two
    /// round trips.
    async fn batch<T, F: Future<Output = T>>(
        &mut self,
        name: &'static str,
        store: &PostgresStore,
        verbs: impl IntoIterator<Item = F>,
    ) {
        let meter = self.meter.clone();
        let batch = join(store.record_token_uses(Vec::new()), async {
            meter.begun().await;
            join_all(verbs).await
        });
        let trips = self.meter.measure(batch).await;
        self.add(name, trips, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verb_takes_more_statements_or_round_trips_than_listed() {
    let Some(server) = postgres_server::server() else {
        return;
    };
    let url = server.database();
    let meter = Meter::default();
    let port = meter.start(server.port()).await;
    let name = url.rsplit('/').next().unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
    let options = PostgresOptions {
        // Statements are prepared for each connection.
        readers: 1,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&url, options).await.unwrap();
    let records = conformance::first_records();
    assert!(store.initialise(records.clone()).await.unwrap());
    let account = records.account.id;
    let authority = conformance::authority(0, &records.account);
    store
        .record_managed_authority(authority.clone(), by())
        .await
        .unwrap();
    let mut measured = Measured {
        meter,
        counts: Vec::new(),
        trips: String::new(),
    };
    let issued = writes_of_certificates(&store, records.zone.id, &authority, &mut measured).await;
    reads(&store, &records, &authority, &issued, &mut measured).await;
    other_writes(&store, account, &authority, &mut measured).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    assert_eq!(measured.counts, EXPECTED, "\n{}", measured.trips);
}

/// The certificates number `numbers`, with IDs as servers make them.
fn certificates(
    numbers: std::ops::Range<u32>,
    zone: ZoneId,
    authority: &AuthorityRecord,
) -> Vec<CertificateRecord> {
    let certificate = |n: u32| {
        let mut id = [0x70; 16];
        id[8..12].copy_from_slice(&n.to_be_bytes());
        CertificateRecord {
            id: CertificateId::from_bytes(id),
            ..conformance::certificate(n, zone, authority, Status::Active)
        }
    };
    numbers.map(certificate).collect()
}

async fn writes_of_certificates(
    store: &PostgresStore,
    zone: ZoneId,
    authority: &AuthorityRecord,
    measured: &mut Measured,
) -> Vec<CertificateRecord> {
    let all = certificates(0..200, zone, authority);
    let record = |one: &CertificateRecord| store.record_certificate(one.clone(), None, by());
    let change = |one: &CertificateRecord, event| store.change_status(zone, one.id, event, by());
    let settle = |limit| store.settle_pending(u64::MAX, instant(0), &[], limit);

    // The first of each kind prepares the statements.
    record(&all[0]).await.unwrap();
    measured
        .write("record a certificate", record(&all[1]))
        .await;
    let batch = all[2..66].iter().map(record);
    measured.batch("record 64 certificates", store, batch).await;

    change(&all[0], Event::HOLD).await.unwrap();
    let revoke = change(&all[1], Event::HOLD);
    measured.write("revoke a certificate", revoke).await;
    let batch = all[2..66].iter().map(|one| change(one, Event::HOLD));
    measured.batch("revoke 64 certificates", store, batch).await;
    settle(2).await.unwrap();
    measured.write("settle 64 certificates", settle(64)).await;
    measured.write("settle nothing", settle(64)).await;

    change(&all[0], Event::Reactivate).await.unwrap();
    let batch = all[2..66].iter().map(|one| change(one, Event::Reactivate));
    measured
        .batch("restore 64 certificates", store, batch)
        .await;
    all[..66].to_vec()
}

async fn reads(
    store: &PostgresStore,
    records: &FirstRecords,
    authority: &AuthorityRecord,
    issued: &[CertificateRecord],
    measured: &mut Measured,
) {
    let (zone, account) = (records.zone.id, records.account.id);
    let slice = Slice { first: 5, size: 20 };
    let page = |status| store.certificates(zone, CertificateQuery { status, slice });
    let one = &issued[1];
    let hash = records.token.hash;
    let query = || AuditQuery {
        since: Timestamp::EARLIEST,
        before: Timestamp::LATEST,
        actor: None,
        direction: Direction::Descending,
        after: None,
        limit: 20,
    };
    measured
        .read("get a certificate", async || {
            store.certificate(zone, one.id).await.unwrap().unwrap()
        })
        .await;
    measured
        .read("page of all certificates", async || {
            assert_eq!(page(None).await.unwrap().items.len(), 20);
        })
        .await;
    measured
        .read("page of a status", async || {
            let page = page(Some(Status::PendingReactivation)).await.unwrap();
            assert_eq!(page.items.len(), 20);
        })
        .await;
    measured
        .read("totals of a zone", async || {
            store.totals(zone).await.unwrap()
        })
        .await;
    measured
        .read("status of a known certificate", async || {
            let issued = store.issued(authority.id, one.serial, one.id).await;
            issued.unwrap().unwrap()
        })
        .await;
    measured
        .read("token by hash", async || {
            store.token_by_hash(hash).await.unwrap().unwrap()
        })
        .await;
    measured
        .read("a zone", async || store.zone(zone).await.unwrap().unwrap())
        .await;
    measured
        .read("the active CA", async || {
            store.managed_authority(account).await.unwrap().unwrap()
        })
        .await;
    measured
        .read("content of a shard", async || {
            let kind = CrlKind::Shard(one.serial.shard());
            let content = store.crl_content(authority.id, kind, instant(0), 1_000);
            content.await.unwrap().unwrap()
        })
        .await;
    measured
        .read("content of the full list", async || {
            let content = store.crl_content(authority.id, CrlKind::Full, instant(0), 1_000);
            content.await.unwrap().unwrap()
        })
        .await;
    measured
        .read("changes of an account", async || {
            assert!(
                !store
                    .revocation_changes(account, 0, 20)
                    .await
                    .unwrap()
                    .is_empty()
            );
        })
        .await;
    measured
        .read("page of an audit log", async || {
            let entries = store.audit_entries(AuditOwner::Account(account), query());
            assert_eq!(entries.await.unwrap().len(), 20);
        })
        .await;
    measured
        .read("CRLs to renew", async || {
            store
                .crls_aged(instant(0), Timestamp::LATEST, 10)
                .await
                .unwrap()
        })
        .await;
}

async fn other_writes(
    store: &PostgresStore,
    account: AccountId,
    authority: &AuthorityRecord,
    measured: &mut Measured,
) {
    let id = EnforcementPointId::from_bytes([1; 16]);
    let point = |seen: u32| EnforcementPointRecord {
        id,
        account,
        token: TokenId::from_bytes([1; 16]),
        name: "edge".into(),
        lease_seconds: 60,
        covers: vec![Coverage::Requests],
        when_stale: WhenStale::Refuse,
        forget_seconds: 86_400,
        acknowledged_epoch: 0,
        seen_on: instant(seen),
        registered_on: instant(0),
    };
    let register = |seen| store.register_enforcement_point(point(seen), 10, by());
    register(0).await.unwrap();
    measured
        .write("renew an enforcement point", register(1))
        .await;
    let acknowledge = |epoch| store.acknowledge(account, id, point(0).token, epoch, instant(2));
    acknowledge(1).await.unwrap();
    measured.write("acknowledge", acknowledge(2)).await;
    let crl = |number| CrlRecord {
        authority: authority.id,
        kind: CrlKind::Full,
        number,
        epoch: number,
        this_update: instant(0),
        next_update: instant(60),
        der: Some(vec![0x30; 100]),
    };
    assert!(store.record_crl(crl(1), instant(30)).await.unwrap());
    measured
        .write("record a CRL", store.record_crl(crl(2), instant(30)))
        .await;
    let token = conformance::first_records().token.id;
    let uses = |seconds| store.record_token_uses(vec![(token, instant(seconds))]);
    uses(100).await.unwrap();
    measured.write("record the use of a token", uses(101)).await;
}
