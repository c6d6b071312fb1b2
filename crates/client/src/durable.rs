//! Writing a file in one step: it appears complete and durable, or not at all.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The prefix of temporary files. A killed process may leave one.
pub const PARTIAL: &str = ".certgate-partial-";

/// The fate of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the new file is not written: an error of the kind `AlreadyExists`.
    Kept,
    /// The new file replaces it.
    Replaced,
}

/// Writes the parts of a file with this mode (less the umask), and makes its name durable. A user
/// that the mode excludes cannot read the file at any instant.
pub fn write_file(path: &Path, parts: &[&[u8]], mode: u32, existing: Existing) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(PARTIAL)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    let persisted = match existing {
        Existing::Kept => file.persist_noclobber(path),
        Existing::Replaced => file.persist(path),
    };
    persisted.map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}
