//! `certgate check`: reads everything that is stored.

use certgate_store::SqliteInspector;

use crate::cli::Format;
use crate::client::Screen;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::Failure;

/// Prints what is wrong, a line each; fails if anything is.
pub fn run(config: &Config) -> Result<(), Failure> {
    let shown = config.data_dir.display();
    let database = DataDir::database(&config.data_dir);
    if !database.exists() {
        return Err(Failure::failed(format!("{shown} holds no certgate database")));
    }
    let inspector = SqliteInspector::open(&database).map_err(|error| Failure::failed(error.to_string()))?;
    let lines = inspector.check().map_err(|error| Failure::failed(error.to_string()))?;
    let mut screen = Screen::of_process(Format::Table);
    if lines.is_empty() {
        return screen.data(&format!("{shown}: everything is whole\n"));
    }
    screen.data(&format!("{}\n", lines.join("\n")))?;
    Err(Failure::failed(format!("{} things are wrong in {shown}: restore a backup", lines.len())))
}
