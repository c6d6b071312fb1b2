use std::fmt;
use std::str::FromStr;

/// A type of subject attribute, by its object identifier in dotted form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectAttribute(String);

/// The error for a text that names no attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown attribute: use common_name, country, state, location, organization, \
     organizational_unit, email_address, serial_number, title, given_name, surname, user_id, \
     domain_component, or an object identifier such as 2.5.4.97"
)]
pub struct UnknownSubjectAttribute;

/// The names of common attributes (RFC 5280 §4.1.2.4, RFC 4519), and their object identifiers.
const NAMES: [(&str, &str); 13] = [
    ("common_name", "2.5.4.3"),
    ("country", "2.5.4.6"),
    ("state", "2.5.4.8"),
    ("location", "2.5.4.7"),
    ("organization", "2.5.4.10"),
    ("organizational_unit", "2.5.4.11"),
    ("email_address", "1.2.840.113549.1.9.1"),
    ("serial_number", "2.5.4.5"),
    ("title", "2.5.4.12"),
    ("given_name", "2.5.4.42"),
    ("surname", "2.5.4.4"),
    ("user_id", "0.9.2342.19200300.100.1.1"),
    ("domain_component", "0.9.2342.19200300.100.1.25"),
];

/// Longest object identifier, in characters. Those of attributes have about 30.
const OID_CHARS_MAX: usize = 100;

impl SubjectAttribute {
    /// The object identifier of the common name.
    pub const COMMON_NAME_OID: &'static str = "2.5.4.3";

    /// Returns the attribute with this object identifier in dotted form.
    pub fn of_oid(oid: String) -> Self {
        Self(oid)
    }

    /// The object identifier in dotted form.
    pub fn oid(&self) -> &str {
        &self.0
    }
}

/// Returns true if a subject can have an attribute with this object identifier, and if its arcs
/// have at most 128 bits: a rule of another one would never apply.
fn has_valid_arcs(text: &str) -> bool {
    let arcs: Result<Vec<u128>, _> = text.split('.').map(str::parse).collect();
    match arcs.as_deref() {
        Ok([0 | 1, second, ..]) => *second < 40,
        // The first two arcs are one number (X.690 §8.19.4).
        Ok([2, second, ..]) => second.checked_add(80).is_some(),
        _ => false,
    }
}

impl FromStr for SubjectAttribute {
    type Err = UnknownSubjectAttribute;

    fn from_str(text: &str) -> Result<Self, UnknownSubjectAttribute> {
        if let Some((_, oid)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self((*oid).to_owned()));
        }
        let is_arc = |arc: &str| {
            !arc.is_empty()
                && arc.bytes().all(|digit| digit.is_ascii_digit())
                && (arc == "0" || !arc.starts_with('0'))
        };
        let is_oid = text.len() <= OID_CHARS_MAX && text.split('.').all(is_arc);
        match is_oid && has_valid_arcs(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(UnknownSubjectAttribute),
        }
    }
}

/// Writes the name, or the object identifier of an attribute without one.
impl fmt::Display for SubjectAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES.iter().find(|(_, oid)| *oid == self.0);
        f.write_str(known.map_or(&self.0, |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_named_or_numbered() {
        for (name, oid) in NAMES {
            let by_name: SubjectAttribute = name.parse().unwrap();
            assert_eq!(oid.parse(), Ok(by_name.clone()));
            assert_eq!(by_name.to_string(), name);
        }
        assert_eq!(
            "2.5.4.97".parse::<SubjectAttribute>().unwrap().to_string(),
            "2.5.4.97"
        );
        let uuid = format!("2.25.{}", u128::MAX);
        assert_eq!(uuid.parse::<SubjectAttribute>().unwrap().to_string(), uuid);
        let larger = format!("{uuid}0");
        for bad in [
            "", "CN", "2", "2.", ".5", "2.05", "2.5.x", "2..5", "3.1", "1.40", &larger,
        ] {
            assert_eq!(
                bad.parse::<SubjectAttribute>(),
                Err(UnknownSubjectAttribute),
                "{bad}"
            );
        }
    }
}
