//! The client through the front door: the executable against a server of the same executable.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const CERTGATE: &str = env!("CARGO_BIN_EXE_certgate");

/// A running server and its working directory.
struct Server {
    process: Child,
    directory: tempfile::TempDir,
    api: String,
}

impl Server {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    fn start_in(directory: tempfile::TempDir, flags: &[&str]) -> Self {
        let mut process = certgate(directory.path())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--public-listen",
                "127.0.0.1:0",
            ])
            .args(flags)
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
        assert!(
            lines
                .next()
                .unwrap()
                .unwrap()
                .starts_with("public responder listening on http://127.0.0.1:")
        );
        Self {
            process,
            directory,
            api,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = certgate(self.directory.path());
        command.args(line.split(' '));
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its standard output.
    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} --output json"))).unwrap()
    }

    /// Runs a command that must fail, and returns its exit status and its messages.
    fn fails(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        assert_eq!(text(&output.stdout), "", "{line}");
        (output.status.code().unwrap(), text(&output.stderr))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; its test checks that.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The executable in `directory`, without the configuration of this process.
fn certgate(directory: &Path) -> Command {
    let mut command = Command::new(CERTGATE);
    let own =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CERTGATE_"));
    own.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.current_dir(directory).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn commands_need_no_flag_beside_a_new_server() {
    let server = Server::start();
    assert_eq!(text(&server.run("cert list").stderr), "no certificates\n");
    let id = server.json("cert issue --cn laptop --org Acme --days 30")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(server.path("laptop.key").exists() && server.path("laptop.crt").exists());
    let listed = server.ok("cert list");
    assert!(
        listed.contains(&id) && listed.contains("laptop") && !listed.contains('\u{1b}'),
        "{listed}"
    );
    assert!(
        server
            .ok(&format!("cert revoke {id}"))
            .contains("pending_revocation")
    );
    assert!(
        server
            .ok(&format!("cert restore {id}"))
            .contains("pending_reactivation")
    );
    assert!(server.ok(&format!("cert show {id}")).contains("Acme"));
    let exported = server.ok(&format!("cert export {id} --chain"));
    assert_eq!(exported.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(
        exported.ends_with(
            &server
                .ok("ca show")
                .split("\n\n")
                .nth(1)
                .unwrap()
                .to_owned()
        )
    );
    // The restoration settles after the lists without the certificate are published.
    let list = || server.json("cert list --status active --per-page 1");
    let list = || list()["result"][0]["common_name"].clone();
    assert!(
        std::iter::repeat_with(list)
            .take(1_000)
            .any(|name| name == "laptop")
    );
}

#[test]
fn zones_and_tokens_are_created_used_and_deleted() {
    let server = Server::start();
    let zone = server.json("zone create example.org");
    assert_eq!(server.json("zone list").as_array().unwrap().len(), 2);
    assert!(
        server
            .ok("cert issue --cn a --zone example.org")
            .contains("active")
    );
    let mut create = server.command("token create ci --zone example.org --permission");
    let made = create.arg("SSL and Certificates Read").output().unwrap();
    let token = text(&made.stdout);
    assert!(!token.trim().is_empty() && text(&made.stderr).contains("shown only once"));
    std::fs::write(server.path("token"), &token).unwrap();
    let as_ci = "--token-file token --zone";
    let (code, told) = server.fails(&format!("cert list {as_ci} example.org"));
    assert!(code == 1 && told.contains("by its ID"), "{told}");
    let id = zone["id"].as_str().unwrap();
    assert_eq!(
        server.json(&format!("cert list {as_ci} {id} --all"))["result"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        server.json(&format!("cert list {as_ci} {id}"))["result"][0]["common_name"],
        "a"
    );
    let (code, told) = server.fails(&format!("cert issue --cn b {as_ci} {id}"));
    assert_eq!(code, 1);
    assert!(
        told.contains("code 9109")
            && told.contains("--token-file token")
            && !told.contains(token.trim()),
        "{told}"
    );
    let verified = server.json("token verify --token-file token");
    server.ok(&format!(
        "token revoke {}",
        verified["id"].as_str().unwrap()
    ));
    assert_eq!(server.fails("token verify --token-file token").0, 1);
    assert!(server.fails("zone delete example.org").1.contains("revoke"));
}

#[test]
fn hostnames_are_listed_added_and_removed() {
    let server = Server::start();
    server.ok("host add api.example.com WWW.example.com");
    server.ok("host remove www.example.com");
    assert_eq!(
        server.json("host list"),
        serde_json::json!({ "hostnames": ["api.example.com"] })
    );
    let (code, told) = server.fails("host add *.example.com");
    assert!(
        code == 1 && told.contains("code 1481") && told.contains("list each hostname"),
        "{told}"
    );
    assert_eq!(server.fails("host list --ca x").0, 2);
    let unknown = "host list --ca 04040404-0404-0404-0404-040404040404";
    assert!(server.fails(unknown).1.contains("code 1472"));
    server.ok("host set --none");
    assert_eq!(server.ok("host list"), "");
}

#[test]
fn exit_codes_are_as_the_help_says() {
    let mut server = Server::start();
    assert_eq!(server.fails(&format!("cert show {}", "f".repeat(32))).0, 1);
    assert_eq!(server.fails("cert show x").0, 1);
    assert_eq!(server.fails("cert list --per-page 0").0, 2);
    assert_eq!(server.fails("config --listen nowhere").0, 2);
    assert_eq!(server.fails("cert list --data-dir nowhere").0, 2);
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let (code, told) = server.fails("cert list");
    assert_eq!(code, 3);
    assert!(
        told.contains(&format!("is `certgate serve` running at {}?", server.api)),
        "{told}"
    );
}

#[test]
fn each_help_ends_in_the_exit_statuses_and_examples() {
    let directory = tempfile::tempdir().unwrap();
    let table = "Exit status:\n  0  done\n  1  failed, or a problem was found\n  \
                 2  wrong command line or configuration\n  3  server unreachable\n  \
                 4  a --timeout ended first\n  5  warnings only\n";
    for command in [
        "",
        "serve",
        "init",
        "check",
        "backup",
        "restore",
        "migrate",
        "audit",
        "config",
        "cert",
        "host",
        "zone",
        "token",
        "ca",
        "cert revoke",
        "token api-key create",
    ] {
        let mut help = certgate(directory.path());
        help.args(command.split_whitespace()).arg("--help");
        let help = text(&help.output().unwrap().stdout);
        let (_, examples) = help.split_once(table).expect("the table");
        assert!(
            examples.starts_with("\nExamples:\n  certgate "),
            "{command}: {help}"
        );
    }
}

#[test]
fn nothing_secret_is_in_help_and_errors() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = [
        ("CERTGATE_TOKEN", "sesame-token"),
        ("CERTGATE_P12_PASSWORD", "sesame-word"),
        ("CERTGATE_MASTER_KEY", "sesame-key"),
    ];
    for line in [
        "--help",
        "serve --help",
        "cert issue --help",
        "config",
        "cert list",
        "cert list --api http://127.0.0.1:1",
        "token create --help",
    ] {
        let output = certgate(directory.path())
            .args(line.split(' '))
            .envs(secrets)
            .output()
            .unwrap();
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(!printed.contains("sesame"), "{line}: {printed}");
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = certgate(directory.path())
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stdout.take());
    let mut told = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert!(process.wait().unwrap().success());
    assert_eq!(told, "");
}

#[test]
fn a_list_that_is_killed_again_and_again_is_issued_exactly_once() {
    const NAMES: usize = 200;
    let server = Server::start();
    let names: Vec<_> = (0..NAMES)
        .map(|number| format!("device-{number}"))
        .collect();
    std::fs::write(
        server.path("names.csv"),
        format!("common_name\n{}\n", names.join("\n")),
    )
    .unwrap();
    let line = "cert issue --from names.csv --out out --jobs 4";
    let journal = server.path("out/issued.jsonl");
    let finished = || {
        std::fs::read(&journal).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
    };
    let mut killed = 0;
    for round in 1..=10 {
        let mut process = server.command(line).stderr(Stdio::null()).spawn().unwrap();
        // Each round kills it after a different number of lines.
        let goal = finished() + round * 3 % 11 + 1;
        while finished() < goal && process.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        killed += u32::from(process.try_wait().unwrap().is_none());
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert!(killed > 0, "a run that ended by itself tests nothing");
    server.ok(line);
    assert!(
        text(&server.run(line).stderr).starts_with("nothing to do: all 200 were issued before")
    );
    let issued = server.json("cert list --all");
    let issued = issued["result"].as_array().unwrap();
    assert_eq!(issued.len(), NAMES);
    for name in names {
        let certificate = issued
            .iter()
            .find(|certificate| certificate["common_name"] == name.as_str())
            .unwrap();
        let file = std::fs::read_to_string(server.path(&format!("out/{name}.crt"))).unwrap();
        assert_eq!(certificate["certificate"], file.trim_end());
        assert!(server.path(&format!("out/{name}.key")).exists());
    }
    assert_eq!(
        std::fs::read_dir(server.path("out")).unwrap().count(),
        2 * NAMES + 1
    );
}

#[test]
fn a_token_is_made_offline_while_the_server_runs_and_after_it_ended() {
    use std::os::unix::fs::PermissionsExt;

    let mut server = Server::start();
    let socket = server.path("certgate-data/certgate.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let works = |server: &Server, token: &str, line: &str| {
        let mut command = server.command(line);
        command.env("CERTGATE_TOKEN", token);
        command.output().unwrap().status.success()
    };
    let running = server.ok("token create rescue --offline");
    assert!(works(&server, running.trim(), "token list"));
    let zone = "zone list --output json";
    assert!(works(&server, running.trim(), zone));
    let limited = server.json("token create ci --offline --role issuer --zone example.com");
    let value = limited["value"].as_str().unwrap();
    assert!(!works(&server, value, "token list"));
    let log = server.json("audit list --user").to_string();
    assert_eq!(log.matches("\"type\":\"offline\"").count(), 2, "{log}");

    // Another master key, a zone that does not exist, and no request at all.
    let wrong = "0".repeat(64);
    let mut command = server.command("token create thief --offline");
    command.env("CERTGATE_MASTER_KEY", &wrong);
    let refused = command.output().unwrap();
    assert!(!refused.status.success() && text(&refused.stderr).contains("master key"));
    let (status, message) = server.fails("token create ci --offline --role issuer --zone no.such");
    assert!(status != 0 && message.contains("no.such"), "{message}");
    drop(std::os::unix::net::UnixStream::connect(&socket).unwrap());
    server.ok("token list");

    server.process.kill().unwrap();
    server.process.wait().unwrap();
    // The socket of the ended server is still there, without a listener.
    assert!(socket.exists());
    let mut command = server.command("token create thief --offline");
    command.env("CERTGATE_MASTER_KEY", &wrong);
    assert!(!command.output().unwrap().status.success());
    let stopped = server.ok("token create stopped --offline --expires 8h");
    let address = server.api.strip_prefix("http://").unwrap().to_owned();
    let line = format!("serve --listen {address} --public-listen 127.0.0.1:0");
    let mut serve = server.command(&line);
    server.process = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.process.stdout.as_mut().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with(&address));
    drop(lines);
    assert!(works(&server, stopped.trim(), "token list"));
}

#[test]
fn doctor_finds_problems_of_a_server_and_prints_their_fixes() {
    let mut server = Server::start();
    server.ok("cert issue --cn a");
    let output = server.run("doctor --output json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Only this machine can read the addresses in the certificates.
    assert_eq!(output.status.code(), Some(5), "{report}");
    let item = |report: &Value, name: &str| {
        let items = report["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["item"] == name);
        found.unwrap_or_else(|| panic!("{name}: {report}")).clone()
    };
    assert_eq!(item(&report, "URLs")["status"], "yellow");
    for good in [
        "server", "clock", "version", "limits", "tasks", "CRL", "disk",
    ] {
        assert_eq!(item(&report, good)["status"], "green", "{good}: {report}");
    }
    let text = text(&server.run("doctor").stdout);
    assert!(text.contains("\n  fix: set public_url"), "{text}");

    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let output = server.run("doctor --output json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    let stopped = item(&report, "server");
    assert!(
        stopped["detail"]
            .as_str()
            .unwrap()
            .contains("nothing listens")
    );
    assert!(stopped["fix"].as_str().unwrap().contains("certgate serve"));
    // This machine is still looked at.
    assert_eq!(item(&report, "disk")["status"], "green");
}

#[test]
fn a_login_stores_the_token_and_a_logout_removes_it() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    let server = Server::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("config/certgate/contexts.toml");
    let run = |line: &str, input: &str| {
        let mut command = certgate(elsewhere.path());
        command
            .args(line.split(' '))
            .env("XDG_CONFIG_HOME", elsewhere.path().join("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing has closed its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let told = text(&output.stdout) + &text(&output.stderr);
        (output.status.code().unwrap(), told)
    };
    let token = server.ok("token create ci --role admin");
    let login = format!("login {} --zone example.com", server.api);

    // Nothing is stored before the server has accepted the token.
    assert_eq!(run("cert list", "").0, 2);
    for wrong in ["", "wrong\n"] {
        let (status, told) = run(&login, wrong);
        assert!(status != 0 && !file.exists(), "{told}");
    }
    let (status, told) = run(&login, &token);
    assert!(status == 0 && told.contains("logged in"), "{told}");
    assert!(!told.contains(token.trim()), "{told}");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert_eq!(run("cert list", ""), (0, "no certificates\n".to_owned()));
    let name = server.api.strip_prefix("http://").unwrap();
    let (_, listed) = run("context list", "");
    assert!(listed.contains(name) && listed.contains("yes"), "{listed}");
    assert!(!listed.contains(token.trim()), "{listed}");
    // The token goes to its own server only.
    let (status, told) = run("cert list --api http://127.0.0.1:1", "");
    assert!(status == 2 && told.contains("no token"), "{told}");
    let (status, told) = run("cert list --context none", "");
    assert!(status == 2 && told.contains(name), "{told}");
    // A second name for the same server.
    assert_eq!(run(&format!("{login} --name prod"), &token).0, 0);
    assert_eq!(run(&format!("context use {name}"), "").0, 0);
    assert_eq!(run("cert list --context prod", "").0, 0);
    // A context that a flag names wins over all that the environment says of a server.
    let mut command = certgate(elsewhere.path());
    command
        .args(["cert", "list", "--context", "prod"])
        .env("XDG_CONFIG_HOME", elsewhere.path().join("config"))
        .env("CERTGATE_API", "http://127.0.0.1:1")
        .env("CERTGATE_TOKEN", "wrong");
    assert!(command.output().unwrap().status.success());
    let (status, told) = run("cert list --context prod --api http://127.0.0.1:1", "");
    assert!(status == 2 && told.contains("another server"), "{told}");

    assert_eq!(run("logout", "").0, 0);
    assert_eq!(run("cert list", "").0, 2);
    assert_eq!(run("context use prod", "").0, 0);
    assert_eq!(run("cert list", "").0, 0);
    assert_eq!(run("logout --all", "").0, 0);
    assert!(
        !std::fs::read_to_string(&file)
            .unwrap()
            .contains(token.trim())
    );
}

#[test]
fn doctor_shows_what_it_found_before_a_refusal() {
    let server = Server::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = certgate(elsewhere.path())
        .arg("doctor")
        .env("CERTGATE_API", &server.api)
        .env("CERTGATE_TOKEN", "wrong")
        .output()
        .unwrap();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for item in ["is ready", "both clocks agree", "account", "disk"] {
        assert!(told.contains(item), "{item}: {told}");
    }
}

#[test]
fn the_administrator_of_a_server_with_tls_needs_no_option() {
    let directory = tempfile::tempdir().unwrap();
    let random = certgate_testkit::SeededRandom::new(7);
    let write = |name: &str| {
        let (certificate, key) = certgate_client::server_identity(name, &random).unwrap();
        std::fs::write(directory.path().join("tls.crt"), certificate).unwrap();
        std::fs::write(directory.path().join("tls.key"), key.as_bytes()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(directory.path().join("tls.key"), mode).unwrap();
    };
    // The client reaches the server by an address that the certificate does not have.
    write("pki.example.com");
    let elsewhere = directory.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let files = ["--tls-certificate", "tls.crt", "--tls-key", "tls.key"];
    let server = Server::start_in(directory, &files);
    assert!(
        server.api.starts_with("https://127.0.0.1:"),
        "{}",
        server.api
    );
    server.ok("cert issue --cn laptop");
    // In any directory.
    let mut command = certgate(&elsewhere);
    let listed = command.args(["cert", "list", "--data-dir", "../certgate-data"]);
    let listed = listed.output().unwrap();
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(text(&listed.stdout).contains("laptop"));
    // Without the data directory, the certificate must be named, and its name counts.
    let mut command = certgate(&elsewhere);
    let refused = command.args(["cert", "list", "--token", "x", "--api", &server.api]);
    let refused = refused.args(["--api-ca", "../tls.crt"]).output().unwrap();
    let told = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(3) && told.contains("pki.example.com"),
        "{told}"
    );
    // Another server at the same address gets no token.
    let (other, _) = certgate_client::server_identity("pki.example.com", &random).unwrap();
    std::fs::write(server.path("tls.crt"), other).unwrap();
    let (status, told) = server.fails("cert list");
    assert!(status == 3 && told.contains("not trusted"), "{told}");
}

#[test]
fn the_demo_shows_hello_refused_hello_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let demo = |pause: &str| {
        let mut command = certgate(place.path());
        command
            .args(["demo", "--pause", pause])
            .env("TMPDIR", place.path());
        command
    };
    let left = || std::fs::read_dir(place.path()).unwrap().count();
    let played = demo("0s").output().unwrap();
    let told = text(&played.stdout);
    assert!(played.status.success(), "{told}{}", text(&played.stderr));
    let steps = [
        "$ certgate serve",
        "\n   hello\n",
        "403 Forbidden",
        "Refused 0",
        "\n   hello\n",
    ];
    let mut rest = told.as_str();
    for step in steps {
        let place = rest.find(step).unwrap_or_else(|| panic!("{step}: {told}"));
        rest = &rest[place + step.len()..];
    }
    assert_eq!(left(), 0);

    // Stopped by a signal, it cleans up too.
    let mut stopped = demo("5m")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(stopped.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("The demo runs in"));
    assert_eq!(left(), 1);
    let kill = format!("kill -TERM {}", stopped.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(stopped.wait().unwrap().code(), Some(1));
    assert_eq!(left(), 0);
}
