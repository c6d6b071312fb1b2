//! Finding a request in a text.

use zeroize::Zeroizing;

use crate::csr_error::{CSR_TEXT_BYTES_MAX, CsrError};
use crate::file_form::{FileForm, holds_private_key, is_private_base64};
use crate::pem::{Block, PemError, base64_bytes, decode_base64};

/// Most characters of a dump for each octet of a request: two digits, a colon, and its share of the
/// indentation and the line end. `openssl req -text` writes 15 octets after 20 spaces.
const DUMP_BYTES_PER_OCTET_MAX: usize = 5;

/// Finds the only request in `text` and returns its DER form.
///
/// The text is PEM, or Base64 of PEM or DER.
pub(crate) fn request_octets(text: &str) -> Result<Vec<u8>, CsrError> {
    let found = match in_pem(text) {
        Err(CsrError::NoPem) => in_base64(text),
        other => other,
    };
    let found = found.map_err(|error| match holds_private_key(text) {
        true => CsrError::PrivateKey,
        false => error,
    })?;
    if found.around > CSR_TEXT_BYTES_MAX {
        return Err(CsrError::TextAround {
            bytes: found.around,
        });
    }
    Ok(found.der)
}

struct Found {
    der: Vec<u8>,
    /// Length of the text and white space around and inside the request, in bytes.
    around: usize,
}

fn in_pem(text: &str) -> Result<Found, CsrError> {
    let block = Block::find(text).map_err(|error| match error {
        PemError::None => CsrError::NoPem,
        PemError::Several => CsrError::SeveralPemBlocks,
        PemError::PrivateKey => CsrError::PrivateKey,
        PemError::BeginCutOff => CsrError::malformed("its BEGIN line is cut off"),
        PemError::NoEnd => CsrError::malformed("it has no line -----END CERTIFICATE REQUEST-----"),
    })?;
    if !matches!(
        block.label,
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST"
    ) {
        return Err(CsrError::WrongPemLabel {
            label: block.shown_label(),
        });
    }
    // A key may follow without a BEGIN line.
    if is_private_base64(block.before) || is_private_base64(block.after) {
        return Err(CsrError::PrivateKey);
    }
    let der = block.decode().ok_or(CsrError::BadBase64)?;
    let around = text.len().saturating_sub(block.ordinary_bytes(der.len()));
    let dump = match around > CSR_TEXT_BYTES_MAX {
        true => dump_bytes(block.before).min(der.len() * DUMP_BYTES_PER_OCTET_MAX),
        false => 0,
    };
    Ok(Found {
        around: around - dump.min(around),
        der,
    })
}

fn in_base64(text: &str) -> Result<Found, CsrError> {
    let octets = decode_base64(text).ok_or(CsrError::NoPem)?;
    let octets = Zeroizing::new(octets);
    let around = text.len().saturating_sub(base64_bytes(octets.len()));
    match FileForm::of(&octets) {
        FileForm::Text(inside) => in_pem(&inside).map(|found| Found {
            around: found.around + around,
            ..found
        }),
        FileForm::Der(kind) if kind.is_private_key() => Err(CsrError::PrivateKey),
        FileForm::Der(kind) if kind.label() != "CERTIFICATE REQUEST" => {
            Err(CsrError::WrongPemLabel {
                label: kind.label().to_owned(),
            })
        }
        FileForm::Pkcs12 => Err(CsrError::PrivateKey),
        FileForm::Der(_) => Ok(Found {
            der: octets.to_vec(),
            around,
        }),
        FileForm::Unknown => Err(CsrError::NoPem),
    }
}

/// Returns the length of the lines that are octets in hexadecimal with colons: `openssl req -text`
/// and certtool write the key and the signature of a request so, more than 1 KiB for RSA.
fn dump_bytes(text: &str) -> usize {
    let is_dump = |line: &&str| {
        let octets = line.trim();
        let mut pairs = octets.trim_end_matches(':').split(':');
        let is_pair =
            |pair: &str| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        octets.contains(':') && pairs.all(is_pair)
    };
    text.split_inclusive('\n')
        .filter(is_dump)
        .map(str::len)
        .sum()
}
