//! `certgate backup` and `certgate restore`.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use certgate_client::{Format, Screen};
use certgate_model::Clock;
use certgate_store::{JournalSummary, SqliteInspector, prepare_restored};
use tempfile::NamedTempFile;

use crate::check;
use crate::config::{Database, MasterKeySource, StorageConfig};
use crate::data_dir::{DataDir, Stopped, named_epochs};
use crate::failure::{self, Failure};
use crate::inspector::Inspector;
use crate::last_backup;
use crate::system::SystemClock;

/// The files of an SQLite database. The database itself is first: a move never leaves it without
/// its log.
const DATABASE_FILES: [&str; 3] = ["", "-wal", "-shm"];

/// The remedy for a database whose problems cannot be avoided.
const ALL_THE_SAME: &str = "if you have none without problems, --despite-problems accepts it";

/// The prefix of an unfinished copy.
const UNFINISHED: &str = ".restoring-";

/// The choices of a restore.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Move the existing database aside.
    pub replace: bool,
    /// Accept a backup that has problems.
    pub despite_problems: bool,
}

/// Copies the database into a file, unless it has problems.
pub fn back_up(config: &StorageConfig, file: &Path, despite_problems: bool) -> Result<(), Failure> {
    embedded_only(
        config,
        "backup",
        "back up a PostgreSQL database with pg_basebackup",
    )?;
    let screen = &mut Screen::of_process(Format::Table);
    let database = existing_database(config)?;
    if file.exists() {
        return Err(Failure::failed(format!(
            "{} exists: name another file",
            file.display()
        )));
    }
    let written =
        |error: io::Error| Failure::io(format!("cannot write {}", file.display()), &error);
    // An earlier version too: a backup before an upgrade is usual.
    let inspector =
        SqliteInspector::open_to_copy(&database).map_err(|error| failure::cannot_open(&error))?;
    // The copy gets the name of the file only after it is complete.
    let copy = NamedTempFile::new_in(directory_of(file)).map_err(written)?;
    let progress = screen.progress_beside_data(0, "copied");
    let copied = inspector.copy_to(copy.path(), |state| {
        progress.set_length(state.of_bytes);
        progress.set_position(state.bytes);
    });
    progress.finish_and_clear();
    copied.map_err(|error| Failure::failed(error.to_string()))?;
    let epoch = inspector
        .last_epoch()
        .map_err(|error| Failure::failed(error.to_string()))?;
    let faults = problems(copy.path(), screen)?;
    if !is_accepted(&faults, despite_problems, screen) {
        let what = format!(
            "{} has {} problems, and {} was not written",
            database.display(),
            faults.len(),
            file.display()
        );
        return Err(Failure::failed(what).hint(ALL_THE_SAME));
    }
    note_journal(&inspector, &DataDir::journal(&config.data_dir), screen)?;
    let kept = copy
        .persist_noclobber(file)
        .map_err(|error| written(error.error))?;
    let bytes = kept.metadata().map_err(written)?.len();
    File::open(directory_of(file))
        .and_then(|directory| directory.sync_all())
        .map_err(written)?;
    if let Err(error) = last_backup::write(&config.data_dir, SystemClock.now()) {
        screen.say(&format!("the metrics will not show this backup: {error}"));
    }
    let master_key = match &config.master_key {
        MasterKeySource::Environment(_) => "the master key in CERTGATE_MASTER_KEY".to_owned(),
        MasterKeySource::File(path) => format!("the master key {}", path.display()),
    };
    screen.say(&format!(
        "{}: {:.1} MB, with every change up to epoch {epoch}\n\
         A restore needs {master_key} too. Keep a copy of it in another place.",
        file.display(),
        bytes as f64 / 1e6
    ));
    Ok(())
}

/// Returns every problem of a copied database.
fn problems(copy: &Path, screen: &Screen) -> Result<Vec<String>, Failure> {
    check::problems(&Inspector::file(copy)?, screen, 100)
        .map_err(|error| Failure::failed(error.to_string()))
}

/// Prints the problems, and returns true if there are none, or the user accepts them.
fn is_accepted(faults: &[String], despite_problems: bool, screen: &mut Screen) -> bool {
    for fault in faults {
        screen.say(&format!("problem: {fault}"));
    }
    faults.is_empty() || despite_problems
}

/// Notes the problems of a journal. They do not stop a backup, which has all changes.
fn note_journal(
    inspector: &SqliteInspector,
    journal: &Path,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let faults = inspector.check_journal(journal);
    for fault in faults.map_err(|error| Failure::failed(error.to_string()))? {
        screen.say(&format!("note: {fault}; this backup has the changes"));
    }
    Ok(())
}

/// Replaces the database with a backup.
pub fn restore(config: &StorageConfig, file: &Path, choice: Choice) -> Result<(), Failure> {
    let instead = "restore a PostgreSQL database from the base backup that pg_basebackup made";
    embedded_only(config, "restore", instead)?;
    let screen = &mut Screen::of_process(Format::Table);
    let directory = &config.data_dir;
    let shown = directory.display();
    let written = |error: io::Error| Failure::io(format!("cannot write in {shown}"), &error);
    // Open the backup before anything is created for it.
    let source = SqliteInspector::open_to_copy(file)
        .map_err(|error| failure::cannot_open(&error).and("nothing was changed"))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(written)?;

    // 1. The server is stopped, and you agree to replace its database.
    let stopped = Stopped::lock(directory, "restore")?;
    let database = DataDir::database(directory);
    if database.exists() && !choice.replace {
        return Err(
            Failure::failed(format!("{shown} has a database; nothing was changed"))
                .hint("--replace moves it aside and does not delete it"),
        );
    }

    // 2. An intact copy of this version.
    remove_unfinished(directory).map_err(written)?;
    let copy = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(directory)
        .map_err(written)?;
    // Errors name the copy, which is gone afterwards: replace its name.
    let refused = |error: String| {
        let text = error.replace(
            &copy.path().display().to_string(),
            &file.display().to_string(),
        );
        Failure::failed(format!("{text}; nothing was changed"))
    };
    // The copy includes the log beside the file: a database that was moved aside may have one.
    let copied = source.copy_to(copy.path(), |_| ());
    copied.map_err(|error| {
        refused(format!(
            "cannot copy {} into {shown}: {error}",
            file.display()
        ))
    })?;
    drop(source);
    prepare_restored(copy.path()).map_err(|error| refused(error.to_string()))?;
    let faults = problems(copy.path(), screen)?;
    if !is_accepted(&faults, choice.despite_problems, screen) {
        let what = format!("{} is corrupt: {} problems", file.display(), faults.len());
        return Err(refused(what)
            .hint("restore another backup")
            .also_hint(ALL_THE_SAME));
    }
    let inspector =
        SqliteInspector::open(copy.path()).map_err(|error| refused(error.to_string()))?;
    let failed = |error: certgate_store::StoreError| refused(error.to_string());
    let epoch = inspector.last_epoch().map_err(failed)?;
    let journal = DataDir::journal(directory);
    // An error of the file beside the database.
    let told = inspector
        .journal_summary(&journal)
        .map_err(|error| refused(error.into_detail()))?;
    drop(inspector);

    // 3. Move the old database aside, and the new one into its place.
    let aside = move_aside(&database).map_err(written)?;
    copy.persist(&database)
        .map_err(|error| written(error.error))?;
    stopped.sync().map_err(written)?;

    screen.say(&format!(
        "{shown}: restored from {}, with every change up to epoch {epoch}",
        file.display()
    ));
    if let Some(aside) = aside {
        screen.say(&format!("The old database is {} now", aside.display()));
    }
    screen.say(&told_of_journal(&journal, &told));
    screen.say(
        "Tokens are those of the backup: tokens that were deleted or rolled later work again. \
         Review `certgate token list`",
    );
    say_if_master_key_is_missing(screen, config);
    corruption_of_journal(&journal, &told)
}

/// Fails if lines of the journal are corrupt. The next start applies the intact ones.
fn corruption_of_journal(journal: &Path, told: &JournalSummary) -> Result<(), Failure> {
    let shown = journal.display();
    let what = match (&told.missing[..], told.has_corrupt_head) {
        ([], false) => return Ok(()),
        ([], true) => {
            "its first line, so that nothing shows whether changes are missing".to_owned()
        }
        (missing, _) => format!("the changes with the epochs {}", named_epochs(missing)),
    };
    let what = format!(
        "the database is restored, but {shown} is corrupt and lacks {what}; the next start replays \
         its intact lines"
    );
    let hint = "the certificates of these changes have their status of the backup: revoke again \
                those that you had revoked, as your own records say";
    Err(Failure::failed(what).hint(hint))
}

fn say_if_master_key_is_missing(screen: &mut Screen, config: &StorageConfig) {
    if let MasterKeySource::File(path) = &config.master_key
        && !path.exists()
    {
        screen.say(&format!(
            "The master key {} is missing: copy it there before the next start",
            path.display()
        ));
    }
}

fn told_of_journal(journal: &Path, told: &JournalSummary) -> String {
    let shown = journal.display();
    let mut text = match told.changes {
        0 => format!("{shown} has no revocation or restoration after the backup"),
        1 => format!(
            "{shown} has 1 revocation or restoration after the backup: the next start replays it"
        ),
        several => format!(
            "{shown} has {several} revocations or restorations after the backup: the next start \
             replays them"
        ),
    };
    if !journal.exists() {
        text = format!("{shown} does not exist");
    }
    if !told.is_all {
        text.push_str(&format!(
            "\nOther revocations and restorations after the backup are unknown: if you have the \
             journal of revocations, copy it to {shown} before the next start. Without it, those \
             certificates keep the status that the backup has, and enforcement points must read \
             everything again"
        ));
    }
    text
}

/// Removes the copies of killed restores.
fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Moves a database and its log aside. Returns the new path, if there was a database.
fn move_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    // Two restores must not use the same name.
    let mut number = SystemClock.now().unix();
    let mut aside = beside(database, &format!(".replaced-{number}"));
    while DATABASE_FILES
        .iter()
        .any(|suffix| beside(&aside, suffix).exists())
    {
        number += 1;
        aside = beside(database, &format!(".replaced-{number}"));
    }
    let mut moved = None;
    for suffix in DATABASE_FILES {
        let (from, to) = (beside(database, suffix), beside(&aside, suffix));
        match fs::rename(&from, &to) {
            Ok(()) if suffix.is_empty() => moved = Some(to),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Refuses to work on the embedded database while the configuration names another: the copy of a
/// database that no server uses would look like a good backup.
fn embedded_only(config: &StorageConfig, command: &str, instead: &str) -> Result<(), Failure> {
    match &config.database {
        Database::Embedded => Ok(()),
        Database::Postgres(url) => Err(Failure::usage(format!(
            "database_url is set to {url}, and certgate {command} works on the embedded database \
             only; nothing was changed"
        ))
        .hint(format!(
            "{instead}; to use the embedded database, unset database_url in the flags, \
             CERTGATE_DATABASE_URL and the configuration file"
        ))),
    }
}

fn existing_database(config: &StorageConfig) -> Result<PathBuf, Failure> {
    let database = DataDir::database(&config.data_dir);
    match database.exists() {
        true => Ok(database),
        false => Err(failure::no_database(&config.data_dir)),
    }
}

fn directory_of(file: &Path) -> &Path {
    file.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
