//! The files that a certificate becomes: their names, and writing them so that they are whole, on disk, and never
//! replace another.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Longest file name made of a common name, in bytes: file systems allow 255, and endings are added.
const NAME_BYTES_MAX: usize = 200;

/// What the temporary files begin with; a process that was killed may leave one.
const PARTIAL: &str = ".certgate-partial-";

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Its owner: 0600.
    Private,
    /// Everybody the umask allows.
    Public,
}

/// A file name for a common name: letters, digits, `.`, `-`, `_` and `@` stay, everything else becomes `_`; no leading
/// dot or hyphen (hidden files, and names that look like options).
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
    if name.is_empty() {
        "certificate".to_owned()
    } else {
        name
    }
}

/// Where to write: in a directory under the certificate's own name, or under the name the user chose. A directory is
/// what exists as one or has a slash at its end; it is made.
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

/// Makes a directory and those above it.
pub fn make_directory(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| {
        Failure::io(
            format!("cannot make the directory {}", directory.display()),
            &error,
        )
    })
}

/// The file with this ending. Unlike [`Path::with_extension`] it keeps what is behind a dot in `device.7`.
pub fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Writes a new file in a single step: it appears whole and on disk, or not at all, and never replaces another. A
/// private one is nobody else's to read at any instant.
pub fn write_new(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), Failure> {
    let written = write_new_at(path, content, secrecy);
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::failed(format!("{} exists already", path.display()))
            .hint("certgate replaces no file: move it away, or choose another place with --out"),
        _ => Failure::io(format!("cannot write {}", path.display()), &error),
    })
}

fn write_new_at(path: &Path, content: &[u8], secrecy: Secrecy) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mode = match secrecy {
        Secrecy::Private => 0o600,
        Secrecy::Public => 0o644,
    };
    let mut file = tempfile::Builder::new()
        .prefix(PARTIAL)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

/// Removes the temporary files that killed processes left in `directory`. Only whoever holds the lock on the directory's
/// journal may do this.
pub fn remove_partial(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PARTIAL.as_bytes())
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Longest file with a certificate or a key that is read; the server accepts 16 KiB of each and says so itself.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// What is to be sent of a file with certificates (- is standard input). Whoever mistook the file with the key for it must
/// not send that away.
pub fn read_public(path: &Path) -> Result<String, Failure> {
    let text = read_secret(path)?;
    if text.contains("PRIVATE KEY-----") {
        return Err(Failure::usage(format!(
            "{} holds a private key: nothing was sent",
            path.display()
        ))
        .hint("name the file with the certificate alone, and the key's with --key"));
    }
    Ok(text.as_str().to_owned())
}

/// What is to be sent of a file with a private key (- is standard input); wiped from memory when dropped.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = match path.to_str() {
        Some("-") => io::stdin().take(PEM_BYTES_MAX).read_to_string(&mut text),
        _ => File::open(path).and_then(|file| file.take(PEM_BYTES_MAX).read_to_string(&mut text)),
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(Failure::usage(format!(
            "{} is not a PEM file",
            path.display()
        ))
        .hint("convert it with openssl x509 -inform DER, or openssl pkey -inform DER")),
        Err(error) => Err(Failure::usage(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

/// The certificates in PEM from the server with a line feed at their end, when they are that and nothing else.
pub fn chain_pem(text: &str) -> Result<String, Failure> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut chain = String::new();
    for part in text.trim().split_inclusive(END) {
        chain.push_str(&certificate_pem(part.trim_start())?);
    }
    match chain.is_empty() {
        true => Err(Failure::failed(
            "the server's answer is not understood: it has no certificate",
        )),
        false => Ok(chain),
    }
}

/// The PEM from the server with a line feed at its end, when it is one certificate and nothing else.
pub fn certificate_pem(text: &str) -> Result<String, Failure> {
    certificate_der(text)?;
    Ok(format!("{}\n", text.trim_end()))
}

/// The certificate in `text`, which is one certificate in PEM form and nothing else.
pub fn certificate_der(text: &str) -> Result<CertificateDer<'static>, Failure> {
    let broken = || {
        Failure::failed(
            "the server's answer is not understood: its certificate is not one PEM block",
        )
    };
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
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn common_names_become_file_names_that_stay_where_they_are() {
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
    fn files_are_private_whole_and_never_replaced() {
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
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".certgate-partial-x1"), b"half").unwrap();
        std::fs::write(directory.path().join("alice.key"), b"whole").unwrap();
        remove_partial(directory.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["alice.key"]);
    }

    #[test]
    fn out_is_a_directory_or_a_beginning() {
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
    fn only_one_certificate_and_nothing_else_is_written() {
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
        assert_eq!(chain_pem(&twice).unwrap(), format!("{good}\n{good}\n"));
        for bad in [
            "",
            &*format!("{good}x"),
            &*format!("{good}{}", good.replace("AAAA", "\u{1b}[2J")),
        ] {
            assert!(chain_pem(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_not_taken_for_a_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        std::fs::write(&file, key).unwrap();
        let refused = read_public(&file).unwrap_err().to_string();
        assert!(
            refused.contains("holds a private key") && !refused.contains("AAAA"),
            "{refused}"
        );
        assert_eq!(read_secret(&file).unwrap().as_str(), key);
        std::fs::write(&file, b"\x30\x82\xff").unwrap();
        assert!(
            read_public(&file)
                .unwrap_err()
                .to_string()
                .contains("not a PEM file")
        );
        assert!(read_public(&directory.path().join("none")).is_err());
    }
}
