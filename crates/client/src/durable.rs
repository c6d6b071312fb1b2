//! Writing a file in one step: it appears complete and durable, or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

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
    let directory = directory_of(path);
    // The error about a temporary file would name that one.
    directory.metadata()?;
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

/// The mode and the owners of a file or directory, for a new one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    mode: u32,
    owner: u32,
    group: u32,
}

impl Access {
    /// Reads those of `path`, or of the file that a link leads to.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self {
            mode: found.permissions().mode() & 0o7777,
            owner: found.uid(),
            group: found.gid(),
        })
    }

    /// Those of a directory inside a directory with these: the same readers, and one writer.
    pub fn of_directory_inside(self) -> Self {
        Self {
            mode: self.mode & 0o755 | 0o700,
            ..self
        }
    }

    /// Those of a file without secrets inside a directory with these.
    pub fn of_file_inside(self) -> Self {
        Self {
            mode: self.mode & 0o044 | 0o600,
            ..self
        }
    }

    fn apply(self, file: &File) -> io::Result<()> {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (self.owner, self.group) {
            fchown(file, Some(self.owner), Some(self.group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }
}

/// Writes a file with this mode and these owners, or replaces it in one step. Its temporary file is
/// in `directory`, which is in the same file system. A user that the mode excludes cannot read the
/// file at any instant.
pub fn write_as(path: &Path, directory: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(PARTIAL)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    file.write_all(content)?;
    access.apply(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync(directory_of(path))
}

/// Opens a file to lock it. A new one has this mode and these owners.
pub fn open_lock(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let file = options.create(true).truncate(false).open(path)?;
    access.apply(&file)?;
    Ok(file)
}

/// Makes a directory with this mode and these owners, unless it exists.
pub fn make_directory_as(path: &Path, access: Access) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    access.apply(&File::open(path)?)?;
    sync(directory_of(path))
}

/// Makes a link at `path`, in one step also if something is there.
pub fn write_link(path: &Path, target: &Path) -> io::Result<()> {
    let partial = partial_link(path);
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(target, &partial)?;
    std::fs::rename(&partial, path)?;
    sync(directory_of(path))
}

/// The temporary name of a link. A killed process may leave it.
pub fn partial_link(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(PARTIAL);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

/// Makes the names in a directory durable.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
