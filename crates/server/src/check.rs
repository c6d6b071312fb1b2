//! `certgate check`: checks everything in the database.

use certgate_client::{Format, Screen};

use crate::config::DatabaseConfig;
use crate::failure::Failure;
use crate::inspector::Inspector;

/// Prints each problem on a line. Fails if there is one.
pub fn run(config: &DatabaseConfig) -> Result<(), Failure> {
    let (inspector, shown) = Inspector::configured(config)?;
    let lines = inspector
        .check()
        .map_err(|error| Failure::failed(error.to_string()))?;
    let mut screen = Screen::of_process(Format::Table);
    if lines.is_empty() {
        return screen.data(&format!("{shown}: no problems found\n"));
    }
    screen.data(&format!("{}\n", lines.join("\n")))?;
    Err(Failure::failed(format!("{shown} has {} problems", lines.len())).hint("restore a backup"))
}
