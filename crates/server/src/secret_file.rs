//! Files and directories that other users must not read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::config::ConfigError;
use crate::limited;

/// Reads a file with a secret, unless other users may read it as well. `what` names the file in
/// messages, and `remedy` is for a file that cannot be read.
pub fn read(
    path: &Path,
    what: &str,
    remedy: &str,
    bytes_max: u64,
) -> Result<Zeroizing<String>, ConfigError> {
    let shown = path.display();
    let failed = |error: io::Error| {
        ConfigError::new(format!("cannot read the {what} {shown}{remedy}: {error}"))
    };
    let file = File::open(path).map_err(failed)?;
    // systemd and Kubernetes provide files of root that the group, or a user of an ACL, can read.
    refuse_others(&file.metadata().map_err(failed)?, 0o037)
        .map_err(|mode| others_may_read(what, path, mode, "600"))?;
    limited::read_text(file, bytes_max).map_err(failed)
}

/// Refuses a directory that other users may enter or list.
pub fn check_directory(path: &Path, what: &str) -> Result<(), ConfigError> {
    let failed = |error: io::Error| {
        ConfigError::new(format!(
            "cannot look at the {what} {}: {error}",
            path.display()
        ))
    };
    // Kubernetes provides volumes of root that the group can write.
    refuse_others(&path.metadata().map_err(failed)?, 0o007)
        .map_err(|mode| others_may_read(what, path, mode, "700"))
}

/// Returns the mode if it has rights for others. `of_root` are those bits that count if root owns
/// the file, and for a directory only if this process is not root: root has chosen the group.
fn refuse_others(file: &Metadata, of_root: u32) -> Result<(), u32> {
    let is_of_root = file.uid() == 0 && (!rustix::process::geteuid().is_root() || file.is_file());
    let others = if is_of_root { of_root } else { 0o077 };
    match file.mode() & others {
        0 => Ok(()),
        _ => Err(file.mode() & 0o777),
    }
}

fn others_may_read(what: &str, path: &Path, mode: u32, wanted: &str) -> ConfigError {
    let shown = path.display();
    ConfigError::new(format!(
        "other users may read the {what} {shown} (mode {mode:o}): chmod {wanted} {shown}"
    ))
}
