use std::path::Path;

use certgate_model::{KeyAlgorithm, SubjectFields};
use certgate_pki::ClientKey;

/// Returns a valid CSR with a new P-256 key.
pub fn csr(common_name: &str) -> String {
    csr_with_subject(&SubjectFields {
        common_name: common_name.to_owned(),
        ..SubjectFields::default()
    })
}

/// Returns a valid CSR with a new P-256 key and this subject.
pub fn csr_with_subject(subject: &SubjectFields) -> String {
    let key = ClientKey::generate(KeyAlgorithm::P256).expect("a P-256 key can be generated");
    key.request(subject).expect("the subject fits a request")
}

/// Reads the file with certificates (`NAME.certs`) or a private key (`NAME.key`) with this defect.
pub fn uploaded(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki/tests/fixtures/uploaded");
    let path = directory.join(format!("{name}.pem"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads the file with a CSR with this defect.
pub fn fixture(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki/tests/fixtures");
    let path = directory.join(format!("{name}.csr.pem"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
