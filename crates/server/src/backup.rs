//! `certgate backup` and `certgate restore`.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use certgate_client::{Format, Screen};
use certgate_model::Clock;
use certgate_store::{JournalSummary, SqliteInspector, prepare_restored};
use tempfile::NamedTempFile;

use crate::config::{Database, MasterKeySource, StorageConfig};
use crate::data_dir::{DataDir, Stopped};
use crate::failure::{self, Failure};
use crate::system::SystemClock;

/// What SQLite keeps beside a database; the database itself first, so that its log is never taken from it alone.
const DATABASE_FILES: [&str; 3] = ["", "-wal", "-shm"];

/// What the name of a copy begins with that is not in its place yet.
const UNFINISHED: &str = ".restoring-";

/// Copies the database into a file.
pub fn back_up(config: &StorageConfig, file: &Path) -> Result<(), Failure> {
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
    // Of an earlier version too: before an upgrade is when everybody makes one.
    let inspector =
        SqliteInspector::open_to_copy(&database).map_err(|error| failure::cannot_open(&error))?;
    // Beside the file, and only under its name once it is whole.
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
    let kept = copy
        .persist_noclobber(file)
        .map_err(|error| written(error.error))?;
    let bytes = kept.metadata().map_err(written)?.len();
    File::open(directory_of(file))
        .and_then(|directory| directory.sync_all())
        .map_err(written)?;
    let master_key = match &config.master_key {
        MasterKeySource::Environment(_) => "the master key in CERTGATE_MASTER_KEY".to_owned(),
        MasterKeySource::File(path) => format!("the master key {}", path.display()),
    };
    screen.say(&format!(
        "{}: {:.1} MB, with every change up to epoch {epoch}\n\
         Not in it, and without it of no use: {master_key}. Keep a copy of it in another place.",
        file.display(),
        bytes as f64 / 1e6
    ));
    Ok(())
}

/// Puts a backup in the place of the database.
pub fn restore(config: &StorageConfig, file: &Path, replace: bool) -> Result<(), Failure> {
    let instead = "restore a PostgreSQL database from the base backup that pg_basebackup made";
    embedded_only(config, "restore", instead)?;
    let screen = &mut Screen::of_process(Format::Table);
    let directory = &config.data_dir;
    let shown = directory.display();
    let written = |error: io::Error| Failure::io(format!("cannot write in {shown}"), &error);
    // Before anything is made for it.
    let source = SqliteInspector::open_to_copy(file)
        .map_err(|error| failure::cannot_open(&error).and("nothing was changed"))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(written)?;

    // 1. Nobody else is there, and nothing is lost that nobody wanted to lose.
    let stopped = Stopped::lock(directory, "restore")?;
    let database = DataDir::database(directory);
    if database.exists() && !replace {
        return Err(
            Failure::failed(format!("{shown} has a database; nothing was changed"))
                .hint("with --replace it is moved aside, not deleted"),
        );
    }

    // 2. A copy that is whole, and of this version.
    remove_unfinished(directory).map_err(written)?;
    let copy = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(directory)
        .map_err(written)?;
    // The copy has the name that is told, and is gone afterwards.
    let refused = |error: String| {
        let text = error.replace(
            &copy.path().display().to_string(),
            &file.display().to_string(),
        );
        Failure::failed(format!("{text}; nothing was changed"))
    };
    // With the log beside it, if there is one: what was moved aside may have been in use to its last moment.
    let copied = source.copy_to(copy.path(), |_| ());
    copied.map_err(|error| {
        refused(format!(
            "cannot copy {} into {shown}: {error}",
            file.display()
        ))
    })?;
    drop(source);
    prepare_restored(copy.path()).map_err(|error| refused(error.to_string()))?;
    let inspector =
        SqliteInspector::open(copy.path()).map_err(|error| refused(error.to_string()))?;
    let failed = |error: certgate_store::StoreError| refused(error.to_string());
    let faults = inspector.check_all_but_audit().map_err(failed)?;
    if !faults.is_empty() {
        let what = format!("{} is damaged: {}", file.display(), faults.join("; "));
        return Err(refused(what).hint("restore another backup"));
    }
    // That would make every later backup useless; whoever is concerned is told.
    let logs = inspector.verify_audit().map_err(failed)?;
    for fault in logs.iter().flat_map(|log| &log.faults) {
        screen.say(&format!(
            "note: the audit log in {} is not whole: {fault}",
            file.display()
        ));
    }
    let epoch = inspector.last_epoch().map_err(failed)?;
    let journal = DataDir::journal(directory);
    // Not of the database, but of the file beside it.
    let told = inspector
        .journal_summary(&journal)
        .map_err(|error| refused(error.into_detail()))?;
    drop(inspector);

    // 3. Aside with the old one, and the new one in its place.
    let aside = move_aside(&database).map_err(written)?;
    copy.persist(&database)
        .map_err(|error| written(error.error))?;
    stopped.sync().map_err(written)?;

    screen.say(&format!(
        "{shown}: restored from {}, with every change up to epoch {epoch}",
        file.display()
    ));
    if let Some(aside) = aside {
        screen.say(&format!(
            "The database that was there is {}",
            aside.display()
        ));
    }
    screen.say(&told_of_journal(&journal, told));
    screen.say("Tokens are those of the backup: what was deleted or rolled since works again, so look through `certgate token list`");
    if let MasterKeySource::File(path) = &config.master_key
        && !path.exists()
    {
        screen.say(&format!(
            "The master key {} is missing: put it there before the next start",
            path.display()
        ));
    }
    Ok(())
}

fn told_of_journal(journal: &Path, told: JournalSummary) -> String {
    let shown = journal.display();
    let mut text = match told.changes {
        0 => format!("No certificate was revoked or restored after the backup, says {shown}"),
        1 => format!(
            "1 certificate was revoked or restored after the backup, says {shown}: the next start does it again"
        ),
        several => format!(
            "{several} certificates were revoked or restored after the backup, says {shown}: the next start does it again"
        ),
    };
    if !journal.exists() {
        text = format!("There is no {shown}");
    }
    if !told.is_all {
        text.push_str(&format!(
            "\nWhat else was revoked or restored after the backup is not known here: if you have the journal of revocations, put it at \
             {shown} before the next start. Without it those certificates are as they were in the backup, and enforcement \
             points have to read everything again"
        ));
    }
    text
}

/// What a restore that was killed has left.
fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Moves a database and its log aside; where to, if there was one.
fn move_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    // No two restores may take the same name.
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
        false => Err(Failure::failed(format!(
            "{} holds no certgate database",
            config.data_dir.display()
        ))),
    }
}

fn directory_of(file: &Path) -> &Path {
    file.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
