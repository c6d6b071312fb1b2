use certgate_pki::{CSR_BYTES_MAX, CsrError, read_csr};

use super::given::{self, ISSUER};
use super::message;

/// Reads a certificate signing request, PEM or DER.
pub fn csr(input: &[u8]) {
    let Some(text) = given::text("CERTIFICATE REQUEST", input) else {
        return;
    };
    let csr = match read_csr(&text) {
        Ok(csr) => csr,
        Err(error) => return message::check(&text, &error),
    };

    let other_line_ends = text.replace('\n', "\r\n");
    let again = read_csr(&other_line_ends);
    // They lengthen the text around the request, which is limited.
    if other_line_ends.len() <= CSR_BYTES_MAX && !matches!(again, Err(CsrError::TextAround { .. }))
    {
        let again = again.expect("line ends do not matter");
        assert_eq!(again.subject_der(), csr.subject_der());
        assert_eq!(again.spki_der(), csr.spki_der());
        assert_eq!((again.subject(), again.ski()), (csr.subject(), csr.ski()));
    }
    given::issue(&ISSUER, &csr);
}
