//! The failures of the server's commands.

use std::path::Path;

pub use certgate_client::Failure;

use certgate_store::{OpenError, PostgresError};

use crate::config::ConfigError;

/// Reports an error with all its causes on one line.
pub fn with_causes(error: anyhow::Error) -> Failure {
    let text = format!("{error:#}");
    let is_wrong_configuration = error.downcast_ref::<ConfigError>().is_some();
    let names_wrong_database = error.downcast_ref().is_some_and(is_of_development)
        || error.downcast_ref().is_some_and(is_postgres_of_development);
    match names_wrong_database || is_wrong_configuration {
        true => Failure::usage(text),
        false => Failure::failed(text),
    }
}

/// Reports that an embedded database cannot be opened.
pub fn cannot_open(error: &OpenError) -> Failure {
    match is_of_development(error) {
        true => Failure::usage(error.to_string()),
        false => Failure::failed(error.to_string()),
    }
}

/// Reports that a PostgreSQL database cannot be used.
pub fn cannot_use(error: &PostgresError) -> Failure {
    match is_postgres_of_development(error) {
        true => Failure::usage(error.to_string()),
        false => Failure::failed(error.to_string()),
    }
}

/// Reports a directory without a database.
pub fn no_database(directory: &Path) -> Failure {
    Failure::failed(format!(
        "{} holds no certgate database",
        directory.display()
    ))
    .hint("name the data directory with --data-dir")
}

/// No release can read such a database, so the configuration names the wrong one.
fn is_of_development(error: &OpenError) -> bool {
    matches!(error, OpenError::DevelopmentVersion { .. })
}

fn is_postgres_of_development(error: &PostgresError) -> bool {
    matches!(error, PostgresError::DevelopmentVersion)
}
