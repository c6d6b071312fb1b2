//! `certgate init`: makes a data directory for automation.

use std::io::Write;

use anyhow::bail;
use certgate_service::FirstNames;
use serde_json::json;

use crate::cli::InitArgs;
use crate::config::InstallationConfig;
use crate::data_dir::DataDir;
use crate::log;

/// Makes the directory and prints the IDs and the token.
pub fn run(config: &InstallationConfig, arguments: InitArgs) -> anyhow::Result<()> {
    let directory = &config.storage.data_dir;
    let shown = directory.display();
    if let Ok(mut entries) = directory.read_dir()
        && entries.next().is_some()
        && !DataDir::has_database(directory)
    {
        bail!(
            "{shown} exists and is not empty; nothing was changed: name a new directory with \
             --data-dir"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let data_dir = runtime.block_on(DataDir::open(&config.storage))?;
    let names = FirstNames {
        email: arguments.email,
        account: arguments.account,
        zone: arguments.zone,
    };
    let made =
        runtime.block_on(data_dir.initialise(config, &names, &config.api_url(config.listen)));
    runtime.block_on(data_dir.store().close());
    let Some(made) = made? else {
        bail!(
            "{shown} is initialised already; nothing was changed: start it with certgate serve \
             --data-dir {shown}"
        );
    };
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let made = json!({
            "account_id": made.account_id.to_string(),
            "zone_id": made.zone_id.to_string(),
            "token": made.token.expose(),
        });
        writeln!(out, "{made}")?;
    } else {
        writeln!(out, "account_id {}", made.account_id)?;
        writeln!(out, "zone_id    {}", made.zone_id)?;
        writeln!(out, "token      {}", made.token.expose())?;
        let (url, path) = (config.api_url(config.listen), certgate_console::PATH);
        log::say(format_args!(
            "The token has every permission, and certgate does not show it again. Start with: \
             certgate serve --data-dir {shown}\n\
             Then open {url}{path} in a browser, and paste the token."
        ));
    }
    Ok(out.flush()?)
}
