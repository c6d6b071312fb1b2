//! Random and hostile input: never a 5xx, never a panic.

use certgate_testkit::TestApp;
use http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Random requests of each property.
const CASES: u32 = 400;

fn check<S: Strategy>(strategy: S, call: impl AsyncFn(&TestApp, S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let app = runtime.block_on(TestApp::new());
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&strategy, |value| {
        runtime.block_on(call(&app, value));
        Ok(())
    });
    result.unwrap();
    // It still works.
    runtime.block_on(app.issue("after"));
}

async fn refused_or_answered(call: certgate_testkit::Call<'_>, what: impl std::fmt::Debug) {
    let answer = call.await;
    assert!(answer.status.as_u16() < 500, "{what:?}: {}", answer.status);
    if answer.status.as_u16() >= 400 {
        answer.error();
    }
}

#[test]
fn any_bytes_as_a_body() {
    const ROUTES: [&str; 4] = [
        "/zones/{zone}/client_certificates",
        "/zones",
        "/accounts",
        "/user/tokens",
    ];
    let strategy = (
        proptest::sample::select(&ROUTES[..]),
        proptest::collection::vec(any::<u8>(), 0..2000),
    );
    check(strategy, async |app, (path, body)| {
        refused_or_answered(
            app.call(Method::POST, path).body(body.clone()),
            (path, body),
        )
        .await;
    });
}

#[test]
fn any_json_as_a_body() {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        any::<i128>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    const NAMES: [&str; 9] = [
        "csr",
        "validity_days",
        "name",
        "account",
        "id",
        "policies",
        "resources",
        "condition",
        "reactivate",
    ];
    let value = leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((proptest::sample::select(&NAMES[..]), inner), 0..5)
                .prop_map(|members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(name, value)| format!("\"{name}\":{value}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
        ]
    });
    const ROUTES: [&str; 4] = [
        "/zones/{zone}/client_certificates",
        "/zones",
        "/accounts",
        "/user/tokens",
    ];
    check(
        (proptest::sample::select(&ROUTES[..]), value),
        async |app, (path, body)| {
            refused_or_answered(
                app.call(Method::POST, path).body(body.clone()),
                (path, body),
            )
            .await;
        },
    );
}

#[test]
fn any_text_as_a_path_and_a_query() {
    let encoded = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
    };
    let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
    const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE"];
    let strategy = (
        proptest::sample::select(&METHODS[..]),
        bytes(),
        bytes(),
        0..6_usize,
    );
    check(strategy, async |app, (method, part, query, place)| {
        let part = encoded(&part);
        let path = match place {
            0 => format!("/zones/{part}/client_certificates"),
            1 => format!("/zones/{{zone}}/client_certificates/{part}"),
            2 => format!("/user/tokens/{part}"),
            3 => format!("/accounts/{part}"),
            4 => format!("/!{part}"),
            _ => "/zones/{zone}/client_certificates".to_owned(),
        };
        let path = format!(
            "{path}?{}&status={}&page={part}",
            encoded(&query),
            encoded(&query)
        );
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        if method == Method::HEAD {
            assert!(
                app.call(method, &path).await.status.as_u16() < 500,
                "{path}"
            );
        } else {
            refused_or_answered(app.call(method, &path), path).await;
        }
    });
}

#[test]
fn any_text_as_a_credential() {
    let strategy = proptest::collection::vec(
        (0x20..=0xff_u8).prop_filter("visible", |b| *b != 0x7f),
        0..300,
    );
    check(strategy, async |app, bytes| {
        let value: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        refused_or_answered(app.get("/zones").header("authorization", &value), &value).await;
        refused_or_answered(
            app.get("/zones")
                .header("authorization", &format!("Bearer {value}")),
            &value,
        )
        .await;
    });
}
