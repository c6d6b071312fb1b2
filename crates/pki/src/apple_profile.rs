//! Configuration profiles for Apple's devices: an identity and the certificates of its CAs.
//!
//! Apple's "Device Management" describes the keys. The profile has no password: Apple recommends to
//! omit it, because a profile hides its content from no reader. The device asks for it.

use base64ct::{Base64, Encoding as _};
use certgate_model::Hex;

use crate::digest::sha256;

/// Octets of a line of Base64, so that the lines have 76 characters.
const LINE_OCTETS: usize = 57;

/// The content of a profile.
pub struct AppleProfile<'a> {
    /// A text that no other profile has. Installed profiles with the same one are replaced.
    pub identifier: &'a str,
    /// The name that the device shows.
    pub name: &'a str,
    /// The organisation that the device shows.
    pub organization: &'a str,
    /// The key with its certificate.
    pub pkcs12: &'a [u8],
    /// The certificates (DER) of the CAs. The device does not trust them as CAs of web servers:
    /// their payloads are not those of root certificates.
    pub authorities: &'a [Vec<u8>],
}

impl AppleProfile<'_> {
    /// Writes the profile as a property list in XML.
    pub fn to_plist(&self) -> String {
        let mut out = String::from(concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" ",
            "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n",
            "<plist version=\"1.0\">\n<dict>\n",
            "<key>PayloadContent</key>\n<array>\n",
        ));
        self.write_payload(&mut out, "identity", "com.apple.security.pkcs12", |out| {
            string(out, "PayloadDisplayName", self.name);
            string(out, "PayloadCertificateFileName", "identity.p12");
            data(out, self.pkcs12);
            // Of macOS: programs can use the key, and not read it.
            out.push_str("<key>KeyIsExtractable</key>\n<false/>\n");
        });
        for (number, der) in self.authorities.iter().enumerate() {
            let part = format!("ca{number}");
            self.write_payload(&mut out, &part, "com.apple.security.pkcs1", |out| {
                string(out, "PayloadDisplayName", "CA of the certificate");
                string(out, "PayloadCertificateFileName", &format!("{part}.cer"));
                data(out, der);
            });
        }
        out.push_str("</array>\n");
        string(&mut out, "PayloadDisplayName", self.name);
        string(&mut out, "PayloadOrganization", self.organization);
        let description = "A client certificate, with which this device proves its identity";
        string(&mut out, "PayloadDescription", description);
        string(&mut out, "PayloadScope", "User");
        write_frame(&mut out, self.identifier, "Configuration");
        out.push_str("</dict>\n</plist>\n");
        out
    }

    fn write_payload(
        &self,
        out: &mut String,
        part: &str,
        kind: &str,
        content: impl FnOnce(&mut String),
    ) {
        out.push_str("<dict>\n");
        content(out);
        write_frame(out, &format!("{}.{part}", self.identifier), kind);
        out.push_str("</dict>\n");
    }
}

/// Writes the keys that each payload must have.
fn write_frame(out: &mut String, identifier: &str, kind: &str) {
    string(out, "PayloadType", kind);
    string(out, "PayloadIdentifier", identifier);
    string(out, "PayloadUUID", &uuid(identifier));
    out.push_str("<key>PayloadVersion</key>\n<integer>1</integer>\n");
}

/// Returns the UUID (RFC 9562 §5.8) of an identifier.
fn uuid(identifier: &str) -> String {
    let mut octets = sha256(identifier.as_bytes());
    octets[6] = octets[6] & 0x0f | 0x80;
    octets[8] = octets[8] & 0x3f | 0x80;
    let digits = Hex(&octets[..16]).to_string().to_uppercase();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

fn string(out: &mut String, key: &str, text: &str) {
    out.push_str(&format!("<key>{key}</key>\n<string>"));
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // XML 1.0 §2.2 has no other characters.
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                out.push(character);
            }
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    out.push_str("</string>\n");
}

fn data(out: &mut String, octets: &[u8]) {
    out.push_str("<key>PayloadContent</key>\n<data>\n");
    for line in octets.chunks(LINE_OCTETS) {
        out.push_str(&Base64::encode_string(line));
        out.push('\n');
    }
    out.push_str("</data>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_not_markup_and_have_only_characters_of_xml() {
        let profile = AppleProfile {
            identifier: "certgate.7",
            name: "</string><key>&amp;\u{0}\u{1b}\u{ffff}😀",
            organization: "]]>",
            pkcs12: &[0; 100],
            authorities: &[vec![1], vec![2]],
        };
        let text = profile.to_plist();
        assert_eq!(
            text.matches("&lt;/string&gt;&lt;key&gt;&amp;amp;\u{fffd}\u{fffd}\u{fffd}😀")
                .count(),
            2
        );
        assert!(text.contains("]]&gt;"));
        assert_eq!(
            text.matches("<string>").count(),
            text.matches("</string>").count()
        );
        assert!(text.lines().all(|line| line.len() <= 200));
    }

    #[test]
    fn uuids_are_those_of_their_identifiers() {
        let one = uuid("certgate.7");
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
        assert_eq!(one, uuid("certgate.7"));
        assert_ne!(one, uuid("certgate.8"));
    }
}
