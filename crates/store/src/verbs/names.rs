//! Names of accounts and zones, and hostnames.

/// Returns the form in which names are compared.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}
