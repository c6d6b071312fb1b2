//! `last_used_on` of tokens

use certgate_testkit::TestApp;
use serde_json::{Value, json};

const PATH: &str = "/zones/{zone}/client_certificates";
const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";

struct Setting {
    app: TestApp,
    path: String,
    value: String,
}

impl Setting {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let policies = json!([{
            "effect": "allow",
            "permission_groups": [{ "id": SSL_READ }],
            "resources": { "com.cloudflare.api.account.zone.*": "*" },
        }]);
        let made = app
            .post("/user/tokens", json!({ "name": "t", "policies": policies }))
            .await
            .result();
        let path = format!("/user/tokens/{}", made["id"].as_str().unwrap());
        Self {
            value: made["value"].as_str().unwrap().to_owned(),
            path,
            app,
        }
    }

    async fn object(&self) -> Value {
        self.app.get(&self.path).await.result()
    }

    async fn last_used_on(&self) -> Value {
        self.app.record_due_uses().await;
        self.object().await["last_used_on"].clone()
    }
}

#[tokio::test]
async fn the_last_use_is_recorded_once_a_minute_and_at_the_end() {
    let setting = Setting::new().await;
    let app = &setting.app;
    assert!(setting.object().await.get("last_used_on").is_none());
    assert_eq!(
        setting.last_used_on().await,
        Value::Null,
        "creating and reading a token is not a use of it"
    );
    app.get(PATH).token(&setting.value).await.result();
    assert_eq!(setting.last_used_on().await, "2026-08-14T10:20:30Z");

    app.clock.advance_seconds(59);
    app.get(PATH).token(&setting.value).await.result();
    assert_eq!(setting.last_used_on().await, "2026-08-14T10:20:30Z");
    app.clock.advance_seconds(1);
    // A request without the permission is a use too.
    assert_eq!(app.get("/user").token(&setting.value).await.status, 403);
    assert_eq!(setting.last_used_on().await, "2026-08-14T10:21:30Z");

    app.clock.advance_seconds(20);
    app.get(PATH).token(&setting.value).await.result();
    app.service.last_uses.record_all().await.unwrap();
    assert_eq!(
        setting.object().await["last_used_on"],
        "2026-08-14T10:21:50Z"
    );
}

#[tokio::test]
async fn an_invalid_token_has_no_last_use() {
    let setting = Setting::new().await;
    let app = &setting.app;
    let mut body = setting.object().await;
    body["condition"] = json!({ "request.ip": { "in": ["192.0.2.1"] } });
    app.put(&setting.path, body.clone()).await.result();
    assert_eq!(app.get(PATH).token(&setting.value).await.status, 403);
    assert_eq!(setting.last_used_on().await, Value::Null);
    app.get(PATH)
        .token(&setting.value)
        .from_address("192.0.2.1")
        .await
        .result();
    assert_eq!(setting.last_used_on().await, "2026-08-14T10:20:30Z");
}

#[tokio::test]
async fn changing_and_rolling_a_token_keep_its_last_use() {
    let setting = Setting::new().await;
    let app = &setting.app;
    let mut body = setting.object().await;
    app.get(PATH).token(&setting.value).await.result();
    app.record_due_uses().await;
    body["name"] = json!("renamed");
    app.put(&setting.path, body).await.result();
    let rolled = app
        .put(&format!("{}/value", setting.path), json!({}))
        .await
        .result();
    let object = setting.object().await;
    assert_eq!(
        (&object["name"], &object["last_used_on"]),
        (&json!("renamed"), &json!("2026-08-14T10:20:30Z"))
    );
    let listed = app.get("/user/tokens").await.result();
    assert!(listed.as_array().unwrap().contains(&object));

    app.clock.advance_seconds(60);
    app.get(PATH).token(rolled.as_str().unwrap()).await.result();
    assert_eq!(setting.last_used_on().await, "2026-08-14T10:21:30Z");
    // A token that was deleted meanwhile does no harm.
    app.clock.advance_seconds(60);
    app.get(PATH).token(rolled.as_str().unwrap()).await.result();
    app.delete(&setting.path).await.result();
    app.record_due_uses().await;
    assert_eq!(app.get(&setting.path).await.status, 404);
}

#[tokio::test]
async fn the_background_job_records_last_uses() {
    let setting = Setting::new().await;
    let app = &setting.app;
    let service = app.service.clone();
    let task = tokio::spawn(async move { service.last_uses.record_forever().await });
    app.get(PATH).token(&setting.value).await.result();
    let recorded = async {
        while setting.object().await["last_used_on"] != "2026-08-14T10:20:30Z" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), recorded)
        .await
        .unwrap();
    task.abort();
}
