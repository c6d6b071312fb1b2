//! Several servers on one PostgreSQL, through the front door.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

#[path = "../../store/tests/postgres_server/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the store")]
mod postgres_server;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const MASTER_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

struct Node {
    process: Child,
    directory: tempfile::TempDir,
    api: String,
}

impl Node {
    fn start(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = certgate(directory.path(), url)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--public-listen",
                "127.0.0.1:0",
            ])
            .args(["--public-url", "http://pki.example"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.as_mut().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let api = first
            .strip_prefix("management API listening on ")
            .unwrap()
            .to_owned();
        Self {
            process,
            directory,
            api,
        }
    }

    /// A value of the client's profile that this server has written.
    fn profile(&self, key: &str) -> String {
        let profile =
            std::fs::read_to_string(self.directory.path().join("certgate-data/client.toml"))
                .unwrap();
        let line = profile.lines().find(|line| line.starts_with(key)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    }

    /// Runs a command of the client against this server, with the token and the zone of the server
    /// that made the installation.
    fn run(&self, made_by: &Self, line: &str) -> Output {
        certgate(self.directory.path(), "")
            .args(format!("{line} --api {}", self.api).split(' '))
            .env("CERTGATE_TOKEN", made_by.profile("token"))
            .env("CERTGATE_ZONE", made_by.profile("zone_id"))
            .output()
            .unwrap()
    }

    fn ok(&self, made_by: &Self, line: &str) -> String {
        let output = self.run(made_by, line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn certgate(directory: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certgate"));
    let own =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CERTGATE_"));
    own.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
        .env("CERTGATE_MASTER_KEY", MASTER_KEY)
        .env("CERTGATE_DATABASE_URL", url);
    command.current_dir(directory).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_second_server_shows_changes_and_takes_over_settling() {
    let Some(database) = postgres_server::server() else {
        return;
    };
    let url = database.database();
    let first = Node::start(&url);
    let second = Node::start(&url);
    assert!(
        !second
            .directory
            .path()
            .join("certgate-data/client.toml")
            .exists(),
        "it made no installation"
    );
    let id = first.ok(&first, "cert issue --cn laptop --days 30 --output json");
    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
    let id = id["id"].as_str().unwrap();

    assert!(second.ok(&first, "cert list").contains("laptop"));
    second.ok(&first, "cert issue --cn tablet --days 30");
    // The first node has the lease of settling, because it started first. It finds the change that
    // the second has accepted.
    assert!(
        second
            .ok(&first, &format!("cert revoke {id}"))
            .contains("pending_revocation")
    );
    let is_revoked = || {
        second
            .ok(&first, "cert list --status revoked")
            .contains("laptop")
    };
    assert!(
        std::iter::repeat_with(is_revoked)
            .take(5_000)
            .any(|revoked| revoked)
    );

    // The first node is killed, and the second takes over.
    let mut first = first;
    first.process.kill().unwrap();
    first.process.wait().unwrap();
    second.ok(&first, "cert issue --cn phone --days 30");
    let listed = second.ok(&first, "cert list --status all");
    assert!(
        ["laptop", "tablet", "phone"]
            .iter()
            .all(|name| listed.contains(name)),
        "{listed}"
    );
}

#[test]
fn the_password_is_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let url = "postgres://u:s3cret@127.0.0.1:1/name?sslmode=disable";
    let shown = certgate(directory.path(), url)
        .arg("config")
        .output()
        .unwrap();
    let shown = text(&shown.stdout) + &text(&shown.stderr);
    assert!(
        shown.contains("postgres://u:********@127.0.0.1:1/name"),
        "{shown}"
    );
    let served = certgate(directory.path(), url)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(!served.status.success());
    let said = text(&served.stderr);
    assert!(
        said.contains("cannot use the database name on 127.0.0.1"),
        "{said}"
    );
    let flag = certgate(directory.path(), "")
        .args(["serve", "--database-url", url])
        .output()
        .unwrap();
    let refused = text(&flag.stderr);
    assert!(
        refused.contains("other users can see the arguments"),
        "{refused}"
    );
    let wrong = certgate(directory.path(), "postgres://u:s3cret@h:port/n")
        .arg("config")
        .output()
        .unwrap();
    for output in [shown, said, refused, text(&wrong.stderr)] {
        assert!(!output.contains("s3cret"), "{output}");
    }
}
