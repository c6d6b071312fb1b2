//! Commands of the user, such as the one that makes a proxy read its files again.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The longest run of a command. That of `follow` delays acknowledgements.
const RUN_MAX: Duration = Duration::from_secs(60);

/// The most characters of its output that a message shows.
const SHOWN_OUTPUT_CHARS_MAX: usize = 500;

/// The prefix of environment variables that may hold tokens.
const SECRETS: &str = "CERTGATE_";

/// Runs a command in a shell, without the environment variables of certgate. The error shows the
/// end of its output.
pub async fn run(command: &str) -> Result<(), String> {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(SECRETS) {
            shell.env_remove(name);
        }
    }
    let output = match timeout(RUN_MAX, shell.output()).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("it ran for more than {} s", RUN_MAX.as_secs())),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let said = said.trim();
    let skipped = said.chars().count().saturating_sub(SHOWN_OUTPUT_CHARS_MAX);
    let said: String = said
        .chars()
        .skip(skipped)
        .flat_map(char::escape_debug)
        .collect();
    Err(format!("{}: {said}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_succeeds_or_its_output_is_the_reason() {
        assert_eq!(run("true").await, Ok(()));
        let error = run("echo no such pid >&2; exit 3").await.unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("no such pid"));
        let error = run("no-such-program-here").await.unwrap_err();
        assert!(error.contains("not found"), "{error}");
    }
}
