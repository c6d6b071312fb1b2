//! Plays operations on a whole certgate and on the model, and compares after each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use certgate_model::{AuthorityId, Clock, CrlKind, RevocationReason};
use certgate_testkit::TestApp;
use http::Method;
use serde_json::{Value, json};

use super::followers::Follower;
use super::lists::Lists;
use super::model::{Certificate, Model, Revoked};
use super::ocsp;

/// The most CAs: each has 130 CRLs.
const AUTHORITIES_MAX: usize = 4;

/// Followers of each account.
const FOLLOWERS: usize = 2;

static CSR: LazyLock<String> = LazyLock::new(|| certgate_testkit::csr("device"));

/// An operation. Numbers count modulo the number of objects, so that any number is valid.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    Issue {
        zone: u8,
        validity_days: u32,
    },
    Hold {
        certificate: u8,
    },
    RevokeForGood {
        certificate: u8,
        reason: u8,
    },
    Restore {
        certificate: u8,
    },
    Wait {
        seconds: i64,
    },
    Settle,
    /// Settles while some lists cannot be stored.
    SettleObstructed {
        obstruction: Obstruction,
    },
    Register {
        point: u8,
        lease_seconds: i64,
    },
    /// A follower reads all revoked certificates.
    ReadAll {
        point: u8,
    },
    /// A follower reads the changes since.
    Follow {
        point: u8,
        page: u32,
    },
    /// A follower acknowledges an epoch, `behind` epochs before the last one that it knows.
    Acknowledge {
        point: u8,
        behind: u64,
    },
    Delete {
        point: u8,
    },
    Restart,
    Rotate {
        account: u8,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum Obstruction {
    FullLists,
    LowerShards,
    /// The lists of the CAs that were stored first, third and so on.
    OddAuthorities,
    EvenAuthorities,
}

impl Obstruction {
    fn begin(self) -> &'static str {
        macro_rules! refuse {
            ($lists:literal) => {
                concat!(
                    "CREATE TRIGGER obstruction BEFORE UPDATE OF made_epoch ON crl_states WHEN ",
                    $lists,
                    " BEGIN SELECT raise(ABORT, 'obstructed'); END"
                )
            };
        }
        match self {
            Self::FullLists => refuse!("NEW.kind = 129"),
            Self::LowerShards => refuse!("NEW.kind < 64"),
            Self::OddAuthorities => refuse!("NEW.authority % 2 = 1"),
            Self::EvenAuthorities => refuse!("NEW.authority % 2 = 0"),
        }
    }

    const END: &'static str = "DROP TRIGGER obstruction";

    fn is_in_the_way_of(self, authority_number: usize, kind: CrlKind) -> bool {
        match self {
            Self::FullLists => kind == CrlKind::Full,
            Self::LowerShards => matches!(kind, CrlKind::Shard(0..64)),
            Self::OddAuthorities => !authority_number.is_multiple_of(2),
            Self::EvenAuthorities => authority_number.is_multiple_of(2),
        }
    }
}

/// The progress of settling after an operation.
#[derive(Clone, Copy)]
enum Settled {
    Nothing,
    Everything,
    /// The changes that these lists did not delay.
    Some(Obstruction),
}

pub struct History {
    app: TestApp,
    accounts: [String; 2],
    zones: [String; 2],
    /// The CAs in the order of their creation, with their certificates.
    authorities: Vec<(AuthorityId, Vec<u8>)>,
    followers: Vec<Follower>,
    lists: Lists,
    model: Model,
}

impl History {
    /// Starts with two accounts, each with one certificate, and no published list.
    pub async fn begin() -> Self {
        let app = TestApp::new().await;
        let text = |value: Value| value["id"].as_str().unwrap().to_owned();
        let other = text(
            app.post("/accounts", json!({ "name": "other" }))
                .await
                .result(),
        );
        let zone = json!({ "name": "other.example", "account": { "id": other } });
        let other_zone = text(app.post("/zones", zone).await.result());
        let accounts = [app.account_id.clone(), other];
        let mut followers = Vec::new();
        for number in 0..FOLLOWERS {
            for (account, id) in accounts.iter().enumerate() {
                followers.push(Follower::new(account, id, &format!("edge-{number}")));
            }
        }
        let zones = [app.zone_id.clone(), other_zone];
        let (lists, model) = (Lists::default(), Model::default());
        let mut history = Self {
            app,
            accounts,
            zones,
            authorities: Vec::new(),
            followers,
            lists,
            model,
        };
        for account in 0..2 {
            history.issue(account, 365).await;
        }
        history
    }

    /// Plays one operation, and compares everything that can be seen.
    pub async fn play(mut self, operation: Operation) -> Self {
        let mut settled = Settled::Nothing;
        match operation {
            Operation::Issue {
                zone,
                validity_days,
            } => self.issue(usize::from(zone) % 2, validity_days).await,
            Operation::Hold { certificate } => {
                self.revoke(certificate, RevocationReason::CertificateHold)
                    .await;
            }
            Operation::RevokeForGood {
                certificate,
                reason,
            } => {
                let permanent: Vec<_> = RevocationReason::ALL
                    .into_iter()
                    .filter(|reason| reason.is_permanent())
                    .collect();
                self.revoke(
                    certificate,
                    permanent[usize::from(reason) % permanent.len()],
                )
                .await;
            }
            Operation::Restore { certificate } => self.restore(certificate).await,
            Operation::Wait { seconds } => self.app.clock.advance_seconds(seconds),
            Operation::Settle => {
                self.app.settle().await;
                settled = Settled::Everything;
            }
            Operation::SettleObstructed { obstruction } => {
                self.app.store.damage(obstruction.begin()).await.unwrap();
                self.app.service.settler.settle_all().await.unwrap();
                self.app.store.damage(Obstruction::END).await.unwrap();
                settled = Settled::Some(obstruction);
            }
            Operation::Register {
                point,
                lease_seconds,
            } => {
                let (app, _, point) = self.follower(point);
                point.register(app, lease_seconds).await;
            }
            Operation::ReadAll { point } => {
                let (app, model, point) = self.follower(point);
                point.read_all(app, model).await;
            }
            Operation::Follow { point, page } => {
                let (app, model, point) = self.follower(point);
                point.follow(app, model, page).await;
            }
            Operation::Acknowledge { point, behind } => {
                let (app, _, point) = self.follower(point);
                point.acknowledge(app, behind).await;
            }
            Operation::Delete { point } => {
                let (app, _, point) = self.follower(point);
                point.delete(app).await;
            }
            Operation::Restart => self.app = self.app.restart().await,
            Operation::Rotate { account } => self.rotate(usize::from(account) % 2).await,
        }
        self.compare(settled).await;
        self
    }

    /// Settles all changes, and lets every follower read all of them.
    pub async fn end(mut self) {
        self.app.settle().await;
        for follower in &mut self.followers {
            follower.follow(&self.app, &self.model, 2).await;
            follower.acknowledge(&self.app, 0).await;
        }
        self.app.settle().await;
        self.compare(Settled::Everything).await;
        for (authority, _) in &self.authorities {
            self.lists.check_bundle(&self.app, *authority).await;
        }
        assert!(
            self.model.certificates.iter().all(|one| !one.is_pending),
            "a point is current"
        );
        self.app.close_store().await;
    }

    fn follower(&mut self, number: u8) -> (&TestApp, &Model, &mut Follower) {
        let at = usize::from(number) % self.followers.len();
        (&self.app, &self.model, &mut self.followers[at])
    }

    fn path(&self, certificate: &Certificate) -> String {
        format!(
            "/zones/{}/client_certificates/{}",
            self.zones[certificate.account], certificate.id
        )
    }

    async fn issue(&mut self, account: usize, validity_days: u32) {
        let path = format!("/zones/{}/client_certificates", self.zones[account]);
        let issued = self
            .app
            .post(
                &path,
                json!({ "csr": *CSR, "validity_days": validity_days }),
            )
            .await
            .result();
        let certificate = Certificate::new(account, &issued);
        self.learn(account, certificate.authority).await;
        self.model.certificates.push(certificate);
    }

    async fn learn(&mut self, account: usize, authority: AuthorityId) {
        if self
            .authorities
            .iter()
            .all(|(known, _)| *known != authority)
        {
            let certificate = self
                .app
                .public(Method::GET, &format!("/ca/{authority}.crt"))
                .await;
            self.authorities.push((authority, certificate.bytes));
            self.model.change_of(account);
        }
    }

    async fn rotate(&mut self, account: usize) {
        if self.authorities.len() < AUTHORITIES_MAX {
            let path = format!(
                "/certgate/v1/accounts/{}/managed_authorities/rotate",
                self.accounts[account]
            );
            let authority = self.app.call(Method::POST, &path).await.result();
            self.learn(account, authority["id"].as_str().unwrap().parse().unwrap())
                .await;
        }
    }

    async fn revoke(&mut self, certificate: u8, reason: RevocationReason) {
        let at = usize::from(certificate) % self.model.certificates.len();
        let certificate = &self.model.certificates[at];
        let accepted = match certificate.revoked() {
            None => true,
            Some(before) => reason.is_permanent() && !before.is_permanent(),
        };
        let answer = self
            .app
            .delete(&self.path(certificate))
            .body(json!({ "reason": reason.name() }).to_string())
            .await;
        if accepted {
            assert_eq!(answer.result()["status"], "pending_revocation");
            let revoked = Revoked {
                at: self.app.clock.now().unix(),
                reason: reason.code(),
            };
            self.model.change(at, Some(revoked));
        } else if certificate.is_pending {
            assert_eq!(answer.result()["status"], "pending_revocation");
        } else {
            assert_eq!(answer.result()["status"], "revoked");
        }
    }

    async fn restore(&mut self, certificate: u8) {
        let at = usize::from(certificate) % self.model.certificates.len();
        let certificate = &self.model.certificates[at];
        let answer = self.app.patch(&self.path(certificate)).await;
        match certificate.revoked() {
            Some(revoked) if revoked.is_permanent() => assert_eq!(answer.error().code, 1408),
            Some(_) => {
                assert_eq!(answer.result()["status"], "pending_reactivation");
                self.model.change(at, None);
            }
            None => {
                let expected = if certificate.is_pending {
                    "pending_reactivation"
                } else {
                    "active"
                };
                assert_eq!(answer.result()["status"], expected);
            }
        }
    }

    async fn compare(&mut self, settled: Settled) {
        let now = self.app.clock.now();
        for (number, (authority, _)) in (1..).zip(&self.authorities) {
            self.lists.look(&self.app, *authority, &self.model).await;
            match settled {
                Settled::Nothing => {}
                Settled::Everything => {
                    self.lists
                        .check_published(*authority, &self.model, now, |_| false)
                }
                Settled::Some(obstruction) => {
                    let obstructed = |kind| obstruction.is_in_the_way_of(number, kind);
                    self.lists
                        .check_published(*authority, &self.model, now, obstructed);
                }
            }
        }
        for certificate in &self.model.certificates {
            let authority = self
                .authorities
                .iter()
                .find(|(id, _)| *id == certificate.authority)
                .unwrap();
            ocsp::check(
                &self.app,
                &authority.1,
                certificate.serial,
                certificate.revoked(),
            )
            .await;
        }
        self.compare_statuses(settled).await;
        for follower in &self.followers {
            follower.check(now, &self.model);
        }
    }

    /// Checks that every enforcement point has each settled change, and that no change which every
    /// point has is pending.
    async fn compare_statuses(&mut self, settled: Settled) {
        let now = self.app.clock.now();
        let shown = self.statuses().await;
        assert_eq!(shown.len(), self.model.certificates.len());
        for certificate in &mut self.model.certificates {
            let status = &shown[&certificate.id][..];
            let is_revoked = matches!(status, "pending_revocation" | "revoked");
            assert_eq!(
                is_revoked,
                certificate.revoked().is_some(),
                "{} is {status}",
                certificate.id
            );
            let is_pending = status.starts_with("pending_");
            let epoch = certificate.number();
            let is_held_back = self
                .followers
                .iter()
                .any(|one| one.holds_back(certificate.account, epoch, now));
            match (certificate.is_pending, is_pending) {
                (true, false) => {
                    assert!(
                        !matches!(settled, Settled::Nothing),
                        "{status} though nothing has settled"
                    );
                    assert!(
                        !is_held_back,
                        "{status} though an enforcement point lacks {epoch}"
                    );
                }
                (true, true) if matches!(settled, Settled::Everything) => {
                    assert!(
                        is_held_back,
                        "{status} although every point has epoch {epoch}"
                    );
                }
                (before, after) => assert!(before || !after, "{status} without a change"),
            }
            assert!(
                is_pending || self.lists.allow(certificate, now),
                "{status}, but the lists say otherwise"
            );
            certificate.is_pending = is_pending;
        }
    }

    async fn statuses(&self) -> BTreeMap<String, String> {
        let mut statuses = BTreeMap::new();
        for zone in &self.zones {
            let listed = self
                .app
                .get(&format!(
                    "/zones/{zone}/client_certificates?status=all&per_page=50"
                ))
                .await
                .result();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            statuses.extend(
                listed
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| (text(&one["id"]), text(&one["status"]))),
            );
        }
        statuses
    }
}
