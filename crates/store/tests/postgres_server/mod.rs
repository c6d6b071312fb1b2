//! A real PostgreSQL for tests, in a temporary directory. The tests of a program share it, and it
//! ends with the last of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tempfile::TempDir;

/// Starts the server, prints "ready", waits for the end of standard input, which comes however this
/// program ends, and stops the server.
const KEEPER: &str = r#"
"$1/pg_ctl" -D "$2/data" -s -w -l "$2/log" -o "$3" start || { cat "$2/log"; exit 1; }
echo ready
cat > /dev/null
"$1/pg_ctl" -D "$2/data" -s -m immediate stop
"#;

/// A running server.
pub struct Server {
    programs: PathBuf,
    directory: TempDir,
    /// The user of the server's process: PostgreSQL refuses to run as root.
    user: Option<u32>,
    port: u16,
    keeper: Mutex<Option<Child>>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Returns the server of this program. Without an installed PostgreSQL, prints a line and returns
/// `None`.
pub fn server() -> Option<Arc<Server>> {
    let mut shared = SHARED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(Server::start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// Returns the directory of PostgreSQL's programs: on the path, or that of Debian.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| {
            versions
                .filter_map(Result::ok)
                .map(|version| version.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    debian.sort();
    std::env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .find(|directory| {
            ["initdb", "pg_ctl", "psql"]
                .iter()
                .all(|name| directory.join(name).exists())
        })
}

impl Server {
    /// Starts a server that is not shared, for tests that stop it.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_none(),
                "PostgreSQL is not installed"
            );
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let directory = tempfile::Builder::new()
            .prefix("pg")
            .tempdir()
            .expect("a temporary directory");
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let user = is_root.then_some(65_534);
        chown(directory.path(), user, user).expect("change the owner of a directory of our own");
        // The port is free now, and probably still when PostgreSQL binds it.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let server = Self {
            programs,
            directory,
            user,
            port,
            keeper: Mutex::new(None),
        };
        server.make_certificate();
        let data = server.directory.path().join("data");
        let made = server
            .command("initdb")
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-D",
            ])
            .arg(data)
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        server.resume();
        Some(server)
    }

    /// Starts the server again after [`Server::stop`].
    pub fn resume(&self) {
        let path = self.path().display();
        // Commits of tests do not have to survive a power failure.
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={path} \
             -c fsync=off -c max_connections=200 -c ssl=on -c ssl_cert_file={path}/server.pem -c \
             ssl_key_file={path}/server.key",
            self.port
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "sh"])
            .arg(&self.programs)
            .arg(self.path())
            .arg(options);
        let mut keeper = self
            .as_user(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shell runs");
        let mut lines = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert_eq!(
            first,
            "ready",
            "PostgreSQL did not start: {:?}",
            lines.collect::<Vec<_>>()
        );
        *self.keeper.lock().expect("no thread panicked") = Some(keeper);
    }

    /// Stops the server immediately, like a crash.
    pub fn stop(&self) {
        if let Some(mut keeper) = self.keeper.lock().expect("no thread panicked").take() {
            drop(keeper.stdin.take());
            keeper.wait().expect("it is a child");
        }
    }

    /// Creates an empty database, and returns its URL over a Unix socket.
    pub fn database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        let socket = self.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}:{}/{name}", self.port)
    }

    /// Returns the port of the server on the local host.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the same database over TCP.
    pub fn over_tcp(&self, url: &str, host: &str) -> String {
        let name = url.rsplit('/').next().expect("a database name");
        format!("postgres://postgres@{host}:{}/{name}", self.port)
    }

    /// Returns the path of the server's self-signed certificate for `localhost`.
    pub fn certificate(&self) -> PathBuf {
        self.path().join("server.pem")
    }

    /// Runs a statement in a database, as its superuser.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        match self.try_sql(database, statement) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// Does the same for a statement that may fail; the error is that of `psql`.
    pub fn try_sql(&self, database: &str, statement: &str) -> Result<String, String> {
        let name = database.rsplit('/').next().expect("a database name");
        let output = self
            .command("psql")
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                name,
                "-h",
            ])
            .arg(self.path())
            .args(["-p", &self.port.to_string(), "-c", statement])
            .output()
            .expect("psql runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let output = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(output.trim().to_owned())
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn make_certificate(&self) {
        let mut command = Command::new("openssl");
        command
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args([
                "-subj",
                "/CN=test",
                "-days",
                "3650",
                "-addext",
                "subjectAltName=DNS:localhost",
            ])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(self.path().join("server.key"))
            .arg("-out")
            .arg(self.certificate());
        let made = self.as_user(&mut command).output().expect("openssl runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        self.as_user(&mut command);
        command
    }

    fn as_user<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir(self.path()).env("HOME", self.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
