//! Files with a limit of their size.

use std::fs::File;
use std::io::{self, Read};

use zeroize::Zeroizing;

/// Reads a file of at most `bytes_max` bytes. Its content may be a secret.
pub fn read(file: File, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    let read = file.take(bytes_max + 1).read_to_end(&mut content)?;
    if read as u64 > bytes_max {
        let complaint = format!("it is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, complaint));
    }
    Ok(content)
}

/// Reads a text file of at most `bytes_max` bytes. Its content may be a secret.
pub fn read_text(file: File, bytes_max: u64) -> io::Result<Zeroizing<String>> {
    let mut content = read(file, bytes_max)?;
    match String::from_utf8(std::mem::take(&mut *content)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not UTF-8",
            ))
        }
    }
}
