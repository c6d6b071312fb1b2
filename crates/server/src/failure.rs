//! The failures of the server's commands.

pub use certgate_client::Failure;

/// Reports an error with all its causes on one line.
pub fn with_causes(error: anyhow::Error) -> Failure {
    Failure::failed(format!("{error:#}"))
}
