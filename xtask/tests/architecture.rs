//! The rules between crates that ARCHITECTURE.md lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::sources::lexer::{self, Kind, Token};
use xtask::sources::rust_files;

/// The crates of this workspace that each crate uses. A new edge needs more review than new code:
/// add it here first.
const USES: [(&str, &[&str]); 11] = [
    ("certgate-model", &[]),
    ("certgate-wire", &["certgate-model"]),
    ("certgate-pki", &["certgate-model"]),
    ("certgate-store", &["certgate-model"]),
    (
        "certgate-service",
        &["certgate-model", "certgate-pki", "certgate-store"],
    ),
    (
        "certgate-api",
        &[
            "certgate-service",
            "certgate-model",
            "certgate-pki",
            "certgate-store",
            "certgate-wire",
        ],
    ),
    (
        "certgate-client",
        &["certgate-model", "certgate-pki", "certgate-wire"],
    ),
    (
        "certgate-enforcement",
        &["certgate-model", "certgate-pki", "certgate-wire"],
    ),
    // The console is a client of the public API: it can reach no data.
    ("certgate-console", &[]),
    (
        "certgate-testkit",
        &[
            "certgate-api",
            "certgate-service",
            "certgate-model",
            "certgate-pki",
            "certgate-store",
        ],
    ),
    (
        "certgate",
        &[
            "certgate-api",
            "certgate-client",
            "certgate-console",
            "certgate-enforcement",
            "certgate-service",
            "certgate-model",
            "certgate-store",
        ],
    ),
];

/// The items of `pki` that `api` may use: to write PEM and entity tags, to name the errors whose
/// codes it assigns, and to reject malformed OCSP requests early.
const API_USES_OF_PKI: [&str; 18] = [
    "AdoptError",
    "ChainError",
    "CsrError",
    "ImportError",
    "OCSP_REQUEST_BYTES_MAX",
    "OcspFailure",
    "PathError",
    "PrivateKeyError",
    "certs_only",
    "csr_attributes",
    "is_self_signed_for",
    "ocsp_failure",
    "pem_lines",
    "pem_piece",
    "read_ocsp_path",
    "sha256",
    "stored_certificates",
    "write_public_pem_in_json",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// The direct dependencies of each package of the workspace, by kind ("normal", "dev", "build").
fn dependencies() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs: it runs this test");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let mut packages = BTreeMap::new();
    for package in metadata["packages"]
        .as_array()
        .expect("an array, says cargo's format")
    {
        let mut kinds = BTreeMap::<_, BTreeSet<_>>::new();
        for dependency in package["dependencies"]
            .as_array()
            .expect("an array, says cargo's format")
        {
            let kind = dependency["kind"].as_str().unwrap_or("normal").to_owned();
            kinds.entry(kind).or_default().insert(
                dependency["name"]
                    .as_str()
                    .expect("a string, says cargo's format")
                    .to_owned(),
            );
        }
        packages.insert(
            package["name"]
                .as_str()
                .expect("a string, says cargo's format")
                .to_owned(),
            kinds,
        );
    }
    packages
}

/// The lines of a crate's sources without comments, each with its place.
fn lines(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root().join("crates").join(folder).join("src"), &mut files);
    assert!(!files.is_empty(), "crates/{folder}/src has no sources");
    let mut lines = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(fs::read_to_string(&file).expect("a source file").lines()) {
            let code = line.split("//").next().unwrap_or_default();
            let place = file.strip_prefix(root()).expect("below the root").display();
            lines.push((
                format!("{place}:{number}: {}", line.trim()),
                code.to_owned(),
            ));
        }
    }
    lines
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Fails with `rule` if a line of the crates has one of the words.
fn absent(folders: &[&str], words: &[&str], rule: &str) {
    let found: Vec<_> = folders
        .iter()
        .flat_map(|folder| lines(folder))
        .filter(|(_, code)| words.iter().any(|word| code.contains(word)))
        .map(|(place, _)| place)
        .collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn edges_between_crates_are_those_that_are_allowed() {
    let packages = dependencies();
    let ours: BTreeSet<_> = packages
        .keys()
        .filter(|name| *name != "xtask")
        .map(String::as_str)
        .collect();
    let listed: BTreeSet<_> = USES.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "every crate has its line in USES");
    for (name, allowed) in USES {
        let kinds = &packages[name];
        let used: BTreeSet<_> = kinds
            .get("normal")
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|n| ours.contains(n))
            .collect();
        let allowed = BTreeSet::from_iter(allowed.iter().copied());
        assert_eq!(used, allowed, "{name} uses exactly these crates of ours");
    }
}

#[test]
fn the_test_kit_is_in_no_product() {
    for (name, kinds) in dependencies() {
        for kind in ["normal", "build"] {
            let used = kinds
                .get(kind)
                .is_some_and(|names| names.contains("certgate-testkit"));
            assert!(
                !used,
                "{name} has certgate-testkit as a {kind} dependency: only dev-dependencies may"
            );
        }
    }
}

#[test]
fn each_library_has_one_place() {
    let packages = dependencies();
    let users = |library: &str| -> Vec<&str> {
        let uses = |kinds: &BTreeMap<String, BTreeSet<String>>| {
            kinds
                .get("normal")
                .is_some_and(|names| names.contains(library))
        };
        USES.iter()
            .map(|(name, _)| *name)
            .filter(|name| uses(&packages[*name]))
            .collect()
    };
    assert_eq!(
        users("anyhow"),
        ["certgate"],
        "errors below the server are types that the receiver can match"
    );
    for driver in ["rusqlite", "tokio-postgres", "deadpool-postgres"] {
        assert_eq!(
            users(driver),
            ["certgate-store"],
            "only the store knows its database"
        );
    }
    assert_eq!(
        users("axum"),
        [
            "certgate-api",
            "certgate-console",
            "certgate-testkit",
            "certgate"
        ],
        "HTTP begins at the api, and at the files of the console"
    );
    assert_eq!(
        users("rustls"),
        [
            "certgate-store",
            "certgate-client",
            "certgate-enforcement",
            "certgate"
        ],
        "TLS is the server's, the client's, the gateway's, and the store's to a database"
    );
    let pki = packages["certgate-pki"]
        .get("normal")
        .cloned()
        .unwrap_or_default();
    for library in ["tokio", "tracing", "async-trait"] {
        assert!(
            !pki.contains(library),
            "pki is bytes in, bytes out: no {library}"
        );
    }
}

#[test]
fn pki_performs_no_input_or_output_and_reads_no_clock() {
    let words = [
        "tokio",
        "SystemTime",
        "Instant",
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
    ];
    absent(
        &["pki"],
        &words,
        "pki is bytes in, bytes out; serials and instants are arguments",
    );
}

#[test]
fn model_and_service_read_no_clock() {
    let rule = "time is an argument: take a certgate_model::Clock";
    absent(
        &["model", "wire", "service"],
        &["SystemTime::now", "Instant::now"],
        rule,
    );
}

/// Files that write instants as numbers: into a row, a certificate, a journal or a text. Everything
/// else compares them, or asks `Timestamp::until` for their difference.
const INSTANTS_AS_NUMBERS: [&str; 13] = [
    "api/src/query/audit.rs",
    "enforcement/src/follower/disk.rs",
    "model/src/audit.rs",
    "model/src/time.rs",
    "pki/src/certificate.rs",
    "server/src/backup.rs",
    "server/src/migrate.rs",
    // The time of a signed request.
    "server/src/notifications/webhook.rs",
    // The message of a command to the running server.
    "server/src/offline.rs",
    "store/src/db/value.rs",
    // The journal and its text.
    "store/src/sqlite/journal",
    // The mark of a list that is set aside.
    "store/src/verbs/crl.rs",
    // The keys of an index, and the octets of a continuation.
    "store/src/verbs/search/entry.rs",
];

#[test]
fn differences_of_instants_saturate() {
    let folders = [
        "model",
        "wire",
        "pki",
        "store",
        "service",
        "api",
        "client",
        "enforcement",
        "server",
    ];
    let words = [".unix()", ".unix_microseconds()"];
    let found: Vec<_> = folders
        .iter()
        .flat_map(|folder| lines(folder))
        .filter(|(place, _)| !place.contains("/conformance/"))
        .filter(|(place, _)| !INSTANTS_AS_NUMBERS.iter().any(|file| place.contains(file)))
        .filter(|(_, code)| words.iter().any(|word| code.contains(word)))
        .map(|(place, _)| place)
        .collect();
    assert!(
        found.is_empty(),
        "the clock moves both ways: take Timestamp::until, plus_seconds or a comparison:\n{}",
        found.join("\n")
    );
}

#[test]
fn the_server_prints_through_its_log() {
    absent(
        &[
            "model",
            "wire",
            "pki",
            "store",
            "service",
            "api",
            "enforcement",
            "server",
        ],
        &["print!(", "println!(", "dbg!("],
        "a full disk makes println! and eprintln! panic, and a reader that stalls makes them wait: \
         use tracing, or in a command of the server log::say",
    );
}

#[test]
fn no_program_inherits_the_secrets() {
    let folders = [
        "model",
        "wire",
        "pki",
        "store",
        "service",
        "api",
        "client",
        "enforcement",
        "server",
    ];
    // `run` and `program` remove every CERTGATE_ variable.
    const STARTS_PROGRAMS: [&str; 2] = [
        "enforcement/src/follow/program.rs",
        "server/src/demo/stage.rs",
    ];
    let found: Vec<_> = folders
        .iter()
        .flat_map(|folder| lines(folder))
        .filter(|(place, _)| !STARTS_PROGRAMS.iter().any(|file| place.contains(file)))
        .filter(|(_, code)| code.contains("Command::new") || code.contains("process::Command"))
        .map(|(place, _)| place)
        .filter(|place| !place.contains("/tests.rs:"))
        .collect();
    assert!(
        found.is_empty(),
        "a program inherits the environment, which holds the master key, the database password and \
         tokens: start programs in one function that removes every CERTGATE_ variable, and name \
         that function here:\n{}",
        found.join("\n")
    );
}

#[test]
fn http_begins_at_the_api() {
    let words = ["StatusCode", "http::", "axum", "hyper"];
    absent(
        &["model", "wire", "pki", "store", "service"],
        &words,
        "nothing below api knows HTTP",
    );
}

#[test]
fn sql_ends_at_the_store() {
    let words = [
        "SELECT ",
        "INSERT INTO ",
        "DELETE FROM ",
        "PRAGMA ",
        "CREATE TABLE ",
        "rusqlite",
        "tokio_postgres",
    ];
    let folders = [
        "model",
        "wire",
        "pki",
        "service",
        "api",
        "client",
        "enforcement",
        "server",
        "testkit",
    ];
    absent(&folders, &words, "only the store contains SQL");
}

#[test]
fn the_api_uses_of_pki_what_is_listed() {
    let mut found = Vec::new();
    for file in rust_files("crates/api/src").expect("the sources of api") {
        let mut tokens = lexer::tokens(&file.text);
        tokens.retain(Token::is_code);
        for (at, token) in tokens.iter().enumerate() {
            let is_path = tokens.get(at + 1).is_some_and(|next| next.text == ":");
            if token.text != "certgate_pki" || !is_path {
                continue;
            }
            // The path ends with one name, or with several in braces.
            let names = &tokens[at + 3..];
            let count = match names.first().map(|first| first.text) {
                Some("{") => names.iter().take_while(|name| name.text != "}").count(),
                _ => 1,
            };
            for name in names[..count].iter().filter(|name| name.kind == Kind::Word) {
                if !API_USES_OF_PKI.contains(&name.text) {
                    found.push(format!("{}:{}: {}", file.path, name.line, name.text));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "api uses something of pki that is not listed in API_USES_OF_PKI:\n{}",
        found.join("\n")
    );
}

#[test]
fn certificates_are_never_counted_by_reading_them() {
    // SQL's `count` is a whole word: not `account(`, and not a method of our own.
    let counts = |code: &str| {
        let code = code.to_lowercase();
        code.match_indices("count(").any(|(at, _)| {
            let before = &code[..at];
            let is_name = before.ends_with(|c: char| c.is_alphanumeric() || "_.".contains(c));
            !is_name && !before.ends_with("fn ")
        })
    };
    let files = [
        "verbs/certificates.rs",
        "verbs/changes.rs",
        "verbs/counters.rs",
        "verbs/recording.rs",
        "verbs/revocations.rs",
        "verbs/settling.rs",
    ];
    for file in files {
        assert!(
            root().join("crates/store/src").join(file).exists(),
            "{file}"
        );
    }
    let counting = |(place, code): &(String, String)| {
        files.iter().any(|file| place.contains(file)) && counts(code)
    };
    let found: Vec<_> = lines("store")
        .into_iter()
        .filter(counting)
        .map(|(place, _)| place)
        .collect();
    assert!(
        found.is_empty(),
        "totals come from the counters, at the same cost at any size:\n{}",
        found.join("\n")
    );
}
