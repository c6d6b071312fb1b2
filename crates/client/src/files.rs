//! The files of a certificate: their names, reading them, and writing them complete, durable and
//! without replacing another file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use certgate_pki::FileError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::durable::{Existing, PARTIAL, write_file};
use crate::failure::Failure;

/// The longest file name made of a common name, in bytes: file systems allow 255, and certgate adds
/// an ending.
const NAME_BYTES_MAX: usize = 200;

/// The longest PEM file that the client reads, in bytes: in JSON, it fits into the longest body
/// that the server accepts.
const PEM_BYTES_MAX: u64 = 60 << 10;

/// The largest file with certificates to adopt, in bytes: some ten thousand of them.
const CERTIFICATES_BYTES_MAX: u64 = 64 << 20;

/// The readers of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Only its owner: 0600.
    Private,
    /// Every user that the umask allows.
    Public,
}

/// Makes a file name of a common name: letters, digits, `.`, `-`, `_` and `@` stay, other
/// characters become `_`. It has no leading dot or hyphen (hidden files, and names that look like
/// options).
pub fn safe_name(common_name: &str) -> String {
    let kept = |letter: char| letter.is_alphanumeric() || ".-_@".contains(letter);
    let mut name: String = common_name
        .trim()
        .chars()
        .map(|letter| if kept(letter) { letter } else { '_' })
        .collect();
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    let mut end = NAME_BYTES_MAX.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    match name.is_empty() {
        true => "certificate".to_owned(),
        false => name,
    }
}

/// Returns the path of new files without an ending: `name` in the directory `out`, or `out` itself
/// if it is not a directory. A directory is an existing one, or a path with a slash at its end,
/// which is created.
pub fn stem(out: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let Some(out) = out else {
        return Ok(PathBuf::from(name));
    };
    if out.is_dir() || out.as_os_str().as_encoded_bytes().ends_with(b"/") {
        make_directory(out)?;
        return Ok(out.join(name));
    }
    Ok(out.to_owned())
}

/// Creates a directory and its parents.
pub fn make_directory(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| {
        let shown = directory.display();
        Failure::io(format!("cannot create the directory {shown}"), &error)
    })
}

/// Appends an ending. Unlike [`Path::with_extension`] it keeps the `7` of `device.7`.
pub fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Writes a new file in one step: it appears complete and durable, or not at all, and never
/// replaces another. Other users cannot read a private file at any instant.
pub fn write_new(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), Failure> {
    let mode = match secrecy {
        Secrecy::Private => 0o600,
        Secrecy::Public => 0o644,
    };
    let written = write_file(path, &[content], mode, Existing::Kept);
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists_already(path),
        _ => Failure::io(format!("cannot write {}", path.display()), &error),
    })
}

/// The refusal to replace a file.
pub fn exists_already(path: &Path) -> Failure {
    Failure::failed(format!("{} exists already", path.display()))
        .hint("certgate replaces no file: move it away, or choose another place with --out")
}

/// Removes the temporary files that killed processes left in `directory`. The caller must hold the
/// lock of the directory's progress file.
pub fn remove_partial(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(PARTIAL.as_bytes()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file. A missing file is not an error.
pub fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let shown = path.display();
            Err(Failure::io(format!("cannot remove {shown}"), &error))
        }
        _ => Ok(()),
    }
}

/// Reads a text file of at most `bytes_max` (- is standard input). `Drop` wipes the text from
/// memory.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<Zeroizing<String>> {
    let mut octets = read_octets(path, bytes_max)?;
    match String::from_utf8(std::mem::take(&mut *octets)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            octets = Zeroizing::new(error.into_bytes());
            drop(octets);
            Err(ErrorKind::InvalidData.into())
        }
    }
}

fn read_octets(path: &Path, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    match path.to_str() {
        Some("-") => read_at_most(io::stdin(), bytes_max),
        _ => read_at_most(File::open(path)?, bytes_max),
    }
}

/// Reads everything, unless it is longer than `bytes_max`. `Drop` wipes it from memory.
pub fn read_at_most(source: impl Read, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::new());
    source.take(bytes_max + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > bytes_max {
        let problem = format!("it has more than {bytes_max} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(octets)
}

/// Reads a file to send (- is standard input), as PEM. It refuses a private key in any form, so
/// that a mistaken file name does not send one. `remedy` is the hint of that failure.
pub fn read_public(path: &Path, remedy: &str) -> Result<String, Failure> {
    let text = read_secret(path)?;
    if certgate_pki::holds_private_key(&text) {
        let shown = path.display();
        return Err(
            Failure::usage(format!("{shown} holds a private key: nothing was sent")).hint(remedy),
        );
    }
    Ok(text.as_str().to_owned())
}

/// Reads a file with certificates to send (- is standard input), as PEM. It refuses a private key
/// in any form.
pub fn read_certificates(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let octets = read_octets(path, CERTIFICATES_BYTES_MAX)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let text = certgate_pki::pem_of_file(&octets)
        .map_err(|error| Failure::usage(format!("cannot use {shown}: {error}")))?;
    match certgate_pki::holds_private_key(&text) {
        false => Ok(text.as_str().to_owned()),
        true => Err(
            Failure::usage(format!("{shown} holds a private key: nothing was sent"))
                .hint("name files with certificates only"),
        ),
    }
}

/// Reads a file with a private key (- is standard input): text in UTF-8 or UTF-16, or DER, which
/// becomes PEM. `Drop` wipes it from memory.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = path.display();
    let octets = read_octets(path, PEM_BYTES_MAX)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    certgate_pki::pem_of_file(&octets).map_err(|error| {
        let hint = match error {
            FileError::Pkcs12 => {
                "take the parts out of it: openssl pkcs12 -in FILE -nokeys -out ca.pem, and \
                 openssl pkcs12 -in FILE -nocerts -nodes -out ca.key"
            }
            FileError::Unknown => "give a file with lines such as -----BEGIN CERTIFICATE-----",
        };
        Failure::usage(format!("cannot use {shown}: {error}")).hint(hint)
    })
}

/// Checks that a text from the server is one certificate in PEM form and nothing else, and ends it
/// with a line feed.
pub fn certificate_pem(text: &str) -> Result<String, Failure> {
    certificate_der(text)?;
    Ok(format!("{}\n", text.trim_end()))
}

/// Returns the certificate in `text`, which must be one certificate in PEM form and nothing else.
pub fn certificate_der(text: &str) -> Result<CertificateDer<'static>, Failure> {
    let broken = || Failure::not_understood("its certificate is not one PEM block");
    let plain = text.trim().starts_with("-----BEGIN CERTIFICATE-----")
        && text.trim().ends_with("-----END CERTIFICATE-----")
        && text.matches("-----BEGIN").count() == 1
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || b" \r\n".contains(&byte));
    if !plain {
        return Err(broken());
    }
    CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_and_not_cut() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("long.csr");
        let most = usize::try_from(PEM_BYTES_MAX).unwrap();
        std::fs::write(&file, vec![b'a'; most + 1]).unwrap();
        let refused = read_public(&file, "").unwrap_err().to_string();
        assert!(
            refused.ends_with("it has more than 61440 bytes"),
            "{refused}"
        );
        std::fs::write(&file, vec![b'a'; most]).unwrap();
        assert_eq!(read_public(&file, "").unwrap().len(), most);
        let endless = std::io::repeat(b'a');
        let refused = read_at_most(endless, 3).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn common_names_become_file_names_inside_the_directory() {
        for (common_name, name) in [
            ("alice", "alice"),
            (" alice@example.com ", "alice@example.com"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("..", "_."),
            (".", "_"),
            (".ssh", "_ssh"),
            ("-rf", "_rf"),
            ("a/b\\c:d\0e\nf", "a_b_c_d_e_f"),
            ("Zoë 1.2", "Zoë_1.2"),
            ("", "certificate"),
        ] {
            assert_eq!(safe_name(common_name), name, "{common_name:?}");
        }
        let long = safe_name(&"ä".repeat(300));
        assert_eq!((long.len(), long.chars().count()), (200, 100));
    }

    #[test]
    fn files_are_private_complete_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let key = with_ending(&directory.path().join("device.7"), "key");
        assert!(key.ends_with("device.7.key"));
        write_new(&key, b"one", Secrecy::Private).unwrap();
        assert_eq!(mode(&key), 0o600);
        let again = write_new(&key, b"two", Secrecy::Private).unwrap_err();
        assert!(again.to_string().contains("exists already"), "{again}");
        assert_eq!(std::fs::read(&key).unwrap(), b"one");
        let certificate = directory.path().join("device.7.crt");
        write_new(&certificate, b"c", Secrecy::Public).unwrap();
        assert_eq!(mode(&certificate) & 0o600, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn only_the_files_of_a_killed_process_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".certgate-partial-x1"), b"half").unwrap();
        std::fs::write(directory.path().join("alice.key"), b"complete").unwrap();
        remove_partial(directory.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["alice.key"]);
    }

    #[test]
    fn out_is_a_directory_or_the_beginning_of_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let new = format!("{}/new/", directory.path().display());
        assert_eq!(
            stem(Some(Path::new(&new)), "a").unwrap(),
            Path::new(&new).join("a")
        );
        assert!(Path::new(&new).is_dir());
        assert_eq!(
            stem(Some(directory.path()), "a").unwrap(),
            directory.path().join("a")
        );
        assert_eq!(
            stem(Some(Path::new("x/laptop")), "a").unwrap(),
            Path::new("x/laptop")
        );
        assert_eq!(stem(None, "a").unwrap(), Path::new("a"));
    }

    #[test]
    fn only_certificates_are_written() {
        let good = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        assert_eq!(certificate_pem(good).unwrap(), format!("{good}\n"));
        let twice = format!("{good}\n{good}");
        for bad in [
            "",
            "AAAA",
            &good.replace("AAAA", "\u{1b}[2J"),
            &good.replace("CERTIFICATE", "PRIVATE KEY"),
            &twice,
        ] {
            assert!(certificate_pem(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_private_key_is_not_accepted_as_a_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        std::fs::write(&file, key).unwrap();
        let refused = read_public(&file, "").unwrap_err().to_string();
        assert!(
            refused.contains("holds a private key") && !refused.contains("AAAA"),
            "{refused}"
        );
        assert_eq!(read_secret(&file).unwrap().as_str(), key);
        std::fs::write(&file, b"\x30\x82\xff").unwrap();
        let refused = read_public(&file, "").unwrap_err().to_string();
        assert!(refused.contains("neither PEM nor"), "{refused}");
        assert!(read_public(&directory.path().join("none"), "").is_err());
    }
}
