//! `certgate check`: reads everything that is stored.

use certgate_client::{Format, Screen};

use crate::config::DatabaseConfig;
use crate::failure::Failure;
use crate::inspector::Inspector;

/// Prints what is wrong, a line each; fails if anything is.
pub fn run(config: &DatabaseConfig) -> Result<(), Failure> {
    let (inspector, shown) = Inspector::configured(config)?;
    let lines = inspector
        .check()
        .map_err(|error| Failure::failed(error.to_string()))?;
    let mut screen = Screen::of_process(Format::Table);
    if lines.is_empty() {
        return screen.data(&format!("{shown}: everything is whole\n"));
    }
    screen.data(&format!("{}\n", lines.join("\n")))?;
    Err(Failure::failed(format!(
        "{} things are wrong in {shown}: restore a backup",
        lines.len()
    )))
}
