//! Requests repeated with the same `Idempotency-Key`.

use certgate_testkit::{Answer, TestApp, csr};
use serde_json::json;

const PATH: &str = "/zones/{zone}/client_certificates";

async fn ask(app: &TestApp, key: &str, csr: &str, days: u32) -> Answer {
    app.post(PATH, json!({ "csr": csr, "validity_days": days }))
        .header("idempotency-key", key)
        .await
}

async fn total(app: &TestApp) -> u64 {
    let listed = app.get(&format!("{PATH}?status=all")).await.json();
    listed["result_info"]["total_count"].as_u64().unwrap()
}

#[tokio::test]
async fn a_repeated_request_issues_one_certificate() {
    let app = TestApp::new().await;
    let csr = csr("laptop");
    let first = ask(&app, "order-1", &csr, 30).await.result();
    assert_eq!(ask(&app, "order-1", &csr, 30).await.result(), first);
    assert_eq!(total(&app).await, 1);

    // The answer has the current status.
    let id = first["id"].as_str().unwrap();
    app.delete(&format!("{PATH}/{id}")).await.result();
    app.settle().await;
    assert_eq!(
        ask(&app, "order-1", &csr, 30).await.result()["status"],
        "revoked"
    );
    // The same holds after a restart.
    let app = app.restart().await;
    assert_eq!(ask(&app, "order-1", &csr, 30).await.result()["id"], id);
    assert_eq!(total(&app).await, 1);

    // Another key, or no key, issues another certificate.
    assert_ne!(ask(&app, "order-2", &csr, 30).await.result()["id"], id);
    assert_ne!(
        app.post(PATH, json!({ "csr": csr, "validity_days": 30 }))
            .await
            .result()["id"],
        id
    );
    assert_eq!(total(&app).await, 3);
}

#[tokio::test]
async fn a_key_belongs_to_its_request_its_token_and_its_zone() {
    let app = TestApp::new().await;
    let one = csr("laptop");
    let id = ask(&app, "k", &one, 30).await.result()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (csr, days) in [(one.clone(), 31), (csr("tablet"), 30)] {
        let refused = ask(&app, "k", &csr, days).await;
        assert_eq!((refused.status.as_u16(), refused.error().code), (400, 1419));
        assert!(
            refused.error().message.contains(&id),
            "{:?}",
            refused.error()
        );
    }
    // An invalid request is refused with its own error.
    assert_eq!(ask(&app, "k", &one, 0).await.error().code, 1440);
    let other = app
        .token_for(
            &["c03055bc037c4ea9afb9a9f104b7b721"],
            &["com.cloudflare.api.account.zone.*"],
        )
        .await;
    let body = json!({ "csr": one, "validity_days": 30 });
    let by_other = app
        .post(PATH, body)
        .token(&other)
        .header("idempotency-key", "k")
        .await
        .result();
    assert_ne!(by_other["id"], id);
    assert_eq!(total(&app).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_requests_issue_one_certificate() {
    let app = TestApp::new().await;
    let csr = csr("laptop");
    let asked = futures_util::future::join_all((0..24).map(|_| ask(&app, "k", &csr, 30))).await;
    let ids: std::collections::BTreeSet<_> = asked
        .iter()
        .map(|answer| answer.result()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((ids.len(), total(&app).await), (1, 1));
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let app = TestApp::new().await;
    let csr = csr("laptop");
    for key in ["", " ", "a b", "k\u{e9}", &"k".repeat(256)] {
        let refused = ask(&app, key, &csr, 30).await;
        assert_eq!(
            (refused.status.as_u16(), refused.error().code),
            (400, 6003),
            "{key:?}"
        );
        assert!(
            refused.json().to_string().contains("6121"),
            "{}",
            refused.json()
        );
    }
    let body = json!({ "csr": csr, "validity_days": 30 });
    let twice = app
        .post(PATH, body)
        .header("idempotency-key", "a")
        .line("idempotency-key", "b")
        .await;
    assert_eq!(twice.error().code, 6003);
    assert_eq!(total(&app).await, 0);
    ask(&app, &"k".repeat(255), &csr, 30).await.result();
}
