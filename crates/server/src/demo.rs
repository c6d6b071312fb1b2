//! `certgate demo`: the whole story in a temporary directory, with real servers.

mod request;
mod stage;

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use certgate_client::profile;
use certgate_client::{Format, Screen, server_identity};
use tokio::net::TcpListener;

use self::request::{Answer, Laptop};
use self::stage::{Stage, WAIT_MAX, pause, told};
use crate::failure::{self, Failure};
use crate::signals::StopSignals;
use crate::system::SystemRandom;

/// The name of the service.
const HOSTNAME: &str = "hello.example.com";

/// The pause between two requests while a change takes effect.
const ASK_INTERVAL: Duration = Duration::from_millis(10);

/// Plays the story. `pause` is the time to read each step.
pub fn run(pause: Duration) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let screen = Screen::of_process(Format::Table);
    let played = runtime.block_on(async {
        let mut stop = StopSignals::handle()?;
        let mut stage = Stage::new(screen, pause)?;
        let played = tokio::select! {
            played = play(&mut stage) => played,
            () = stop.recv() => Err(anyhow::anyhow!("stopped")),
        };
        let played = played.map_err(|error| stage.with_logs(error));
        stage.clear().await?;
        played
    });
    played.map_err(failure::with_causes)
}

async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let place = stage.directory().display().to_string();
    stage.say(&format!(
        "The demo runs in {place},\nwith real servers on free ports of this machine. It removes \
         everything at its end."
    ))?;

    stage
        .step("1. Start the server. It makes a CA, a zone and a token.")
        .await?;
    let line = "certgate serve --listen 127.0.0.1:0 --public-listen 127.0.0.1:0";
    stage.start(line, "serve.log", 2).await?;

    stage
        .step("2. Issue a certificate for a laptop. Its key stays on the laptop.")
        .await?;
    stage.run("certgate cert issue --cn laptop").await?;

    stage
        .step("3. Put the gateway in front of a service that says hello.")
        .await?;
    stage.run(&format!("certgate host add {HOSTNAME}")).await?;
    let line = "certgate token create gateway --role proxy > gateway.token";
    stage.run(line).await?;
    let service = TcpListener::bind("127.0.0.1:0").await?;
    write_configuration(stage, service.local_addr()?.port())?;
    let hello = Router::new().route("/", get(|| async { "hello\n" }));
    let serving = tokio::spawn(async move { axum::serve(service, hello).await });
    let line = "certgate gateway --config gateway.toml";
    let printed = stage.start(line, "gateway.log", 1).await?;
    let laptop = Laptop::new(stage.directory(), HOSTNAME, &printed)?;

    stage
        .step("4. The laptop asks the service. The demo itself sends what curl would.")
        .await?;
    stage.command(&laptop.as_curl())?;
    // The gateway admits clients after it has read the revocations.
    let answer = until(&laptop, Answer::is_hello).await?;
    stage.output(&answer.to_string())?;

    stage
        .step("5. The laptop is stolen. Revoke its certificate.")
        .await?;
    let begun = now();
    stage.run("certgate cert revoke laptop").await?;
    let answer = until(&laptop, |answer| !answer.is_hello()).await?;
    let took = begun.elapsed().as_secs_f64();
    stage.command(&laptop.as_curl())?;
    stage.output(&answer.to_string())?;
    stage.say(&format!("   Refused {took:.2} s after the command began."))?;

    stage
        .step("6. The laptop is found. Restore its certificate.")
        .await?;
    let begun = now();
    stage.run("certgate cert restore laptop").await?;
    let answer = until(&laptop, Answer::is_hello).await?;
    let took = begun.elapsed().as_secs_f64();
    stage.command(&laptop.as_curl())?;
    stage.output(&answer.to_string())?;
    stage.say(&format!("   Admitted {took:.2} s after the command began."))?;

    stage.step("7. The audit log knows who did it.").await?;
    stage.run("certgate cert history laptop").await?;
    serving.abort();
    stage.say("\nThe demo is over, and its servers and files are gone. Your turn: certgate serve")
}

/// Writes the files of the gateway, and shows its configuration.
fn write_configuration(stage: &mut Stage, port: u16) -> anyhow::Result<()> {
    let (certificate, key) = server_identity(HOSTNAME, &SystemRandom).map_err(told)?;
    stage.write("server.crt", &certificate)?;
    stage.write("server.key", &key)?;
    let local = profile::read(&stage.directory().join("certgate-data"))?;
    let local = local.ok_or_else(|| anyhow::anyhow!("the server has no profile"))?;
    let configuration = format!(
        "api = \"{}\"\n\
         token_file = \"gateway.token\"\n\
         account = \"{}\"\n\
         name = \"demo\"\n\
         state_dir = \"state\"\n\
         listen = [\"127.0.0.1:0\"]\n\n\
         [[host]]\n\
         name = \"{HOSTNAME}\"\n\
         certificate = \"server.crt\"\n\
         key = \"server.key\"\n\
         upstreams = [\"http://127.0.0.1:{port}\"]\n",
        local.api, local.account_id
    );
    std::fs::create_dir(stage.directory().join("state"))?;
    stage.write("gateway.toml", &configuration)?;
    stage.command("cat gateway.toml")?;
    stage.output(&configuration)
}

/// Sends requests until an answer is as wanted.
async fn until(laptop: &Laptop, wanted: impl Fn(&Answer) -> bool) -> anyhow::Result<Answer> {
    let begun = now();
    loop {
        let outcome = laptop.ask().await;
        match outcome {
            Ok(answer) if wanted(&answer) => return Ok(answer),
            outcome if begun.elapsed() > WAIT_MAX => {
                let last = outcome.map_or_else(|error| format!("{error:#}"), |one| one.to_string());
                anyhow::bail!("the service still answers after {WAIT_MAX:?}: {last}");
            }
            _ => pause(ASK_INTERVAL).await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "measures what the user sees")]
fn now() -> Instant {
    Instant::now()
}
