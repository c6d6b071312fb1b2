//! Wrong clocks, CAs that cannot sign, and several processes.

use super::*;

#[tokio::test]
async fn a_wrong_clock_leaves_no_trace() {
    let setting = Setting::new().await;
    let (first, second) = (setting.issue().await, setting.issue().await);
    setting.app.delete(&first.path).await.result();
    setting.app.settle().await;
    // Everything has expired, and been on two lists since.
    setting.app.clock.advance_seconds(400 * DAY);
    for _ in 0..2 {
        setting.app.settle().await;
        setting.app.clock.advance_seconds(5 * DAY);
    }
    setting.app.settle().await;
    assert_eq!(
        find(
            &setting.list("full.crl").await.bytes,
            first.serial.as_bytes()
        ),
        None
    );
    assert_eq!(setting.status(second.serial).await, "good");

    setting.app.clock.advance_seconds(-410 * DAY);
    setting.app.settle().await;
    for file in ["full.crl", &first.shard()] {
        let list = setting.list(file).await;
        assert!(
            find(&list.bytes, first.serial.as_bytes()).is_some(),
            "{file}"
        );
        assert_eq!(list.headers[header::CACHE_CONTROL], "public, max-age=300");
        // UTCTime of the clock that is right again: none of the lists is from the future.
        assert!(find(&list.bytes, b"\x17\x0d2608").is_some(), "{file}");
    }
    assert_eq!(setting.status(first.serial).await, "revoked");
    assert_eq!(setting.status(second.serial).await, "good");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_responder() {
    const YEAR: i64 = 365 * DAY;
    for algorithm in ["P-256", "RSA-2048"] {
        for back in [15 * 60, 20 * 60, DAY, 10 * YEAR] {
            let mut setting = Setting::new().await;
            let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
            let body = json!({ "algorithm": algorithm });
            let authority = setting.app.post(rotate, body).await.result();
            setting.authority = authority["id"].as_str().unwrap().to_owned();
            let certificate_path = format!("/ca/{}.crt", setting.authority);
            let certificate = setting.app.public(Method::GET, &certificate_path).await;
            setting.authority_der = certificate.bytes;
            // The CA is valid before and after the step.
            setting.app.clock.advance_seconds(11 * YEAR);
            let (good, revoked) = (setting.issue().await, setting.issue().await);
            setting.app.delete(&revoked.path).await.result();
            setting.app.settle().await;
            // An answer that was signed before the step is not used after it.
            assert_eq!(setting.status(good.serial).await, "good");

            setting.app.clock.advance_seconds(-back);
            let request = write_ocsp_request(&setting.authority_der, &[good.serial], None).unwrap();
            let text = pem_body(&request).replace('+', "%2B").replace('/', "%2F");
            let ocsp = format!("/ocsp/{}", text.replace('=', "%3D"));
            let lists = ["0.crl", "127.crl", "full.crl", "ca.crl", "bundle.pem"];
            let lists = lists.map(|file| format!("/crl/{}/{file}", setting.authority));
            for is_settled in [false, true] {
                if is_settled {
                    setting.app.settle().await;
                }
                let now = setting.app.clock.now();
                for path in lists.iter().chain([&certificate_path, &ocsp]) {
                    let shown = format!("{algorithm}, {back} s back, {is_settled}: {path}");
                    let answer = setting.app.public(Method::GET, path).await;
                    assert_eq!(answer.status, 200, "{shown}");
                    let seconds = max_age(&answer);
                    let longest = if *path == ocsp { 3600 } else { 86_400 };
                    assert!((0..=longest).contains(&seconds), "{shown}: {seconds}");
                    let modified = answer.headers[header::LAST_MODIFIED].to_str().unwrap();
                    let modified = httpdate::parse_http_date(modified).unwrap();
                    let modified = modified.duration_since(UNIX_EPOCH).unwrap().as_secs();
                    assert!(modified <= now.unix().unsigned_abs(), "{shown}");
                    let tag = answer.headers[header::ETAG].to_str().unwrap();
                    let again = setting.app.public(Method::GET, path);
                    let again = again.header("if-none-match", tag).await;
                    let expected = if *path == ocsp { 200 } else { 304 };
                    assert_eq!(again.status, expected, "{shown}");
                }
                assert_eq!(setting.status(good.serial).await, "good");
                assert_eq!(setting.status(revoked.serial).await, "revoked");
            }
        }
    }
}

fn max_age(answer: &Answer) -> i64 {
    let cache = answer.headers[header::CACHE_CONTROL].to_str().unwrap();
    let seconds = cache
        .split(", ")
        .find_map(|part| part.strip_prefix("max-age="));
    seconds.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_ca_that_cannot_sign_does_not_delay_other_cas() {
    let mut setting = Setting::new().await;
    let app = &setting.app;
    let account = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let zone = json!({ "name": "other.example", "account": { "id": account["id"] } });
    let zone = app.post("/zones", zone).await.result();
    let path = format!(
        "/zones/{}/client_certificates",
        zone["id"].as_str().unwrap()
    );
    let body = json!({ "csr": certgate_testkit::csr("other"), "validity_days": 1 });
    let broken = app.post(&path, body).await.result();
    app.store
        .damage("UPDATE authorities SET sealed_key = x'00' WHERE number = 2")
        .await
        .unwrap();
    // A key that is loaded already stays usable.
    setting.app = setting.app.restart().await;
    let app = &setting.app;

    let whole = setting.issue().await;
    let broken = format!("{path}/{}", broken["id"].as_str().unwrap());
    for path in [&broken, &whole.path] {
        assert_eq!(
            app.delete(path).await.result()["status"],
            "pending_revocation"
        );
    }
    assert_eq!(
        app.service.settler.settle_all().await.unwrap(),
        Settling::ListsMissing
    );
    assert_eq!(app.get(&whole.path).await.result()["status"], "revoked");
    assert_eq!(
        app.get(&broken).await.result()["status"],
        "pending_revocation"
    );
}

#[tokio::test]
async fn a_crl_that_cannot_be_made_does_not_delay_other_crls() {
    let setting = Setting::new().await;
    let app = &setting.app;
    let account = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let path = format!(
        "/certgate/v1/accounts/{}/managed_authority",
        account["id"].as_str().unwrap()
    );
    let whole = app.get(&path).await.result();
    app.settle().await;
    let tags = async || {
        let mut tags = Vec::new();
        for authority in [&setting.authority, whole["id"].as_str().unwrap()] {
            let list = app
                .public(Method::GET, &format!("/crl/{authority}/127.crl"))
                .await;
            tags.push(list.headers[header::ETAG].clone());
        }
        tags
    };
    let before = tags().await;
    let obstruction = "CREATE TRIGGER obstruction BEFORE UPDATE ON crl_states WHEN NEW.authority = 1 \
                       BEGIN SELECT raise(ABORT, 'obstructed'); END";
    app.store.damage(obstruction).await.unwrap();
    app.clock.advance_seconds(5 * DAY);
    app.service.settler.settle_all().await.unwrap();
    let after = tags().await;
    assert_eq!(
        (after[0] == before[0], after[1] == before[1]),
        (true, false)
    );
}

#[tokio::test]
async fn an_expired_ca_does_not_answer() {
    for algorithm in ["P-256", "RSA-2048"] {
        let mut setting = Setting::new().await;
        let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
        let authority = setting
            .app
            .post(rotate, json!({ "algorithm": algorithm }))
            .await
            .result();
        let path = format!("/ca/{}.crt", authority["id"].as_str().unwrap());
        setting.authority_der = setting.app.public(Method::GET, &path).await.bytes;
        let certificate = setting.issue().await;
        setting.app.clock.advance_seconds((30 * 365 - 1) * DAY);
        assert_eq!(
            setting.status(certificate.serial).await,
            "good",
            "{algorithm}"
        );
        setting.app.clock.advance_seconds(DAY);
        let request =
            write_ocsp_request(&setting.authority_der, &[certificate.serial], None).unwrap();
        let answer = setting
            .app
            .public(Method::POST, "/ocsp")
            .body(request)
            .await;
        assert_eq!(answer.bytes, [0x30, 3, 0x0a, 1, 3], "{algorithm}");
    }
}

#[tokio::test]
async fn one_of_several_processes_settles() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    let (now, other) = (app.clock.now(), [0x77; 16]);
    assert!(
        app.store
            .hold_lease(BackgroundJob::Settling, other, now, now.plus_seconds(20))
            .await
            .unwrap()
    );
    app.delete(&path).await.result();
    assert_eq!(
        app.service.settler.settle_all().await.unwrap(),
        Settling::LeftToOthers
    );
    assert_eq!(
        app.get(&path).await.result()["status"],
        "pending_revocation"
    );

    // The other process was killed.
    app.clock.advance_seconds(20);
    app.settle().await;
    assert_eq!(app.get(&path).await.result()["status"], "revoked");
    let now = app.clock.now();
    assert!(
        !app.store
            .hold_lease(BackgroundJob::Settling, other, now, now.plus_seconds(20))
            .await
            .unwrap()
    );
    app.service.settler.release_lease().await.unwrap();
    assert!(
        app.store
            .hold_lease(BackgroundJob::Settling, other, now, now.plus_seconds(20))
            .await
            .unwrap()
    );
    assert_eq!(
        app.service.settler.settle_all().await.unwrap(),
        Settling::LeftToOthers
    );
}
