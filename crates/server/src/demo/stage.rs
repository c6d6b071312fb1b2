//! The temporary directory of the demo, and the programs that run in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use certgate_client::{ENVIRONMENT_PREFIX, Existing, Screen, write_file};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::failure::Failure;

/// The longest wait for a server to start, or for a change to take effect. Both take a fraction of
/// a second.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(20);

/// The most lines of a log that a failure shows.
const LOG_LINES_MAX: usize = 5;

/// The place of the story.
pub(super) struct Stage {
    directory: TempDir,
    program: PathBuf,
    screen: Screen,
    pause: Duration,
    running: Vec<Child>,
    logs: Vec<PathBuf>,
}

impl Stage {
    pub fn new(screen: Screen, pause: Duration) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("certgate-demo-").tempdir();
        Ok(Self {
            directory: directory.context("cannot create a temporary directory: set TMPDIR")?,
            program: std::env::current_exe().context("cannot find the program itself")?,
            screen,
            pause,
            running: Vec::new(),
            logs: Vec::new(),
        })
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Prints a text.
    pub fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.screen.data(&format!("{text}\n")).map_err(told)
    }

    /// Begins a step of the story, after the user has read the last one.
    pub async fn step(&mut self, text: &str) -> anyhow::Result<()> {
        pause(self.pause).await;
        self.say(&format!("\n{text}"))
    }

    /// Prints a command.
    pub fn command(&mut self, line: &str) -> anyhow::Result<()> {
        self.say(&format!("   $ {line}"))
    }

    /// Prints the output of a command.
    pub fn output(&mut self, text: &str) -> anyhow::Result<()> {
        let line = |line: &str| format!("   {line}").trim_end().to_owned();
        let lines: Vec<_> = text.lines().map(line).collect();
        self.say(&lines.join("\n"))
    }

    /// Writes a file that only its owner can read.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.directory().join(name);
        write_file(&path, &[text.as_bytes()], 0o600, Existing::Replaced)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Prints and runs a command, and prints its output, which `> FILE` at the end writes to a
    /// file.
    pub async fn run(&mut self, line: &str) -> anyhow::Result<()> {
        self.command(line)?;
        let (words, file) = match line.split_once(" > ") {
            Some((words, file)) => (words, Some(file)),
            None => (line, None),
        };
        let output = timeout(WAIT_MAX, self.program(words).output());
        let output = output
            .await
            .with_context(|| format!("{line} does not end"))??;
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        if !output.status.success() {
            bail!("{line}: {}", err.trim());
        }
        match file {
            Some(file) => self.write(file, &out)?,
            None if !out.trim().is_empty() => self.output(&out)?,
            None => {}
        }
        Ok(())
    }

    /// Prints and starts a server that logs into a file, and prints its first `lines` lines, which
    /// it returns. It then listens.
    pub async fn start(&mut self, line: &str, log: &str, lines: usize) -> anyhow::Result<String> {
        self.command(&format!("{line} &"))?;
        let log = self.directory().join(log);
        let file = std::fs::File::create(&log)?;
        self.logs.push(log);
        let mut child = self
            .program(line)
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {line}"))?;
        let out = child.stdout.take();
        self.running.push(child);
        let mut out = BufReader::new(out.context("the program has no output")?).lines();
        let mut printed = String::new();
        for _ in 0..lines {
            let next = timeout(WAIT_MAX, out.next_line()).await;
            let Ok(Some(next)) = next.with_context(|| format!("{line} does not start"))? else {
                bail!("{line} ended");
            };
            printed.push_str(&next);
            printed.push('\n');
        }
        self.output(&printed)?;
        Ok(printed)
    }

    /// The program itself in the directory, without the settings and secrets of this process.
    fn program(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(ENVIRONMENT_PREFIX) {
                command.env_remove(name);
            }
        }
        command
            .args(line.split(' ').skip(1))
            .current_dir(self.directory())
            .env("XDG_CONFIG_HOME", self.directory())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Adds the last lines of the logs to an error.
    pub fn with_logs(&self, error: anyhow::Error) -> anyhow::Error {
        let mut text = format!("{error:#}");
        for log in &self.logs {
            let lines = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = lines.lines().rev().take(LOG_LINES_MAX).collect();
            let lines: Vec<_> = lines.into_iter().rev().collect();
            let name = log.file_name().unwrap_or_default().display();
            text.push_str(&format!("\n{name}:\n{}", lines.join("\n")));
        }
        anyhow::Error::msg(text)
    }

    /// Stops the servers, the last one first, and removes the directory.
    pub async fn clear(mut self) -> anyhow::Result<()> {
        while let Some(mut child) = self.running.pop() {
            let pid = child
                .id()
                .and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
            if let Some(pid) = pid {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::TERM);
            }
            if timeout(WAIT_MAX, child.wait()).await.is_err() {
                child.kill().await?;
            }
        }
        let place = self.directory.path().display().to_string();
        self.directory
            .close()
            .with_context(|| format!("cannot remove {place}"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a user reads the step, and a gateway announces no change to its clients"
)]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A failure of the client's parts, as an error of the demo.
pub(super) fn told(failure: Failure) -> anyhow::Error {
    anyhow::Error::msg(failure.to_string())
}
