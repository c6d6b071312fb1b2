//! Filtered lists.

use certgate_model::{By, CertificateId, SerialNumber};
use certgate_store::conformance::record_by;
use certgate_store::{Basis, CertificateRecorded, ReadCertificates as _, Renewal};
use certgate_testkit::{SearchLimits, TestApp};
use futures_util::future::join_all;
use serde_json::Value;

const LIST: &str = "/zones/{zone}/client_certificates";

/// The common names of a list, in its order.
async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let found = app.get(&format!("{LIST}?{query}")).await.result();
    let found = found.as_array().unwrap().iter();
    let name = |certificate: &Value| certificate["common_name"].as_str().unwrap().to_owned();
    found.map(name).collect()
}

fn text<'a>(certificate: &'a Value, member: &str) -> &'a str {
    certificate[member].as_str().unwrap()
}

#[tokio::test]
async fn more_matches_than_pages_reach_are_read_with_continue() {
    let limits = SearchLimits {
        matches: 3,
        ..SearchLimits::DEFAULT
    };
    let app = TestApp::with_search_limits(limits).await;
    let mut ids = Vec::new();
    for number in 0..9 {
        app.issue(&format!("other-{number}")).await;
        ids.push(text(&app.issue(&format!("laptop-{number}")).await, "id").to_owned());
    }
    let query = "common_name.startswith=laptop-&limit=2";
    // Each page says where the list continues, and where its pages end.
    for (page, first) in [(1, 0), (2, 2)] {
        let answer = app.get(&format!("{LIST}?{query}&page={page}")).await;
        let (names, info, message) = part(&answer.json());
        assert_eq!(names, [first, first + 1].map(|n| format!("laptop-{n}")));
        assert_eq!(
            (&info["total_count"], &info["total_pages"]),
            (&3.into(), &2.into())
        );
        assert!(
            message.starts_with("More than 3 certificates match"),
            "{message}"
        );
    }
    let beyond = error(&app, &format!("{query}&page=3")).await;
    assert_eq!((beyond.status, beyond.code), (400, 1532));
    let answer = app.get(&format!("{LIST}?{query}&page=1")).await.json();
    let (_, info, _) = part(&answer);
    let mut next = text(&info, "continue").to_owned();
    let both = error(&app, &format!("{query}&page=2&continue={next}")).await;
    assert_eq!(both.pointer.as_deref(), Some("continue"));
    // One that was read and one that was not are revoked: every other one is found, once.
    for read in [0, 5] {
        app.delete(&format!("{LIST}/{}", ids[read])).await.result();
    }
    for (numbers, is_last) in [([2, 3], false), ([4, 6], false), ([7, 8], true)] {
        let answer = app.get(&format!("{LIST}?{query}&continue={next}")).await;
        let (names, info, message) = part(&answer.json());
        assert_eq!(names, numbers.map(|n| format!("laptop-{n}")));
        assert!(message.contains("part of the search"), "{message}");
        assert_eq!(info.get("continue").is_none(), is_last, "{info}");
        next = info["continue"].as_str().unwrap_or_default().to_owned();
    }
    // As many as pages reach are a list without a continuation.
    app.delete(&format!("{LIST}/{}", ids[1])).await.result();
    let pending = format!("{query}&status=pending_revocation");
    let (names, info, message) = part(&app.get(&format!("{LIST}?{pending}")).await.json());
    assert_eq!((names.len(), &info["total_count"]), (2, &3.into()));
    assert_eq!((info.get("continue"), message.as_str()), (None, ""));
}

/// The names, `result_info` and the message of a list.
fn part(answer: &Value) -> (Vec<String>, Value, String) {
    let found = answer["result"].as_array().unwrap().iter();
    let names = found.map(|certificate| text(certificate, "common_name").to_owned());
    let message = answer["messages"][0]["message"].as_str();
    let message = message.unwrap_or_default().to_owned();
    (names.collect(), answer["result_info"].clone(), message)
}

#[tokio::test]
async fn a_serial_number_is_found_in_every_form_and_status() {
    let app = TestApp::new().await;
    app.issue("other").await;
    let certificate = app.issue("wanted").await;
    let serial = text(&certificate, "serial_number");
    let with_colons: Vec<_> = (0..20).map(|at| &serial[2 * at..2 * at + 2]).collect();
    let decimal = decimal(serial);
    let forms = [
        serial.to_owned(),
        serial.to_uppercase(),
        with_colons.join(":"),
        decimal,
    ];
    for form in &forms {
        let query = format!("serial_number={form}");
        assert_eq!(names(&app, &query).await, ["wanted"], "{form}");
    }
    let id = text(&certificate, "id");
    app.delete(&format!("{LIST}/{id}")).await.result();
    for form in &forms {
        let query = format!("serial_number={form}");
        assert_eq!(names(&app, &query).await, ["wanted"], "{form}");
        let active = format!("{query}&status=active");
        assert_eq!(names(&app, &active).await, [""; 0], "{form}");
        let answer = app.get(&format!("{LIST}?{query}&page=2")).await;
        assert_eq!(answer.result(), Value::Array(Vec::new()));
        let info = &answer.json()["result_info"];
        assert_eq!(
            (&info["total_count"], &info["count"]),
            (&1.into(), &0.into())
        );
        assert_eq!(info.get("continue"), None);
    }
    // Not a serial number of this zone.
    assert_eq!(names(&app, "serial_number=4711").await, [""; 0]);
}

/// Hexadecimal digits in decimal.
fn decimal(digits: &str) -> String {
    let mut decimal = vec![0_u32];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(16).unwrap();
        for place in &mut decimal {
            carry += *place * 16;
            *place = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            decimal.push(carry % 10);
            carry /= 10;
        }
    }
    let digits = decimal.iter().rev().map(|digit| digit.to_string());
    digits.collect()
}

async fn error(app: &TestApp, query: &str) -> certgate_testkit::Failure {
    app.get(&format!("{LIST}?{query}")).await.error()
}

#[tokio::test]
async fn names_are_found_in_any_letter_case() {
    let app = TestApp::new().await;
    for name in [
        "laptop-17",
        "Laptop-18",
        "LAPTOP-170",
        "phone_1",
        "100%",
        "Größe",
    ] {
        app.issue(name).await;
    }
    for (query, expected) in [
        ("common_name=LAPTOP-17", &["laptop-17"][..]),
        ("common_name=laptop", &[]),
        (
            "common_name.startswith=laptop-17",
            &["laptop-17", "LAPTOP-170"],
        ),
        ("common_name.contains=TOP-18", &["Laptop-18"]),
        ("common_name.contains=e_1", &["phone_1"]),
        ("common_name.contains=e%251", &[]),
        ("common_name.startswith=100%25", &["100%"]),
        ("common_name.startswith=%25", &[]),
        ("common_name.startswith=_", &[]),
        ("common_name=gr%C3%B6%C3%9Fe", &["Größe"]),
        ("common_name.startswith=GR%C3%96", &["Größe"]),
        ("common_name=%27%20OR%201=1%20--", &[]),
    ] {
        assert_eq!(names(&app, query).await, expected, "{query}");
    }
    for (order, expected) in [
        (
            "&order=common_name",
            ["laptop-17", "LAPTOP-170", "Laptop-18"],
        ),
        (
            "&order=common_name&direction=desc",
            ["Laptop-18", "LAPTOP-170", "laptop-17"],
        ),
        (
            "&order=issued_on&direction=asc",
            ["laptop-17", "Laptop-18", "LAPTOP-170"],
        ),
        ("", ["laptop-17", "LAPTOP-170", "Laptop-18"]),
        ("&direction=desc", ["Laptop-18", "LAPTOP-170", "laptop-17"]),
        ("&order=issued_on", ["LAPTOP-170", "Laptop-18", "laptop-17"]),
    ] {
        let query = format!("common_name.startswith=laptop{order}");
        assert_eq!(names(&app, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn one_certificate_is_found_by_fingerprint_and_id() {
    let app = TestApp::new().await;
    app.issue("other").await;
    app.clock.advance_seconds(1_000);
    let certificate = app.issue("wanted").await;
    let fingerprint = text(&certificate, "fingerprint_sha256").to_uppercase();
    let with_colons: Vec<_> = (0..32).map(|at| &fingerprint[2 * at..2 * at + 2]).collect();
    let id = text(&certificate, "id");
    let queries = [
        format!("fingerprint_sha256={fingerprint}"),
        format!("fingerprint_sha256={}", with_colons.join(":")),
        format!("id.startswith={}", &id[..12]),
        format!("id.startswith={}", id.to_uppercase()),
    ];
    for query in &queries {
        assert_eq!(names(&app, query).await, ["wanted"], "{query}");
    }
    app.delete(&format!("{LIST}/{id}")).await.result();
    for query in &queries {
        assert_eq!(names(&app, query).await, ["wanted"], "{query}");
        let active = format!("{query}&status=active");
        assert_eq!(names(&app, &active).await, [""; 0], "{query}");
    }
    let shared = format!("id.startswith={}&order=issued_on&direction=asc", &id[..6]);
    assert_eq!(names(&app, &shared).await, ["other", "wanted"]);
}

#[tokio::test]
async fn dates_are_exclusive_and_define_the_order() {
    let app = TestApp::new().await;
    for (name, days) in [("long", 300), ("short", 10), ("middle", 100)] {
        let body = serde_json::json!({ "csr": certgate_testkit::csr(name), "validity_days": days });
        app.post(LIST, body).await.result();
        app.clock.advance_seconds(86_400);
    }
    let all = app.get(&format!("{LIST}?status=all")).await.result();
    let of = |name: &str, member: &str| {
        let mut all = all.as_array().unwrap().iter();
        let certificate = all.find(|certificate| certificate["common_name"] == name);
        text(certificate.unwrap(), member).to_owned()
    };
    let middle = of("middle", "expires_on");
    for (query, expected) in [
        (
            "expires_on.after=2000-01-01".to_owned(),
            &["short", "middle", "long"][..],
        ),
        (format!("expires_on.after={middle}"), &["long"]),
        (format!("expires_on.before={middle}"), &["short"]),
        (
            format!("expires_on.after={middle}&expires_on.before={middle}"),
            &[],
        ),
        (
            format!("issued_on.after={}", of("long", "issued_on")),
            &["middle", "short"],
        ),
        (
            "expires_on.after=2000-01-01&direction=desc".to_owned(),
            &["long", "middle", "short"],
        ),
        (
            "expires_on.after=2000-01-01&order=common_name".to_owned(),
            &["long", "middle", "short"],
        ),
        ("revoked_on.after=2000-01-01&status=all".to_owned(), &[]),
    ] {
        assert_eq!(names(&app, &query).await, expected, "{query}");
    }
    for name in ["short", "long"] {
        let path = format!("{LIST}/{}", of(name, "id"));
        app.delete(&path).await.result();
        app.clock.advance_seconds(60);
    }
    let revoked = "revoked_on.after=2000-01-01&status=all";
    assert_eq!(names(&app, revoked).await, ["short", "long"]);
    let pending = "revoked_on.after=2000-01-01&status=pending_revocation&order=common_name";
    assert_eq!(names(&app, pending).await, ["long", "short"]);
}

#[tokio::test]
async fn filters_combine_and_large_pages_are_whole() {
    let app = TestApp::new().await;
    for number in 0..150 {
        app.issue(&format!("device-{number:03}")).await;
    }
    let authority = app.get("/certgate/v1/accounts/{account}/managed_authority");
    let authority = text(&authority.await.result(), "id").to_owned();
    let query = format!(
        "certificate_authority_id={authority}&common_name.startswith=device-&order=common_name"
    );
    let answer = app.get(&format!("{LIST}?{query}&limit=1000")).await;
    let found = answer.result();
    let found: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| text(certificate, "common_name").to_owned())
        .collect();
    let expected: Vec<_> = (0..150)
        .map(|number| format!("device-{number:03}"))
        .collect();
    assert_eq!(found, expected);
    let json = answer.json();
    assert_eq!(json["messages"], Value::Array(Vec::new()));
    let info = serde_json::json!({
        "page": 1, "per_page": 1000, "count": 150, "total_count": 150, "total_pages": 1,
    });
    assert_eq!(json["result_info"], info);
    // SDKs raise the page until it is empty.
    let mut walked = Vec::new();
    for page in 1.. {
        let page = names(&app, &format!("{query}&limit=40&page={page}")).await;
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(walked, expected);
    assert_eq!(
        names(&app, &format!("{query}&offset=148")).await,
        expected[148..]
    );
    let nothing = "certificate_authority_id=00000000-0000-7000-8000-000000000000";
    assert_eq!(names(&app, nothing).await, [""; 0]);
}

#[tokio::test]
async fn hostile_filters_are_refused_or_answered() {
    let app = TestApp::new().await;
    app.issue("device").await;
    // A longer target is refused before its query is read.
    let long = "a".repeat(60_000);
    let keys = "k=1&".repeat(10_000);
    let repeated = "common_name=device&".repeat(3_000);
    for (query, pointer) in [
        (format!("common_name={long}"), "common_name"),
        (
            format!("common_name.startswith={long}"),
            "common_name.startswith",
        ),
        (
            format!("common_name.contains={long}"),
            "common_name.contains",
        ),
        (format!("serial_number={long}"), "serial_number"),
        (format!("fingerprint_sha256={long}"), "fingerprint_sha256"),
        (format!("id.startswith={long}"), "id.startswith"),
        (
            format!("certificate_authority_id={long}"),
            "certificate_authority_id",
        ),
        (format!("expires_on.after={long}"), "expires_on.after"),
        (format!("continue={long}"), "continue"),
        ("common_name=a%00".to_owned(), "common_name"),
        (keys, ""),
        (repeated, ""),
    ] {
        let error = error(&app, &query).await;
        assert_eq!((error.status, error.code), (400, 9208), "{:.60}", query);
        assert_eq!(error.pointer.as_deref(), Some(pointer), "{:.60}", query);
        assert!(error.message.len() < 1_000, "{:.60}", error.message);
    }
    for text in [
        "%25",
        "_",
        "%27",
        "%22",
        "%5C",
        "%FF",
        "*",
        "%F0%9F%94%91",
        "%0A",
        "%7F",
    ] {
        let text = text.repeat(3);
        for name in [
            "common_name",
            "common_name.startswith",
            "common_name.contains",
        ] {
            let query = format!("{name}={text}");
            assert_eq!(names(&app, &query).await, [""; 0], "{query}");
        }
    }
}

#[tokio::test]
async fn filters_belong_to_their_zone() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let zone = serde_json::json!({ "name": "other.example", "account": { "id": app.account_id } });
    let zone = app.post("/zones", zone).await.result();
    let list = format!("/zones/{}/client_certificates", text(&zone, "id"));
    for query in [
        "common_name=device".to_owned(),
        "common_name.contains=device".to_owned(),
        "expires_on.after=2000-01-01".to_owned(),
        format!("serial_number={}", text(&certificate, "serial_number")),
        format!(
            "fingerprint_sha256={}",
            text(&certificate, "fingerprint_sha256")
        ),
        format!("id.startswith={}", text(&certificate, "id")),
        format!(
            "certificate_authority_id={}",
            text(&certificate["certificate_authority"], "id")
        ),
    ] {
        assert_eq!(names(&app, &query).await, ["device"], "{query}");
        let there = app.get(&format!("{list}?{query}")).await.result();
        assert_eq!(there, Value::Array(Vec::new()), "{query}");
    }
}

/// The certificates of each half of the next test: together more than a filtered list counts.
const HALF: u32 = 5_100;

#[tokio::test]
async fn lists_of_more_certificates_than_a_filter_counts_are_exact() {
    let app = TestApp::new().await;
    let (first, new) = renewed(&app).await;
    let zone = app.zone_id.parse().unwrap();
    let read = |certificate: &Value| {
        let id = text(certificate, "id").parse().unwrap();
        app.store.certificate(zone, id)
    };
    let (old, newest) = (
        read(&first).await.unwrap().unwrap(),
        read(&new).await.unwrap().unwrap(),
    );
    // The others are recorded as the service records them, without signatures.
    let copy = |n: u32, basis: Basis| {
        let mut copy = newest.clone();
        copy.id = CertificateId::from_bytes(u128::from(n).to_be_bytes());
        let mut serial = *copy.serial.as_bytes();
        serial[..4].copy_from_slice(&n.to_be_bytes());
        copy.serial = SerialNumber::from_random(serial);
        copy.subject.common_name = format!("device-{n}");
        record_by(&*app.store, copy, basis, By::system(old.issued_on))
    };
    let renewal = |n: u32| {
        Basis::Renewal(Renewal {
            replaced: CertificateId::from_bytes(u128::from(n).to_be_bytes()),
            interval_seconds: 0,
            per_day_max: u64::MAX,
            revoke_on: None,
        })
    };
    let lines = (1..=2 * HALF).map(|n| (n, Basis::Permission));
    let lines = lines.chain((1..=HALF).map(|n| (2 * HALF + n, renewal(2 * n))));
    let lines: Vec<_> = lines.collect();
    for some in lines.chunks(100) {
        let recorded = join_all(some.iter().map(|(n, basis)| copy(*n, *basis)));
        let recorded = recorded.await;
        assert!(
            recorded
                .iter()
                .all(|one| *one == CertificateRecorded::Recorded)
        );
    }

    let (newest, replaced) = (2 * u64::from(HALF) + 1, u64::from(HALF) + 1);
    let page = async |query: &str, total: u64, number: u64| {
        let path = format!("{LIST}?{query}&per_page=50&page={number}");
        let answer = app.get(&path).await;
        let info = answer.json()["result_info"].clone();
        assert_eq!(
            answer.json()["messages"],
            Value::Array(Vec::new()),
            "{path}"
        );
        assert_eq!(info["total_count"], total, "{path}");
        let found = answer.result().as_array().unwrap().clone();
        let names = found.iter().map(|one| text(one, "common_name").to_owned());
        names.collect::<Vec<_>>()
    };
    let name = |n: u32| format!("device-{n}");
    // The newest: those that renewed others, then those that were not renewed, with odd numbers.
    let mut expected: Vec<_> = (2 * HALF + 1..=3 * HALF).rev().map(name).collect();
    expected.extend((1..2 * HALF).rev().step_by(2).map(name));
    expected.push(text(&new, "common_name").to_owned());
    for number in [1, 2, 103, 150, 204, 205] {
        let begin = 50 * (number as usize - 1);
        let page_of = |all: &[String]| all.iter().skip(begin).take(50).cloned().collect::<Vec<_>>();
        for query in ["replaced=false", "replaced=false&status=all"] {
            assert_eq!(
                page(query, newest, number).await,
                page_of(&expected),
                "{number}"
            );
        }
        let backwards: Vec<_> = expected.iter().rev().cloned().collect();
        let ascending = page("replaced=false&direction=asc", newest, number).await;
        assert_eq!(ascending, page_of(&backwards), "{number}");
    }
    let last = page("replaced=true", replaced, 102).await;
    assert_eq!(last.first(), Some(&name(100)), "{last:?}");
    let oldest = page("replaced=true", replaced, 103).await;
    assert_eq!(oldest, [text(&first, "common_name")]);
    assert!(page("replaced=false", newest, 206).await.is_empty());
    let revoked = page("replaced=true&status=revoked", 0, 1).await;
    assert!(revoked.is_empty());

    let summary = app.get("/certgate/v1/zones/{zone}/summary").await.result();
    assert_eq!(summary["replaced"]["active"], replaced);
    let expiring: u64 = summary["expiring"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["count"].as_u64().unwrap())
        .sum();
    assert_eq!(expiring, newest);
}

/// Returns a certificate and the one that replaced it.
async fn renewed(app: &TestApp) -> (Value, Value) {
    let old = app.issue("device-0").await;
    app.clock.advance_seconds(3_600);
    let new = app.renew(&app.zone_id, "example.com", &old).await;
    (old, new)
}
