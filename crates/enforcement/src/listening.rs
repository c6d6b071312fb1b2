//! The remedy for an address that a process cannot listen on.

use std::io::{Error, ErrorKind};

/// Returns what the operator can do about the error of the system. The text continues a sentence.
/// `choose` says how to choose another address.
pub fn listen_remedy(error: &Error, choose: &str) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("stop the program that listens there, or {choose}"),
        ErrorKind::PermissionDenied => format!(
            "this user may not listen there: ports below 1024 need the capability \
             CAP_NET_BIND_SERVICE (AmbientCapabilities in systemd), or {choose}"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("this machine does not have the address (`ip address` lists them): {choose}")
        }
        ErrorKind::NotFound => format!("create its directory, or {choose}"),
        _ => choose.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_remedy() {
        let remedy = |kind: ErrorKind| listen_remedy(&kind.into(), "choose another");
        assert!(remedy(ErrorKind::AddrInUse).starts_with("stop the program that listens there"));
        assert!(remedy(ErrorKind::AddrNotAvailable).contains("does not have the address"));
        let denied = remedy(ErrorKind::PermissionDenied);
        assert!(denied.contains("CAP_NET_BIND_SERVICE") && !denied.contains("stop"));
        assert_eq!(remedy(ErrorKind::Other), "choose another");
    }
}
