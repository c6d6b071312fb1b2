//! Accounts that try to get at each other's names, enforcement points and figures.

use certgate_model::Random;
use certgate_testkit::{SeededRandom, TestApp};
use serde_json::{Value, json};

const ZONE_WRITE: &str = "e6d2666161e84845a636613608cee8d5";
const ACCOUNT_WRITE: &str = "1af1fa2adc104452b74a9a3364202f20";
const POINTS_WRITE: &str = "f48df003baa6a710aff2442069eee2b8";

/// Number of attempts to create a zone. The labels below give a few hundred different names.
const ATTEMPTS: usize = 400;

/// Labels that begin or end like one another.
const LABELS: [&str; 5] = ["a", "ab", "a-b", "b", "0"];

fn pick(random: &SeededRandom, count: usize) -> usize {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    u32::from_be_bytes(octets) as usize % count
}

async fn account(app: &TestApp, name: &str) -> String {
    let made = app.post("/accounts", json!({ "name": name })).await;
    made.result()["id"].as_str().unwrap().to_owned()
}

fn resource(account: &str) -> String {
    format!("com.cloudflare.api.account.{account}")
}

/// A zone of the plain model: its labels, the last first, and its account.
struct Known {
    id: String,
    labels: Vec<&'static str>,
    account: usize,
}

/// Random zones of three accounts. A zone above or below another one has labels that begin like
/// those of the other one.
#[tokio::test]
async fn zones_above_and_below_those_of_others_need_a_token_for_both() {
    let app = TestApp::new().await;
    let random = SeededRandom::new(7);
    let accounts = [account(&app, "A").await, account(&app, "B").await];
    let [first, second] = [0, 1].map(|index: usize| resource(&accounts[index]));
    // Each token with the accounts that it may write to.
    let tokens = [
        (app.token_for(&[ZONE_WRITE], &[&first]).await, vec![0]),
        (app.token_for(&[ZONE_WRITE], &[&second]).await, vec![1]),
        (
            app.token_for(&[ZONE_WRITE], &[&first, &second]).await,
            vec![0, 1],
        ),
    ];
    let mut known: Vec<Known> = Vec::new();
    let mut seen = [0; 3];
    for attempt in 0..ATTEMPTS {
        if attempt % 5 == 4 && !known.is_empty() {
            let gone = known.swap_remove(pick(&random, known.len()));
            app.delete(&format!("/zones/{}", gone.id)).await.result();
        }
        let depth = 1 + pick(&random, 4);
        let mut labels = vec!["test"];
        labels.extend((0..depth).map(|_| LABELS[pick(&random, LABELS.len())]));
        let (token, own) = &tokens[pick(&random, tokens.len())];
        let owner = own[pick(&random, own.len())];
        let reversed: Vec<_> = labels.iter().rev().copied().collect();
        let name = reversed.join(".").to_ascii_uppercase();
        let is_taken = known.iter().any(|zone| zone.labels == labels);
        let is_refused = known.iter().any(|zone| {
            let is_related = zone.labels.starts_with(&labels) || labels.starts_with(&zone.labels);
            is_related && zone.account != owner && !own.contains(&zone.account)
        });
        let body = json!({ "name": name, "account": { "id": accounts[owner] } });
        let answer = app.post("/zones", body).token(token).await;
        if is_taken || is_refused {
            let error = answer.error();
            let expected = match is_taken {
                true => (400, 1061, Some("/name")),
                false => (403, 1066, Some("/name")),
            };
            let told = (error.status, error.code, error.pointer.as_deref());
            assert_eq!(told, expected, "{name}");
            seen[usize::from(is_taken)] += 1;
        } else {
            seen[2] += 1;
            known.push(Known {
                id: answer.result()["id"].as_str().unwrap().to_owned(),
                labels,
                account: owner,
            });
        }
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

#[tokio::test]
async fn more_neighbours_than_can_be_named_need_a_token_for_every_zone() {
    let app = TestApp::new().await;
    let (own, other) = (account(&app, "A").await, account(&app, "B").await);
    for number in 0..=101 {
        let name = format!("z{number}.wide.test");
        let body = json!({ "name": name, "account": { "id": other } });
        app.post("/zones", body).await.result();
    }
    let resources = [resource(&own), resource(&other)];
    let resources = resources.each_ref().map(String::as_str);
    let both = app.token_for(&[ZONE_WRITE], &resources).await;
    let body = json!({ "name": "wide.test", "account": { "id": own } });
    let error = app.post("/zones", body.clone()).token(&both).await.error();
    assert_eq!((error.status, error.code), (403, 1066));
    app.post("/zones", body).await.result();
}

#[tokio::test]
async fn an_enforcement_point_belongs_to_the_token_that_registered_it() {
    let app = TestApp::new().await;
    let here = resource(&app.account_id);
    let owner = app.token_for(&[POINTS_WRITE], &[&here]).await;
    let other = app.token_for(&[POINTS_WRITE], &[&here]).await;
    let operator = app.token_for(&[ACCOUNT_WRITE], &[&here]).await;
    let both = app
        .token_for(&[ACCOUNT_WRITE, POINTS_WRITE], &[&here])
        .await;
    let points = "/certgate/v1/accounts/{account}/enforcement_points";
    let register = |token: &str| {
        let body = json!({ "name": "edge", "lease_seconds": 60 });
        app.post(points, body).token(token)
    };
    for deleter in [&operator, &both, &owner] {
        let point = register(&owner).await.result();
        let path = format!("{points}/{}", point["id"].as_str().unwrap());
        let acknowledgement = format!("{path}/acknowledgement");
        let acknowledge = |token: &str| {
            app.put(&acknowledgement, json!({ "epoch": 0 }))
                .token(token)
        };
        for stranger in [&other, &both, &app.token] {
            for call in [register(stranger), acknowledge(stranger)] {
                let error = call.await.error();
                assert_eq!((error.status, error.code), (403, 1523));
            }
        }
        let error = app.delete(&path).token(&other).await.error();
        assert_eq!((error.status, error.code), (403, 1523));
        // The operator may delete, nothing else.
        for call in [register(&operator), acknowledge(&operator)] {
            let error = call.await.error();
            assert_eq!((error.status, error.code), (403, 9109));
        }
        app.clock.advance_seconds(1);
        assert_eq!(register(&owner).await.result()["id"], point["id"]);
        let acknowledged = acknowledge(&owner).await.result();
        assert_ne!(acknowledged["seen_on"], point["seen_on"]);
        app.delete(&path).token(deleter).await.result();
        let left = app.get(points).await.result();
        assert_eq!(left, Value::Array(Vec::new()));
    }
    // The API key is a token of its own.
    let (email, key) = app.api_key().await;
    let body = json!({ "name": "edge" });
    app.post(points, body.clone())
        .key(&email, &key)
        .await
        .result();
    assert_eq!(app.post(points, body.clone()).await.error().code, 1523);
    app.post(points, body).key(&email, &key).await.result();
}
