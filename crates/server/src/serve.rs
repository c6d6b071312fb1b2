//! Runs the server.
use crate::config::Config;

/// Placeholder until the wiring is merged.
pub fn run(config: Config) -> anyhow::Result<()> {
    anyhow::bail!("{config:?}")
}
