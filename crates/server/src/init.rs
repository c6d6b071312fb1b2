//! Makes a data directory.
use crate::cli::InitArgs;
use crate::config::Config;

/// Placeholder until the wiring is merged.
pub fn run(config: &Config, arguments: InitArgs) -> anyhow::Result<()> {
    anyhow::bail!("{arguments:?} {config:?}")
}
