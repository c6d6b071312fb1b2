//! One chain for each kind of fault that x509-limbo knows, and its good neighbours. RFC 5280 says
//! which are valid, and openssl is the second judge: no chain is admitted that it refuses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod corpus;

use certgate_enforcement::{Presented, Verdict};

use corpus::forge::{
    Certificate, Key, NULL, bits, ca_constraints, ca_usage, common_name, extension, name, octets,
    oid, seq, tlv,
};
use corpus::judge::openssl_verifies;
use corpus::{ANY, CLIENT, NOW, SERVER, ca, key_usage, leaf, usage, view};

const HOST: &str = "api.example.com";

/// Chains that RFC 5280 forbids, and that both judges admit. Its rules for these bind the issuer:
/// the fault does not change who signed the certificate, or for what.
const LAXER: [&str; 14] = [
    "basic constraints that are not critical",
    "a client with keyCertSign",
    "an empty subject without other names",
    "an empty list of extensions",
    "an empty list of alternative names",
    "empty name constraints",
    "name constraints of a client",
    "a constraint that is not critical, kept",
    "the serial number 0",
    "the serial number 0 of the root",
    "a written default of CA",
    "a written default of critical",
    "unused bits that are set",
    "a GeneralizedTime before 2050",
];

/// Chains that openssl or RFC 5280 accepts, and that are refused.
const STRICTER: [&str; 27] = [
    "a self-issued CA within the path length",
    "a client with CA:TRUE",
    "an empty issuer",
    "a repeated unknown extension",
    "a critical list of policies",
    "a policy that a CA demands",
    "any purpose of a CA",
    "a client for any purpose",
    "a malformed DNS name below a constraint",
    "a network with a mask with holes",
    "a permitted e-mail address",
    "a permitted URI",
    "a permitted directory name",
    "version 1 with extensions",
    "version 2 with extensions",
    "version 4",
    "version 1 without extensions",
    "a negative serial number",
    "a serial number of 21 octets",
    "a long form of a short length",
    "a long form in an extension",
    "an indefinite length",
    "a true value that is not 255",
    "octets after an extension's value",
    "octets after the certificate",
    "parameters of ECDSA",
    "a public key with unused bits",
];

/// A root, the CAs below it, and a client's certificate.
struct Chain<'a> {
    root: Certificate<'a>,
    between: Vec<Certificate<'a>>,
    leaf: Certificate<'a>,
    /// Octets after the certificate of the client.
    trailing: &'static [u8],
}

/// The judgement of RFC 5280.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rfc {
    Valid,
    Invalid,
}
use Rfc::{Invalid, Valid};

type Case = (&'static str, Rfc, fn(&mut Chain<'_>));

fn basic(content: &[u8]) -> Vec<u8> {
    extension("2.5.29.19", Some(0xff), content)
}

fn path_length(length: u8) -> Vec<u8> {
    basic(&seq(&[&tlv(1, &[&[0xff]]), &tlv(2, &[&[length]])]))
}

fn identifier(octet: u8) -> Vec<u8> {
    extension("2.5.29.14", None, &octets(&[octet; 20]))
}

fn issuer_identifier(octet: u8, critical: Option<u8>) -> Vec<u8> {
    let content = seq(&[&tlv(0x80, &[&[octet; 20]])]);
    extension("2.5.29.35", critical, &content)
}

/// Permits (`0xa0`) or excludes (`0xa1`) names.
fn constraint(tag: u8, names: &[Vec<u8>], critical: Option<u8>) -> Vec<u8> {
    let subtrees: Vec<_> = names.iter().map(|name| seq(&[name])).collect();
    let content = seq(&[&tlv(tag, &[&subtrees.concat()])]);
    extension("2.5.29.30", critical, &content)
}

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;

fn dns(text: &str) -> Vec<u8> {
    tlv(0x82, &[text.as_bytes()])
}

fn mail(text: &str) -> Vec<u8> {
    tlv(0x81, &[text.as_bytes()])
}

fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, &[text.as_bytes()])
}

fn address(octets: &[u8]) -> Vec<u8> {
    tlv(0x87, &[octets])
}

fn directory(text: &str) -> Vec<u8> {
    tlv(0xa4, &[&common_name(text)])
}

/// A name of a type that has no constraints in RFC 5280 (otherName, UPN).
fn other(text: &str) -> Vec<u8> {
    let value = tlv(0xa0, &[&tlv(0x0c, &[text.as_bytes()])]);
    tlv(0xa0, &[&oid("1.3.6.1.4.1.311.20.2.3"), &value])
}

fn alternative(names: &[Vec<u8>]) -> Vec<u8> {
    extension("2.5.29.17", None, &seq(&[&names.concat()]))
}

impl Chain<'_> {
    /// A constraint of the root, and a name of the client.
    fn constrained(&mut self, tag: u8, constrained: Vec<u8>, name: Vec<u8>) {
        let constraint = constraint(tag, &[constrained], Some(0xff));
        self.root.extensions.push(constraint);
        self.leaf.extensions.push(alternative(&[name]));
    }
}

const PATHS: &[Case] = &[
    ("good", Valid, |_| {}),
    ("path length 0 of the root", Invalid, |chain| {
        chain.root.extensions = vec![path_length(0), ca_usage()];
    }),
    ("path length 1 of the root", Invalid, |chain| {
        chain.root.extensions = vec![path_length(1), ca_usage()];
    }),
    ("path length 2 of the root", Valid, |chain| {
        chain.root.extensions = vec![path_length(2), ca_usage()];
    }),
    ("path length 0 of the first CA", Invalid, |chain| {
        chain.between[0].extensions = vec![path_length(0), ca_usage()];
    }),
    ("path length 0 of the last CA", Valid, |chain| {
        chain.between[1].extensions = vec![path_length(0), ca_usage()];
    }),
    ("a larger path length below", Valid, |chain| {
        chain.root.extensions = vec![path_length(2), ca_usage()];
        chain.between[0].extensions = vec![path_length(9), ca_usage()];
    }),
    ("a self-issued CA within the path length", Valid, |chain| {
        chain.root.extensions = vec![path_length(1), ca_usage()];
        chain.between[0].subject = chain.root.subject.clone();
        chain.between[1].issuer = chain.root.subject.clone();
    }),
    ("a negative path length", Invalid, |chain| {
        let content = seq(&[&tlv(1, &[&[0xff]]), &tlv(2, &[&[0xff]])]);
        chain.between[1].extensions = vec![basic(&content), ca_usage()];
    }),
    ("a CA without CA:TRUE", Invalid, |chain| {
        chain.between[1].extensions = vec![basic(&seq(&[])), ca_usage()];
    }),
    ("a CA without basic constraints", Invalid, |chain| {
        chain.between[1].extensions = vec![ca_usage()];
    }),
    (
        "basic constraints that are not critical",
        Invalid,
        |chain| {
            let content = seq(&[&tlv(1, &[&[0xff]])]);
            chain.between[1].extensions = vec![extension("2.5.29.19", None, &content), ca_usage()];
        },
    ),
    ("a CA without keyCertSign", Invalid, |chain| {
        chain.between[1].extensions = vec![ca_constraints(), key_usage(1, 0x02)];
    }),
    ("a root without keyCertSign", Invalid, |chain| {
        chain.root.extensions = vec![ca_constraints(), key_usage(1, 0x02)];
    }),
    ("a client with keyCertSign", Invalid, |chain| {
        chain.leaf.extensions[2] = key_usage(2, 0x84);
    }),
    ("a client with CA:TRUE", Valid, |chain| {
        chain.leaf.extensions[1] = ca_constraints();
    }),
    ("the name of another issuer", Invalid, |chain| {
        chain.leaf.issuer = common_name("Other");
    }),
    ("the key of another issuer", Invalid, |chain| {
        chain.leaf.issuer_key = chain.leaf.key;
        chain.leaf.algorithm = chain.leaf.key.algorithm.clone();
    }),
    ("a self-signed client", Invalid, |chain| {
        chain.leaf.issuer_key = chain.leaf.key;
        chain.leaf.algorithm = chain.leaf.key.algorithm.clone();
        chain.leaf.issuer = chain.leaf.subject.clone();
    }),
    ("an empty issuer", Invalid, |chain| {
        chain.between[1].subject = seq(&[]);
        chain.leaf.issuer = seq(&[]);
    }),
    ("an empty subject without other names", Invalid, |chain| {
        chain.leaf.subject = seq(&[]);
    }),
    ("an empty subject with a critical name", Valid, |chain| {
        chain.leaf.subject = seq(&[]);
        let names = seq(&[&dns("client.example.com")]);
        let critical = extension("2.5.29.17", Some(0xff), &names);
        chain.leaf.extensions.push(critical);
    }),
];

const EXTENSIONS: &[Case] = &[
    ("an unknown critical extension of the root", Invalid, |c| {
        let unknown = extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL);
        c.root.extensions.push(unknown);
    }),
    ("an unknown critical extension of a CA", Invalid, |c| {
        let unknown = extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL);
        c.between[0].extensions.push(unknown);
    }),
    ("an unknown critical extension of a client", Invalid, |c| {
        let unknown = extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL);
        c.leaf.extensions.push(unknown);
    }),
    ("an unknown extension of each", Valid, |chain| {
        let unknown = extension("1.3.6.1.4.1.99999.9", None, NULL);
        chain.root.extensions.push(unknown.clone());
        chain.between[0].extensions.push(unknown.clone());
        chain.leaf.extensions.push(unknown);
    }),
    ("an unknown extension with critical 1", Invalid, |chain| {
        let unknown = extension("1.3.6.1.4.1.99999.9", Some(1), NULL);
        chain.leaf.extensions.push(unknown);
    }),
    ("a repeated purpose extension", Invalid, |chain| {
        chain.leaf.extensions.push(usage(&[CLIENT]));
    }),
    ("another purpose extension", Invalid, |chain| {
        chain.leaf.extensions.push(usage(&[SERVER]));
    }),
    ("a repeated unknown extension", Invalid, |chain| {
        let unknown = extension("1.3.6.1.4.1.99999.9", None, NULL);
        chain.leaf.extensions.extend([unknown.clone(), unknown]);
    }),
    ("repeated basic constraints of a CA", Invalid, |chain| {
        chain.between[1].extensions.push(ca_constraints());
    }),
    ("repeated basic constraints of the root", Invalid, |chain| {
        chain.root.extensions.push(ca_constraints());
    }),
    ("an empty list of extensions", Invalid, |chain| {
        chain.leaf.extensions = vec![vec![]];
    }),
    ("an empty extension", Invalid, |chain| {
        chain.leaf.extensions.push(seq(&[]));
    }),
    ("an extension without a value", Invalid, |chain| {
        chain
            .leaf
            .extensions
            .push(extension("2.5.29.17", None, &[]));
    }),
    ("an empty list of alternative names", Invalid, |chain| {
        chain.leaf.extensions.push(alternative(&[]));
    }),
    ("an empty list of purposes", Invalid, |chain| {
        chain.leaf.extensions[0] = usage(&[]);
    }),
    ("an empty key usage", Invalid, |chain| {
        chain.leaf.extensions[2] = extension("2.5.29.15", Some(0xff), &tlv(3, &[&[0]]));
    }),
    ("empty name constraints", Invalid, |chain| {
        let empty = extension("2.5.29.30", Some(0xff), &seq(&[]));
        chain.root.extensions.push(empty);
    }),
    ("name constraints of a client", Invalid, |chain| {
        let constraint = constraint(PERMITTED, &[dns("example.com")], Some(0xff));
        chain.leaf.extensions.push(constraint);
    }),
    ("a critical list of policies", Valid, |chain| {
        let policies = seq(&[&seq(&[&oid("2.5.29.32.0")])]);
        let policies = extension("2.5.29.32", Some(0xff), &policies);
        chain.leaf.extensions.push(policies);
    }),
    ("a policy that a CA demands", Invalid, |chain| {
        let content = seq(&[&tlv(0x80, &[&[0]])]);
        let demanded = extension("2.5.29.36", Some(0xff), &content);
        chain.between[0].extensions.push(demanded);
    }),
    ("purposes of a CA without TLS clients", Invalid, |chain| {
        chain.between[0].extensions.push(usage(&[SERVER]));
    }),
    ("purposes of a CA with TLS clients", Valid, |chain| {
        chain.between[0].extensions.push(usage(&[SERVER, CLIENT]));
    }),
    ("any purpose of a CA", Valid, |chain| {
        chain.between[0].extensions.push(usage(&[ANY]));
    }),
    (
        "purposes of the root without TLS clients",
        Invalid,
        |chain| {
            chain.root.extensions.push(usage(&[SERVER]));
        },
    ),
    ("a client for servers", Invalid, |chain| {
        chain.leaf.extensions[0] = usage(&[SERVER]);
    }),
    ("a client for any purpose", Valid, |chain| {
        chain.leaf.extensions[0] = usage(&[ANY]);
    }),
    ("a client without purposes", Valid, |chain| {
        chain.leaf.extensions.remove(0);
    }),
    ("a client without digitalSignature", Invalid, |chain| {
        chain.leaf.extensions[2] = key_usage(5, 0x20);
    }),
];

const IDENTIFIERS: &[Case] = &[
    ("a key identifier that matches", Valid, |chain| {
        chain.between[1].extensions.push(identifier(3));
        chain.leaf.extensions.push(issuer_identifier(3, None));
    }),
    ("a key identifier that does not match", Invalid, |chain| {
        chain.between[1].extensions.push(identifier(3));
        chain.leaf.extensions.push(issuer_identifier(4, None));
    }),
    (
        "a key identifier of a CA that does not match",
        Invalid,
        |c| {
            c.root.extensions.push(identifier(3));
            c.between[0].extensions.push(issuer_identifier(4, None));
        },
    ),
    (
        "a critical key identifier of the issuer",
        Invalid,
        |chain| {
            chain.between[1].extensions.push(identifier(3));
            chain.leaf.extensions.push(issuer_identifier(3, Some(0xff)));
        },
    ),
    ("a critical key identifier", Invalid, |chain| {
        let critical = extension("2.5.29.14", Some(0xff), &octets(&[3; 20]));
        chain.between[1].extensions.push(critical);
    }),
    ("an issuer and serial number that match", Valid, |chain| {
        let issuer = tlv(0xa1, &[&directory("One")]);
        let content = seq(&[&issuer, &tlv(0x82, &[&[7]])]);
        let by_serial = extension("2.5.29.35", None, &content);
        chain.leaf.extensions.push(by_serial);
    }),
    ("another serial number of the issuer", Invalid, |chain| {
        let issuer = tlv(0xa1, &[&directory("One")]);
        let content = seq(&[&issuer, &tlv(0x82, &[&[8]])]);
        let by_serial = extension("2.5.29.35", None, &content);
        chain.leaf.extensions.push(by_serial);
    }),
];

const NAMES: &[Case] = &[
    ("a permitted DNS name", Valid, |chain| {
        chain.constrained(PERMITTED, dns("example.com"), dns("a.example.com"));
    }),
    ("a DNS name that is not permitted", Invalid, |chain| {
        chain.constrained(PERMITTED, dns("example.com"), dns("not-example.com"));
    }),
    ("an excluded DNS name", Invalid, |chain| {
        chain.constrained(EXCLUDED, dns("example.com"), dns("a.example.com"));
    }),
    (
        "an excluded DNS name in other letter case",
        Invalid,
        |chain| {
            chain.constrained(EXCLUDED, dns("example.com"), dns("A.EXAMPLE.COM"));
        },
    ),
    ("a wildcard of an excluded DNS name", Invalid, |chain| {
        chain.constrained(EXCLUDED, dns("a.example.com"), dns("*.a.example.com"));
    }),
    ("a DNS name that is not excluded", Valid, |chain| {
        chain.constrained(EXCLUDED, dns("example.com"), dns("example.org"));
    }),
    (
        "a malformed DNS name below a constraint",
        Invalid,
        |chain| {
            chain.constrained(PERMITTED, dns("example.com"), dns("a..example.com"));
        },
    ),
    ("a permitted IPv4 address", Valid, |chain| {
        let network = address(&[192, 0, 2, 0, 255, 255, 255, 0]);
        chain.constrained(PERMITTED, network, address(&[192, 0, 2, 1]));
    }),
    ("an IPv4 address that is not permitted", Invalid, |chain| {
        let network = address(&[192, 0, 2, 0, 255, 255, 255, 0]);
        chain.constrained(PERMITTED, network, address(&[192, 0, 3, 1]));
    }),
    ("an excluded IPv4 address", Invalid, |chain| {
        let network = address(&[192, 0, 2, 0, 255, 255, 255, 0]);
        chain.constrained(EXCLUDED, network, address(&[192, 0, 2, 1]));
    }),
    ("a network with a mask with holes", Invalid, |chain| {
        let network = address(&[192, 0, 2, 0, 255, 0, 255, 0]);
        chain.constrained(PERMITTED, network, address(&[192, 0, 2, 1]));
    }),
    ("an excluded IPv6 address", Invalid, |chain| {
        let network = [&[0x20, 1, 0xd, 0xb8][..], &[0; 12], &[255; 4], &[0; 12]].concat();
        let client = [&[0x20, 1, 0xd, 0xb8][..], &[1; 12]].concat();
        chain.constrained(EXCLUDED, address(&network), address(&client));
    }),
    ("a permitted e-mail address", Valid, |chain| {
        chain.constrained(PERMITTED, mail("example.com"), mail("a@example.com"));
    }),
    (
        "an e-mail address that is not permitted",
        Invalid,
        |chain| {
            chain.constrained(PERMITTED, mail("example.com"), mail("a@example.org"));
        },
    ),
    ("an excluded e-mail address", Invalid, |chain| {
        chain.constrained(EXCLUDED, mail("a@example.com"), mail("a@example.com"));
    }),
    (
        "an e-mail address in a subject, not permitted",
        Invalid,
        |c| {
            let constraint = constraint(PERMITTED, &[mail("example.com")], Some(0xff));
            c.root.extensions.push(constraint);
            c.leaf.subject = name(&[("1.2.840.113549.1.9.1", 0x16, b"a@example.org")]);
        },
    ),
    ("a permitted URI", Valid, |chain| {
        chain.constrained(
            PERMITTED,
            uri(".example.com"),
            uri("https://a.example.com/"),
        );
    }),
    ("a URI that is not permitted", Invalid, |chain| {
        chain.constrained(
            PERMITTED,
            uri(".example.com"),
            uri("https://a.example.org/"),
        );
    }),
    ("an excluded URI", Invalid, |chain| {
        chain.constrained(EXCLUDED, uri(".example.com"), uri("https://a.example.com/"));
    }),
    ("a permitted directory name", Valid, |chain| {
        let constraint = constraint(PERMITTED, &[directory("client")], Some(0xff));
        chain.between[1].extensions.push(constraint);
    }),
    ("a directory name that is not permitted", Invalid, |chain| {
        let constraint = constraint(PERMITTED, &[directory("other")], Some(0xff));
        chain.between[1].extensions.push(constraint);
    }),
    ("an excluded directory name", Invalid, |chain| {
        let constraint = constraint(EXCLUDED, &[directory("client")], Some(0xff));
        chain.between[1].extensions.push(constraint);
    }),
    ("an excluded alternative directory name", Invalid, |chain| {
        let constraint = constraint(EXCLUDED, &[directory("bad")], Some(0xff));
        chain.between[1].extensions.push(constraint);
        chain.leaf.extensions.push(alternative(&[directory("bad")]));
    }),
    ("an excluded other name", Invalid, |chain| {
        chain.constrained(EXCLUDED, other("a@example.com"), other("a@example.com"));
    }),
    ("a second name that is excluded", Invalid, |chain| {
        let constraint = constraint(EXCLUDED, &[dns("b.example.com")], Some(0xff));
        chain.root.extensions.push(constraint);
        let names = [dns("a.example.com"), dns("b.example.com")];
        chain.leaf.extensions.push(alternative(&names));
    }),
    (
        "a permitted name that a lower CA excludes",
        Invalid,
        |chain| {
            let outer = constraint(PERMITTED, &[dns("example.com")], Some(0xff));
            let inner = constraint(EXCLUDED, &[dns("a.example.com")], Some(0xff));
            chain.root.extensions.push(outer);
            chain.between[1].extensions.push(inner);
            chain
                .leaf
                .extensions
                .push(alternative(&[dns("a.example.com")]));
        },
    ),
    ("a constraint that a lower CA widens", Invalid, |chain| {
        let outer = constraint(PERMITTED, &[dns("a.example.com")], Some(0xff));
        let inner = constraint(PERMITTED, &[dns("example.com")], Some(0xff));
        chain.root.extensions.push(outer);
        chain.between[1].extensions.push(inner);
        chain
            .leaf
            .extensions
            .push(alternative(&[dns("b.example.com")]));
    }),
    ("a CA with an excluded name", Invalid, |chain| {
        let constraint = constraint(EXCLUDED, &[dns("example.com")], Some(0xff));
        chain.root.extensions.push(constraint);
        let names = alternative(&[dns("ca.example.com")]);
        chain.between[0].extensions.push(names);
    }),
    (
        "a constraint that is not critical, kept",
        Invalid,
        |chain| {
            let constraint = constraint(PERMITTED, &[dns("example.com")], None);
            chain.root.extensions.push(constraint);
            chain
                .leaf
                .extensions
                .push(alternative(&[dns("a.example.com")]));
        },
    ),
    (
        "a constraint that is not critical, broken",
        Invalid,
        |chain| {
            let constraint = constraint(PERMITTED, &[dns("example.com")], None);
            chain.root.extensions.push(constraint);
            chain
                .leaf
                .extensions
                .push(alternative(&[dns("example.org")]));
        },
    ),
    ("a name of a type without a constraint", Valid, |chain| {
        chain.constrained(PERMITTED, dns("example.com"), mail("a@example.org"));
    }),
];

const ENCODINGS: &[Case] = &[
    ("version 1 with extensions", Invalid, |chain| {
        chain.leaf.version = 1;
    }),
    ("version 2 with extensions", Invalid, |chain| {
        chain.leaf.version = 2;
    }),
    ("version 4", Invalid, |chain| chain.leaf.version = 4),
    ("version 1 without extensions", Valid, |chain| {
        chain.leaf.version = 1;
        chain.leaf.extensions.clear();
    }),
    ("a CA of version 1", Invalid, |chain| {
        chain.between[1].version = 1;
        chain.between[1].extensions.clear();
    }),
    ("the serial number 0", Invalid, |chain| {
        chain.leaf.serial = tlv(2, &[&[0]]);
    }),
    ("the serial number 0 of the root", Invalid, |chain| {
        chain.root.serial = tlv(2, &[&[0]]);
    }),
    ("a negative serial number", Invalid, |chain| {
        chain.leaf.serial = tlv(2, &[&[0x80]]);
    }),
    ("a serial number of 21 octets", Invalid, |chain| {
        chain.leaf.serial = tlv(2, &[&[0x5a; 21]]);
    }),
    (
        "a serial number with a leading zero octet",
        Invalid,
        |chain| {
            chain.leaf.serial = tlv(2, &[&[0, 5]]);
        },
    ),
    ("an empty serial number", Invalid, |chain| {
        chain.leaf.serial = tlv(2, &[&[]]);
    }),
    ("a long form of a short length", Invalid, |chain| {
        chain.leaf.serial = vec![2, 0x81, 1, 5];
    }),
    ("a long form in an extension", Invalid, |chain| {
        let constraints = [0x30, 0x81, 0x03, 0x01, 0x01, 0xff];
        chain.between[1].extensions[0] = basic(&constraints);
    }),
    ("an indefinite length", Invalid, |chain| {
        chain.leaf.subject = [&[0x30, 0x80][..], &common_name("client")[2..], &[0, 0]].concat();
    }),
    ("a true value that is not 255", Invalid, |chain| {
        chain.between[1].extensions[0] = basic(&seq(&[&tlv(1, &[&[1]])]));
    }),
    ("a written default of CA", Invalid, |chain| {
        chain.leaf.extensions[1] = basic(&seq(&[&tlv(1, &[&[0]])]));
    }),
    ("a written default of critical", Invalid, |chain| {
        let unknown = extension("1.3.6.1.4.1.99999.9", Some(0), NULL);
        chain.leaf.extensions.push(unknown);
    }),
    ("unused bits that are set", Invalid, |chain| {
        chain.leaf.extensions[2] = key_usage(7, 0xff);
    }),
    ("octets after an extension's value", Invalid, |chain| {
        chain.leaf.extensions[1] = basic(&[&seq(&[])[..], NULL].concat());
    }),
    ("octets after the certificate", Invalid, |chain| {
        chain.trailing = &[0];
    }),
    ("another algorithm inside", Invalid, |chain| {
        chain.leaf.algorithm = seq(&[&oid("1.2.840.10045.4.3.3")]);
    }),
    ("parameters of ECDSA", Invalid, |chain| {
        chain.leaf.algorithm = seq(&[&oid("1.2.840.10045.4.3.2"), NULL]);
    }),
    ("a time without seconds", Invalid, |chain| {
        chain.leaf.validity[0] = tlv(0x17, &[b"2001010000Z"]);
    }),
    ("a time with a zone", Invalid, |chain| {
        chain.leaf.validity[0] = tlv(0x17, &[b"200101000000+0100"]);
    }),
    ("a GeneralizedTime before 2050", Invalid, |chain| {
        chain.leaf.validity[0] = tlv(0x18, &[b"20200101000000Z"]);
    }),
    ("a validity that ends before it begins", Invalid, |chain| {
        chain.leaf.validity.swap(0, 1);
    }),
    ("a public key with unused bits", Invalid, |chain| {
        // A point on P-256: the BIT STRING begins after 23 octets of algorithm and lengths.
        let bit_string = chain.leaf.spki.len() - 66;
        chain.leaf.spki[bit_string] = 1;
    }),
    ("a point that is not on its curve", Invalid, |chain| {
        let algorithm = seq(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
        chain.leaf.spki = seq(&[&algorithm, &bits(&[&[4][..], &[1; 64]].concat())]);
    }),
];

#[test]
fn no_kind_of_invalid_chain_is_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [(); 4].map(|()| Key::new("P-256"));
    let names = ["Root", "One", "Two", "client"].map(common_name);
    let mut laxer = Vec::new();
    let mut stricter = Vec::new();
    let mut wrong = Vec::new();

    for (kind, rfc, change) in [PATHS, EXTENSIONS, IDENTIFIERS, NAMES, ENCODINGS].concat() {
        // 1. A good chain, and one change.
        let below = |place: usize| {
            let (own, issuer) = (&keys[place], &keys[place - 1]);
            Certificate::below(own, &names[place], issuer, &names[place - 1])
        };
        let mut chain = Chain {
            root: Certificate::root(&keys[0], &names[0]),
            between: vec![below(1), below(2)],
            leaf: leaf(&keys[3], &names[3], &keys[2], &names[2]),
            trailing: &[],
        };
        change(&mut chain);
        let root = chain.root.der();
        let between: Vec<_> = chain.between.iter().map(Certificate::der).collect();
        let client = [&chain.leaf.der()[..], chain.trailing].concat();

        // 2. Both judges.
        let configured = view(&[(HOST, &[1])], &[ca(1, "active", &root, &[])]);
        let sent: Vec<_> = between.iter().map(Vec::as_slice).collect();
        let presented = Presented {
            leaf: &client,
            intermediates: &sent,
        };
        let judged = configured.judge(Some(HOST), Some(&presented), NOW);
        let ours = judged.verdict == Verdict::Admitted;
        let theirs = openssl_verifies(&folder, &root, &between, &client);
        match (ours, theirs, rfc) {
            (true, false, _) => wrong.push(format!("{kind}: admitted, and openssl refuses it")),
            (true, true, Invalid) => laxer.push(kind),
            (false, true, _) | (false, _, Valid) => stricter.push(kind),
            (true, true, Valid) | (false, false, Invalid) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(laxer, LAXER, "chains that RFC 5280 forbids");
    let unlisted: Vec<_> = stricter
        .iter()
        .filter(|kind| !STRICTER.contains(kind))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:#?}");
}
