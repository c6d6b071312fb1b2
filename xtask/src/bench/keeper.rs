//! Ends what the benchmark has begun, and removes its temporary directories, however the benchmark itself ends.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context;

/// Each line is the list of the processes that run; the last one is in force when the standard input ends. PostgreSQL has its own
/// list, which may be an old one. SIGINT makes a certgate finish, and PostgreSQL close its connections and write what it has. At
/// most two minutes for each.
const SCRIPT: &str = r#"
cluster=$1; shift
begun=""
while read -r line; do begun=$line; done
postmaster=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null)
if [ -n "$postmaster" ] && [ "/proc/$postmaster/cwd" -ef "$cluster" ]; then begun="$begun $postmaster"; fi
for process in $begun; do kill -INT "$process" 2>/dev/null; done
for process in $begun; do timeout 120 tail --pid="$process" -s 0.1 -f /dev/null; done
rm -rf "$@"
"#;

/// A shell that waits for the end of this process. It is in a process group of its own, so that a Ctrl-C does not reach it.
pub struct Keeper {
    shell: Child,
    input: Option<ChildStdin>,
    begun: RefCell<Vec<u32>>,
}

impl Keeper {
    /// One that ends the PostgreSQL of a cluster, if one runs, and removes these directories.
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

    /// Has a process ended with the benchmark.
    pub fn begun(&self, process: u32) -> anyhow::Result<()> {
        self.begun.borrow_mut().push(process);
        self.tell()
    }

    /// It has ended by itself.
    pub fn ended(&self, process: u32) -> anyhow::Result<()> {
        self.begun.borrow_mut().retain(|begun| *begun != process);
        self.tell()
    }

    fn tell(&self) -> anyhow::Result<()> {
        let begun: Vec<_> = self.begun.borrow().iter().map(u32::to_string).collect();
        let mut input = self.input.as_ref().context("the keeper has been stopped")?;
        writeln!(input, "{}", begun.join(" ")).context("the keeper is gone")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("cannot wait for the end of what was begun: {error}");
        }
    }
}
