//! Stops the processes of the benchmark and removes its temporary directories, in whatever way the
//! benchmark ends.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context;

/// The script of the keeper. Each line of its input lists the running processes. At the end of the
/// input, the script stops the processes of the last line.
///
/// PostgreSQL has a list of its own, which may be old. SIGINT lets certgate finish, and lets
/// PostgreSQL close its connections and write its data. Each process has two minutes.
const SCRIPT: &str = r#"
cluster=$1; shift
begun=""
while read -r line; do begun=$line; done
postmaster=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null)
if [ -n "$postmaster" ] && [ "/proc/$postmaster/cwd" -ef "$cluster" ]; then
  begun="$begun $postmaster"
fi
for process in $begun; do kill -INT "$process" 2>/dev/null; done
for process in $begun; do timeout 120 tail --pid="$process" -s 0.1 -f /dev/null; done
rm -rf "$@"
"#;

/// A shell that waits for the end of this process. It has its own process group, so that Ctrl-C
/// does not reach it.
pub struct Keeper {
    shell: Child,
    input: Option<ChildStdin>,
    begun: RefCell<Vec<u32>>,
}

impl Keeper {
    /// Starts a keeper that stops the PostgreSQL of a cluster, if it runs, and removes directories.
    pub fn start(cluster: &Path, directories: &[&Path]) -> anyhow::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(cluster)
            .args(directories)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot run sh")?;
        let input = shell.stdin.take();
        Ok(Self {
            shell,
            input,
            begun: RefCell::default(),
        })
    }

    /// Adds a process, which the keeper stops when the benchmark ends.
    pub fn begun(&self, process: u32) -> anyhow::Result<()> {
        self.begun.borrow_mut().push(process);
        self.send()
    }

    /// Removes a process that has ended.
    pub fn ended(&self, process: u32) -> anyhow::Result<()> {
        self.begun.borrow_mut().retain(|begun| *begun != process);
        self.send()
    }

    /// Sends the running processes to the shell.
    fn send(&self) -> anyhow::Result<()> {
        let begun: Vec<_> = self.begun.borrow().iter().map(u32::to_string).collect();
        let mut input = self.input.as_ref().context("the keeper has been stopped")?;
        writeln!(input, "{}", begun.join(" ")).context("the keeper is gone")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("cannot wait for the processes of the benchmark to end: {error}");
        }
    }
}
