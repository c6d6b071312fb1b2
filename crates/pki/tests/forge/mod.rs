//! Requests and certificates written octet by octet, with keys and signatures of openssl.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::process::Command;

use certgate_pki::pem_lines;
use tempfile::TempDir;

pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

pub fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, parts)
}

/// An object identifier from its dotted form.
pub fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u64>().unwrap());
    let first = arcs.next().unwrap() * 40 + arcs.next().unwrap();
    let mut content = Vec::new();
    for arc in [first].into_iter().chain(arcs) {
        let mut octets = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            octets.insert(0, 0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        content.extend(octets);
    }
    tlv(6, &[&content])
}

pub const NULL: &[u8] = &[5, 0];

pub fn bits(octets: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], octets])
}

pub fn octets(content: &[u8]) -> Vec<u8> {
    tlv(4, &[content])
}

/// A Name with one attribute in each set: dotted type, tag, and content.
pub fn name(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let sets = attributes.iter().map(|(kind, tag, content)| {
        let value = tlv(*tag, &[content]);
        set(&[&seq(&[&oid(kind), &value])])
    });
    seq(&[&sets.collect::<Vec<_>>().concat()])
}

pub fn common_name(text: &str) -> Vec<u8> {
    name(&[("2.5.4.3", 0x0c, text.as_bytes())])
}

/// An extension; `critical` is the content of the BOOLEAN, if there is one.
pub fn extension(kind: &str, critical: Option<u8>, value: &[u8]) -> Vec<u8> {
    let critical = critical
        .map(|octet| tlv(1, &[&[octet]]))
        .unwrap_or_default();
    seq(&[&oid(kind), &critical, &octets(value)])
}

/// The attribute extensionRequest.
pub fn extension_request(extensions: &[&[u8]]) -> Vec<u8> {
    let values = set(&[&seq(extensions)]);
    seq(&[&oid("1.2.840.113549.1.9.14"), &values])
}

pub fn attribute(kind: &str, values: &[u8]) -> Vec<u8> {
    seq(&[&oid(kind), values])
}

/// A private key in a file of the openssl program.
pub struct Key {
    folder: TempDir,
    /// SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// AlgorithmIdentifier of its signatures, without parameters of ECDSA and Ed25519.
    pub algorithm: Vec<u8>,
    digest: Option<&'static str>,
}

impl Key {
    /// Makes a key: `P-256` and other curves, `ED25519`, or `RSA-` with a number of bits.
    pub fn new(kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let (algorithm, option) = match kind.strip_prefix("RSA-") {
            Some(bits) => ("RSA", Some(format!("rsa_keygen_bits:{bits}"))),
            None if kind.starts_with("P-") => ("EC", Some(format!("ec_paramgen_curve:{kind}"))),
            None => (kind, None),
        };
        let mut arguments = vec!["genpkey", "-algorithm", algorithm];
        if let Some(option) = &option {
            arguments.extend(["-pkeyopt", option]);
        }
        let path = path.to_str().unwrap();
        run(&[&arguments[..], &["-out", path]].concat());
        let spki = run(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
        let (algorithm, digest) = match kind {
            "P-384" => (seq(&[&oid("1.2.840.10045.4.3.3")]), Some("-sha384")),
            "P-521" => (seq(&[&oid("1.2.840.10045.4.3.4")]), Some("-sha512")),
            "ED25519" => (seq(&[&oid("1.3.101.112")]), None),
            rsa if rsa.starts_with("RSA") => {
                (seq(&[&oid("1.2.840.113549.1.1.11"), NULL]), Some("-sha256"))
            }
            _ => (seq(&[&oid("1.2.840.10045.4.3.2")]), Some("-sha256")),
        };
        Self {
            folder,
            spki,
            algorithm,
            digest,
        }
    }

    pub fn path(&self) -> String {
        self.folder.path().join("key").to_str().unwrap().to_owned()
    }

    pub fn pem(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Signs with the digest that belongs to `algorithm`, and these options of `openssl dgst`.
    pub fn sign_with(&self, message: &[u8], options: &[&str]) -> Vec<u8> {
        let (key, message) = (self.path(), self.file("message", message));
        match self.digest {
            None => run(&[
                "pkeyutl", "-sign", "-inkey", &key, "-rawin", "-in", &message,
            ]),
            Some(digest) => {
                let digest = if options.is_empty() {
                    &[digest][..]
                } else {
                    options
                };
                run(&[&["dgst", "-sign", &key][..], digest, &[&message]].concat())
            }
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_with(message, &[])
    }

    /// Judges a signature, with the options of [`Key::sign_with`].
    pub fn verifies(&self, message: &[u8], signature: &[u8], options: &[&str]) -> bool {
        let (key, message) = (self.path(), self.file("message", message));
        let signature = self.file("signature", signature);
        let arguments = match self.digest {
            None => vec![
                "pkeyutl", "-verify", "-inkey", &key, "-rawin", "-in", &message, "-sigfile",
                &signature,
            ],
            Some(digest) => {
                let digest = if options.is_empty() {
                    &[digest][..]
                } else {
                    options
                };
                let rest = ["-signature", &signature, &message];
                [&["dgst", "-prverify", &key][..], digest, &rest].concat()
            }
        };
        openssl(&arguments).0
    }
}

/// A request to be forged.
pub struct Request<'a> {
    pub key: &'a Key,
    /// Encoded version.
    pub version: Vec<u8>,
    pub subject: Vec<u8>,
    pub spki: Vec<u8>,
    /// The field after the key, with its header.
    pub attributes: Vec<u8>,
    pub algorithm: Vec<u8>,
    /// Options of the signature.
    pub options: Vec<String>,
}

impl<'a> Request<'a> {
    pub fn new(key: &'a Key) -> Self {
        Self {
            key,
            version: vec![2, 1, 0],
            subject: common_name("forged"),
            spki: key.spki.clone(),
            attributes: vec![0xa0, 0],
            algorithm: key.algorithm.clone(),
            options: Vec::new(),
        }
    }

    /// The part that is signed.
    pub fn info(&self) -> Vec<u8> {
        seq(&[&self.version, &self.subject, &self.spki, &self.attributes])
    }

    pub fn signature(&self) -> Vec<u8> {
        let options: Vec<_> = self.options.iter().map(String::as_str).collect();
        self.key.sign_with(&self.info(), &options)
    }

    pub fn der(&self) -> Vec<u8> {
        seq(&[&self.info(), &self.algorithm, &bits(&self.signature())])
    }

    pub fn pem(&self) -> String {
        pem_lines("CERTIFICATE REQUEST", &self.der()) + "\n"
    }
}

/// Runs openssl; returns its success and output.
pub fn openssl(arguments: &[&str]) -> (bool, Vec<u8>, String) {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("the openssl program is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), output.stdout, said)
}

pub fn run(arguments: &[&str]) -> Vec<u8> {
    let (is_good, out, said) = openssl(arguments);
    assert!(is_good, "{arguments:?}: {said}");
    out
}

/// A sequence of numbers that is the same in each run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// A certificate to be forged.
pub struct Certificate<'a> {
    pub key: &'a Key,
    pub subject: Vec<u8>,
    pub issuer_key: &'a Key,
    pub issuer: Vec<u8>,
    /// X.509 version, counted from 1.
    pub version: u8,
    /// Encoded serial number.
    pub serial: Vec<u8>,
    /// Encoded times.
    pub validity: [Vec<u8>; 2],
    pub spki: Vec<u8>,
    pub algorithm: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
}

pub fn ca_constraints() -> Vec<u8> {
    extension("2.5.29.19", Some(0xff), &seq(&[&tlv(1, &[&[0xff]])]))
}

pub fn ca_usage() -> Vec<u8> {
    extension("2.5.29.15", Some(0xff), &tlv(3, &[&[1, 0x06]]))
}

impl<'a> Certificate<'a> {
    /// A self-signed CA, valid from 2020 to 2070.
    pub fn root(key: &'a Key, subject: &[u8]) -> Self {
        Self {
            key,
            subject: subject.to_vec(),
            issuer_key: key,
            issuer: subject.to_vec(),
            version: 3,
            serial: tlv(2, &[&[7]]),
            validity: [
                tlv(0x17, &[b"200101000000Z"]),
                tlv(0x18, &[b"20700101000000Z"]),
            ],
            spki: key.spki.clone(),
            algorithm: key.algorithm.clone(),
            extensions: vec![ca_constraints(), ca_usage()],
        }
    }

    /// A CA below another one.
    pub fn below(key: &'a Key, subject: &[u8], issuer: &'a Key, issuer_name: &[u8]) -> Self {
        Self {
            issuer_key: issuer,
            issuer: issuer_name.to_vec(),
            algorithm: issuer.algorithm.clone(),
            ..Self::root(key, subject)
        }
    }

    pub fn der(&self) -> Vec<u8> {
        let version = match self.version {
            1 => vec![],
            number => tlv(0xa0, &[&tlv(2, &[&[number - 1]])]),
        };
        let extensions = match &self.extensions[..] {
            [] => vec![],
            all => tlv(0xa3, &[&seq(&[&all.concat()])]),
        };
        let validity = seq(&[&self.validity[0], &self.validity[1]]);
        let tbs = seq(&[
            &version,
            &self.serial,
            &self.algorithm,
            &self.issuer,
            &validity,
            &self.subject,
            &self.spki,
            &extensions,
        ]);
        seq(&[&tbs, &self.algorithm, &bits(&self.issuer_key.sign(&tbs))])
    }
}

pub fn certificates(ders: &[Vec<u8>]) -> String {
    let blocks = ders.iter().map(|der| pem_lines("CERTIFICATE", der) + "\n");
    blocks.collect()
}
