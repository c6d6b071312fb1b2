//! The same requests in the forms that programs give them: bodies, queries, paths and credentials.

use certgate_testkit::{Answer, TestApp, csr};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/zones/{zone}/client_certificates";
const JSON: &str = "application/json";

/// The expected answer: 200, or a status, a code and a pointer.
type Expected = Result<(), (u16, u64, Option<&'static str>)>;

#[track_caller]
fn check(answer: &Answer, expected: Expected, what: &str) {
    match expected {
        Ok(()) => assert_eq!(answer.status, StatusCode::OK, "{what}: {}", answer.json()),
        Err(expected) => {
            let error = answer.error();
            let found = (error.status, error.code, error.pointer.as_deref());
            assert_eq!(found, expected, "{what}: {}", error.message);
        }
    }
}

fn good() -> String {
    json!({ "csr": csr("forms"), "validity_days": 30 }).to_string()
}

const NOT_JSON: Expected = Err((400, 6007, Some("")));
const ENCODED: Expected = Err((415, 10415, None));

#[tokio::test]
async fn a_body_is_utf_8_json_of_any_media_type_without_compression() {
    let app = TestApp::new().await;
    for media_type in [
        JSON,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "application/json; charset=ISO-8859-1",
        "",
    ] {
        let call = app.post(PATH, Value::Null).body(good());
        let answer = call.header("content-type", media_type).await;
        check(&answer, Ok(()), media_type);
    }
    for (coding, expected) in [
        ("identity", Ok(())),
        ("Identity, identity", Ok(())),
        ("", Ok(())),
        ("gzip", ENCODED),
        ("deflate", ENCODED),
        ("br", ENCODED),
        ("identity, gzip", ENCODED),
        ("aes128gcm", ENCODED),
    ] {
        let call = app.post(PATH, Value::Null).body(good());
        let answer = call.header("content-encoding", coding).await;
        check(&answer, expected, coding);
        let accepted = answer.headers.get("accept-encoding");
        let accepted = accepted.map(|value| value.to_str().unwrap());
        assert_eq!(
            accepted,
            expected.is_err().then_some("identity"),
            "{coding}"
        );
    }
    let call = app.post(PATH, Value::Null).body(good());
    let answer = call.header("transfer-encoding", "gzip, chunked").await;
    check(&answer, ENCODED, "compressed for the transfer");
    // Without a body, nothing is compressed.
    let call = app.get(PATH).header("content-encoding", "gzip");
    check(&call.await, Ok(()), "GET");
    let (good, csr) = (good(), json!(csr("forms")));
    let utf_16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bodies: [(&str, Vec<u8>, Expected); 16] = [
        ("BOM", [b"\xef\xbb\xbf", good.as_bytes()].concat(), Ok(())),
        (
            "BOM twice",
            [b"\xef\xbb\xbf\xef\xbb\xbf", good.as_bytes()].concat(),
            NOT_JSON,
        ),
        (
            "BOM after the text",
            [good.as_bytes(), b"\xef\xbb\xbf"].concat(),
            NOT_JSON,
        ),
        (
            "UTF-16 with BOM",
            [b"\xff\xfe", &utf_16[..]].concat(),
            NOT_JSON,
        ),
        ("UTF-16", utf_16, NOT_JSON),
        (
            "multipart",
            b"--x\r\nContent-Disposition: form-data\r\n".to_vec(),
            NOT_JSON,
        ),
        ("a form", b"csr=abc&validity_days=30".to_vec(), NOT_JSON),
        (
            "a comma at the end",
            format!("{},}}", &good[..good.len() - 1]).into(),
            NOT_JSON,
        ),
        ("two documents", format!("{good}{good}").into(), NOT_JSON),
        ("NUL after the text", format!("{good}\0").into(), NOT_JSON),
        ("a comment", format!("/* x */{good}").into(), NOT_JSON),
        (
            "NaN",
            b"{\"csr\":\"x\",\"validity_days\":NaN}".to_vec(),
            NOT_JSON,
        ),
        (
            "lone surrogate",
            b"{\"csr\":\"\\ud800\",\"validity_days\":30}".to_vec(),
            NOT_JSON,
        ),
        (
            "deep",
            format!("{{\"csr\":{}{}}}", "[".repeat(3000), "]".repeat(3000)).into(),
            NOT_JSON,
        ),
        (
            "the last of two members counts",
            format!("{{\"csr\":\"x\",\"csr\":{csr},\"validity_days\":30}}").into(),
            Ok(()),
        ),
        ("white space", format!(" \r\n\t{good}\n").into(), Ok(())),
    ];
    for (what, body, expected) in bodies {
        check(
            &app.post(PATH, Value::Null).body(body).await,
            expected,
            what,
        );
    }
    let answer = app
        .post(PATH, Value::Null)
        .body(&b"\xff\xfe{\0}\0"[..])
        .await;
    let message = answer.error().message;
    assert!(
        message.contains("UTF-16") && message.contains("UTF-8"),
        "{message}"
    );
}

#[tokio::test]
async fn members_have_their_type_and_their_bounds() {
    const DAYS: Option<&str> = Some("/validity_days");
    let (missing, outside) = (Err((400, 9207, DAYS)), Err((400, 1440, DAYS)));
    let app = TestApp::new().await;
    let csr = json!(csr("forms"));
    for (days, expected) in [
        ("30", Ok(())),
        ("30.0", Ok(())),
        ("3e1", Ok(())),
        ("30.0000000000000001", Ok(())),
        ("5475", Ok(())),
        ("\"30\"", missing),
        ("30.5", missing),
        ("null", missing),
        ("true", missing),
        ("[30]", missing),
        ("0", outside),
        ("-1", outside),
        ("5476", outside),
        ("99999999999999999999", outside),
        ("1e400", NOT_JSON),
    ] {
        let body = format!("{{\"csr\":{csr},\"validity_days\":{days}}}");
        check(
            &app.post(PATH, Value::Null).body(body).await,
            expected,
            days,
        );
    }
    let of_csr = Err((400, 9207, Some("/csr")));
    let whole = Err((400, 9207, Some("")));
    for (body, expected) in [
        (json!({ "csr": csr }), missing),
        (json!({ "csr": null, "validity_days": 30 }), of_csr),
        (json!({ "csr": ["x"], "validity_days": 30 }), of_csr),
        (
            json!({ "csr": "", "validity_days": 30 }),
            Err((400, 1420, Some("/csr"))),
        ),
        (
            json!({ "csr": csr, "validity_days": 30, "name": "x", "labels": {} }),
            Ok(()),
        ),
        (json!([1]), whole),
        (json!("x"), whole),
        (json!(null), whole),
    ] {
        check(
            &app.post(PATH, body.clone()).await,
            expected,
            &body.to_string(),
        );
    }
}

#[tokio::test]
async fn null_counts_as_absent_where_a_body_is_optional() {
    let app = TestApp::new().await;
    let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
    for body in ["", " ", "null", " null\n", "\u{feff}null", "\u{feff}", "{}"] {
        let id = app.issue("forms").await["id"].as_str().unwrap().to_owned();
        let answer = app.delete(&format!("{PATH}/{id}")).body(body).await;
        assert_eq!(answer.result()["status"], "pending_revocation", "{body:?}");
        let answer = app.call(Method::POST, rotate).body(body).await;
        assert_eq!(answer.result()["algorithm"], "P-256", "{body:?}");
    }
    for body in ["[]", "true", "\"null\"", "nul", "NULL", "0"] {
        let id = app.issue("forms").await["id"].as_str().unwrap().to_owned();
        for call in [
            app.delete(&format!("{PATH}/{id}")),
            app.call(Method::POST, rotate),
        ] {
            assert_eq!(call.body(body).await.error().status, 400, "{body:?}");
        }
    }
    // PATCH: `null` changes nothing. Where the members are needed, `null` lacks them.
    for path in [PATH, "/zones", "/accounts", "/user/tokens"] {
        let error = app.post(path, Value::Null).await.error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some("")),
            "{path}"
        );
    }
    let path = "/zones/{zone}/certificate_authorities/hostname_associations";
    for body in ["", "null"] {
        let error = app.call(Method::PUT, path).body(body).await.error();
        assert_eq!((error.status, error.code), (400, 9207), "{body}");
    }
}

#[tokio::test]
async fn a_query_has_numbers_and_words_in_their_usual_forms() {
    let bad = |name| Err((400, 9208, Some(name)));
    let app = TestApp::new().await;
    for (query, expected) in [
        ("page=1.0", Ok(())),
        ("page=01", Ok(())),
        ("page=1&page=1", Ok(())),
        ("page=", Ok(())),
        ("page", Ok(())),
        ("page=&page=2&per_page=&limit=&offset=&status=", Ok(())),
        ("page[]=x", Ok(())),
        ("PAGE=x", Ok(())),
        ("per_page=5", Ok(())),
        ("per_page=50.0", Ok(())),
        ("limit=1", Ok(())),
        ("offset=0&limit=5", Ok(())),
        ("status=Active", Ok(())),
        ("status=active&status=active", Ok(())),
        ("status=all&page=2", Ok(())),
        ("order=issued_on&direction=asc", Ok(())),
        ("a=1&&b", Ok(())),
        ("%zz=1", Ok(())),
        ("?page=x", Ok(())),
        ("search=http&organization=http", Ok(())),
        ("page=+1", bad("page")),
        ("page=%2B1", bad("page")),
        ("page=%201", bad("page")),
        ("page=1&page=2", bad("page")),
        ("page=1,2", bad("page")),
        ("page=0", bad("page")),
        ("page=1e1", bad("page")),
        ("page=9223372036854775808", bad("page")),
        ("per_page=1", bad("per_page")),
        ("per_page=100", bad("per_page")),
        ("per_page=%2220%22", bad("per_page")),
        ("per_page=null", bad("per_page")),
        ("per_page=undefined", bad("per_page")),
        ("limit=0", bad("limit")),
        ("limit=1001", bad("limit")),
        ("status=active,revoked", bad("status")),
        ("status=active&status=revoked", bad("status")),
        ("status=%20active", bad("status")),
        ("status=pending", bad("status")),
        ("status=active;page=1", bad("status")),
    ] {
        check(&app.get(&format!("{PATH}?{query}")).await, expected, query);
    }
    let error = app.get(&format!("{PATH}?per_page=100")).await.error();
    assert_eq!(
        error.message,
        "per_page is \"100\": use a whole number from 5 to 50, or limit, from 1 to 1000"
    );
    for (path, least) in [("/zones", 1), ("/accounts", 1), ("/user/tokens", 5)] {
        for size in [0, 1, 4, 5, 50, 51, 100] {
            let expected = match (least..=50).contains(&size) {
                true => Ok(()),
                false => bad("per_page"),
            };
            let query = format!("{path}?per_page={size}");
            let answer = app.get(&query).await;
            check(&answer, expected, &query);
            if expected.is_ok() {
                assert_eq!(answer.json()["result_info"]["per_page"], size);
            }
        }
    }
}

#[tokio::test]
async fn a_path_has_the_id_in_any_letter_case_and_nothing_else() {
    let app = TestApp::new().await;
    let id = app.issue("forms").await["id"].as_str().unwrap().to_owned();
    let (zone, upper) = (app.zone_id.clone(), app.zone_id.to_uppercase());
    let dashed = format!("{}-{}", &zone[..8], &zone[8..]);
    let (ok, no_route) = (Ok(()), Err((404, 7003, None)));
    let no_certificate = Err((404, 1415, None));
    for (path, expected) in [
        (format!("{PATH}/{id}"), ok),
        (format!("{PATH}/{}", id.to_uppercase()), ok),
        (format!("{PATH}/%{:x}{}", id.as_bytes()[0], &id[1..]), ok),
        (format!("{PATH}/{id}?"), ok),
        (format!("/zones/{upper}/client_certificates"), ok),
        (format!("{PATH}/"), no_route),
        (format!("/{PATH}"), no_route),
        (format!("{PATH}//{id}"), no_route),
        (format!("{PATH}/{id}/"), no_route),
        (format!("{PATH}/{id}%20"), no_certificate),
        (format!("{PATH}/{id}%0A"), no_certificate),
        (format!("{PATH}/%00"), no_certificate),
        (format!("{PATH}/..%2f"), no_certificate),
        (format!("{PATH}/{}", &id[..31]), no_certificate),
        ("/zones/{zone}/Client_certificates".to_owned(), no_route),
        (
            "/zones/{zone}/client_certificates.json".to_owned(),
            no_route,
        ),
        (format!("/zones/{dashed}/client_certificates"), no_route),
    ] {
        check(&app.get(&path).await, expected, &path);
    }
}

#[tokio::test]
async fn credentials_are_read_as_clients_write_them() {
    let app = TestApp::new().await;
    let token = &app.token;
    let (malformed, unknown) = (Err((400, 6003, None)), Err((403, 9109, None)));
    let none = Err((400, 9106, None));
    for (value, expected) in [
        (format!("bearer {token}"), Ok(())),
        (format!("BEARER {token}"), Ok(())),
        (format!("Bearer  {token}"), Ok(())),
        (format!("Bearer     {token}"), Ok(())),
        (format!("Bearer {token} "), Ok(())),
        (format!(" Bearer {token}"), Ok(())),
        (format!("Bearer \t{token}"), malformed),
        (format!("Bearer\t{token}"), malformed),
        (format!("Bearer{token}"), malformed),
        (token.clone(), malformed),
        (format!("Token {token}"), malformed),
        ("Basic eDp5".to_owned(), malformed),
        (format!("Bearer \"{token}\""), unknown),
        (format!("Bearer Bearer {token}"), malformed),
        (format!("Bearer  x {token}"), malformed),
        ("Bearer ".to_owned(), malformed),
        ("Bearer".to_owned(), malformed),
        ("Bearer t\u{f6}ken".to_owned(), malformed),
        (String::new(), none),
    ] {
        let answer = app.get(PATH).header("authorization", &value).await;
        check(&answer, expected, &value);
    }
    let with_key = app.get(PATH).key("a@b.c", token);
    check(&with_key.await, malformed, "a token is not a key");
    let call = app
        .get(PATH)
        .header("x-auth-key", "")
        .header("x-auth-email", "");
    check(&call.await, Ok(()), "empty headers are absent");
    let call = app
        .get(PATH)
        .anonymous()
        .header("x-auth-user-service-key", "v1.0-aa");
    check(&call.await, none, "a service key");
    let call = app.get(PATH).without_host();
    check(
        &call.await,
        Err((400, 10400, None)),
        "HTTP/1.1 without a host",
    );
    let call = app.get(&format!("{PATH}?access_token={token}")).anonymous();
    check(&call.await, none, "a token in the query");
    let call = app.get(PATH).header("x-http-method-override", "DELETE");
    check(
        &call.await,
        Ok(()),
        "the method is that of the request line",
    );
    let call = app.get(PATH).header("accept", "text/html");
    assert_eq!(call.await.headers["content-type"], JSON);
    for (method, status) in [
        ("HEAD", 200),
        ("OPTIONS", 405),
        ("TRACE", 405),
        ("get", 405),
        ("FOO", 405),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = app.call(method.clone(), PATH).await;
        assert_eq!(answer.status.as_u16(), status, "{method}");
        assert_eq!(
            status == 405,
            answer.headers.contains_key("allow"),
            "{method}"
        );
    }
}
