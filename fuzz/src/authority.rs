use std::sync::LazyLock;

use certgate_pki::{
    AUTHORITY_CERTIFICATE_BYTES_MAX, CheckedCsr, OcspResponder, SigningKey, issuer_ids, pem_lines,
    read_authority, read_csr, read_ocsp_request, write_ocsp_request,
};

use super::given::{self, NOW, SERIAL};
use super::message;

const BEGIN: &str = "-----BEGIN ";

/// The key for inputs without one. Most certificates in the corpus have this key.
const KEY: &str = include_str!("../../crates/pki/tests/fixtures/authorities/good.pkcs8.key");

static REQUEST: LazyLock<CheckedCsr> = LazyLock::new(|| {
    read_csr(include_str!(
        "../../crates/pki/tests/fixtures/good_ed25519.csr.pem"
    ))
    .expect("the fixture is good")
});

/// Reads the certificate of a CA to import, PEM or DER. The key of the CA may follow in PEM; the
/// default is that of the fixture.
pub fn authority(input: &[u8]) {
    let Some(text) = given::text("CERTIFICATE", input) else {
        return;
    };
    let key_at = text.rfind(BEGIN).filter(|&at| text[..at].contains(BEGIN));
    let (certificate, key) = key_at.map_or((&*text, KEY), |at| text.split_at(at));
    let (read, pkcs8) = match read_authority(certificate, key, NOW) {
        Ok(read) => read,
        Err(error) => {
            message::check(certificate, &error);
            return message::check(key, &error);
        }
    };
    assert!(
        read.not_before <= NOW
            && NOW <= read.not_after
            && read.not_after == read.issuer.expires_on()
    );

    let shown = pem_lines("CERTIFICATE", &read.certificate_der);
    if shown.len() <= AUTHORITY_CERTIFICATE_BYTES_MAX {
        let (again, key) =
            read_authority(&shown, &pem_lines("PRIVATE KEY", &pkcs8), NOW).expect("it is the same");
        assert_eq!(
            (again.certificate_der, again.common_name),
            (read.certificate_der.clone(), read.common_name)
        );
        assert_eq!(key, pkcs8);
    }
    SigningKey::from_pkcs8(read.algorithm, &pkcs8).expect("the next start can load the stored key");

    // It can do all that a managed CA does.
    given::issue(&read.issuer, &REQUEST);
    OcspResponder::authority(&read.issuer).expect("a CA can answer");
    let asked = write_ocsp_request(&read.certificate_der, &[SERIAL], None)
        .expect("the CA has an OCSP identification");
    let asked = read_ocsp_request(&asked).expect("our own request is good");
    let known = issuer_ids(&read.certificate_der).expect("the CA has an OCSP identification");
    assert!(
        asked
            .cert_ids
            .iter()
            .all(|id| id.issuer() == Some(&known[0]) && id.serial() == Some(SERIAL))
    );
}
