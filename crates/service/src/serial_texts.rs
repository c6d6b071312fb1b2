//! Serial numbers as people and programs write them: nginx and OpenSSL in hexadecimal, Python and
//! Java in decimal.

use std::sync::Arc;

use certgate_model::{CertificateId, SerialNumber};

use crate::serials::SerialCipher;

/// The octets of a serial number, and so the most hexadecimal digits of one.
const SERIAL_OCTETS: usize = 20;

/// Reads serial numbers.
pub struct SerialTexts {
    pub(crate) serials: Arc<SerialCipher>,
}

impl SerialTexts {
    /// Returns the serial numbers that a text can mean, each with the ID that it leads to if
    /// certgate issued the certificate: one of hexadecimal digits, with or without colons, or of
    /// decimal digits. Digits without a letter can mean both. Returns [`None`] for any other text,
    /// and for numbers of more than 20 octets.
    pub fn read(&self, text: &str) -> Option<Vec<(SerialNumber, Option<CertificateId>)>> {
        let mut serials: Vec<SerialNumber> = [hexadecimal(text), decimal(text)]
            .into_iter()
            .flatten()
            .map(SerialNumber::from_bytes)
            .collect();
        serials.dedup();
        let with_id = |serial| (serial, self.id(serial));
        (!serials.is_empty()).then(|| serials.into_iter().map(with_id).collect())
    }

    /// Returns the ID in a serial number that has the form of certgate's.
    fn id(&self, serial: SerialNumber) -> Option<CertificateId> {
        if SerialNumber::from_random(*serial.as_bytes()) != serial {
            return None;
        }
        let id = self.serials.id(serial);
        (id.is_time_ordered() || CertificateId::named(*id.as_bytes()) == id).then_some(id)
    }
}

/// Reads hexadecimal digits. A text with colons has one or two digits between them.
fn hexadecimal(text: &str) -> Option<[u8; SERIAL_OCTETS]> {
    let digits: String = match text.contains(':') {
        false => text.to_owned(),
        true => {
            let octets = text.split(':').map(|octet| match octet.len() {
                1 => Some(format!("0{octet}")),
                2 => Some(octet.to_owned()),
                _ => None,
            });
            octets.collect::<Option<_>>()?
        }
    };
    if digits.is_empty() || digits.len() > 2 * SERIAL_OCTETS {
        return None;
    }
    certgate_model::read_hex(&format!("{digits:0>40}"))
}

/// Reads decimal digits.
fn decimal(text: &str) -> Option<[u8; SERIAL_OCTETS]> {
    let mut number = [0_u8; SERIAL_OCTETS];
    if text.is_empty() {
        return None;
    }
    for digit in text.chars() {
        let mut carry = digit.to_digit(10)?;
        for octet in number.iter_mut().rev() {
            carry += u32::from(*octet) * 10;
            *octet = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serials::SERIAL_KEY_BYTES;

    fn texts() -> SerialTexts {
        let serials = Arc::new(SerialCipher::new(&[1; SERIAL_KEY_BYTES]).unwrap());
        SerialTexts { serials }
    }

    fn read(text: &str) -> Vec<String> {
        let read = texts().read(text).unwrap_or_default();
        read.iter().map(|(serial, _)| serial.to_string()).collect()
    }

    fn padded(digits: &str) -> String {
        format!("{digits:0>40}")
    }

    #[test]
    fn hexadecimal_and_decimal_digits_are_read() {
        let full = "4e375af1389a069a0f921f8cc8e1eb12d784b949";
        assert_eq!(read(full), [full]);
        assert_eq!(read(&full.to_uppercase()), [full]);
        let with_colons: Vec<_> = (0..20).map(|at| &full[2 * at..2 * at + 2]).collect();
        assert_eq!(read(&with_colons.join(":")), [full]);
        assert_eq!(
            read("446535743299199468911920806548975346641872927049"),
            [full]
        );
        assert_eq!(read("a:1b"), [padded("a1b")]);
        assert_eq!(read("10"), [padded("10"), padded("a")]);
        assert_eq!(read("7"), [padded("7")]);
        // 2^160 - 1, and one more.
        let most = "1461501637330902918203684832716283019655932542975";
        assert_eq!(read(most), ["f".repeat(40)]);
        assert_eq!(
            read("1461501637330902918203684832716283019655932542976"),
            [""; 0]
        );
    }

    #[test]
    fn other_texts_are_not_serial_numbers() {
        let long = ["f".repeat(41), "0".repeat(1_000_000) + "g"];
        for text in [
            "", ":", "0x1f", "1f:", "1::2", "123:45", "-1", "+1", " 1", "१",
        ]
        .into_iter()
        .chain(long.iter().map(String::as_str))
        {
            assert_eq!(read(text), [""; 0], "{:.20}", text);
        }
    }

    #[test]
    fn only_serial_numbers_of_certgate_lead_to_an_id() {
        struct Ones;
        impl certgate_model::Random for Ones {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(1);
            }
        }
        let texts = texts();
        let now = certgate_model::Timestamp::from_unix(1_700_000_000);
        for id in [
            CertificateId::time_ordered(now, &Ones),
            CertificateId::named([9; 16]),
        ] {
            let serial = texts.serials.serial(id, &Ones);
            assert_eq!(
                texts.read(&serial.to_string()),
                Some(vec![(serial, Some(id))])
            );
        }
        let foreign = texts.read("0123").unwrap();
        assert!(foreign.iter().all(|(_, id)| id.is_none()), "{foreign:?}");
    }
}
