//! `certgate renew`: the commands that it runs, and the signals that stop its daemon.

use certgate_client::{Context, RenewArgs};
use certgate_enforcement::follow::run_command;

use crate::failure::{self, Failure};
use crate::signals::StopSignals;

/// Renews once, or until SIGTERM or SIGINT.
pub fn run(arguments: &RenewArgs, context: &Context<'_>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("renew")
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let run = |command: &str| runtime.block_on(run_command(command));
    if !arguments.daemon {
        return certgate_client::renew(arguments, context, &run);
    }
    let mut stop = {
        let _entered = runtime.enter();
        StopSignals::handle().map_err(|error| failure::with_causes(error.into()))?
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(stop.recv());
            // A renewal that runs may be cut off at any instant: the next start completes it.
            std::process::exit(0);
        });
        let ended = certgate_client::renew(arguments, context, &run);
        // Only a daemon that cannot start comes here. The other thread waits for a signal.
        let failure = ended
            .err()
            .unwrap_or_else(|| Failure::failed("the daemon has ended"));
        failure.report();
        std::process::exit(failure.exit().status().into());
    })
}
