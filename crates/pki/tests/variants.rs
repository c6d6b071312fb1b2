//! Requests as devices and programs make them: only the parts that a certificate copies, or that
//! prove possession, are judged. Each accepted form stands beside its rejected neighbour.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod forge;

use std::io::Write as _;
use std::process::{Command, Stdio};

use certgate_pki::{CSR_TEXT_BYTES_MAX, CsrError, pem_lines, read_csr};

use forge::{
    Key, NULL, Numbers, Request, attribute, bits, common_name, extension, extension_request, name,
    octets, oid, openssl, seq, set, tlv,
};

const CHALLENGE: &str = "1.2.840.113549.1.9.7";
const EXTENSIONS: &str = "1.2.840.113549.1.9.14";
const KEY_USAGE: &str = "2.5.29.15";
const OWN: &str = "1.3.6.1.4.1.99999.1";

fn context_0(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0xa0, parts)
}

/// Contents of an extension or an attribute that some program writes.
fn contents() -> Vec<Vec<u8>> {
    vec![
        vec![],
        b"device-group-7".to_vec(),
        br#"{"attrs":{"hf.Affiliation":"org1"}}"#.to_vec(),
        vec![0x05, 0x04, 0x03],                   // firmware of a YubiKey
        vec![0x30, 0x80, 0x02, 0x01, 0x01, 0, 0], // indefinite length
        vec![0x02, 0x02, 0, 1],                   // padded INTEGER
        vec![0x30, 0x03, 0x01, 0x01, 0x01],       // BOOLEAN of another value
        vec![0xbf, 0x8a, 0x3c, 0x02, 0x05, 0x00], // long tag
        vec![0xbf, 0x85, 0x3d, 0x08, 0x02, 0x06, 1, 0x8d], // key attestation, cut off
        vec![0x24, 0x03, 0x04, 0x01, b'a'],       // constructed OCTET STRING
        vec![0x30, 0, 0],
        vec![0x05, 0x01, 0x01],
        vec![0x03, 0x01, 0x00],
        vec![0xff; 40],
    ]
}

/// Fields in the place of the attributes.
fn attribute_fields() -> Vec<Vec<u8>> {
    let usage = extension(KEY_USAGE, None, &tlv(3, &[&[7, 0x80]]));
    let names = extension("2.5.29.17", None, &seq(&[&tlv(0x82, &[b"a.example"])]));
    let mut fields = vec![
        vec![],
        context_0(&[]),
        context_0(&[&attribute(CHALLENGE, &set(&[]))]),
        context_0(&[&attribute(CHALLENGE, &octets(b"secret"))]),
        context_0(&[&attribute(EXTENSIONS, &set(&[]))]),
        context_0(&[&extension_request(&[])]),
        context_0(&[&extension_request(&[&usage]), &extension_request(&[&names])]),
        context_0(&[&attribute(
            EXTENSIONS,
            &set(&[&seq(&[&usage]), &seq(&[&names])]),
        )]),
        context_0(&[&attribute(EXTENSIONS, &set(&[&set(&[&usage])]))]),
        context_0(&[&attribute(
            EXTENSIONS,
            &set(&[&seq(&[&seq(&[&oid(KEY_USAGE)])])]),
        )]),
        context_0(&[&extension_request(&[&usage, &usage])]),
        context_0(&[b"not a list"]),
        [vec![0xa0, 0x84, 0, 0, 0, 2], tlv(5, &[])].concat(),
    ];
    for critical in [0, 1, 0xff] {
        let usage = extension(KEY_USAGE, Some(critical), &tlv(3, &[&[3, 0xff]]));
        fields.push(context_0(&[&extension_request(&[&usage])]));
    }
    for content in contents() {
        let own = extension(OWN, None, &content);
        fields.push(context_0(&[&extension_request(&[&own])]));
        fields.push(context_0(&[&attribute(OWN, &set(&[&content]))]));
        fields.push(context_0(&[&content]));
    }
    fields
}

#[test]
fn attributes_and_versions_of_any_content_are_accepted() {
    let key = Key::new("P-256");
    for attributes in attribute_fields() {
        for version in 0..=2 {
            let request = Request {
                version: vec![2, 1, version],
                attributes: attributes.clone(),
                ..Request::new(&key)
            };
            let read = read_csr(&request.pem());
            assert!(read.is_ok(), "{version} {attributes:02x?}: {read:?}");
        }
    }
    // Their neighbours: lengths that contradict each other, other fields, other versions.
    for attributes in [
        vec![0xa0, 1],
        vec![0xa0, 0x80, 0, 0],
        vec![0xa0],
        vec![0x31, 0],
        vec![5, 0],
        vec![0xa0, 0, 0xa0, 0],
        vec![0xa1, 0],
    ] {
        let request = Request {
            attributes: attributes.clone(),
            ..Request::new(&key)
        };
        let error = read_csr(&request.pem()).unwrap_err();
        assert!(
            matches!(error, CsrError::Malformed { .. }),
            "{attributes:x?}"
        );
    }
    for version in [
        &[2, 1, 3][..],
        &[2, 1, 0xff],
        &[2, 2, 0, 0],
        &[2, 0],
        &[1, 1, 0],
        &[],
    ] {
        let request = Request {
            version: version.to_vec(),
            ..Request::new(&key)
        };
        assert!(read_csr(&request.pem()).is_err(), "{version:x?}");
    }
}

#[test]
fn lengths_outside_of_copied_parts_may_have_any_definite_form() {
    let key = Key::new("P-256");
    let request = Request::new(&key);
    let content = |der: &[u8]| {
        let head = if der[1] == 0x82 {
            4
        } else if der[1] == 0x81 {
            3
        } else {
            2
        };
        der[head..].to_vec()
    };
    let long = |tag: u8, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, content].concat()
    };
    let read = |der: &[u8]| read_csr(&pem_lines("CERTIFICATE REQUEST", der));
    let whole = content(&request.der());
    assert!(read(&long(0x30, &whole)).is_ok());
    let info = long(0x30, &content(&request.info()));
    let signed = |info: &[u8]| seq(&[info, &request.algorithm, &bits(&key.sign(info))]);
    assert!(read(&signed(&info)).is_ok());
    // A certificate copies the subject and the key, and must be DER.
    let subject = long(0x30, &content(&request.subject));
    let spki = long(0x30, &content(&request.spki));
    for (subject, spki) in [(&subject, &request.spki), (&request.subject, &spki)] {
        let info = seq(&[&request.version, subject, spki, &request.attributes]);
        assert!(read(&signed(&info)).is_err());
    }
    let indefinite = [&[0x30, 0x80][..], &whole, &[0, 0]].concat();
    for der in [indefinite, [long(0x30, &whole), vec![0; 4]].concat()] {
        assert!(read(&der).is_err());
    }
}

fn replaced(spki: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = spki
        .windows(from.len())
        .position(|part| part == from)
        .unwrap();
    let changed = [&spki[..at], to, &spki[at + from.len()..]].concat();
    let head = if changed[1] == 0x82 { 4 } else { 2 };
    seq(&[&changed[head..]])
}

#[test]
fn null_and_absent_parameters_are_accepted_and_others_are_not() {
    let wrong = [
        octets(&[0]),
        oid("1.2.840.10045.3.1.7"),
        seq(&[]),
        [NULL, NULL].concat(),
    ];
    for kind in ["P-256", "P-384", "P-521", "ED25519", "RSA-2048"] {
        let key = Key::new(kind);
        let id = tlv(6, &[&key.algorithm[4..4 + usize::from(key.algorithm[3])]]);
        let with = |parameters: &[u8]| Request {
            algorithm: seq(&[&id, parameters]),
            ..Request::new(&key)
        };
        for parameters in [&[][..], NULL] {
            read_csr(&with(parameters).pem()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        }
        for parameters in &wrong {
            let error = read_csr(&with(parameters).pem()).unwrap_err();
            assert!(
                error.to_string().contains("other than NULL"),
                "{kind}: {error}"
            );
        }
        // A forged signature stays forged, whatever its parameters are.
        let request = with(NULL);
        let mut der = request.der();
        *der.last_mut().unwrap() ^= 1;
        let error = read_csr(&pem_lines("CERTIFICATE REQUEST", &der)).unwrap_err();
        assert_eq!(error, CsrError::SignatureInvalid, "{kind}");
        let unsigned = Request {
            algorithm: seq(&[&oid("1.2.840.113549.1.1.1"), NULL]),
            ..Request::new(&key)
        };
        let error = read_csr(&unsigned.pem()).unwrap_err();
        assert!(
            matches!(error, CsrError::SignatureAlgorithmUnsupported { .. }),
            "{kind}"
        );
    }
}

#[test]
fn rsa_keys_without_parameters_get_them_in_the_certificate() {
    let key = Key::new("RSA-2048");
    let rsa = oid("1.2.840.113549.1.1.1");
    let with = |parameters: &[u8]| Request {
        spki: replaced(&key.spki, &seq(&[&rsa, NULL]), &seq(&[&rsa, parameters])),
        ..Request::new(&key)
    };
    let read = read_csr(&with(&[]).pem()).unwrap();
    assert_eq!(read.spki_der(), key.spki);
    assert_eq!(read.ski(), read_csr(&with(NULL).pem()).unwrap().ski());
    assert!(read_csr(&with(&octets(&[])).pem()).is_err());
    let ed25519 = Key::new("ED25519");
    let id = oid("1.3.101.112");
    let request = Request {
        spki: replaced(&ed25519.spki, &seq(&[&id]), &seq(&[&id, NULL])),
        ..Request::new(&ed25519)
    };
    assert!(
        read_csr(&request.pem()).is_err(),
        "a certificate would copy it"
    );
}

const DIGESTS: [(&str, &str, usize); 3] = [
    ("sha256", "2.16.840.1.101.3.4.2.1", 32),
    ("sha384", "2.16.840.1.101.3.4.2.2", 48),
    ("sha512", "2.16.840.1.101.3.4.2.3", 64),
];

/// The AlgorithmIdentifier of RSASSA-PSS.
fn pss(digest: &str, mask: &str, salt: usize, trailer: Option<u8>) -> Vec<u8> {
    let of = |name: &str| DIGESTS.iter().find(|(known, ..)| *known == name).unwrap().1;
    let digest = seq(&[&oid(of(digest)), NULL]);
    let mask = seq(&[&oid("1.2.840.113549.1.1.8"), &seq(&[&oid(of(mask)), NULL])]);
    let salt = if salt < 0x80 {
        vec![salt as u8]
    } else {
        vec![0, salt as u8]
    };
    let trailer = trailer
        .map(|number| tlv(0xa3, &[&[2, 1, number]]))
        .unwrap_or_default();
    let parts = [
        &tlv(0xa0, &[&digest])[..],
        &tlv(0xa1, &[&mask]),
        &tlv(0xa2, &[&tlv(2, &[&salt])]),
    ];
    seq(&[
        &oid("1.2.840.113549.1.1.10"),
        &seq(&[&parts.concat(), &trailer]),
    ])
}

/// Signs with parameters at random and states, at random, other ones. openssl is the judge.
#[test]
fn pss_signatures_verify_only_with_their_parameters() {
    let keys = ["RSA-2048", "RSA-2049", "RSA-2056", "RSA-3072"].map(Key::new);
    let mut numbers = Numbers(14);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..240 {
        let key = numbers.one_of(&keys);
        let (digest, mask) = (numbers.one_of(&DIGESTS), numbers.one_of(&DIGESTS));
        let salt = [digest.2, 0, 20, 120, numbers.below(120)][numbers.below(5)];
        let options = |digest: &str, mask: &str, salt: usize| {
            let options = [
                format!("-{digest}"),
                "-sigopt".to_owned(),
                "rsa_padding_mode:pss".to_owned(),
                "-sigopt".to_owned(),
                format!("rsa_pss_saltlen:{salt}"),
                "-sigopt".to_owned(),
                format!("rsa_mgf1_md:{mask}"),
            ];
            options.to_vec()
        };
        let stated = match numbers.below(4) {
            0 => (digest.0, mask.0, salt + 1),
            1 => (digest.0, numbers.one_of(&DIGESTS).0, salt),
            2 => (numbers.one_of(&DIGESTS).0, mask.0, salt),
            _ => (digest.0, mask.0, salt),
        };
        let request = Request {
            algorithm: pss(
                stated.0,
                stated.1,
                stated.2,
                *numbers.one_of(&[None, Some(1)]),
            ),
            options: options(digest.0, mask.0, salt),
            ..Request::new(key)
        };
        let (info, mut signature) = (request.info(), request.signature());
        if numbers.below(8) == 0 {
            let at = numbers.below(signature.len());
            signature[at] ^= 1 << numbers.below(8);
        }
        let der = seq(&[&info, &request.algorithm, &bits(&signature)]);
        let read = read_csr(&pem_lines("CERTIFICATE REQUEST", &der));
        let judged = options(stated.0, stated.1, stated.2);
        let judged: Vec<_> = judged.iter().map(String::as_str).collect();
        let is_good = key.verifies(&info, &signature, &judged);
        assert_eq!(
            read.is_ok(),
            is_good,
            "{stated:?} {digest:?} {mask:?} {salt}: {read:?}"
        );
        if is_good { good += 1 } else { bad += 1 }
    }
    assert!(good > 80 && bad > 60, "{good} {bad}");
}

#[test]
fn pss_has_only_the_digests_of_sha_2_and_only_ordinary_keys() {
    let key = Key::new("RSA-2048");
    let sha_1 = seq(&[&oid("1.3.14.3.2.26"), NULL]);
    let id = oid("1.2.840.113549.1.1.10");
    let with = |algorithm: Vec<u8>| Request {
        algorithm,
        ..Request::new(&key)
    };
    for algorithm in [
        seq(&[&id, &seq(&[])]),
        seq(&[&id, &seq(&[&tlv(0xa0, &[&sha_1])])]),
        seq(&[&id]),
        seq(&[&id, NULL]),
        pss("sha256", "sha256", 32, Some(2)),
    ] {
        assert!(read_csr(&with(algorithm).pem()).is_err());
    }
    let key_of_pss = replaced(
        &key.spki,
        &seq(&[&oid("1.2.840.113549.1.1.1"), NULL]),
        &seq(&[&id]),
    );
    let request = Request {
        spki: key_of_pss,
        ..Request::new(&key)
    };
    let error = read_csr(&request.pem()).unwrap_err();
    assert!(matches!(error, CsrError::KeyUnsupported { .. }), "{error}");
    // A request of openssl has the longest salt by default.
    let text = std::fs::read_to_string("tests/fixtures/good_signed_with_pss.csr.pem").unwrap();
    assert!(read_csr(&text).is_ok());
}

#[test]
fn subjects_are_shown_and_copied_unless_they_have_control_characters() {
    let key = Key::new("P-256");
    let (cn, o) = ("2.5.4.3", "2.5.4.10");
    let read = |subject: &[u8]| {
        let request = Request {
            subject: subject.to_vec(),
            ..Request::new(&key)
        };
        read_csr(&request.pem())
    };
    for (tag, content, shown) in [
        (0x13, "Tex Vitör".as_bytes(), "Tex Vitör"),
        (0x13, b"Tex Vit\xf6r", "Tex Vitör"),
        (0x13, "中文".as_bytes(), "中文"),
        (0x13, b"*_a@x&", "*_a@x&"),
        (0x16, "Zoë".as_bytes(), "Zoë"),
        (0x16, b"Zo\xeb", "Zoë"),
        (0x1e, &[0, b'a', 0xd8, 0x3d, 0xde, 0], "a\u{1f600}"),
        (0x0c, "\u{feff}device".as_bytes(), "\u{feff}device"),
    ] {
        let subject = name(&[(cn, tag, content)]);
        let csr = read(&subject).unwrap();
        assert_eq!(
            (csr.subject().common_name.as_str(), csr.subject_der()),
            (shown, &subject[..])
        );
    }
    let mail = "1.2.840.113549.1.9.1";
    for kind in [cn, o, mail, "2.5.4.5", OWN] {
        for (tag, content) in [
            (0x0c, &b"a\0b"[..]),
            (0x13, b"a\0b"),
            (0x16, b"a@b\0.c"),
            (0x1e, b"\0a\0\0\0b"),
            (0x0c, b"a\nb"),
            (0x0c, b"a\x1b[31m"),
        ] {
            let error = read(&name(&[(kind, tag, content)])).unwrap_err();
            assert!(
                matches!(error, CsrError::ControlCharacter { .. }),
                "{error}"
            );
        }
        assert!(read(&name(&[(kind, 0x0c, "a\u{7f}b ".as_bytes())])).is_ok());
    }
    let foreign = [(cn, 0x0c, &b"x"[..]), (mail, 0x16, "zoë@b.c".as_bytes())];
    assert!(read(&name(&foreign)).is_ok());
    for (tag, content) in [(0x0c, &b"Zo\xeb"[..]), (0x1e, b"\xd8\0"), (0x04, b"x")] {
        let error = read(&name(&[(cn, tag, content)])).unwrap_err();
        assert!(
            matches!(error, CsrError::SubjectUnreadable { .. }),
            "{error}"
        );
    }
    assert!(read(&seq(&[])).unwrap().is_subject_empty());
    assert!(!read(&foreign_only(mail)).unwrap().is_subject_empty());

    fn foreign_only(kind: &str) -> Vec<u8> {
        name(&[(kind, 0x16, b"a@b.c")])
    }
}

fn base64(octets: &[u8], columns: usize) -> String {
    let text = pem_lines("X", octets);
    let text: String = text.lines().filter(|line| !line.contains('-')).collect();
    let lines = text.as_bytes().chunks(columns);
    lines
        .map(|line| String::from_utf8_lossy(line) + "\n")
        .collect()
}

/// Texts with the same request.
fn texts(der: &[u8]) -> Vec<String> {
    let pem = pem_lines("CERTIFICATE REQUEST", der) + "\n";
    let url = base64(der, usize::MAX).replace('+', "-").replace('/', "_");
    vec![
        format!("{pem}\u{1a}"),
        format!("{pem}\0"),
        format!("{pem}\u{feff}"),
        format!("\u{feff}{pem}"),
        format!("{pem}\u{b}\u{c}"),
        format!("{pem}# made by the operators\n"),
        format!("\"{}\"", pem.trim_end()),
        pem.replace('\n', " "),
        pem.replace('\n', "  \n"),
        pem.replace('\n', "\u{a0}\n"),
        pem.replace('\n', "\r"),
        pem.replace('\n', "\\\\n"),
        pem.lines().map(|line| format!("    {line}\n")).collect(),
        base64(der, usize::MAX),
        base64(der, 76),
        base64(der, 64).replace('\n', "\\n"),
        base64(der, usize::MAX).replace('=', ""),
        url.trim_end_matches(['=', '\n']).to_owned(),
        base64(pem.as_bytes(), usize::MAX),
        base64(pem.as_bytes(), 76),
        base64(format!("{pem}# comment\n").as_bytes(), 64),
    ]
}

#[test]
fn files_are_read_as_people_have_them_but_never_with_a_key() {
    let key = Key::new("P-256");
    let request = Request::new(&key);
    let der = request.der();
    let plain = read_csr(&request.pem()).unwrap();
    let private = key.pem();
    let private_der = forge::run(&["pkey", "-in", &key.path(), "-outform", "DER"]);
    for text in texts(&der) {
        let read = read_csr(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(
            (read.subject_der(), read.spki_der()),
            (plain.subject_der(), plain.spki_der())
        );
        for with_key in [
            format!("{text}\n{private}"),
            format!("{private}\n{text}"),
            format!("{text}\n-----BEGIN PRIVATE KEY-----\nMIG"),
        ] {
            let read = read_csr(&with_key);
            assert_eq!(read.err(), Some(CsrError::PrivateKey), "{with_key}");
        }
    }
    let beside = format!("{}{}", request.pem(), base64(&private_der, 64));
    for text in [
        base64(&private_der, 64),
        base64(private.as_bytes(), 76),
        base64(format!("{}{private}", request.pem()).as_bytes(), 76),
        beside.clone(),
        format!(
            "{}# key\n{}# end\n",
            request.pem(),
            base64(&private_der, 64)
        ),
    ] {
        assert_eq!(read_csr(&text).err(), Some(CsrError::PrivateKey), "{text}");
    }
    for text in ["", "hello", "aGVsbG8=", &base64(&[0; 99], 64)] {
        assert_eq!(read_csr(text).err(), Some(CsrError::NoPem), "{text}");
    }
    let twice = [request.pem(), request.pem()].concat();
    assert_eq!(read_csr(&twice).err(), Some(CsrError::SeveralPemBlocks));
    assert_eq!(
        read_csr(&base64(&[&der[..], &[0; 4]].concat(), 64)).err(),
        Some(CsrError::TrailingBytes)
    );
}

/// `openssl req -text` and certtool write a dump of the key before a request.
#[test]
fn the_dump_of_a_request_does_not_count_as_text() {
    for kind in ["RSA-2048", "RSA-4096", "P-256"] {
        let key = Key::new(kind);
        let path = key.path();
        let new = ["req", "-new", "-key", &path, "-subj", "/CN=o", "-text"];
        let text = String::from_utf8(forge::run(&new)).unwrap();
        read_csr(&text).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let before = text.find("-----BEGIN").unwrap();
        let filled = |octets: usize| "x".repeat(octets) + "\n" + &text;
        let Err(CsrError::TextAround { bytes }) = read_csr(&filled(CSR_TEXT_BYTES_MAX)) else {
            panic!("{kind}: {before}");
        };
        let room = 2 * CSR_TEXT_BYTES_MAX - bytes;
        assert!(read_csr(&filled(room)).is_ok() && read_csr(&filled(room + 1)).is_err());
    }
    // A dump is not longer than that of the request, and a list of words is not one.
    let key = Key::new("P-256");
    let request = Request::new(&key);
    for line in ["ab:cd:ef\n", "word\n", "abcd\n", "\n", " \n"] {
        let text = line.repeat(3_000 / line.len()) + &request.pem();
        let read = read_csr(&text);
        assert!(
            matches!(read, Err(CsrError::TextAround { .. })),
            "{line:?}: {read:?}"
        );
    }
}

/// Judges a request with `openssl req -verify`, from standard input.
fn openssl_accepts(text: &str) -> bool {
    let mut openssl = Command::new("openssl")
        .args(["req", "-verify", "-noout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl program is installed");
    openssl
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = openssl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success() && said.contains("OK")
}

/// Combines forms at random, good and bad. A request is accepted if, and only if, its signature
/// verifies (openssl is the judge) and no part of it is bad. openssl accepts no other ones.
#[test]
fn random_requests_are_accepted_if_they_prove_possession() {
    let keys = ["P-256", "P-384", "ED25519", "RSA-2048"].map(Key::new);
    let fields = attribute_fields();
    let mut numbers = Numbers(8);
    let (mut good, mut bad, mut of_openssl) = (0, 0, 0);
    for _ in 0..300 {
        let key = numbers.one_of(&keys);
        let mut attributes = numbers.one_of(&fields).clone();
        if numbers.below(4) == 0 {
            let length = numbers.below(60);
            attributes = context_0(&[&numbers.octets(length)]);
        }
        let version = [0, 0, 1, 2, 2, 3][numbers.below(6)];
        let id = tlv(6, &[&key.algorithm[4..4 + usize::from(key.algorithm[3])]]);
        let parameters = *numbers.one_of(&[&[][..], &[], NULL, NULL, NULL, &[4, 0]]);
        let subjects = [
            (common_name("device"), true),
            (
                name(&[("2.5.4.3", 0x13, b"Zo\xeb"), ("2.5.4.6", 0x13, b"DE")]),
                true,
            ),
            (seq(&[]), true),
            (common_name("a\0b"), false),
        ];
        let (subject, is_subject_good) = numbers.one_of(&subjects);
        let request = Request {
            version: vec![2, 1, version],
            subject: subject.clone(),
            attributes,
            algorithm: seq(&[&id, parameters]),
            ..Request::new(key)
        };
        let (info, mut signature) = (request.info(), request.signature());
        match numbers.below(6) {
            0 => {
                let at = numbers.below(signature.len());
                signature[at] ^= 1 << numbers.below(8);
            }
            1 => signature = numbers.one_of(&keys).sign(&info),
            _ => {}
        }
        let der = seq(&[&info, &request.algorithm, &bits(&signature)]);
        let texts = texts(&der);
        let text = numbers.one_of(&texts);
        let read = read_csr(text);
        let proves = key.verifies(&info, &signature, &[]);
        let is_good = proves && version < 3 && parameters != [4, 0] && *is_subject_good;
        assert_eq!(
            read.is_ok(),
            is_good,
            "{text} {version} {parameters:?}: {read:?}"
        );
        if let Ok(csr) = read {
            assert_eq!(
                (csr.subject_der(), csr.spki_der()),
                (&subject[..], &key.spki[..])
            );
        }
        let accepted = openssl_accepts(&(pem_lines("CERTIFICATE REQUEST", &der) + "\n"));
        assert!(is_good || !accepted || !is_subject_good || parameters == [4, 0] || version == 3);
        of_openssl += usize::from(accepted && is_good);
        if is_good { good += 1 } else { bad += 1 }
    }
    assert!(
        good > 60 && bad > 100 && of_openssl > 30,
        "{good} {bad} {of_openssl}"
    );
    assert!(openssl(&["version"]).0);
}
