//! The second judge of chains.

use tempfile::TempDir;

use super::NOW;
use super::forge::{certificates, openssl};

/// Judges a chain as a TLS server with the security level 2 does.
pub fn openssl_verifies(folder: &TempDir, root: &[u8], between: &[Vec<u8>], leaf: &[u8]) -> bool {
    let file = |name: &str, ders: &[Vec<u8>]| {
        let path = folder.path().join(name);
        std::fs::write(&path, certificates(ders)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let root = file("root", &[root.to_vec()]);
    let leaf = file("leaf", &[leaf.to_vec()]);
    let at = NOW.unix().to_string();
    let mut arguments = vec![
        "verify",
        "-purpose",
        "sslclient",
        "-auth_level",
        "2",
        "-partial_chain",
        "-attime",
        &at,
        "-CAfile",
        &root,
    ];
    let between = file("between", between);
    if std::fs::metadata(&between).unwrap().len() > 0 {
        arguments.extend(["-untrusted", &between]);
    }
    arguments.push(&leaf);
    openssl(&arguments).0
}
