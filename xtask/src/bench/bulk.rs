//! The bulk revocation of the command line, killed twice and resumed.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use certgate_model::Status;

use super::figures::Measure;
use super::served::Bench;
use super::sql::Sql;

/// The beginning of the names of the certificates to revoke: at ten million, 169,000 are active.
const BEGIN: &str = "laptop-t";

/// The times at which the command is killed, while this share of the list is done.
const KILLED_AT: [f64; 2] = [0.3, 0.6];

/// The time between two looks at the progress.
const LOOK: Duration = Duration::from_millis(200);

/// The statuses of all certificates, by position.
type Statuses = Vec<(i64, Status)>;

impl Bench<'_> {
    /// Revokes every certificate with a beginning of its name, and restores exactly those. The
    /// database itself shows which ones were changed.
    pub(super) async fn bulk(&mut self) -> anyhow::Result<()> {
        eprintln!("bulk revocation …");
        let paths = ["bulk.jsonl", "undo.jsonl"].map(|name| self.installation.directory.join(name));
        for path in &paths {
            let _ = std::fs::remove_file(path);
        }
        let [record, undo] = paths.each_ref().map(|path| path.to_str());
        let (record, undo) = (record.context("not UTF-8")?, undo.context("not UTF-8")?);
        let named = self.named().await?;
        let before = self.statuses().await?;
        let matching = |one: &&(i64, Status)| one.1 == Status::Active && named.contains(&one.0);
        let count = before.iter().filter(matching).count();
        // Revokes, and is killed twice.
        let seconds = self.revoke_many(record, count)?;
        let revoked = self.statuses().await?;
        let expected = before.iter().map(|one| match matching(&one) {
            true => (one.0, Status::Revoked),
            false => *one,
        });
        ensure_equal(&revoked, expected)?;
        let rate = self
            .report
            .figure(Measure::BulkRevoke, count as f64 / seconds);
        self.report.add(rate.which("killed twice"))?;
        // Restores.
        let begun = Instant::now();
        let undone = ["restore", "--undo", record, "--yes", "--record", undo];
        let undone = self.command(&undone).status()?;
        ensure!(undone.success(), "the undo failed");
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("  restored in {seconds:.1} s");
        ensure_equal(&self.statuses().await?, before.iter().copied())?;
        let rate = self
            .report
            .figure(Measure::BulkRevoke, count as f64 / seconds);
        self.report.add(rate.which("undo"))
    }

    /// Revokes, and kills the command twice. Returns the seconds, with the list.
    fn revoke_many(&self, record: &str, count: usize) -> anyhow::Result<f64> {
        let pattern = format!("{BEGIN}*");
        let expect = count.to_string();
        let first = ["revoke", "--match", &pattern, "--yes", "--expect", &expect];
        let first = [&first[..], &["--record", record]].concat();
        let resumed = ["revoke", "--resume", record];
        let mut progress = Progress::of(record);
        let begun = Instant::now();
        let mut listing = 0.0;
        for (share, arguments) in KILLED_AT.into_iter().zip([&first[..], &resumed]) {
            let mut child = self.command(arguments).spawn()?;
            let wanted = (count as f64 * share) as usize;
            loop {
                let done = progress.changed()?;
                if listing == 0.0 && done > 0 {
                    listing = begun.elapsed().as_secs_f64();
                }
                if done >= wanted {
                    break;
                }
                ensure!(child.try_wait()?.is_none(), "the command ended early");
                std::thread::sleep(LOOK);
            }
            child.kill()?;
            child.wait()?;
        }
        let ended = self.command(&resumed).status()?;
        ensure!(ended.success(), "the resumed command failed");
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("  {count} in {seconds:.1} s, the list {listing:.1} s of them");
        Ok(seconds)
    }

    async fn named(&self) -> anyhow::Result<HashSet<i64>> {
        let sql = Sql::open(&self.installation).await?;
        let named = sql.named(BEGIN).await?;
        sql.close().await?;
        Ok(named)
    }

    async fn statuses(&self) -> anyhow::Result<Statuses> {
        let sql = Sql::open(&self.installation).await?;
        let statuses = sql.statuses().await?;
        sql.close().await?;
        Ok(statuses)
    }

    /// Returns a `certgate cert` command that talks to the server.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("cert")
            .args(arguments)
            .args(["--api", &format!("http://{}", self.server.address())])
            .args(["--zone", &self.installation.zone_id])
            .env("CERTGATE_TOKEN", &self.installation.token)
            .current_dir(&self.installation.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        command
    }
}

/// The changed certificates in a record file.
struct Progress {
    record: PathBuf,
    read: u64,
    changed: usize,
}

impl Progress {
    fn of(record: &str) -> Self {
        Self {
            record: record.into(),
            read: 0,
            changed: 0,
        }
    }

    /// Counts them. It reads the lines that are new.
    fn changed(&mut self) -> anyhow::Result<usize> {
        let Ok(mut file) = File::open(&self.record) else {
            return Ok(0);
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        // A line without its end is read again.
        while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            self.read += line.len() as u64;
            self.changed += usize::from(line.starts_with(b"{\"changed\""));
            line.clear();
        }
        Ok(self.changed)
    }
}

/// Compares statuses, in which a change may be pending.
fn ensure_equal(
    found: &Statuses,
    expected: impl ExactSizeIterator<Item = (i64, Status)>,
) -> anyhow::Result<()> {
    ensure!(
        found.len() == expected.len(),
        "there are other certificates"
    );
    let settled = |status| match status {
        Status::Active | Status::PendingReactivation => Status::Active,
        Status::PendingRevocation | Status::Revoked => Status::Revoked,
    };
    let pairs = found.iter().zip(expected);
    let differ =
        pairs.filter(|(one, other)| (one.0, settled(one.1)) != (other.0, settled(other.1)));
    let differ = differ.count();
    ensure!(differ == 0, "{differ} certificates have another status");
    Ok(())
}
