use certgate_testkit::{TestApp, uploaded};
use serde_json::{Value, json};

const PATH: &str = "/accounts/{account}/mtls_certificates";

async fn upload(app: &TestApp, name: &str) -> Value {
    let certificates = uploaded(&format!("{name}.certs"));
    app.post(
        PATH,
        json!({ "certificates": certificates, "ca": true, "name": name }),
    )
    .await
    .result()
}

fn path_of(certificate: &Value) -> String {
    format!("{PATH}/{}", certificate["id"].as_str().unwrap())
}

#[tokio::test]
async fn the_object_has_what_clients_of_the_public_api_read() {
    let app = TestApp::new().await;
    let made = upload(&app, "good_root").await;
    let path = path_of(&made);
    insta::assert_json_snapshot!(made, {
        ".id" => "[id]", ".certificates" => "[certificates]",
    }, @r#"
    {
      "ca": true,
      "certificates": "[certificates]",
      "expires_on": "2050-06-07T08:09:10Z",
      "id": "[id]",
      "issuer": "CN=Root,O=Example\\, Ltd,C=DE",
      "name": "good_root",
      "serial_number": "103929005307927756724354605802047639613112342136",
      "signature": "ECDSAWithSHA256",
      "type": "custom",
      "updated_at": "2026-08-14T10:20:30Z",
      "uploaded_on": "2026-08-14T10:20:30Z"
    }
    "#);
    assert_eq!(made["id"].as_str().unwrap().len(), 36);
    assert_eq!(made["certificates"], uploaded("good_root.certs"));

    let mut kept = made.clone();
    kept.as_object_mut().unwrap().remove("updated_at");
    assert_eq!(app.get(&path).await.result(), kept);
    assert_eq!(app.get(PATH).await.result(), json!([kept]));
    assert_eq!(
        app.get(&format!("{path}/associations")).await.result(),
        json!([])
    );
    assert_eq!(app.delete(&path).await.result(), kept);
    for call in [
        app.get(&path),
        app.delete(&path),
        app.get(&format!("{path}/associations")),
    ] {
        let error = call.await.error();
        assert_eq!((error.status, error.code), (404, 1472));
    }
    assert_eq!(
        upload(&app, "good_root").await["serial_number"],
        made["serial_number"],
        "may come again"
    );
}

#[tokio::test]
async fn private_keys_of_a_chain_and_a_leaf_are_never_returned() {
    let app = TestApp::new().await;
    for (name, ca) in [("good_middle_and_root", true), ("good_leaf", false)] {
        let (certificates, key) = (
            uploaded(&format!("{name}.certs")),
            uploaded(&format!("{name}.key")),
        );
        let without_line_end = certificates.trim_end();
        let body = json!({ "certificates": without_line_end, "private_key": key, "ca": ca });
        let answer = app.post(PATH, body).await;
        let made = answer.result();
        assert_eq!(
            (&made["certificates"], &made["ca"]),
            (&without_line_end.into(), &ca.into())
        );
        assert_eq!(made["name"], json!(null));
        let secret = key.lines().nth(2).unwrap();
        for shown in [answer, app.get(&path_of(&made)).await, app.get(PATH).await] {
            assert!(!String::from_utf8(shown.bytes).unwrap().contains(secret));
        }
    }
    // An empty key counts as absent, and so does null.
    for key in [json!(""), json!(null)] {
        let body =
            json!({ "certificates": uploaded("good_root.certs"), "private_key": key, "ca": true });
        let made = app.post(PATH, body).await.result();
        app.delete(&path_of(&made)).await.result();
    }
}

#[tokio::test]
async fn name_and_certificates_come_back_as_they_were_sent() {
    let app = TestApp::new().await;
    let root = uploaded("good_root.certs");
    let chain = uploaded("good_middle_and_root.certs");
    let one_line = root.trim_end().replacen('\n', "|", 1).replace('\n', "");
    let one_line = one_line
        .replace('|', "\n")
        .replace("-----END", "\n-----END");
    for sent in [
        root.clone(),
        root.trim_end().to_owned(),
        format!("\n\n{root}\n\n"),
        root.replace('\n', "\r\n"),
        root.replace('\n', "\\n"),
        format!("subject=CN = Root\nBag Attributes: <none>\n{root}"),
        one_line,
        chain.replace("-----\n-----", "-----\n\n-----"),
        format!(
            "# first\n{}",
            chain.replace("-----\n-----", "-----\n# second\r\n-----")
        ),
    ] {
        let body = json!({ "certificates": sent, "ca": true });
        let made = app.post(PATH, body.clone()).await.result();
        assert_eq!(made["certificates"], sent);
        let path = path_of(&made);
        assert_eq!(app.get(&path).await.result()["certificates"], sent);
        assert_eq!(app.get(PATH).await.result()[0]["certificates"], sent);
        // The same certificate in another form is the same one.
        let again = json!({ "certificates": format!("again\n{}", sent.trim()), "ca": true });
        for body in [body, again] {
            let error = app.post(PATH, body).await.error();
            assert_eq!((error.status, error.code), (400, 1471), "{}", error.message);
            assert!(
                error.message.contains("already exists"),
                "{}",
                error.message
            );
        }
        assert_eq!(app.delete(&path).await.result()["certificates"], sent);
    }
    for (sent, shown) in [
        (json!(null), json!(null)),
        (json!(""), json!(null)),
        (json!(" "), json!(" ")),
        (json!("edge"), json!("edge")),
    ] {
        let body = json!({ "certificates": root, "ca": true, "name": sent });
        let made = app.post(PATH, body).await.result();
        assert_eq!(made["name"], shown, "{sent}");
        assert_eq!(
            app.get(&path_of(&made)).await.result()["name"],
            shown,
            "{sent}"
        );
        app.delete(&path_of(&made)).await.result();
    }
    // What is not a certificate is not stored, also beside one.
    let key = uploaded("good_leaf.key");
    for sent in [format!("{root}{key}"), format!("{key}{root}")] {
        let body = json!({ "certificates": sent, "ca": true });
        let error = app.post(PATH, body).await.error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some("/certificates"))
        );
    }
}

#[tokio::test]
async fn the_list_is_one_answer_newest_first_and_filtered_by_type() {
    let app = TestApp::new().await;
    for name in ["good_root", "good_rsa_2048", "good_ed25519"] {
        app.clock.advance_seconds(1);
        upload(&app, name).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let listed = app.get(&format!("{PATH}?{query}")).await.result();
        let listed = listed.as_array().unwrap().iter();
        listed
            .map(|certificate| certificate["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = ["good_ed25519", "good_rsa_2048", "good_root"];
    for query in [
        "",
        "type=custom",
        "type=access_managed,custom",
        "type=access_managed&type=custom",
        "type=",
        "type=&ca=",
        "type=custom,",
        "page=1",
    ] {
        assert_eq!(names(query).await, all, "{query}");
    }
    for query in [
        "type=gateway_managed",
        "type=gateway_managed,access_managed",
        "page=2",
    ] {
        assert_eq!(names(query).await, [""; 0], "{query}");
    }
    let info = json!({ "page": 1, "per_page": 50, "count": 3, "total_count": 3, "total_pages": 1 });
    assert_eq!(app.get(PATH).await.json()["result_info"], info);
    for (query, name) in [
        ("type=custom,other", "type"),
        ("page=0", "page"),
        ("ca=yes", "ca"),
        ("ca=true&ca=false", "ca"),
        ("name=a&name=b", "name"),
    ] {
        let error = app.get(&format!("{PATH}?{query}")).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 9208, Some(name)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_list_has_only_certificates_that_match_every_filter() {
    let app = TestApp::new().await;
    for (file, name, ca) in [
        ("good_root", "edge", true),
        ("good_rsa_2048", "Edge", true),
        ("good_ed25519", "", true),
        ("good_leaf", "edge", false),
    ] {
        app.clock.advance_seconds(1);
        let mut body =
            json!({ "certificates": uploaded(&format!("{file}.certs")), "ca": ca, "name": name });
        if !ca {
            body["private_key"] = uploaded(&format!("{file}.key")).into();
        }
        app.post(PATH, body).await.result();
    }
    let (root, rsa, ed25519, leaf) = (("edge", true), ("Edge", true), ("", true), ("edge", false));
    for (query, expected) in [
        ("", vec![leaf, ed25519, rsa, root]),
        ("name=edge", vec![leaf, root]),
        ("name=Edge", vec![rsa]),
        ("name=edg", vec![]),
        ("name=edge%20", vec![]),
        ("name=", vec![leaf, ed25519, rsa, root]),
        ("name=&ca=&type=", vec![leaf, ed25519, rsa, root]),
        ("name=&name=Edge", vec![rsa]),
        ("name=%25", vec![]),
        ("ca=true", vec![ed25519, rsa, root]),
        ("ca=False", vec![leaf]),
        ("ca=true&name=edge", vec![root]),
        ("ca=false&name=Edge", vec![]),
        ("name=edge&type=custom", vec![leaf, root]),
        ("name=edge&type=gateway_managed", vec![]),
    ] {
        let answer = app.get(&format!("{PATH}?{query}")).await;
        let listed = answer.result();
        let listed = listed.as_array().unwrap().iter().map(|found| {
            (
                found["name"].as_str().unwrap_or_default(),
                found["ca"].as_bool().unwrap(),
            )
        });
        assert_eq!(listed.collect::<Vec<_>>(), expected, "{query}");
        let (count, pages) = (expected.len(), usize::from(!expected.is_empty()));
        let info = json!({
            "page": 1, "per_page": 50, "count": count, "total_count": count, "total_pages": pages,
        });
        assert_eq!(answer.json()["result_info"], info, "{query}");
        let behind = app.get(&format!("{PATH}?page=2&{query}")).await.json();
        assert_eq!(behind["result"], json!([]), "{query}");
        assert_eq!(behind["result_info"]["total_count"], count, "{query}");
    }
}

#[tokio::test]
async fn a_bad_certificate_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    for (name, code) in [
        ("garbage", 1450),
        ("no_end_line", 1450),
        ("base64_broken", 1450),
        ("der_garbage", 1450),
        ("version_1", 1450),
        ("too_large", 1450),
        ("der", 1451),
        ("pkcs12", 1451),
        ("private_key", 1452),
        ("private_key_beside", 1452),
        ("public_key", 1453),
        ("request", 1454),
        ("pkcs7", 1455),
        ("too_many", 1457),
        ("signed_with_dsa", 1458),
        ("rsa_1024", 1459),
        ("not_authority", 1460),
        ("no_cert_sign", 1460),
        ("chain_without_middle", 1461),
        ("repeated", 1461),
        ("self_signature_flipped", 1462),
        ("chain_signature_flipped", 1462),
        ("expired", 1463),
    ] {
        let body = json!({ "certificates": uploaded(&format!("{name}.certs")), "ca": true });
        let error = app.post(PATH, body).await.error();
        assert_eq!(
            (error.status, error.code),
            (400, code),
            "{name}: {}",
            error.message
        );
        assert_eq!(error.pointer.as_deref(), Some("/certificates"), "{name}");
    }
    assert_eq!(app.get(PATH).await.result(), json!([]));
}

#[tokio::test]
async fn a_bad_private_key_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    for (name, code) in [
        ("certificate", 1464),
        ("public_key", 1464),
        ("garbage", 1464),
        ("der_garbage", 1464),
        ("point_of_another_key", 1464),
        ("encrypted", 1465),
        ("encrypted_traditional", 1465),
        ("several", 1466),
        ("curve_secp256k1", 1467),
        ("dsa", 1467),
        ("rsa_1024", 1467),
        ("another", 1468),
    ] {
        let key = uploaded(&format!("{name}.key"));
        let body =
            json!({ "certificates": uploaded("good_root.certs"), "ca": true, "private_key": key });
        let error = app.post(PATH, body).await.error();
        assert_eq!(
            (error.status, error.code),
            (400, code),
            "{name}: {}",
            error.message
        );
        assert_eq!(error.pointer.as_deref(), Some("/private_key"), "{name}");
        assert!(
            key.lines()
                .skip(1)
                .all(|line| line.len() < 40 || !error.message.contains(line)),
            "{name}"
        );
    }
    let leaf =
        json!({ "certificates": uploaded("good_leaf.certs"), "ca": false, "private_key": "" });
    let error = app.post(PATH, leaf).await.error();
    assert_eq!(
        (error.status, error.code, error.pointer.as_deref()),
        (400, 1469, Some("/private_key"))
    );
}

#[tokio::test]
async fn a_missing_or_malformed_member_is_named() {
    let app = TestApp::new().await;
    let root = uploaded("good_root.certs");
    for (body, code, pointer) in [
        (json!({ "ca": true }), 9207, "/certificates"),
        (
            json!({ "certificates": [root], "ca": true }),
            9207,
            "/certificates",
        ),
        (json!({ "certificates": root }), 9207, "/ca"),
        (json!({ "certificates": root, "ca": "true" }), 9207, "/ca"),
        (
            json!({ "certificates": root, "ca": true, "name": 1 }),
            9207,
            "/name",
        ),
        (
            json!({ "certificates": root, "ca": true, "private_key": 1 }),
            9207,
            "/private_key",
        ),
        (
            json!({ "certificates": root, "ca": true, "name": "a\u{1b}b" }),
            1065,
            "/name",
        ),
        (
            json!({ "certificates": root, "ca": true, "name": "x".repeat(101) }),
            1065,
            "/name",
        ),
    ] {
        let error = app.post(PATH, body.clone()).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, code, Some(pointer)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn the_same_certificate_again_is_1471_and_a_full_account_1489() {
    let app =
        TestApp::with(|settings| settings.limits.account_mtls_certificates_max = Some(1)).await;
    let made = upload(&app, "good_root").await;
    let body = json!({ "certificates": uploaded("good_root.certs"), "ca": true, "name": "other" });
    let error = app.post(PATH, body).await.error();
    assert_eq!(
        (error.status, error.code, error.pointer.as_deref()),
        (400, 1471, Some("/certificates"))
    );
    assert!(
        error.message.contains(made["id"].as_str().unwrap())
            && error.message.contains("already exists"),
        "{}",
        error.message
    );
    let body = json!({ "certificates": uploaded("good_ed25519.certs"), "ca": true });
    let error = app.post(PATH, body).await.error();
    assert_eq!((error.status, error.code), (403, 1489));
    assert!(error.message.contains("quota of 1 "), "{}", error.message);
}

#[tokio::test]
async fn an_unknown_or_malformed_id_is_1472() {
    let app = TestApp::new().await;
    let elsewhere = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let theirs = format!(
        "/accounts/{}/mtls_certificates",
        elsewhere["id"].as_str().unwrap()
    );
    let body = json!({ "certificates": uploaded("good_root.certs"), "ca": true });
    let made = app.post(&theirs, body).await.result();
    let theirs = made["id"].as_str().unwrap();
    for id in [
        theirs,
        "0123abcd-0123-4abc-8abc-0123456789ab",
        "0123456789abcdef0123456789abcdef",
        "1",
        "%00",
    ] {
        for call in [
            app.get(&format!("{PATH}/{id}")),
            app.get(&format!("{PATH}/{id}/associations")),
            app.delete(&format!("{PATH}/{id}")),
        ] {
            let error = call.await.error();
            assert_eq!((error.status, error.code), (404, 1472), "{id}");
        }
    }
}

#[tokio::test]
async fn a_certificate_in_use_cannot_be_deleted() {
    let app = TestApp::new().await;
    let path = path_of(&upload(&app, "good_root").await);
    app.store
        .damage(
            "WITH RECURSIVE places (place) AS (SELECT 0 UNION ALL SELECT place + 1 FROM places WHERE place < 11) \
             INSERT INTO hostname_associations \
             SELECT zones.number, mtls_certificates.id, place, printf('H%02d.example.com', place), \
                 printf('h%02d.example.com', place), 1, NULL FROM zones, mtls_certificates, places",
        )
        .await
        .unwrap();
    let associations = app.get(&format!("{path}/associations")).await.result();
    assert_eq!(
        associations,
        json!([{ "service": "mtls", "status": "active" }])
    );
    let error = app.delete(&path).await.error();
    assert_eq!((error.status, error.code), (400, 1473));
    assert!(
        error
            .message
            .starts_with("12 hostnames use the certificate, H00.example.com, H01"),
        "{}",
        error.message
    );
    assert!(
        error.message.contains("H09.example.com, …:") && !error.message.contains("H10"),
        "{}",
        error.message
    );
    // Typed clients match these words.
    assert!(
        error.message.contains("cannot be deleted while in use"),
        "{}",
        error.message
    );
    app.store
        .damage("DELETE FROM hostname_associations")
        .await
        .unwrap();
    app.delete(&path).await.result();
}

#[tokio::test]
async fn an_account_with_uploaded_certificates_cannot_be_deleted() {
    let app = TestApp::new().await;
    app.delete("/zones/{zone}").await.result();
    let made = upload(&app, "good_root").await;
    let error = app.delete("/accounts/{account}").await.error();
    assert_eq!((error.status, error.code), (400, 1064));
    assert!(
        error.message.contains("1 mTLS certificates"),
        "{}",
        error.message
    );
    app.delete(&path_of(&made)).await.result();
    app.delete("/accounts/{account}").await.result();
}
