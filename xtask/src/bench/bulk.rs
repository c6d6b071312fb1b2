//! The bulk revocation of the command line, killed twice and resumed.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::figures::Measure;
use super::http::{Connection, Request};
use super::served::Bench;
use anyhow::{Context, ensure};

/// The names of the certificates to revoke: at ten million, 169,000 are active.
const PATTERN: &str = "laptop-t*";
const FILTER: &str = "common_name.startswith=laptop-t&limit=1";

/// The times at which the command is killed, while this share of the list is done.
const KILLED_AT: [f64; 2] = [0.3, 0.6];

/// The time between two looks at the progress.
const LOOK: Duration = Duration::from_millis(200);

impl Bench<'_> {
    /// Revokes every certificate with a beginning of its name, and restores exactly those.
    pub(super) async fn bulk(&mut self) -> anyhow::Result<()> {
        eprintln!("bulk revocation …");
        let record = self.installation.directory.join("bulk.jsonl");
        let _ = std::fs::remove_file(&record);
        let before = self.active().await?;
        let preview = self.command(&["revoke", "--match", PATTERN, "--dry-run"]);
        let count = first_number(preview)?;
        let begun = Instant::now();
        let record_path = record.to_str().context("not UTF-8")?.to_owned();
        let expect = count.to_string();
        let first = [
            "revoke",
            "--match",
            PATTERN,
            "--yes",
            "--expect",
            &expect,
            "--record",
            &record_path,
        ];
        let resumed = ["revoke", "--resume", &record_path];
        let (mut commands, mut listing) = (0, 0.0);
        for share in KILLED_AT {
            let arguments: &[&str] = if commands == 0 { &first } else { &resumed };
            let mut child = self.command(arguments).spawn()?;
            commands += 1;
            let wanted = (count as f64 * share) as u64;
            loop {
                let done = changed(&record)?;
                if done > 0 && listing == 0.0 {
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
        let after = self.active().await?;
        let left = self.matching(&format!("status=active&{FILTER}")).await?;
        ensure!(
            (before - after, left) == (count, 0),
            "{} of {count} were revoked, {left} are left",
            before - after
        );
        eprintln!("  {count} in {seconds:.1} s, the list {listing:.1} s of them");
        let rate = self
            .report
            .figure(Measure::BulkRevoke, count as f64 / seconds);
        self.report.add(rate.which("killed twice"))?;
        let begun = Instant::now();
        let undo = ["restore", "--undo", &record_path, "--yes"];
        let undone = self.command(&undo).status()?;
        ensure!(undone.success(), "the undo failed");
        let seconds = begun.elapsed().as_secs_f64();
        let rate = self
            .report
            .figure(Measure::BulkRevoke, count as f64 / seconds);
        self.report.add(rate.which("undo"))
    }

    async fn active(&self) -> anyhow::Result<u64> {
        self.matching("status=active&limit=1").await
    }

    async fn matching(&self, query: &str) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.server.address()).await?;
        let request = Request::get(&self.installation, &format!("client_certificates?{query}"));
        let answer = connection.json(&request).await?;
        let total = answer["result_info"]["total_count"].as_u64();
        total.context("no total")
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
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }
}

/// Counts the changed certificates in a record file.
fn changed(record: &Path) -> anyhow::Result<u64> {
    let Ok(file) = std::fs::File::open(record) else {
        return Ok(0);
    };
    let mut changed = 0;
    for line in std::io::BufReader::new(file).split(b'\n') {
        changed += u64::from(line?.starts_with(b"{\"changed\""));
    }
    Ok(changed)
}

/// Returns the number with which the output of a command begins.
fn first_number(mut command: Command) -> anyhow::Result<u64> {
    let output = command.stderr(Stdio::piped()).output()?;
    let text = String::from_utf8([output.stdout, output.stderr].concat())?;
    let word = text.split_whitespace().next().unwrap_or_default();
    let number = word.replace(',', "").parse();
    number.with_context(|| format!("no number: {text}"))
}
