//! `certgate token create --offline`: a token for an operator on the server's machine who has the
//! master key and no token.
//!
//! A running server with an embedded database has it locked. It listens on a Unix socket in the
//! data directory, which only its user can open, and writes the token itself. The request is sealed
//! under the master key: the socket alone is not sufficient.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certgate_client::{ClientArgs, Screen, TokenCreateArgs};
use certgate_model::{AddressBlock, Clock, PermissionGroup, Timestamp};
use certgate_service::{MasterKey, OfflineToken};
use certgate_store::{PostgresInspector, PostgresOptions, PostgresStore, Store};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::config::{Database, Environment, Flags, SettingFlags, StorageConfig};
use crate::data_dir::{DataDir, master_key};
use crate::failure::{self, Failure};
use crate::system::{SystemClock, SystemRandom};

/// The name of the socket in the data directory.
const SOCKET: &str = "certgate.sock";

/// The name of the socket before it has its permissions.
const NEW_SOCKET: &str = "certgate.sock.new";

/// The longest request or answer, in bytes: a request names at most some hundred zones.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024;

/// The longest time for a request. It takes milliseconds, and the next one waits for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The greatest age of a request, in seconds: an observed request cannot be sent again later.
const AGE_SECONDS_MAX: i64 = 60;

/// A request on the socket. Its text is sealed under the master key.
#[derive(Serialize, Deserialize)]
struct Request {
    /// The time, in seconds since the Unix epoch.
    at: i64,
    name: String,
    /// The IDs of the permissions.
    permissions: Vec<String>,
    zones: Vec<String>,
    allowed: Vec<Block>,
    /// The end of the token, in seconds since the Unix epoch.
    expires_on: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Block {
    text: String,
    address: std::net::IpAddr,
    prefix_length: u8,
}

/// An answer on the socket.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Created { id: String, value: String },
    Refused(String),
}

/// The new token, as the command prints it with `--output json`.
#[derive(Serialize)]
struct Created<'a> {
    id: &'a str,
    name: &'a str,
    value: &'a str,
}

/// Runs `certgate token create --offline`.
pub fn run(
    client: ClientArgs,
    arguments: &TokenCreateArgs,
    environment: &Environment,
) -> Result<(), Failure> {
    let data_dir = client.data_dir.map(|path| path.display().to_string());
    let flags = Flags {
        given: data_dir
            .into_iter()
            .map(|path| ("data_dir", path))
            .collect(),
        file: client.config,
        ..Flags::default()
    };
    let config: &StorageConfig = &SettingFlags::new(flags).parse(environment)?;
    let master_key = master_key(&config.master_key)?;
    let token = OfflineToken {
        name: arguments.name.clone(),
        permissions: arguments.permission_groups()?,
        zones: arguments.zones.clone(),
        allowed_addresses: arguments.allowed_addresses(),
        expires_on: arguments.expires_on(SystemClock.now()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let answer = match connect(config) {
        Some(stream) => ask(stream, &master_key, &token)
            .map_err(|error| Failure::io("cannot ask the running server", &error))?,
        None => runtime.block_on(create_directly(config, &master_key, token))?,
    };
    match answer {
        Answer::Refused(reason) => Err(Failure::failed(reason)),
        Answer::Created { id, value } => {
            let screen = &mut Screen::of_process(client.output);
            let name = &arguments.name;
            if screen.is_json() {
                return screen.json_of(&Created {
                    id: &id,
                    name,
                    value: &value,
                });
            }
            screen.say(&format!("token {name} ({id}), shown only once:"));
            screen.data(&format!("{value}\n"))
        }
    }
}

/// Connects to the running server of an embedded database; `None`: none runs.
fn connect(config: &StorageConfig) -> Option<StdUnixStream> {
    match config.database {
        Database::Postgres(_) => None,
        Database::Embedded => StdUnixStream::connect(config.data_dir.join(SOCKET)).ok(),
    }
}

/// Asks the running server.
fn ask(
    mut stream: StdUnixStream,
    master_key: &MasterKey,
    token: &OfflineToken,
) -> io::Result<Answer> {
    let block = |block: &AddressBlock| Block {
        text: block.text.clone(),
        address: block.address,
        prefix_length: block.prefix_length,
    };
    let request = Request {
        at: SystemClock.now().unix(),
        name: token.name.clone(),
        permissions: token
            .permissions
            .iter()
            .map(|one| one.id().to_owned())
            .collect(),
        zones: token.zones.clone(),
        allowed: token.allowed_addresses.iter().map(block).collect(),
        expires_on: token.expires_on.map(Timestamp::unix),
    };
    let text = serde_json::to_vec(&request)?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT * 2))?;
    stream.write_all(master_key.seal_request(&text, &SystemRandom).as_bytes())?;
    stream.write_all(b"\n")?;
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, MESSAGE_BYTES_MAX)).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(io::Error::from)
}

/// Creates the token while no server has the embedded database open, or in PostgreSQL.
async fn create_directly(
    config: &StorageConfig,
    master_key: &MasterKey,
    token: OfflineToken,
) -> Result<Answer, Failure> {
    let (store, directory): (Arc<dyn Store>, _) = match &config.database {
        Database::Postgres(url) => {
            // A wrong name of a database must not get tables.
            let inspected = PostgresInspector::open(url.expose()).await;
            inspected.map_err(|error| failure::cannot_use(&error))?;
            let opened = PostgresStore::open(url.expose(), PostgresOptions::default()).await;
            let store = opened.map_err(|error| failure::cannot_use(&error))?;
            (Arc::new(store), None)
        }
        Database::Embedded => {
            if !DataDir::has_database(&config.data_dir) {
                return Err(failure::no_database(&config.data_dir));
            }
            let directory = DataDir::open(config).await.map_err(failure::with_causes)?;
            (directory.store(), Some(directory))
        }
    };
    let answer = create(&*store, master_key, token).await;
    store.close().await;
    drop(directory);
    Ok(answer)
}

async fn create(store: &dyn Store, master_key: &MasterKey, token: OfflineToken) -> Answer {
    match token
        .create(store, master_key, &SystemClock, &SystemRandom)
        .await
    {
        Ok((record, value)) => Answer::Created {
            id: record.id.to_string(),
            value: value.expose().to_owned(),
        },
        Err(error) => Answer::Refused(error.to_string()),
    }
}

/// The socket of a running server.
pub struct OfflineSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The user of the server.
    uid: u32,
    master_key: Arc<MasterKey>,
    store: Arc<dyn Store>,
}

impl OfflineSocket {
    /// Makes the socket, in place of one that a crash has left: the lock of the data directory
    /// keeps other servers out. No other user can open it at any time.
    pub fn bind(
        directory: &Path,
        master_key: Arc<MasterKey>,
        store: Arc<dyn Store>,
    ) -> io::Result<Self> {
        let (new, path) = (directory.join(NEW_SOCKET), directory.join(SOCKET));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&new)?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
        let uid = std::fs::metadata(&new)?.uid();
        std::fs::rename(&new, &path)?;
        Ok(Self {
            listener,
            path,
            uid,
            master_key,
            store,
        })
    }

    /// Answers requests, one after another.
    pub async fn serve_forever(self: Arc<Self>) {
        loop {
            let answered = match self.listener.accept().await {
                Ok((stream, _)) => tokio::time::timeout(REQUEST_TIMEOUT, self.answer(stream)).await,
                // The supervisor starts the task again after a pause.
                Err(error) => return tracing::warn!(%error, "cannot accept an offline request"),
            };
            match answered {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "an offline request failed"),
                Err(_) => tracing::warn!("an offline request took too long"),
            }
        }
    }

    async fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        let peer = stream.peer_cred()?.uid();
        if peer != self.uid && peer != 0 {
            tracing::warn!(uid = peer, "refused an offline request of another user");
            return Ok(());
        }
        let (reader, mut writer) = stream.split();
        let mut line = String::new();
        tokio::io::BufReader::new(reader.take(MESSAGE_BYTES_MAX))
            .read_line(&mut line)
            .await?;
        let answer = match self.read(&line) {
            Ok(token) => create(&*self.store, &self.master_key, token).await,
            Err(reason) => Answer::Refused(reason.to_owned()),
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        writer.write_all(&text).await
    }

    /// Reads a request. The error says the reason to refuse it.
    fn read(&self, line: &str) -> Result<OfflineToken, &'static str> {
        const MALFORMED: &str = "the server does not understand the request: use the same version";
        let opened = self.master_key.open_request(line.trim_end());
        let text = opened.map_err(|_| {
            "the master key is not the one of the running server: name the right one with \
             CERTGATE_MASTER_KEY_FILE"
        })?;
        let request: Request = serde_json::from_slice(&text).map_err(|_| MALFORMED)?;
        let at = Timestamp::from_unix(request.at);
        if !at.until(SystemClock.now()).is_within(AGE_SECONDS_MAX) {
            return Err("the request is too old: send it again");
        }
        let groups = request
            .permissions
            .iter()
            .map(|id| id.parse::<PermissionGroup>());
        let block = |block: Block| AddressBlock {
            text: block.text,
            address: block.address,
            prefix_length: block.prefix_length,
        };
        Ok(OfflineToken {
            name: request.name,
            permissions: groups.collect::<Result<_, _>>().map_err(|_| MALFORMED)?,
            zones: request.zones,
            allowed_addresses: request.allowed.into_iter().map(block).collect(),
            expires_on: request.expires_on.map(Timestamp::from_unix),
        })
    }
}

impl Drop for OfflineSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
