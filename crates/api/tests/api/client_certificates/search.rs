//! Filtered lists.

use certgate_testkit::TestApp;
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
