//! Programs that the tests need, and their installation.

use std::path::Path;
use std::process::{Command, Stdio};

/// Installs Debian packages. Without root or apt-get, the user has to install them.
pub struct Installer {
    allowed: bool,
    updated: bool,
}

/// A program, a command that shows that it works, and its Debian package.
pub struct Program {
    name: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
}

impl Program {
    /// Returns a program of a Debian package. With the arguments `probe` it succeeds and changes
    /// nothing.
    pub const fn new(
        name: &'static str,
        probe: &'static [&'static str],
        package: &'static str,
    ) -> Self {
        Self {
            name,
            probe,
            package,
        }
    }
}

impl Installer {
    /// Finds out whether packages can be installed. Installs nothing yet.
    pub fn new() -> Self {
        Self {
            allowed: is_root() && answers_to("apt-get", &["--version"]),
            updated: false,
        }
    }

    /// Installs a program if it is missing. The error tells the user how to install it.
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
            // An outdated list of packages may be enough.
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

/// Returns true if a command runs and succeeds. Its output is dropped.
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

/// Returns true if this process belongs to root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|process| process.uid() == 0)
}
