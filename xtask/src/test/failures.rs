//! Failures, repeated at the end of a run: the output of suites that run at the same time is mixed,
//! and often only its end is kept.

use std::sync::{Mutex, PoisonError};

/// Lines about failures that one command can add to the end of the run.
const LINES_MAX: usize = 60;

/// The failures of every command so far.
static ALL: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Picks the lines about failed tests from the output of one command.
#[derive(Default)]
pub(super) struct Failures {
    lines: Vec<String>,
    is_inside: bool,
}

impl Failures {
    /// Reads the next line of the report of libtest, pytest or node (as TAP).
    pub fn read(&mut self, line: &str) {
        let text = line.trim();
        let is_pytest = |title| text.starts_with("===") && text.contains(title);
        let begins = text == "failures:"
            || text.starts_with("not ok ")
            || is_pytest(" FAILURES ")
            || is_pytest(" ERRORS ");
        let ends = text.starts_with("test result: ") || text == "...";
        self.is_inside = (self.is_inside || begins) && !ends;
        if self.is_inside {
            self.lines.push(line.to_owned());
        }
    }

    /// Keeps the last lines for the end of the run.
    pub fn keep(mut self) {
        let first = self.lines.len().saturating_sub(LINES_MAX);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(self.lines.drain(first..));
    }
}

/// Prints the failures of every command.
pub(super) fn print() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.is_empty() {
        println!("\nFailures, in short:");
    }
    for line in all.iter() {
        println!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(output: &str) -> Vec<String> {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.read(line));
        failures.lines
    }

    #[test]
    fn lines_about_failures_are_picked_from_each_kind_of_report() {
        let libtest = "test a ... ok\n\nfailures:\n\n---- b stdout ----\nboom\n\n\
                       test result: FAILED. 1 passed; 1 failed\nRunning c";
        assert_eq!(
            picked(libtest),
            ["failures:", "", "---- b stdout ----", "boom", ""]
        );
        let pytest = "a.py .F\n=== FAILURES ===\n___ test_b ___\nboom\n=== 1 failed in 0.1s ===";
        assert_eq!(
            picked(pytest),
            [
                "=== FAILURES ===",
                "___ test_b ___",
                "boom",
                "=== 1 failed in 0.1s ==="
            ]
        );
        let tap = "ok 1 - a\nnot ok 2 - b\n  ---\n  error: 'boom'\n  ...\nok 3 - c\n# fail 1";
        assert_eq!(picked(tap), ["not ok 2 - b", "  ---", "  error: 'boom'"]);
        assert!(picked("test a ... ok\ntest result: ok. 1 passed; 0 failed").is_empty());
    }
}
