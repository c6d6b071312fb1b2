//! Followers of the revocations of an account, registered as enforcement points or not.

use std::collections::BTreeSet;
use std::time::Duration;

use certgate_service::{Credential, FollowRevocations, Secret};
use certgate_testkit::TestApp;
use serde_json::{Value, json};

use super::model::Model;
use certgate_model::{Clock, FollowedChange, Hex, Timestamp};

/// The silence after which a point is forgotten that states none.
const DAY_SECONDS: i64 = 86_400;

/// The most changes of an answer.
const WHOLE_PAGE: u32 = 1_000;

pub struct Follower {
    pub account: usize,
    account_id: String,
    name: String,
    registered: Option<Registered>,
    /// The last epoch that it knows, and the fingerprints of the certificates that it rejects.
    known: Option<(u64, BTreeSet<String>)>,
}

struct Registered {
    id: String,
    seen_on: Timestamp,
    lease_until: Timestamp,
    acknowledged: u64,
}

struct Change {
    epoch: u64,
    /// The fingerprint, and whether it is revoked; `None`: the hostnames or CAs changed.
    certificate: Option<(String, bool)>,
}

impl Follower {
    pub fn new(account: usize, account_id: &str, name: &str) -> Self {
        Self {
            account,
            account_id: account_id.to_owned(),
            name: name.to_owned(),
            registered: None,
            known: None,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/certgate/v1/accounts/{}/{rest}", self.account_id)
    }

    /// Returns true if a change of its account with this epoch must wait for it.
    pub fn holds_back(&self, account: usize, epoch: u64, now: Timestamp) -> bool {
        let waited_for = self
            .registered
            .as_ref()
            .filter(|registered| registered.lease_until > now);
        self.account == account
            && waited_for.is_some_and(|registered| registered.acknowledged < epoch)
    }

    pub async fn register(&mut self, app: &TestApp, lease_seconds: i64) {
        let body = json!({ "name": self.name, "lease_seconds": lease_seconds });
        let point = app
            .post(&self.path("enforcement_points"), body)
            .await
            .result();
        let id = point["id"].as_str().unwrap().to_owned();
        let lease_until = app.clock.now().plus_seconds(lease_seconds);
        let before = self.registered.as_ref();
        let before = match self.is_forgotten(app) {
            true => before.filter(|before| before.id == id),
            false => before,
        };
        let acknowledged = before.map_or(0, |before| before.acknowledged);
        assert!(
            before.is_none_or(|before| before.id == id),
            "the name keeps its id"
        );
        self.registered = Some(Registered {
            id,
            seen_on: app.clock.now(),
            lease_until,
            acknowledged,
        });
    }

    /// Returns true if certgate may have deleted its registration, because it was silent for a day.
    fn is_forgotten(&self, app: &TestApp) -> bool {
        let is_silent = |registered: &Registered| {
            let forget_on = registered.seen_on.plus_seconds(DAY_SECONDS);
            forget_on <= app.clock.now()
        };
        self.registered.as_ref().is_some_and(is_silent)
    }

    /// Acknowledges an epoch, `behind` epochs before the last one that it knows. A follower that is
    /// not registered, or has read nothing yet, does nothing.
    pub async fn acknowledge(&mut self, app: &TestApp, behind: u64) {
        let (Some(registered), Some((known, _))) = (&self.registered, &self.known) else {
            return;
        };
        let epoch = known.saturating_sub(behind);
        let path = self.path(&format!(
            "enforcement_points/{}/acknowledgement",
            registered.id
        ));
        let answer = app.put(&path, json!({ "epoch": epoch })).await;
        if answer.status == 404 && self.is_forgotten(app) {
            self.registered = None;
            return;
        }
        let point = answer.result();
        let acknowledged = registered.acknowledged.max(epoch);
        assert_eq!(point["acknowledged_epoch"], acknowledged);
        let lease = point["lease_seconds"].as_i64().unwrap();
        let lease_until = app.clock.now().plus_seconds(lease);
        self.registered = Some(Registered {
            id: registered.id.clone(),
            seen_on: app.clock.now(),
            lease_until,
            acknowledged,
        });
    }

    pub async fn delete(&mut self, app: &TestApp) {
        let is_forgotten = self.is_forgotten(app);
        if let Some(registered) = self.registered.take() {
            let path = self.path(&format!("enforcement_points/{}", registered.id));
            let answer = app.delete(&path).await;
            if answer.status != 404 || !is_forgotten {
                answer.result();
            }
        }
    }

    /// Reads all revoked certificates.
    pub async fn read_all(&mut self, app: &TestApp, model: &Model) {
        let answer = app.get(&self.path("revocations")).await;
        let text = String::from_utf8(answer.bytes).unwrap();
        let mut lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let epoch = lines.remove(0)["epoch"].as_u64().unwrap();
        let count = lines.pop().unwrap()["count"].clone();
        assert_eq!(
            (epoch, &count),
            (model.last_of(self.account), &json!(lines.len()))
        );
        let told: BTreeSet<_> = lines
            .iter()
            .map(|line| line["fingerprint_sha256"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            told,
            model.fingerprints(self.account, epoch, app.clock.now()),
            "all that is revoked"
        );
        self.known = Some((epoch, told));
    }

    /// Reads the changes after the last epoch that it knows, `page` changes at a time.
    pub async fn follow(&mut self, app: &TestApp, model: &Model, page: u32) {
        if self.known.is_none() {
            self.read_all(app, model).await;
        }
        loop {
            let (mut known, mut kept_out) = self.known.take().unwrap();
            let (epoch, changes) = self.changes(app, known, page).await;
            let is_last = changes.len() < page as usize;
            for change in changes {
                assert!(
                    known < change.epoch,
                    "a change at {} after one at {known}",
                    change.epoch
                );
                known = change.epoch;
                match change.certificate {
                    Some((fingerprint, true)) => kept_out.insert(fingerprint),
                    Some((fingerprint, false)) => kept_out.remove(&fingerprint),
                    None => false,
                };
            }
            self.known = Some((epoch, kept_out));
            if is_last {
                break;
            }
            assert_eq!(epoch, known, "more may come after it");
        }
        assert_eq!(
            self.known.as_ref().unwrap().0,
            model.last_of(self.account),
            "everything was told"
        );
        self.check(app.clock.now(), model);
    }

    /// Checks that it rejects the certificates that were revoked at its epoch. Expired ones do not
    /// count.
    pub fn check(&self, now: Timestamp, model: &Model) {
        let Some((epoch, kept_out)) = &self.known else {
            return;
        };
        let all = model.fingerprints(self.account, *epoch, Timestamp::EARLIEST);
        let live = model.fingerprints(self.account, *epoch, now);
        assert!(
            kept_out.is_subset(&all),
            "{} keeps others out at {epoch}: {kept_out:?}, not {all:?}",
            self.name
        );
        assert!(
            kept_out.is_superset(&live),
            "{} lets some in at {epoch}: {kept_out:?}, not {live:?}",
            self.name
        );
    }

    async fn changes(&self, app: &TestApp, after: u64, page: u32) -> (u64, Vec<Change>) {
        if page == WHOLE_PAGE {
            let told = app
                .get(&self.path(&format!("revocation_changes?after={after}")))
                .await
                .result();
            let changes = told["changes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|change| Change {
                    epoch: change["epoch"].as_u64().unwrap(),
                    certificate: (change["configuration"] != true).then(|| {
                        let fingerprint = change["fingerprint_sha256"].as_str().unwrap();
                        (fingerprint.to_owned(), change["revoked"].as_bool().unwrap())
                    }),
                });
            return (told["epoch"].as_u64().unwrap(), changes.collect());
        }
        // The test calls the service, because callers of the API cannot choose the size of a page.
        let credential = Credential {
            secret: Secret::Token(&app.token),
            from: None,
        };
        let caller = app
            .service
            .access
            .authenticate(credential)
            .await
            .ok()
            .unwrap();
        let account = self.account_id.parse().unwrap();
        let scope = app
            .service
            .access
            .account_scope::<FollowRevocations>(&caller, account)
            .await
            .ok()
            .unwrap();
        let told = app
            .service
            .feed
            .changes(&scope, after, page, Duration::ZERO)
            .await
            .unwrap();
        let changes = told.changes.into_iter().map(|change| Change {
            epoch: change.epoch(),
            certificate: match change {
                FollowedChange::Certificate(change) => {
                    let fingerprint = Hex(&change.certificate.fingerprint_sha256).to_string();
                    Some((fingerprint, change.revoked))
                }
                FollowedChange::Configuration { .. } => None,
            },
        });
        (told.epoch, changes.collect())
    }
}
