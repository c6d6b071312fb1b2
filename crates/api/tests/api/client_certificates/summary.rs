//! The numbers of a zone's certificates.

use certgate_testkit::{TestApp, csr};
use serde_json::{Value, json};

const SUMMARY: &str = "/certgate/v1/zones/{zone}/summary";

async fn summary(app: &TestApp) -> Value {
    let answer = app.get(SUMMARY).await;
    assert_eq!(answer.json()["messages"], Value::Array(Vec::new()));
    answer.result()
}

fn day(certificate: &Value, member: &str) -> String {
    certificate[member].as_str().unwrap()[..10].to_owned()
}

#[tokio::test]
async fn an_empty_zone_has_zeros() {
    let app = TestApp::new().await;
    let zeros = json!({
        "active": 0, "pending_reactivation": 0, "pending_revocation": 0, "revoked": 0,
    });
    let expected = json!({
        "totals": zeros,
        "replaced": zeros,
        "certificate_authorities": [],
        "expiring": [],
        "issued": [],
        "revoked": [],
        "uncounted": 0,
    });
    assert_eq!(summary(&app).await, expected);
}

#[tokio::test]
async fn certificates_are_counted_by_status_ca_and_day() {
    let app = TestApp::new().await;
    let issue = async |days: u32| {
        let body = json!({ "csr": csr("device"), "validity_days": days });
        let issued = app.post("/zones/{zone}/client_certificates", body).await;
        issued.result()
    };
    let (first, second, late) = (issue(30).await, issue(30).await, issue(500).await);
    let revoke = async |certificate: &Value| {
        let id = certificate["id"].as_str().unwrap();
        let path = format!("/zones/{{zone}}/client_certificates/{id}");
        app.delete(&path).await.result()
    };
    revoke(&first).await;
    app.settle().await;
    let authorities = "/certgate/v1/accounts/{account}/managed_authorities";
    app.post(&format!("{authorities}/rotate"), json!({}))
        .await
        .result();
    let newest = issue(10).await;
    revoke(&newest).await;

    let totals = |active, pending, revoked| {
        json!({
            "active": active,
            "pending_reactivation": 0,
            "pending_revocation": pending,
            "revoked": revoked,
        })
    };
    let of = |certificate: &Value, totals: Value| {
        let mut authority = certificate["certificate_authority"].clone();
        authority["totals"] = totals;
        authority
    };
    let found = summary(&app).await;
    assert_eq!(found["totals"], totals(2, 1, 1));
    assert_eq!(
        found["certificate_authorities"],
        json!([of(&first, totals(2, 0, 1)), of(&newest, totals(0, 1, 0))])
    );
    // The late one expires after the last day of the summary.
    let expiring = json!([{ "date": day(&second, "expires_on"), "count": 1 }]);
    assert_eq!(found["expiring"], expiring);
    let issued = json!([{ "date": day(&late, "issued_on"), "count": 4 }]);
    assert_eq!(found["issued"], issued);
    let today = certgate_model::Clock::now(&*app.clock).to_string();
    assert_eq!(
        found["revoked"],
        json!([{ "date": &today[..10], "count": 2 }])
    );
}
