//! Programs of other makers.

use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs a program in a folder; `None` if the machine has none.
pub fn run(folder: &TempDir, line: &[&str]) -> Option<Output> {
    let (program, arguments) = line.split_first().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .output();
    let required = std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
    match output {
        Ok(output) => Some(output),
        Err(error) if required => panic!("{program}: {error}"),
        Err(_) => {
            eprintln!("skipped: the PATH has no {program}");
            None
        }
    }
}
