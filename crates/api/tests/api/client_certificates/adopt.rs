//! Certificates that an imported CA issued elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use certgate_model::SerialNumber;
use certgate_pki::write_ocsp_request;
use certgate_testkit::TestApp;
use http::Method;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

const PATH: &str = "/certgate/v1/zones/{zone}/client_certificates/adopt";
const CAS: &str = "/certgate/v1/accounts/{account}/managed_authorities";

/// The largest serial number of 20 octets: its DER form has a zero before them.
const LARGEST: &str = "0xffffffffffffffffffffffffffffffffffffffff";

fn fixture(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki/tests/fixtures/authorities");
    directory.join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

/// Another CA software, with the key of the CA that the tests import.
struct Elsewhere {
    directory: tempfile::TempDir,
}

impl Elsewhere {
    fn new() -> Self {
        let elsewhere = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for name in ["good.crt", "good.pkcs8.key"] {
            std::fs::copy(fixture(name), elsewhere.directory.path().join(name)).unwrap();
        }
        #[rustfmt::skip]
        elsewhere.openssl(&[
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "3650", "-subj", "/O=Acme/CN=Other CA", "-keyout", "other.key", "-out",
            "other.crt",
        ]);
        elsewhere
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Issues a certificate with this serial number and these extensions.
    fn issue(&self, ca: &str, key: &str, serial: &str, extensions: &str) -> String {
        let path = self.directory.path().join("extensions");
        std::fs::write(path, format!("{extensions}\n")).unwrap();
        #[rustfmt::skip]
        self.openssl(&[
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/O=Acme/CN=device", "-keyout", "device.key", "-out", "device.csr",
        ]);
        #[rustfmt::skip]
        let issued = self.openssl(&[
            "x509", "-req", "-in", "device.csr", "-CA", ca, "-CAkey", key, "-set_serial", serial,
            "-days", "365", "-sha512", "-extfile", "extensions",
        ]);
        issued
    }

    fn client(&self, serial: &str) -> String {
        self.issue(
            "good.crt",
            "good.pkcs8.key",
            serial,
            "extendedKeyUsage=clientAuth",
        )
    }
}

async fn imported() -> (TestApp, Value) {
    let app = TestApp::new().await;
    let body = json!({ "certificate": read("good.crt"), "private_key": read("good.pkcs8.key") });
    let ca = app.post(CAS, body).await.result();
    (app, ca)
}

async fn adopt(app: &TestApp, certificates: &[&str]) -> Vec<Value> {
    let body = json!({ "certificates": certificates });
    app.post(PATH, body)
        .await
        .result()
        .as_array()
        .unwrap()
        .clone()
}

/// Returns the tag of the status in an OCSP answer: 0x80 good, 0xa1 revoked, 0x82 unknown.
async fn ocsp(app: &TestApp, serial: SerialNumber) -> u8 {
    let pem = read("good.crt");
    let ca = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let request = write_ocsp_request(&ca, &[serial], None).unwrap();
    let answer = app.public(Method::POST, "/ocsp").body(request).await;
    let integer = serial.to_integer();
    let wanted = [&[2, integer.as_bytes().len() as u8], integer.as_bytes()].concat();
    let mut windows = answer.bytes.windows(wanted.len());
    let at = windows.position(|window| window == wanted).unwrap();
    answer.bytes[at + wanted.len()]
}

async fn listed(app: &TestApp, list: &str) -> Vec<Vec<u8>> {
    let der = app.public(Method::GET, list).await.bytes;
    let list: CertificateList = CertificateList::from_der(&der).unwrap();
    let revoked = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    let serial = |entry: x509_cert::crl::RevokedCert| entry.serial_number.as_bytes().to_vec();
    revoked.into_iter().map(serial).collect()
}

#[tokio::test]
async fn adopted_certificates_are_listed_revoked_and_restored() {
    let (app, ca) = imported().await;
    let elsewhere = Elsewhere::new();
    // A rotation does not end the adoption of its certificates.
    app.post(&format!("{CAS}/rotate"), json!({})).await.result();
    for (serial, content, digits) in [
        ("1", vec![1], format!("{}01", "00".repeat(19))),
        ("0x80", vec![0, 0x80], format!("{}80", "00".repeat(19))),
        ("0x0100", vec![1, 0], format!("{}0100", "00".repeat(18))),
        (LARGEST, [&[0][..], &[0xff; 20]].concat(), "ff".repeat(20)),
    ] {
        let pem = elsewhere.client(serial);
        let octets = SerialNumber::of_integer(&content).unwrap();
        assert_eq!(ocsp(&app, octets).await, 0x82, "unknown");
        let lines = adopt(&app, &[&pem]).await;
        assert_eq!(lines[0]["error"], Value::Null, "{lines:?}");
        assert_eq!(adopt(&app, &[&pem]).await, lines, "again");
        let id = lines[0]["id"].as_str().unwrap();
        let path = format!("/zones/{{zone}}/client_certificates/{id}");
        let certificate = app.get(&path).await.result();
        assert_eq!(certificate["certificate"], pem.trim_end());
        assert_eq!(certificate["certificate_authority"]["id"], ca["id"]);
        assert_eq!(
            [
                &certificate["serial_number"],
                &certificate["common_name"],
                &certificate["signature"],
                &certificate["csr"],
                &certificate["status"],
                &certificate["validity_days"],
            ],
            [
                &json!(digits),
                &json!("device"),
                &json!("ECDSAWithSHA512"),
                &json!(""),
                &json!("active"),
                &json!(365),
            ]
        );
        assert_eq!(ocsp(&app, octets).await, 0x80, "good");
        app.delete(&path).await.result();
        assert_eq!(ocsp(&app, octets).await, 0xa1, "revoked");
        app.settle().await;
        assert_eq!(app.get(&path).await.result()["status"], "revoked");
        let shard = octets.shard();
        let lists = ["full".to_owned(), shard.to_string()]
            .map(|kind| format!("/crl/{}/{kind}.crl", ca["id"].as_str().unwrap()));
        for list in &lists {
            assert!(listed(&app, list).await.contains(&content), "{list}");
        }
        app.patch(&path).await.result();
        app.settle().await;
        assert_eq!(app.get(&path).await.result(), certificate);
        for list in &lists {
            assert!(!listed(&app, list).await.contains(&content), "{list}");
        }
    }
    let listed = app.get("/zones/{zone}/client_certificates").await.json();
    assert_eq!(listed["result_info"]["total_count"], 4);
    let (app, image) = app.image().await;
    assert_eq!(
        certgate_testkit::check_database(&image),
        Vec::<String>::new()
    );
    drop(app);
}

#[tokio::test]
async fn each_bad_certificate_is_rejected_with_its_code() {
    let (app, _) = imported().await;
    let elsewhere = Elsewhere::new();
    let good = elsewhere.client("7");
    let other = elsewhere.client("7");
    let client = "extendedKeyUsage=clientAuth";
    let of = |extensions: &str| elsewhere.issue("good.crt", "good.pkcs8.key", "9", extensions);
    let of_other = elsewhere.issue("other.crt", "other.key", "9", client);
    let key = std::fs::read_to_string(elsewhere.directory.path().join("device.key")).unwrap();
    #[rustfmt::skip]
    elsewhere.openssl(&[
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/O=Acme/CN=Acme Device CA", "-keyout", "false.key", "-out", "false.crt",
    ]);
    let forged = elsewhere.issue("false.crt", "false.key", "9", client);
    let cases = [
        (good.clone(), 0),
        (good.clone(), 0),
        (other, 1566),
        (of_other, 1564),
        (forged, 1565),
        (of("basicConstraints=critical,CA:TRUE"), 1563),
        (of("extendedKeyUsage=serverAuth"), 1563),
        (of("1.2.3.4=critical,DER:0500"), 1563),
        (key, 1560),
        (format!("{good}{good}"), 1560),
        ("x".to_owned(), 1560),
        (good.replace("CERTIFICATE", "X509 CRL"), 1560),
        (good.replacen("MII", "MIA", 1), 1561),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----".to_owned(),
            1561,
        ),
    ];
    let texts: Vec<_> = cases.iter().map(|(text, _)| text.as_str()).collect();
    let lines = adopt(&app, &texts).await;
    for ((index, line), (_, code)) in lines.iter().enumerate().zip(&cases) {
        assert_eq!(line["index"], index);
        match code {
            0 => assert_eq!(line["error"], Value::Null, "{line}"),
            code => assert_eq!(line["error"]["code"], *code, "{index}: {line}"),
        }
        assert_eq!(line["id"].is_null(), *code != 0);
    }
    let list = app.get("/zones/{zone}/client_certificates").await.json();
    assert_eq!(list["result_info"]["total_count"], 1);
}

#[tokio::test]
async fn a_request_has_one_to_a_thousand_certificates() {
    let (app, _) = imported().await;
    for count in [0, 1_001] {
        let body = json!({ "certificates": vec!["x"; count] });
        let error = app.post(PATH, body).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 1567, Some("/certificates"))
        );
    }
    let text = format!("x{}", " ".repeat(3_000));
    let lines = adopt(&app, &vec![text.as_str(); 1_000]).await;
    assert_eq!(lines.len(), 1_000, "a body of 3 MB");
    let text = format!("x{}", " ".repeat(4_300));
    let body = json!({ "certificates": vec![text; 1_000] });
    assert_eq!(app.post(PATH, body).await.error().status, 413);
}

#[tokio::test]
async fn a_certificate_of_certgate_is_not_adopted_beside_itself() {
    let app = TestApp::new().await;
    let issued = app.issue("device").await;
    let lines = adopt(&app, &[issued["certificate"].as_str().unwrap()]).await;
    assert_eq!(lines[0]["error"]["code"], 1566);
}
