//! `certgate migrate`: moves the database of a data directory to PostgreSQL.

use std::path::Path;

use certgate_client::{Format, Screen};
use certgate_model::{Clock, Random, Timestamp};
use certgate_store::{
    Migration, MigrationBegun, MigrationError, MigrationProgress, PostgresError, PostgresUrl,
    TableCompared, TableDigest,
};
use indicatif::ProgressBar;

use crate::config::{Database, MasterKeySource, StorageConfig};
use crate::data_dir::{DataDir, Stopped};
use crate::failure::{self, Failure};
use crate::system::{SystemClock, SystemRandom};

/// The number of progress lines where standard error cannot show a bar.
const PARTS: u64 = 10;

/// The digits of a digest in the output: all 64 would not fit a line. The command compares all.
const DIGITS_SHOWN: usize = 16;

/// Moves the database.
pub fn run(config: &StorageConfig) -> Result<(), Failure> {
    let url = match &config.database {
        Database::Postgres(url) => url,
        Database::Embedded => {
            return Err(Failure::usage("no database to move to").hint(
                "name it with --to, or with CERTGATE_DATABASE_URL if its URL has a password",
            ));
        }
    };
    let directory = &config.data_dir;
    if !DataDir::has_database(directory) {
        return Err(failure::no_database(directory));
    }
    let _stopped = Stopped::lock(directory, "migrate")?;
    refuse_a_second_destination(directory, url)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start the threads", &error))?;
    runtime.block_on(migrate(config, url, &mut Screen::of_process(Format::Table)))
}

/// Refuses to move a database twice: the second copy would lack the changes of servers on the first
/// copy, and both would assign the same epochs.
fn refuse_a_second_destination(directory: &Path, url: &PostgresUrl) -> Result<(), Failure> {
    let (shown, moved) = (directory.display(), DataDir::moved(directory));
    let whereto = DataDir::moved_to(directory);
    let whereto =
        whereto.map_err(|error| Failure::io(format!("cannot read {}", moved.display()), &error))?;
    match whereto {
        Some(whereto) if !whereto.starts_with(&format!("{url} at ")) => Err(Failure::failed(
            format!("{shown} was moved to {whereto} already; nothing was changed"),
        )
        .hint(format!(
            "to move it again in its old state, remove {}",
            moved.display()
        ))),
        _ => Ok(()),
    }
}

async fn migrate(
    config: &StorageConfig,
    url: &PostgresUrl,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let directory = &config.data_dir;
    let (database, journal) = (DataDir::database(directory), DataDir::journal(directory));
    let mut holder = [0; 16];
    SystemRandom.fill(&mut holder);

    // 1. Copy the missing rows.
    let begun = Migration::begin(&database, &journal, url.expose(), holder).await;
    let migration = begun.map_err(failed)?;
    let to = migration.destination();
    screen.say(&match migration.begun() {
        MigrationBegun::Anew => format!("moving {} to the database {to}", directory.display()),
        MigrationBegun::Again => {
            format!(
                "continuing to move {} to the database {to}",
                directory.display()
            )
        }
        MigrationBegun::Finished => {
            format!(
                "{} was moved to the database {to} already",
                directory.display()
            )
        }
    });
    let mut progress = Progress::new(screen, "copied", migration.rows());
    let copied = migration.copy(|state| progress.tell(state)).await;
    progress.finish();
    copied.map_err(failed)?;

    // 2. Compare everything.
    let mut progress = Progress::new(screen, "compared", migration.rows());
    let compared = migration.compare(|state| progress.tell(state)).await;
    progress.finish();
    let compared = compared.map_err(failed)?;
    screen.table(
        &["table", "rows", "sha-256", "postgresql"],
        compared.iter().map(row),
    )?;
    let different: Vec<_> = compared
        .iter()
        .filter(|table| !table.is_equal())
        .map(|table| table.table)
        .collect();
    if !different.is_empty() {
        return Err(differs(&different, &to, migration.begun()));
    }

    // 3. No server can use the old database before one can use the new database.
    let at = Timestamp::from_unix(SystemClock.now().unix());
    let marked = DataDir::mark_moved(directory, &format!("{url} at {at}"));
    let moved = DataDir::moved(directory);
    marked.map_err(|error| Failure::io(format!("cannot write {}", moved.display()), &error))?;
    migration.finish().await.map_err(failed)?;
    screen.say(&next_steps(config, url, &to));
    Ok(())
}

fn row(table: &TableCompared) -> Vec<String> {
    let begin = |digest: &TableDigest| digest.sha256.chars().take(DIGITS_SHOWN).collect::<String>();
    let TableCompared {
        table: name,
        source,
        destination,
    } = table;
    let there = match table.is_equal() {
        true => "the same".to_owned(),
        false => format!("{} rows, {}", destination.rows, begin(destination)),
    };
    vec![
        (*name).to_owned(),
        source.rows.to_string(),
        begin(source),
        there,
    ]
}

fn differs(tables: &[&str], to: &str, begun: MigrationBegun) -> Failure {
    let tables = tables.join(", ");
    match begun {
        MigrationBegun::Finished => Failure::failed(format!(
            "the database {to} no longer equals the data directory, in {tables}; nothing was \
             changed"
        ))
        .hint("this is normal after a server has run on one of them"),
        MigrationBegun::Anew | MigrationBegun::Again => Failure::failed(format!(
            "the database {to} has other rows than the data directory, in {tables}: no server \
             starts on it"
        ))
        .hint(
            "another program has written to one of them: drop the new database, create it again, \
             and run the command again",
        ),
    }
}

fn failed(error: MigrationError) -> Failure {
    let told = Failure::failed(error.to_string());
    match error {
        MigrationError::Open(error) => failure::cannot_open(&error),
        MigrationError::Destination(error @ PostgresError::DevelopmentVersion) => {
            failure::cannot_use(&error)
        }
        MigrationError::Destination(PostgresError::Unavailable { .. }) => {
            told.hint("run the same command again to continue")
        }
        _ => told,
    }
}

fn next_steps(config: &StorageConfig, url: &PostgresUrl, to: &str) -> String {
    let directory = config.data_dir.display();
    let master_key = match &config.master_key {
        MasterKeySource::Environment(_) => "CERTGATE_MASTER_KEY with the same value".to_owned(),
        MasterKeySource::File(path) => {
            format!(
                "the master key: copy {} into its data directory (mode 0600), or set \
                 CERTGATE_MASTER_KEY",
                path.display()
            )
        }
    };
    let place = match url.has_password() {
        true => "with the same CERTGATE_DATABASE_URL or database_url".to_owned(),
        false => format!("with --database-url '{}'", url.expose()),
    };
    format!(
        "\n\
         Everything is in the database {to}. Next:\n\n\
         \x20 1. Give every server {master_key}.\n\
         \x20    It needs nothing else of {directory}. client.toml is for the command line.\n\
         \x20 2. Start each server {place},\n\
         \x20    and with the settings of the old server, including public_url.\n\
         \x20 3. Keep {directory} until the new database has a backup.\n\
         \x20    No server uses that directory any more. To return to its state, without later\n\
         \x20    changes, remove {}.",
        DataDir::moved(&config.data_dir).display()
    )
}

/// A progress bar, or lines without a terminal.
struct Progress<'s> {
    screen: &'s mut Screen,
    done: &'static str,
    bar: ProgressBar,
    parts: u64,
}

impl<'s> Progress<'s> {
    fn new(screen: &'s mut Screen, done: &'static str, rows: u64) -> Self {
        let bar = screen.progress(rows, done);
        Self {
            screen,
            done,
            bar,
            parts: 0,
        }
    }

    fn tell(&mut self, state: MigrationProgress) {
        let MigrationProgress {
            table,
            rows,
            of_rows,
            ..
        } = state;
        self.bar.set_position(rows);
        let parts = rows * PARTS / of_rows.max(1);
        if self.bar.is_hidden() && parts > self.parts {
            self.parts = parts;
            self.screen
                .say(&format!("{} {rows} of {of_rows} rows, {table}", self.done));
        }
    }

    fn finish(self) {
        self.bar.finish_and_clear();
    }
}
