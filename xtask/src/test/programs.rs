//! Programs that the tests need, installed where that is allowed.

use std::path::Path;
use std::process::{Command, Stdio};

/// Installs Debian packages, but only as root and where there is apt-get: elsewhere it is for the user to do.
pub struct Installer {
    allowed: bool,
    updated: bool,
}

/// A program, how to see that it works, and the Debian package that brings it.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Arguments with which it does nothing, successfully.
    pub probe: &'static [&'static str],
    /// The package.
    pub package: &'static str,
}

impl Installer {
    /// Nothing is installed yet.
    pub fn new() -> Self {
        Self {
            allowed: is_root() && answers_to("apt-get", &["--version"]),
            updated: false,
        }
    }

    /// Whether the program is there, now or already; otherwise what the user can do.
    pub fn provide(&mut self, program: &Program) -> Result<(), String> {
        let Program {
            name,
            probe,
            package,
        } = program;
        if answers_to(name, probe) {
            return Ok(());
        }
        if !self.allowed {
            return Err(format!(
                "{name} is missing: install it, on Debian with: apt-get install {package}"
            ));
        }
        println!("installing {package}");
        if !self.updated {
            // An outdated list of packages may do all the same.
            self.updated = true;
            let _ = apt_get(&["update"]);
        }
        match apt_get(&["install", "--yes", "--no-install-recommends", package])
            && answers_to(name, probe)
        {
            true => Ok(()),
            false => Err(format!(
                "{name} is missing, and apt-get install {package} failed"
            )),
        }
    }
}

/// Whether a command runs and succeeds; what it prints is thrown away.
pub fn answers(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn answers_to(name: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(name);
    command.args(arguments);
    answers(command)
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command
        .arg("--quiet=2")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The owner of this process, as the system shows it.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|process| process.uid() == 0)
}
