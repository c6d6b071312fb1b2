//! The answers to a client of one account, while other accounts change.

use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{PermissionGroup, Scope};
use certgate_testkit::{TestApp, csr, uploaded};
use serde_json::{Value, json};

use crate::authorisation::{ROUTES, Setting};

/// Forms of answers that have numbers of changes, besides those of the table.
const MORE: [&str; 5] = [
    "/certgate/v1/accounts/{account_id}/revocation_changes?after=1",
    "/certgate/v1/accounts/{account_id}/revocation_changes?after=1000",
    "/certgate/v1/accounts/{account_id}/revocation_stream?for_seconds=0&after=1000",
    "/client/v4/accounts/{account_id}/logs/audit?since=2020-01-01&before=2040-01-01&limit=1000",
    "/client/v4/zones/{zone_id}/client_certificates?status=all",
];

const REVOCATIONS: &str = "/certgate/v1/accounts/{account_id}/revocations";

/// A token with every permission on the first account and its zones.
async fn owner(setting: &Setting) -> String {
    let groups: BTreeSet<_> = ROUTES.iter().map(|(_, _, group, ..)| *group).collect();
    let grants = groups
        .into_iter()
        .filter(|group| !group.is_empty())
        .filter_map(|group| {
            let app = &setting.app;
            match group.parse::<PermissionGroup>().unwrap().scope() {
                Scope::User => None,
                Scope::Account => Some((
                    group,
                    format!("com.cloudflare.api.account.{}", app.account_id),
                )),
                Scope::Zone => Some((
                    group,
                    format!("com.cloudflare.api.account.zone.{}", app.zone_id),
                )),
            }
        });
    setting.token(&Vec::from_iter(grants), json!({})).await
}

/// Every answer to the token, without what differs between two equal requests.
async fn answers(setting: &Setting, token: &str) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    let paths = ROUTES.iter().filter(|(method, ..)| *method == "GET");
    let paths = paths.map(|(_, path, ..)| (*path, "*/*"));
    let compact = "application/vnd.certgate.revocations";
    let more = MORE.map(|path| (path, "*/*")).into_iter();
    for (path, accept) in paths.chain(more).chain([(REVOCATIONS, compact)]) {
        let call = setting.call("GET", path, "").token(token);
        let mut answer = call.header("accept", accept).await;
        answer.headers.remove("certgate-request-id");
        answer.headers.remove("date");
        let octets = answer.bytes.escape_ascii();
        let text = format!("{} {:?}\n{octets}", answer.status, answer.headers);
        answers.insert(format!("{path} {accept}"), text);
    }
    answers
}

/// Changes the second account in every way that takes an epoch, and some others.
async fn change_the_other_account(setting: &Setting) {
    let (app, zone, account) = (&setting.app, &setting.other_zone, &setting.other_account);
    let certificates = format!("/zones/{zone}/client_certificates");
    for n in 0..7 {
        let body = json!({ "csr": csr(&format!("noise-{n}")), "validity_days": 1 });
        let made = app.post(&certificates, body).await.result();
        let path = format!("{certificates}/{}", made["id"].as_str().unwrap());
        app.delete(&path).await.result();
        if n % 2 == 0 {
            app.patch(&path).await.result();
        }
    }
    let hostnames = format!("/zones/{zone}/certificate_authorities/hostname_associations");
    let body = json!({ "hostnames": ["a.other.example"] });
    app.put(&hostnames, body).await.result();
    let body = json!({ "certificates": uploaded("good_p384.certs"), "ca": true });
    let uploads = format!("/accounts/{account}/mtls_certificates");
    app.post(&uploads, body).await.result();
    let base = format!("/certgate/v1/accounts/{account}");
    let rotate = format!("{base}/managed_authorities/rotate");
    app.post(&rotate, json!({})).await.result();
    let points = format!("{base}/enforcement_points");
    app.post(&points, json!({ "name": "late" })).await.result();
    app.settle().await;
}

async fn feed(app: &TestApp, after: u64) -> Value {
    let path = format!("/certgate/v1/accounts/{{account}}/revocation_changes?after={after}");
    app.get(&path).await.result()
}

#[tokio::test]
async fn changes_of_an_account_do_not_show_in_the_answers_to_another() {
    let setting = Setting::new().await;
    let app = &setting.app;
    let certificate = format!(
        "/zones/{{zone}}/client_certificates/{}",
        setting.certificate
    );
    app.delete(&certificate).await.result();
    change_the_other_account(&setting).await;
    app.patch(&certificate).await.result();
    app.delete(&certificate).await.result();
    let point = &setting.enforcement_point;
    let acknowledge =
        format!("/certgate/v1/accounts/{{account}}/enforcement_points/{point}/acknowledgement");
    // The CA, the uploaded CA, and three changes of the certificate.
    let known = feed(app, 0).await;
    assert_eq!(known["epoch"], 5);
    app.put(&acknowledge, json!({ "epoch": 5 })).await.result();
    app.settle().await;

    let token = owner(&setting).await;
    let before = answers(&setting, &token).await;
    let accepted = before.values().filter(|answer| answer.starts_with("200 "));
    assert!(accepted.count() >= 25, "{before:#?}");
    change_the_other_account_again(&setting).await;
    let after = answers(&setting, &token).await;
    for (path, answer) in &before {
        assert_eq!(&after[path], answer, "{path}");
    }

    // The next change has the next number, in every answer that has it.
    app.patch(&certificate).await.result();
    let changes = feed(app, 5).await;
    assert_eq!(
        (&changes["epoch"], &changes["changes"][0]["epoch"]),
        (&json!(6), &json!(6))
    );
    let log = "/accounts/{account}/logs/audit?since=2020-01-01&before=2040-01-01";
    let log = app.get(log).await.json().to_string();
    assert!(log.contains("epoch=6") && !log.contains("epoch=7"), "{log}");
    let history = app
        .get(&format!("/certgate/v1{certificate}/history"))
        .await
        .result();
    assert!(history.to_string().contains("\"epoch\":6"), "{history}");
    let ahead = app.put(&acknowledge, json!({ "epoch": 7 })).await.error();
    assert_eq!(ahead.code, 1521);
    assert!(
        ahead.message.contains("has the epoch 6"),
        "{}",
        ahead.message
    );
}

/// Makes the changes that can be made twice.
async fn change_the_other_account_again(setting: &Setting) {
    let app = &setting.app;
    let path = format!(
        "/zones/{}/client_certificates/{}",
        setting.other_zone, setting.other_certificate
    );
    app.delete(&path).await.result();
    app.patch(&path).await.result();
    app.delete(&path).await.result();
    let hostnames = format!(
        "/zones/{}/certificate_authorities/hostname_associations",
        setting.other_zone
    );
    let body = json!({ "hostnames": ["b.other.example"] });
    app.put(&hostnames, body).await.result();
    let base = format!("/certgate/v1/accounts/{}", setting.other_account);
    let rotate = format!("{base}/managed_authorities/rotate");
    app.post(&rotate, json!({})).await.result();
    let points = format!("{base}/enforcement_points");
    app.post(&points, json!({ "name": "later" })).await.result();
    app.settle().await;
}
