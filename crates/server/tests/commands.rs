//! The commands on a database: which settings they read, and which database they work on.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A working directory with an installation in `certgate-data`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let made = place.run(&[], "init");
        assert!(made.status.success(), "{}", text(&made.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, variables: &[(&str, &str)], line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certgate"));
        let own = std::env::vars_os().map(|(name, _)| name);
        own.filter(|name| name.to_string_lossy().starts_with("CERTGATE_"))
            .for_each(|name| {
                command.env_remove(name);
            });
        command.envs(variables.iter().copied());
        command.args(line.split(' '));
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Every file with its content.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn read(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(&path, found);
                } else {
                    let content = std::fs::read(&path).unwrap();
                    found.insert(path, content);
                }
            }
        }
        let mut found = BTreeMap::new();
        read(self.0.path(), &mut found);
        found
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn backup_and_restore_refuse_to_work_beside_the_database_in_use() {
    const URL: &str = "postgres://u:s3cret@127.0.0.1:1/name?sslmode=disable";
    let place = Place::new();
    let made = place.run(&[], "backup good.db");
    assert!(made.status.success(), "{}", text(&made.stderr));
    std::fs::write(
        place.path("other.toml"),
        format!("database_url = \"{URL}\"\n"),
    )
    .unwrap();
    let before = place.content();
    let flag = "--database-url postgres://u@127.0.0.1:1/name";
    let variable = ("CERTGATE_DATABASE_URL", URL);
    let file = ("CERTGATE_CONFIG", "other.toml");
    for command in [
        "backup new.db",
        "restore good.db",
        "restore --replace good.db",
    ] {
        for more in ["", " --data-dir certgate-data", " --data-dir new"] {
            for (variables, flags) in [
                (&[][..], flag),
                (&[variable], ""),
                (&[file], ""),
                (&[], "--config other.toml"),
            ] {
                let line = format!("{command}{more} {flags}");
                let output = place.run(variables, line.trim_end());
                let said = text(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{line}: {said}");
                assert!(said.contains("pg_basebackup"), "{line}: {said}");
                assert!(!said.contains("s3cret"), "{line}: {said}");
                assert_eq!(text(&output.stdout), "", "{line}");
                assert!(place.content() == before, "{line} changed something");
                assert!(!place.path("new").exists(), "{line}");
            }
        }
    }
    // An empty text counts as absent.
    let output = place.run(&[("CERTGATE_DATABASE_URL", "")], "backup new.db");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = place.run(&[], "restore --replace new.db");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_command_shows_only_the_settings_that_it_reads() {
    let place = Place::new();
    let database = ["config", "data-dir", "database-url"];
    let storage = ["config", "data-dir", "database-url", "master-key-file"];
    let installation = [
        "config",
        "data-dir",
        "database-url",
        "listen",
        "master-key-file",
        "tls-certificate",
        "tls-key",
        "allow-cleartext-management",
        "authority-algorithm",
    ];
    for (command, expected) in [
        ("check", &database[..]),
        ("audit verify", &database),
        ("backup", &storage),
        ("restore", &storage),
        ("init", &installation),
    ] {
        for help in ["--help", "-h"] {
            let help = text(&place.run(&[], &format!("{command} {help}")).stdout);
            let (_, settings) = help.split_once("Settings:\n").unwrap();
            let shown: Vec<_> = settings
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("--"))
                .map(|line| line.split([' ', '[', '=']).next().unwrap())
                .collect();
            assert_eq!(shown, expected, "{command}: {help}");
        }
    }
    let help = text(&place.run(&[], "serve --help").stdout);
    assert!(help.contains("--public-url") && help.contains("--trusted-proxies"));
}

#[test]
fn a_command_does_not_evaluate_a_setting_that_it_does_not_read() {
    let place = Place::new();
    let nonsense = [
        ("CERTGATE_PUBLIC_URL", "nonsense"),
        ("CERTGATE_VALIDITY_DAYS_MAX", "nonsense"),
        ("CERTGATE_LOG", "=="),
    ];
    let installation = [("CERTGATE_LISTEN", "nonsense"), ("CERTGATE_TLS_KEY", "k")];
    let key = [("CERTGATE_MASTER_KEY", "nonsense")];
    let of_server = &nonsense[..];
    let of_installation = &[&nonsense[..], &installation].concat()[..];
    let of_storage = &[&nonsense[..], &installation, &key].concat()[..];
    for (line, variables) in [
        ("check --public-url nonsense", &[][..]),
        (
            "check --listen nonsense --allow-cleartext-management --log ==",
            &[],
        ),
        ("check --connections-max many", &[]),
        ("check", of_storage),
        ("audit verify", of_storage),
        ("backup new.db --public-url nonsense", of_installation),
        ("restore --replace new.db", of_installation),
        ("init --data-dir new", of_server),
    ] {
        let output = place.run(variables, line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    }
    for (line, variables, named) in [
        ("serve --public-url nonsense", &[][..], "public_url"),
        ("serve --listen 127.0.0.1:0", of_server, "public_url"),
        ("config --public-url nonsense", &[], "public_url"),
        ("init --data-dir newer", of_installation, "listen"),
        ("backup newer.db", of_storage, "master_key"),
        ("check --database-url nonsense", &[], "database_url"),
        ("check --unknown nonsense", &[], "--unknown"),
        (
            "check",
            &[("CERTGATE_PUBLIC_URLS", "x")],
            "CERTGATE_PUBLIC_URLS",
        ),
    ] {
        let output = place.run(variables, line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains(named), "{line}: {said}");
    }
}
