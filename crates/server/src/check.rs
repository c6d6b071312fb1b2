//! `certgate check`: reads everything that is stored.

use certgate_store::{ReadStore, Store};

use crate::cli::Format;
use crate::client::Screen;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::Failure;

/// Prints what is wrong, a line each; fails if anything is.
pub fn run(config: &Config) -> Result<(), Failure> {
    let shown = config.data_dir.display();
    if !DataDir::has_database(&config.data_dir) {
        return Err(Failure::failed(format!("{shown} holds no certgate database")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start", &error))?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let store = data_dir.store();
    let lines = runtime.block_on(async {
        let lines = store.check().await;
        store.close().await;
        lines
    });
    let lines = lines.map_err(|error| Failure::failed(error.to_string()))?;
    let mut screen = Screen::of_process(Format::Table);
    if lines.is_empty() {
        return screen.data(&format!("{shown}: everything is whole\n"));
    }
    screen.data(&format!("{}\n", lines.join("\n")))?;
    Err(Failure::failed(format!("{} things are wrong in {shown}: restore a backup", lines.len())))
}
