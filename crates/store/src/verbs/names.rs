//! Names of accounts and zones, and hostnames.

/// The most labels of a zone's name: a domain name has 253 octets (RFC 1035 §2.3.4).
const LABELS_MAX: usize = 127;

/// Returns the form in which names are compared.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Returns a folded domain name with its labels in reverse order.
pub(crate) fn reversed(name: &str) -> String {
    name.rsplit('.').collect::<Vec<_>>().join(".")
}

/// Returns the names above a folded domain name, the longest first.
pub(crate) fn above(name: &str) -> impl Iterator<Item = &str> {
    let dots = name.match_indices('.').take(LABELS_MAX);
    dots.map(|(at, dot)| &name[at + dot.len()..])
}
