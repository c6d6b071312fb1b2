//! The answers to wrong uses of the command line. Read each answer in the snapshot before you
//! accept it: it names the problem, the value and the remedy, and none misleads.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The number of wrong uses that the table must have.
const USES_MIN: usize = 100;

/// The commands that make the place in which the wrong uses run.
const PLACE: &[&str] = &[
    "certgate cert issue --cn laptop",
    "certgate cert issue --cn twin",
    "certgate cert issue --cn twin --out other-",
    "certgate cert issue --cn stolen",
    "certgate cert revoke stolen --reason key-compromise",
    "certgate cert issue --cn lost",
    "certgate cert revoke --match lost --yes --expect 1 --record lost.jsonl --reason key-compromise",
    "certgate host add api.example.com",
    "certgate ca export > ca.pem",
    "certgate token create ci --role issuer > ci.token",
    "openssl req -new -key laptop.key -subj /CN=laptop -out laptop.csr",
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout tls.key \
     -out tls.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost",
    "mkdir empty && touch empty.txt && printf 'name\\nlaptop\\n' > names.csv",
    "printf 'common_name,validity_days\\nx,0\\n' > days.csv",
    "echo '{\"max_lifetime\": \"soon\"}' > rules.json && echo '{' > broken.json",
    "echo 'listen = \"127.0.0.1:0\"' > certgate.bad.toml && echo 'lisen = 1' >> certgate.bad.toml",
    "certgate backup full.db",
];

/// The wrong uses, by the kind of the mistake.
const USES: &[(&str, &[&str])] = &[
    (
        "Words that no command has",
        &[
            "certgate",
            "certgate cert",
            "certgate issue --cn laptop",
            "certgate list",
            "certgate certificate list",
            "certgate cert lst",
            "certgate cert delete laptop",
            "certgate cert create --cn laptop",
            "certgate cert unrevoke laptop",
            "certgate server",
            "certgate start",
            "certgate users list",
            "certgate completions tcsh",
        ],
    ),
    (
        "Options that the command does not have",
        &[
            "certgate cert list --cn laptop",
            "certgate cert revoke --name laptop",
            "certgate cert issue --name laptop",
            "certgate cert issue --cn x --validity 90",
            "certgate cert issue --cn x --json",
            "certgate cert issue --cn x --dyas 90",
            "certgate cert list --format json",
            "certgate cert list --server http://127.0.0.1:8787",
            "certgate cert list --insecure",
            "certgate cert list --since yesterday",
            "certgate cert revoke laptop --force",
            "certgate cert list --output=json --limit 5",
            "certgate serve --port 8080",
            "certgate serve --zone example.com",
            "certgate backup --out full.db",
            "certgate init --name Acme",
        ],
    ),
    (
        "Values that an option does not accept",
        &[
            "certgate cert issue --cn x --days 0",
            "certgate cert issue --cn x --days -1",
            "certgate cert issue --cn x --days ten",
            "certgate cert issue --cn x --days 36h",
            "certgate cert issue --cn x --days 6000",
            "certgate cert issue --cn x --days 99999999999",
            "certgate cert issue --from days.csv --out days/",
            "certgate cert issue --cn x --key-algorithm rsa1024",
            "certgate cert issue --cn x --country Germany",
            "certgate cert issue --cn ''",
            "certgate cert issue --cn aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "certgate cert issue --from names.csv --jobs 0",
            "certgate cert list --status gone",
            "certgate cert list --sort size",
            "certgate cert list --page 0",
            "certgate cert list --per-page 5000",
            "certgate cert list --expires-within soon",
            "certgate cert list --output yaml",
            "certgate cert list --output json=",
            "certgate cert list --output json=nosuch",
            "certgate cert list 'l*p*'",
            "certgate cert revoke laptop --reason stolen",
            "certgate audit list --limit 0",
            "certgate audit list --token-id 1",
            "certgate audit verify --expect 1",
            "certgate check --share 0",
        ],
    ),
    (
        "Names of objects that do not exist, or are several",
        &[
            "certgate cert show",
            "certgate cert show phone",
            "certgate cert show twin",
            "certgate cert show 'lap*'",
            "certgate cert show 00000000000000000000000000000000",
            "certgate cert show laptop.key",
            "certgate cert revoke 'lap*'",
            "certgate cert export phone",
            "certgate cert list --zone example.org",
            "certgate cert list --zone 00000000000000000000000000000000",
            "certgate cert list --zone 0000",
            "certgate status --zone 00000000000000000000000000000000",
            "certgate zone delete 00000000000000000000000000000000",
            "certgate audit list --account Acme",
            "certgate audit list --account 00000000000000000000000000000000",
            "certgate host list --ca 00000000-0000-4000-8000-000000000000",
            "certgate host list --ca partner",
            "certgate ca show partner",
            "certgate ca remove partner",
            "certgate token revoke 00000000000000000000000000000000",
            "certgate token revoke ci",
        ],
    ),
    (
        "Changes that are not possible",
        &[
            "certgate cert restore stolen",
            "certgate cert restore --undo lost.jsonl --yes",
            "certgate cert restore --match stolen --status all --yes --expect 1 --record a.jsonl",
            "certgate cert revoke --undo lost.jsonl",
            "certgate cert revoke",
            "certgate cert revoke --match 'lap*' --record b.jsonl",
            "certgate cert revoke --match 'lap*' --yes",
            "certgate cert revoke --match 'lap*' --yes --expect 7 --record c.jsonl",
            "certgate cert revoke --match 'none-*' --yes --expect 1",
            "certgate cert revoke --resume none.jsonl",
            "certgate host set",
            "certgate host add '*.example.com'",
            "certgate host add api.example.org",
            "certgate host add 'a b'",
            "certgate host remove www.example.com",
            "certgate zone create example.com",
            "certgate zone create 'example com'",
            "certgate zone delete example.com",
            "certgate zone rules set example.com rules.json",
            "certgate zone rules set example.com broken.json",
            "certgate ca retire 'certgate managed authority of default'",
            "certgate ca rotate",
            "certgate token create x",
            "certgate token create x --permission 'Read all'",
            "certgate token create x --role boss",
            "certgate token create x --role issuer --expires yesterday",
            "certgate token create x --role issuer --allow-ip home",
            "certgate token create x --role issuer --max-lifetime 0d",
        ],
    ),
    (
        "Files that cannot be used",
        &[
            "certgate cert issue",
            "certgate cert issue --cn a --csr laptop.csr",
            "certgate cert issue --csr none.csr",
            "certgate cert issue --csr laptop.key",
            "certgate cert issue --csr laptop.crt",
            "certgate cert issue --csr empty.txt",
            "certgate cert issue --csr empty",
            "certgate cert issue --cn laptop",
            "certgate cert issue --cn x --out none/x",
            "certgate cert issue --cn x --p12",
            "certgate cert issue --from none.csv",
            "certgate cert issue --from empty.txt",
            "certgate cert issue --from names.csv",
            "certgate cert export laptop --out laptop.crt",
            "certgate cert adopt tls.crt",
            "certgate cert adopt laptop.key",
            "certgate ca add none.pem",
            "certgate ca add laptop.key",
            "certgate ca import --certificate ca.pem --key laptop.key",
            "certgate ca import --certificate tls.crt --key laptop.key",
            "certgate backup full.db",
            "certgate restore none.db",
            "certgate restore laptop.crt",
            "certgate restore full.db",
            "certgate check --data-dir empty",
            "certgate audit verify --database laptop.crt",
            "certgate gateway --config none.toml",
            "certgate gateway --config laptop.crt",
            "certgate authz --config none.toml",
            "certgate renew none.crt",
            "certgate renew",
        ],
    ),
    (
        "Servers and tokens that cannot be used",
        &[
            "certgate cert list --data-dir none",
            "certgate cert list --config none.toml",
            "certgate cert list --config certgate.bad.toml",
            "certgate cert list --api localhost:8787",
            "certgate cert list --api http://127.0.0.1:1 --token x",
            "certgate cert list --api https://127.0.0.1:8787 --token x",
            "certgate cert list --api http://127.0.0.1:8788 --token x",
            "certgate cert list --api http://127.0.0.1:8788",
            "certgate cert list --api http://none.invalid --token x",
            "certgate cert list --token x",
            "certgate cert list --token x --token-file ci.token",
            "certgate cert list --token-file none.token",
            "certgate cert list --token-file empty.txt",
            "certgate cert list --token-file laptop.crt",
            "certgate cert list --token-file ci.token",
            "certgate zone list --token-file ci.token",
            "certgate cert list --api https://127.0.0.1:8789 --token x",
            "certgate cert list --api https://127.0.0.1:8789 --token x --api-ca none.crt",
            "certgate cert list --api https://127.0.0.1:8789 --token x --api-ca tls.key",
            "certgate cert list --api https://127.0.0.1:8789 --token x --api-ca ca.pem",
            "certgate cert list --api https://127.0.0.1:8789 --token x --api-ca tls.crt",
            "certgate cert list --api http://127.0.0.1:8789 --token x",
            "certgate follow",
            "certgate enrol",
        ],
    ),
    (
        "Settings that a server cannot use",
        &[
            "certgate serve",
            "certgate serve --data-dir new --listen 127.0.0.1:8787",
            "certgate serve --data-dir new --listen 192.0.2.1:8787 --allow-cleartext-management",
            "certgate serve --data-dir new --listen localhost",
            "certgate serve --data-dir new --listen 0.0.0.0:8787",
            "certgate serve --data-dir new --public-listen 0.0.0.0:8788",
            "certgate serve --data-dir new --public-url ftp://pki.example.com",
            "certgate serve --data-dir new --tls-certificate tls.crt",
            "certgate serve --data-dir new --tls-certificate none.crt --tls-key tls.key",
            "certgate serve --data-dir new --tls-certificate tls.crt --tls-key laptop.key",
            "certgate serve --data-dir new --log ==",
            "certgate serve --data-dir new --connections-max 0",
            "certgate serve --data-dir new --validity-days-max 99999",
            "certgate serve --data-dir new --console=maybe",
            "certgate serve --data-dir new --database-url mysql://a/b",
            "certgate serve --data-dir empty.txt",
            "certgate serve --config certgate.bad.toml",
            "CERTGATE_LISTN=127.0.0.1:1 certgate serve",
            "CERTGATE_MASTER_KEY=secret certgate serve --data-dir new",
            "certgate init",
            "certgate init --data-dir new --zone 'example com'",
            "certgate migrate",
        ],
    ),
];

/// The commands that print tables.
const TABLES: &[&str] = &[
    "certgate cert list",
    "certgate cert list --status all --sort name",
    "certgate cert show stolen",
    "certgate cert show twin",
    "certgate cert history stolen",
    "certgate cert revoke laptop",
    "certgate cert restore laptop",
    "certgate cert revoke --match twin --dry-run --record d.jsonl",
    "certgate host list",
    "certgate zone list",
    "certgate token list",
    "certgate token verify",
    "certgate ca list",
    "certgate ca show",
    "certgate audit list --limit 4",
    "certgate status",
    "certgate doctor",
    "certgate login http://127.0.0.1:8787 --name prod < ci.token",
    "certgate context list",
];

/// The width of the terminal on which tables are reviewed.
const COLUMNS: usize = 80;

/// Running servers, one of them with TLS, and the directory of every command.
struct Place {
    directory: tempfile::TempDir,
    servers: Vec<Child>,
    /// The texts of this run, and those that the table shows instead.
    shown: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let mut place = Self {
            directory,
            servers: Vec::new(),
            shown: vec![(path.display().to_string(), "DIR".to_owned())],
        };
        place.serve("", ["http://127.0.0.1:8787", "http://127.0.0.1:8788"]);
        for line in PLACE {
            let (status, told) = place.run(line);
            assert_eq!(status, 0, "{line}: {told}");
        }
        let tls = "--data-dir secured --tls-certificate tls.crt --tls-key tls.key";
        place.serve(tls, ["https://127.0.0.1:8789", "http://127.0.0.1:8790"]);
        place
    }

    /// Starts a server on free ports, which the table shows as the usual ones.
    fn serve(&mut self, flags: &str, usual: [&str; 2]) {
        let line =
            format!("exec certgate serve --listen 127.0.0.1:0 --public-listen 127.0.0.1:0 {flags}");
        let mut server = self.shell(&line);
        let mut server = server
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(server.stdout.as_mut().unwrap()).lines();
        // In this order: the server prints no third line.
        for (usual, line) in usual.into_iter().zip(lines) {
            let (_, address) = line.as_ref().unwrap().split_once("listening on ").unwrap();
            let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
            let (port, usual) = (port(address), port(usual));
            self.shown
                .push((format!("127.0.0.1:{port}"), format!("127.0.0.1:{usual}")));
        }
        self.servers.push(server);
    }

    /// A shell in the directory, which finds `certgate`.
    fn shell(&self, line: &str) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_certgate"));
        let folder = program.parent().unwrap().display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        let own = std::env::vars_os().map(|(name, _)| name);
        own.filter(|name| name.to_string_lossy().starts_with("CERTGATE_"))
            .for_each(|name| {
                command.env_remove(name);
            });
        command
            .args(["-c", line])
            .env("PATH", format!("{folder}:{path}"))
            .env("HOME", self.directory.path())
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a line of the table, and returns the exit status and everything that it prints.
    fn run(&self, line: &str) -> (i32, String) {
        let (status, told) = self.run_raw(line);
        (status, without_random(&told))
    }

    /// Runs a line, and returns its output with IDs and times.
    fn run_raw(&self, line: &str) -> (i32, String) {
        let mut real = line.to_owned();
        for (found, shown) in self.shown.iter().filter(|(_, shown)| shown != "DIR") {
            real = real.replace(shown, found);
        }
        let output = self.shell(&format!("{{ {real}\n}} 2>&1")).output().unwrap();
        let mut told = String::from_utf8(output.stdout).unwrap();
        for (found, shown) in &self.shown {
            told = told.replace(found, shown);
        }
        (output.status.code().unwrap(), told)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // It has not ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Replaces IDs and times, which differ in each run.
fn without_random(text: &str) -> String {
    let mut shown = String::new();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-:.".contains(letter);
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        let plain = word.trim_end_matches([':', '.']);
        let digits = plain.bytes().filter(u8::is_ascii_hexdigit).count();
        let of_id = plain
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let is_zero = plain.starts_with("00000000");
        let is_time = plain.starts_with("20") && plain.contains("T") && plain.ends_with('Z');
        let random = match () {
            () if is_time => "<TIME>",
            () if of_id && digits >= 16 && !is_zero => "<ID>",
            () => plain,
        };
        shown.push_str(random);
        shown.push_str(&word[plain.len()..]);
    }
    shown.push_str(rest);
    // Certificates begin some minutes earlier.
    let minutes = (4..=7).map(|number| format!("{number} minutes ago"));
    minutes.fold(shown, |shown, minutes| {
        shown.replace(&minutes, "5 minutes ago")
    })
}

fn has_openssl() -> bool {
    let openssl = Command::new("openssl").arg("version").output();
    openssl.is_ok_and(|output| output.status.success())
}

#[test]
fn each_wrong_use_has_a_reviewed_answer() {
    if !has_openssl() {
        assert!(std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_none());
        return eprintln!("skipped: openssl is not installed");
    }
    let place = Place::new();
    let mut table = String::new();
    for (kind, lines) in USES {
        writeln!(table, "# {kind}\n").unwrap();
        for line in *lines {
            let (status, told) = place.run(line);
            assert_ne!(status, 0, "{line} succeeds: {told}");
            assert!(!told.is_empty(), "{line}");
            writeln!(table, "$ {line}\n[{status}]").unwrap();
            for told in told.lines() {
                writeln!(table, "{}", format!("    {told}").trim_end()).unwrap();
            }
            table.push('\n');
        }
    }
    let uses: usize = USES.iter().map(|(_, lines)| lines.len()).sum();
    assert!(uses >= USES_MIN, "{uses}");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("answers", table);
    });
}

/// Look at each table before you accept it.
#[test]
fn each_table_is_reviewed_at_80_columns() {
    let script = Command::new("script").arg("--version").output();
    if !has_openssl() || script.is_err() {
        assert!(std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_none());
        return eprintln!("skipped: openssl and script (util-linux) are not installed");
    }
    let place = Place::new();
    let mut shown = String::new();
    for line in TABLES {
        // Progress bars need a terminal as standard error, and differ in each run.
        let quoted = format!("{line} 2>told; cat told").replace('\'', "'\\''");
        let on_terminal = format!("COLUMNS={COLUMNS} NO_COLOR=1 script -qec '{quoted}' /dev/null");
        let (_, told) = place.run_raw(&on_terminal);
        let told = told.replace('\r', "");
        // Fields and messages have whole IDs and file names, tables fit the terminal.
        let is_table = line.contains(" list");
        let has_id = |line: &&str| line.split(' ').any(|word| word.len() >= 32);
        let mut lines = told.lines().filter(|line| is_table || !has_id(line));
        let too_long = lines.find(|line| line.chars().count() > COLUMNS);
        assert_eq!(too_long, None, "{line}");
        writeln!(shown, "$ {line}").unwrap();
        for told in without_random(&told)
            .lines()
            .filter(|line| !is_base64(line))
        {
            writeln!(shown, "{}", without_space(told)).unwrap();
        }
        shown.push('\n');
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("tables", shown);
    });
}

/// Replaces the version, and the free space of the disk, which differs on each machine.
fn without_space(line: &str) -> String {
    let line = &line.replace(&format!("are {}", env!("CARGO_PKG_VERSION")), "are VERSION");
    let Some((before, after)) = line.split_once(" MiB are free") else {
        return line.to_owned();
    };
    let before = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
    format!("{before}N MiB are free{after}")
}

/// A line of a certificate, which differs in each run.
fn is_base64(line: &str) -> bool {
    line.len() > 50 && !line.contains(' ')
}
