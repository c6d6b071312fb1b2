//! The requests of Terraform's provider. The provider reads an answer into its state: a member that
//! is missing or different is a change in every later plan.

use std::collections::HashMap;
use std::process::Command;

use certgate_testkit::{TestApp, csr, uploaded};
use http::Method;
use serde_json::{Value, json};

const REQUESTS: &str = include_str!("requests.tsv");

/// The name and the version in docs/clients.md.
const CLIENT: &str = "Terraform's Cloudflare provider";
const VERSION: &str = "5.22.0";

/// Certificates of the lists, and those of them that are revoked.
const CERTIFICATES: u64 = 115;
const REVOKED: u64 = 10;

/// The values of the names in the table.
struct Values(HashMap<&'static str, Value>);

impl Values {
    /// Replaces each `<name>` by a value as JSON, or without quotation marks in a path or a string.
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            let place = format!("<{name}>");
            match value {
                Value::String(id) if text.contains(&format!("\"{place}\"")) => {
                    text.replace(&place, id)
                }
                Value::String(id) if text.starts_with('/') => text.replace(&place, id),
                value => text.replace(&place, &value.to_string()),
            }
        })
    }
}

/// Returns the member of a path such as `certificate_authority.id` or `policies.0.id`.
fn member<'a>(result: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(result, |value, step| match step.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(step),
        })
}

/// Issues and revokes certificates until the zone has those of the lists.
async fn fill(app: &TestApp) {
    const PATH: &str = "/zones/{zone}/client_certificates";
    let total = async |status: &str| {
        let listed = app
            .get(&format!("{PATH}?status={status}&limit=1"))
            .await
            .json();
        listed["result_info"]["total_count"].as_u64().unwrap()
    };
    for number in total("all").await..CERTIFICATES {
        app.issue(&format!("device-{number}")).await;
    }
    let newest = app.get(&format!("{PATH}?limit={REVOKED}")).await.result();
    for certificate in newest.as_array().unwrap() {
        let path = format!("{PATH}/{}", certificate["id"].as_str().unwrap());
        app.delete(&path).await.result();
    }
    app.settle().await;
    assert_eq!(
        (total("all").await, total("revoked").await),
        (CERTIFICATES, REVOKED)
    );
}

#[tokio::test]
async fn each_request_of_the_provider_has_its_answer() {
    let app = TestApp::new().await;
    let mut values = Values(HashMap::from([
        ("zone", json!(app.zone_id)),
        ("account", json!(app.account_id)),
        ("nothing", json!("0123456789abcdef0123456789abcdef")),
        ("zone_read", json!("c8fed203ed3043cba015a93ad1616f1f")),
        // CR and LF at the ends of lines, as an editor for Windows writes them.
        ("csr", json!(csr("terraform").replace('\n', "\r\n"))),
        ("root", json!(uploaded("good_root.certs").trim_end())),
        (
            "chain",
            json!(uploaded("good_middle_and_root.certs").replace('\n', "\r\n")),
        ),
        ("chain_key", json!(uploaded("good_middle_and_root.key"))),
        ("leaf", json!(uploaded("good_leaf.certs"))),
        ("leaf_key", json!(uploaded("good_leaf.key"))),
    ]));
    let mut requests = 0;
    for row in REQUESTS.lines() {
        match row {
            "# settle" => app.settle().await,
            "# fill" => fill(&app).await,
            _ if row.starts_with('#') => {}
            _ => {
                run(&app, row, &mut values).await;
                requests += 1;
            }
        }
    }
    assert!(requests > 150, "{requests}");
    documented("its requests for certificates, hostnames, zones, accounts and tokens");
}

/// Checks that docs/clients.md has the result. With CERTGATE_WRITE_DOCS=1, the writer of that page
/// adds it.
fn documented(operations: &str) {
    let limit = "no package registry has it, so that a table of its requests is sent";
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    assert!(
        REQUESTS.starts_with(&format!("# The requests that {CLIENT} {VERSION} sends")),
        "the table has another version"
    );
    if std::env::var_os("CERTGATE_WRITE_DOCS").is_some_and(|value| value == "1") {
        let written = Command::new("python3")
            .current_dir(format!("{root}/tests/python"))
            .args(["-m", "kit.clients", CLIENT, VERSION, operations, limit])
            .status();
        assert!(written.unwrap().success());
    }
    let page = std::fs::read_to_string(format!("{root}/docs/clients.md")).unwrap();
    let words: Vec<_> = page.split_whitespace().collect();
    let entry = format!("## {CLIENT} {VERSION} - {operations}. Limit: {limit}.");
    assert!(
        words.join(" ").contains(&entry),
        "docs/clients.md lacks {entry:?}: set CERTGATE_WRITE_DOCS=1"
    );
}

async fn run(app: &TestApp, row: &'static str, values: &mut Values) {
    let mut cells = row.split('\t');
    let mut next = || cells.next().unwrap_or_default();
    let (method, path, body, answer) = (next(), next(), next(), next());
    let (members, name) = (next(), next());
    let (path, body) = (values.fill(path), values.fill(body));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut call = app
        .call(method, &path)
        .header("content-type", "application/json");
    if !body.is_empty() {
        call = call.body(body);
    }
    let found = call.await;
    if answer != "200" {
        let error = found.error();
        assert_eq!(format!("{} {}", error.status, error.code), answer, "{row}");
        return;
    }
    assert_eq!(found.status.as_u16(), 200, "{row}: {}", found.json());
    let result = found.result();
    // A value has no blanks, except in a PEM, for which the table has a name.
    for expected in members.split(' ').filter(|expected| !expected.is_empty()) {
        match expected.split_once('=') {
            Some(("count", count)) => {
                let items = result.as_array().unwrap().len();
                assert_eq!(items.to_string(), count, "{row}");
            }
            Some((path, value)) => {
                let value: Value = serde_json::from_str(&values.fill(value)).unwrap();
                assert_eq!(member(&result, path), Some(&value), "{row}: {path}");
            }
            None => assert!(member(&result, expected).is_some(), "{row}: {expected}"),
        }
    }
    if !name.is_empty() {
        values.0.insert(name, result["id"].clone());
    }
}
