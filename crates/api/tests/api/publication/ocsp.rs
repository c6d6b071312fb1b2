//! Answers of OCSP.

use super::*;

#[tokio::test]
async fn ocsp_follows_a_change_immediately() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    assert_eq!(setting.status(certificate.serial).await, "good");
    setting.app.delete(&certificate.path).await.result();
    assert_eq!(setting.status(certificate.serial).await, "revoked");
    setting.app.settle().await;
    assert_eq!(setting.status(certificate.serial).await, "revoked");
    setting.app.patch(&certificate.path).await.result();
    assert_eq!(setting.status(certificate.serial).await, "good");
    setting.app.settle().await;
    assert_eq!(setting.status(certificate.serial).await, "good");
    assert_eq!(
        setting.status(SerialNumber::from_random([7; 20])).await,
        "unknown"
    );
}

#[tokio::test]
async fn ocsp_by_get_is_cacheable_and_ignores_the_nonce() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    let nonce = [0xee; 24];
    let request =
        write_ocsp_request(&setting.authority_der, &[certificate.serial], Some(&nonce)).unwrap();
    let text = pem_body(&request);
    let path = format!(
        "/ocsp/{}",
        text.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
    );
    let by_get = setting.app.public(Method::GET, &path).await;
    assert_eq!(by_get.status, 200);
    let cache = by_get.headers[header::CACHE_CONTROL].to_str().unwrap();
    assert_eq!(cache, "max-age=3600, public, no-transform, must-revalidate");
    for name in [header::ETAG, header::LAST_MODIFIED, header::EXPIRES] {
        assert!(by_get.headers.contains_key(&name), "{name}");
    }
    assert!(find(&by_get.bytes, certificate.serial.as_bytes()).is_some());
    assert_eq!(find(&by_get.bytes, &nonce), None);
    let again = setting.app.public(Method::GET, &path).await;
    assert_eq!(again.bytes, by_get.bytes, "signed once");

    let by_post = setting
        .app
        .public(Method::POST, "/ocsp")
        .body(request)
        .await;
    assert!(find(&by_post.bytes, &nonce).is_some());
    assert_eq!(by_post.headers[header::CACHE_CONTROL], "no-cache");
}

/// Base64 without line ends.
#[tokio::test]
async fn ocsp_refuses_malformed_requests_and_other_cas() {
    let setting = Setting::new().await;
    let failure = |answer: &Answer| {
        assert_eq!(answer.status, 200);
        let [0x30, 3, 0x0a, 1, code] = answer.bytes[..] else {
            panic!("{:x?}", answer.bytes)
        };
        code
    };
    for body in [&b""[..], b"x", &[0x30, 0x80], &[0; 20_000]] {
        let answer = setting.app.public(Method::POST, "/ocsp").body(body).await;
        assert_eq!(failure(&answer), 1);
    }
    for path in ["/ocsp/x", "/ocsp/%ff", "/ocsp/MAA="] {
        assert_eq!(
            failure(&setting.app.public(Method::GET, path).await),
            1,
            "{path}"
        );
    }

    // A CA of another installation.
    let elsewhere = Setting::new().await;
    let serial = SerialNumber::from_random([7; 20]);
    let request = write_ocsp_request(&elsewhere.authority_der, &[serial], None).unwrap();
    let answer = setting
        .app
        .public(Method::POST, "/ocsp")
        .body(request)
        .await;
    assert_eq!(failure(&answer), 6);
}

#[tokio::test]
async fn ocsp_answers_for_several_certificates() {
    let setting = Setting::new().await;
    let (first, second) = (setting.issue().await, setting.issue().await);
    setting.app.delete(&second.path).await.result();
    let serials = [first.serial, second.serial];
    let request = write_ocsp_request(&setting.authority_der, &serials, None).unwrap();
    let answer = setting
        .app
        .public(Method::POST, "/ocsp")
        .body(request)
        .await;
    let tags =
        serials.map(|serial| answer.bytes[find(&answer.bytes, serial.as_bytes()).unwrap() + 20]);
    assert_eq!(tags, [0x80, 0xa1]);
}
