//! Shared parts of the revocation tests: a CA, its certificates, and the openssl program.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::process::Command;

use certgate_model::{AuthorityId, KeyAlgorithm, SerialNumber, SubjectFields, Timestamp};
use certgate_pki::{
    ClientKey, Issuer, Profile, SigningKey, Validity, pem_lines, prepare, read_csr, self_sign, sign,
};

/// 2026-08-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

/// The distribution point of every certificate here.
pub const PROFILE_URL: &str =
    "http://pki.example.com/crl/abababab-abab-abab-abab-abababababab/90.crl";

pub struct Authority {
    pub der: Vec<u8>,
    pub issuer: Issuer,
}

pub fn authority(algorithm: KeyAlgorithm) -> Authority {
    let key = SigningKey::generate(algorithm).unwrap();
    let id = AuthorityId::from_bytes([0xab; 16]);
    let der = self_sign(
        &key,
        id,
        SerialNumber::from_random([1; 20]),
        NOW,
        NOW.plus_days(7300),
    )
    .unwrap();
    Authority {
        issuer: Issuer::new(&der, key).unwrap(),
        der,
    }
}

pub fn serial(number: u32) -> SerialNumber {
    let mut octets = [0x5a; 20];
    octets[16..].copy_from_slice(&number.to_be_bytes());
    SerialNumber::from_random(octets)
}

/// Issues a certificate with this serial number, DER.
pub fn issue(authority: &Authority, serial: SerialNumber) -> Vec<u8> {
    let subject = SubjectFields {
        common_name: "client".to_owned(),
        ..SubjectFields::default()
    };
    let request = ClientKey::generate(KeyAlgorithm::P256)
        .unwrap()
        .request(&subject)
        .unwrap();
    let csr = read_csr(&request).unwrap();
    let profile = Profile {
        crl_url: PROFILE_URL.into(),
        ocsp_url: "http://pki.example.com/ocsp".into(),
        ca_url: "http://pki.example.com/ca.crt".into(),
        alternative_names: Vec::new(),
    };
    let validity = Validity {
        not_before: NOW,
        not_after: NOW.plus_days(365),
    };
    sign(prepare(&authority.issuer, &csr, serial, validity, &profile).unwrap())
        .unwrap()
        .der
}

/// Runs openssl and returns its success and output; `None` if the machine has no such program.
pub fn openssl(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("openssl").args(arguments).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Some((
                output.status.success(),
                String::from_utf8_lossy(&said).into_owned(),
            ))
        }
        Err(_) => {
            eprintln!("skipped: the PATH has no openssl program");
            None
        }
    }
}

/// Writes a file and returns its path.
pub fn write_file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn write_pem_file(folder: &tempfile::TempDir, name: &str, label: &str, der: &[u8]) -> String {
    write_file(
        folder,
        name,
        format!("{}\n", pem_lines(label, der)).as_bytes(),
    )
}
