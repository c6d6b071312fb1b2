//! The process of the server: logs that cannot be written, and signals.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The maximum number of checks for an effect, and the pause after each: half a minute on an idle
/// machine, longer on a busy one.
const LOOKS_MAX: usize = 3_000;
const PAUSE: Duration = Duration::from_millis(10);

/// A running server, which prints nothing on standard output and writes its log to the place that
/// the test chooses.
struct Server {
    process: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// `stdout` and `stderr` are those of the process.
    fn start(flags: &str, stdout: Stdio, stderr: impl FnOnce(&Path) -> Stdio) -> Self {
        Self::start_limited("", flags, stdout, stderr)
    }

    /// `limit` is a line of a shell that runs before the server.
    fn start_limited(
        limit: &str,
        flags: &str,
        stdout: Stdio,
        stderr: impl FnOnce(&Path) -> Stdio,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = certgate(directory.path(), "init").output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let line = format!("serve --listen 127.0.0.1:0 --public-listen 127.0.0.1:0 {flags}");
        let mut command = certgate(directory.path(), line.trim_end());
        if !limit.is_empty() {
            let exec = format!("{limit}; exec \"$0\" \"$@\"");
            let mut shell = Command::new("sh");
            shell.args(["-c", &exec]).arg(command.get_program());
            shell.args(command.get_args()).current_dir(directory.path());
            // The command removes the settings of the caller.
            for (name, _) in command.get_envs() {
                shell.env_remove(name);
            }
            command = shell;
        }
        let process = command
            .stdout(stdout)
            .stderr(stderr(directory.path()))
            .spawn()
            .unwrap();
        let server = Self { process, directory };
        server.eventually("it serves", || server.api().is_some());
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The address of the management API, which a server that listens writes into the profile.
    fn api(&self) -> Option<String> {
        let profile = std::fs::read_to_string(self.path("certgate-data/client.toml")).ok()?;
        let line = profile.lines().find(|line| line.starts_with("api = "))?;
        let address = line.split('"').nth(1)?.strip_prefix("http://")?.to_owned();
        let answer = get(&address, "/healthz")?;
        answer.starts_with("HTTP/1.1 200").then_some(address)
    }

    fn metric(&self, name: &str) -> f64 {
        let metrics = get(&self.api().unwrap(), "/metrics").unwrap();
        let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
        let value = lines.find_map(|(found, value)| (found == name).then_some(value));
        value.unwrap().parse().unwrap()
    }

    fn run(&self, line: &str) -> Output {
        certgate(self.directory.path(), line).output().unwrap()
    }

    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn eventually(&self, what: &str, mut look: impl FnMut() -> bool) {
        let mut looks = 0;
        while !look() {
            looks += 1;
            assert!(looks < LOOKS_MAX, "{what}");
            pause();
        }
    }

    /// Issues, revokes and restores, and waits until each change has settled. This shows that the
    /// background tasks run.
    fn works(&self, name: &str) {
        let issued = self.ok(&format!("cert issue --cn {name} --days 30 --output json"));
        let issued: serde_json::Value = serde_json::from_str(&issued).unwrap();
        let id = issued["id"].as_str().unwrap();
        for (command, settled) in [("revoke", "revoked"), ("restore", "active")] {
            self.ok(&format!("cert {command} {id}"));
            let shown = || self.ok(&format!("cert show {id} --output json"));
            let settled = format!("\"status\":\"{settled}\"");
            self.eventually(&settled, || {
                shown().replace("\": \"", "\":\"").contains(&settled)
            });
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Stops the server with SIGTERM.
    fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn certgate(directory: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certgate"));
    let own = std::env::vars_os().map(|(name, _)| name);
    own.filter(|name| name.to_string_lossy().starts_with("CERTGATE_"))
        .for_each(|name| {
            command.env_remove(name);
        });
    command.args(line.split(' '));
    command.current_dir(directory).stdin(Stdio::null());
    command
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process that starts sends no event to its test"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Returns the whole answer, or `None` if no process listens.
fn get(address: &str, path: &str) -> Option<String> {
    get_as(address, path, "*/*")
}

fn get_as(address: &str, path: &str, accept: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A full disk.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

#[test]
fn a_log_that_cannot_be_written_loses_only_its_lines() {
    for flags in ["--log debug --log-format json", "--log trace", ""] {
        let on_full_disk = Server::start(flags, full(), |_| full());
        let mut without_reader = Server::start(flags, Stdio::null(), |_| Stdio::piped());
        drop(without_reader.process.stderr.take());
        for server in [on_full_disk, without_reader] {
            server.works("first");
            let dropped = server.metric("certgate_log_lines_dropped_total");
            assert!(dropped >= 1.0, "{flags}: {dropped}");
            server.works("second");
            let later = server.metric("certgate_log_lines_dropped_total");
            assert!(flags.is_empty() || later > dropped, "{flags}: {later}");
            server.stop();
        }
    }
}

/// A reader that is alive and reads nothing: a pipe holds 64 KiB, then writing to it waits.
#[test]
fn a_log_without_a_reading_reader_holds_up_neither_a_request_nor_the_end() {
    let server = Server::start("--log trace", Stdio::piped(), |_| Stdio::piped());
    server.works("first");
    server.eventually("the pipe and the queue are full", || {
        get(&server.api().unwrap(), "/client/v4/user");
        server.metric("certgate_log_lines_dropped_total") > 0.0
    });
    server.works("second");
    server.stop();
}

/// Both outputs are one pipe, as a supervisor may start it, and the pipe is full already.
#[test]
fn a_start_does_not_wait_for_the_reader_of_its_output() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filling = Command::new("dd");
    filling.args(["if=/dev/zero", "bs=4096", "count=16", "status=none"]);
    filling.stdout(writer.try_clone().unwrap());
    assert!(filling.status().unwrap().success());
    let both = writer.try_clone().unwrap();
    let server = Server::start("", writer.into(), |_| both.into());
    server.works("first");
    server.stop();
    drop(reader);
}

#[test]
fn a_written_log_drops_nothing_and_an_error_that_cannot_be_printed_keeps_its_exit_status() {
    let log = |directory: &Path| Stdio::from(File::create(directory.join("log")).unwrap());
    let server = Server::start("--log debug", Stdio::null(), log);
    server.works("first");
    assert_eq!(server.metric("certgate_log_lines_dropped_total"), 0.0);
    let logged = std::fs::read_to_string(server.path("log")).unwrap();
    assert!(logged.lines().count() > 1, "{logged}");
    for (line, code) in [
        ("serve --public-url nonsense", 2),
        ("serve --listen 127.0.0.1:0", 1),
        ("check --data-dir missing", 1),
        ("cert show 0123456789abcdef0123456789abcdef", 1),
    ] {
        let mut command = certgate(server.directory.path(), line);
        let ended = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{line}");
    }
    server.stop();
}

/// Without the lines that differ with each request.
fn stable(answer: &str) -> String {
    let differs =
        |line: &&str| !line.starts_with("certgate-request-id:") && !line.starts_with("date:");
    answer
        .lines()
        .filter(differs)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_console_is_served_beside_an_api_that_is_the_same_without_it() {
    let logs = |_: &Path| Stdio::null();
    let on = Server::start("", Stdio::null(), logs);
    let off = Server::start("--console=false", Stdio::null(), logs);
    let (with, without) = (on.api().unwrap(), off.api().unwrap());
    let browser = "text/html,application/xhtml+xml,*/*;q=0.8";

    let opened = get_as(&with, "/", browser).unwrap();
    assert!(opened.starts_with("HTTP/1.1 303"), "{opened}");
    assert!(opened.contains("\r\nlocation: /console/\r\n"), "{opened}");
    let page = get_as(&with, "/console/", browser).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("frame-ancestors 'none'"), "{page}");

    for path in ["/", "/console", "/console/", "/console/x/js/app.js"] {
        for accept in ["*/*", browser] {
            let missing = get_as(&without, path, accept).unwrap();
            assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
            assert!(missing.contains("\"code\":7003"), "{missing}");
        }
    }
    for path in ["/", "/x", "/healthz", "/openapi.json", "/client/v4/zones"] {
        let answers = [&with, &without].map(|address| stable(&get(address, path).unwrap()));
        assert_eq!(answers[0], answers[1], "{path}");
    }
    on.stop();
    off.stop();
}

/// Sends every signal but those that stop the server, that stop any process for a while (19 to
/// 22), that a fault of the program raises, and the two that the C library has reserved.
#[test]
fn signals_that_ask_for_something_else_do_not_end_the_server() {
    let log = |directory: &Path| Stdio::from(File::create(directory.join("log")).unwrap());
    let server = Server::start("", Stdio::null(), log);
    let logged = || std::fs::read_to_string(server.path("log")).unwrap();
    let (stop, pause, fault, reserved) = ([2, 9, 15], 19..=22, [4, 5, 6, 7, 8, 11, 31], 32..=33);
    let mut sent = 0;
    for signal in 1..=64 {
        if stop.contains(&signal)
            || pause.contains(&signal)
            || fault.contains(&signal)
            || reserved.contains(&signal)
        {
            continue;
        }
        server.signal(&signal.to_string());
        sent += 1;
    }
    assert_eq!(sent, 64 - 16);
    server.eventually("SIGHUP reloads", || {
        logged().contains("reloaded the settings")
    });
    server.works("first");
    server.stop();
}

#[test]
fn a_file_size_limit_ends_no_server() {
    // SIGXFSZ would: the log is at the limit, which is 2 or 4 MiB by the unit of the shell.
    let log = |directory: &Path| {
        let path = directory.join("log");
        File::create(&path).unwrap().set_len(4 << 20).unwrap();
        File::options().append(true).open(path).unwrap().into()
    };
    let server = Server::start_limited("ulimit -f 4096", "--log trace", Stdio::null(), log);
    server.eventually("lines are lost", || {
        server.metric("certgate_log_lines_dropped_total") > 0.0
    });
    server.works("first");
}

/// Each permission of a data directory, judged by what `ls -l` would show.
#[test]
fn a_data_directory_that_others_can_enter_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("certgate-data");
    std::fs::create_dir(&data).unwrap();
    for mode in 0..=0o77 {
        let mode = 0o700 | mode;
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&data, permissions).unwrap();
        let line = "serve --listen 127.0.0.1:0 --public-listen 127.0.0.1:0 --database-url \
                    postgres://u@127.0.0.1:1/x";
        let ended = certgate(directory.path(), line).output().unwrap();
        let told = text(&ended.stderr);
        let is_private = mode == 0o700;
        let (status, reason) = match is_private {
            // Nothing listens on port 1.
            true => (1, "cannot connect"),
            false => (2, "chmod 700 ./certgate-data"),
        };
        assert_eq!(ended.status.code(), Some(status), "{mode:o}: {told}");
        assert!(told.contains(reason), "{mode:o}: {told}");
    }
}

#[test]
fn each_change_has_one_line_with_actor_action_object_and_address() {
    let log = |directory: &Path| Stdio::from(File::create(directory.join("log")).unwrap());
    let server = Server::start("--log-format json", Stdio::null(), log);
    server.works("first");
    // Many at once: no line is left out.
    let names: Vec<_> = (0..30).map(|number| format!("device-{number}")).collect();
    let names = format!("common_name\n{}\n", names.join("\n"));
    std::fs::write(server.path("names.csv"), names).unwrap();
    server.ok("cert issue --from names.csv --out devices/");
    server.ok("host add api.example.com");
    let audited = server.ok("audit list --all --output json");
    let audited: serde_json::Value = serde_json::from_str(&audited).unwrap();
    let audited = audited["result"]
        .as_array()
        .unwrap_or_else(|| audited.as_array().unwrap());
    let lines = || {
        let log = std::fs::read_to_string(server.path("log")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let of_change = |line: &serde_json::Value| line["target"] == "certgate::change";
        lines.filter(of_change).collect::<Vec<serde_json::Value>>()
    };
    let by_callers = |lines: &[serde_json::Value]| {
        let of_token = |line: &&serde_json::Value| {
            let actor = line["actor"].as_str().unwrap();
            actor.starts_with("token:") && line["address"] == "127.0.0.1"
        };
        lines.iter().filter(of_token).count()
    };
    // Issue, revoke, restore, thirty more, and the hostname.
    server.eventually("every line is written", || by_callers(&lines()) == 34);
    let lines = lines();
    let logged = |action: &str, object: &str| {
        let is_it = |line: &&serde_json::Value| {
            let found = line["object"].as_str().unwrap();
            line["message"] == action && found.starts_with(&format!("{object}:"))
        };
        lines.iter().filter(is_it).count()
    };
    assert_eq!(logged("issue", "client_certificate"), 31);
    assert_eq!(logged("revoke", "client_certificate"), 1);
    assert_eq!(logged("reactivate", "client_certificate"), 1);
    assert_eq!(logged("update", "hostname_associations"), 1);
    assert!(audited.len() >= 34, "{}", audited.len());
    server.stop();
}

#[test]
fn doctor_reports_too_few_open_files_and_addresses_that_do_not_answer() {
    let limit = "ulimit -n 256";
    let flags = "--public-url http://127.0.0.1:1";
    let server = Server::start_limited(limit, flags, Stdio::null(), |_| Stdio::null());
    server.ok("cert issue --cn a");
    let output = server.run("doctor --output json");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, status, fix) in [
        ("limits", "yellow", "LimitNOFILE"),
        ("URLs", "red", "public_listen"),
    ] {
        let mut items = report["items"].as_array().unwrap().iter();
        let item = items.find(|item| item["item"] == name).unwrap();
        assert_eq!(item["status"], status, "{report}");
        assert!(item["fix"].as_str().unwrap().contains(fix), "{report}");
    }
    server.stop();
}
