//! Counts of tests that passed, failed and were skipped.

use std::fmt;
use std::ops::AddAssign;

/// The counts of some tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and suites that had to run and could not.
    pub failed: u64,
    /// Tests and suites that could not run.
    pub skipped: u64,
}

impl Tally {
    /// One check.
    pub fn of(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
            skipped: 0,
        }
    }

    /// One suite that could not run.
    pub fn not_run(is_failure: bool) -> Self {
        Self {
            passed: 0,
            failed: u64::from(is_failure),
            skipped: u64::from(!is_failure),
        }
    }

    /// Adds a failure if the exit code reports one and none is counted: something broke before the
    /// first test.
    pub fn with_exit(self, succeeded: bool) -> Self {
        if succeeded || self.failed > 0 {
            self
        } else {
            Self { failed: 1, ..self }
        }
    }

    /// Reads the last line of a Rust test binary: `test result: ok. 3 passed; 0 failed; 1 ignored;
    /// …`.
    pub fn from_libtest(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        Some(Self::from_counts(counts.split("; ")))
    }

    /// Reads the last line of pytest: `1 failed, 3 passed, 1 skipped in 0.12s`, with or without `=`
    /// around it.
    pub fn from_pytest(line: &str) -> Option<Self> {
        let (counts, duration) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
        duration
            .starts_with(|first: char| first.is_ascii_digit())
            .then_some(())?;
        let tally = Self::from_counts(counts.split(", "));
        (tally != Self::default()).then_some(tally)
    }

    /// Reads one of the last lines of `node --test` as TAP: `# pass 3`, `# fail 1`, `# cancelled
    /// 0`, `# skipped 0`.
    pub fn from_node(line: &str) -> Option<Self> {
        let (result, number) = line.strip_prefix("# ")?.split_once(' ')?;
        let number = number.parse().ok()?;
        let mut tally = Self::default();
        match result {
            "pass" => tally.passed = number,
            "fail" | "cancelled" => tally.failed = number,
            "skipped" | "todo" => tally.skipped = number,
            _ => return None,
        }
        Some(tally)
    }

    fn from_counts<'a>(counts: impl Iterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for count in counts {
            let Some((number, result)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match result {
                "passed" => tally.passed += number,
                // pytest reports a fixture that fails as an error.
                "failed" | "error" | "errors" => tally.failed += number,
                "ignored" | "skipped" => tally.skipped += number,
                _ => {}
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.skipped {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Option<Tally> {
        Some(Tally {
            passed,
            failed,
            skipped,
        })
    }

    #[test]
    fn summaries_of_rust_tests_are_read() {
        let line = "test result: FAILED. 11 passed; 1 failed; 2 ignored; 0 measured; \
                    7 filtered out; finished in 0.42s";
        assert_eq!(Tally::from_libtest(line), tally(11, 1, 2));
        assert_eq!(Tally::from_libtest("test tally::tests::a ... ok"), None);
        assert_eq!(Tally::from_libtest("running 3 tests"), None);
    }

    #[test]
    fn summaries_of_pytest_are_read() {
        assert_eq!(Tally::from_pytest("33 passed in 2.01s"), tally(33, 0, 0));
        let line = "== 1 failed, 32 passed, 4 skipped, 2 warnings, 1 error in 63.21s (0:01:03) ==";
        assert_eq!(Tally::from_pytest(line), tally(32, 2, 4));
        assert_eq!(Tally::from_pytest("no tests ran in 0.01s"), None);
        assert_eq!(Tally::from_pytest("found 3 passed in the log"), None);
        assert_eq!(Tally::from_pytest(""), None);
    }

    #[test]
    fn summaries_of_node_are_read() {
        let mut sum = Tally::default();
        for line in [
            "# tests 9",
            "# suites 0",
            "# pass 5",
            "# fail 1",
            "# cancelled 1",
            "# skipped 2",
            "# todo 0",
        ] {
            sum += Tally::from_node(line).unwrap_or_default();
        }
        assert_eq!(Some(sum), tally(5, 2, 2));
        assert_eq!(Tally::from_node("# pass the salt"), None);
        assert_eq!(Tally::from_node("ok 1 - # pass 3"), None);
    }

    #[test]
    fn a_failure_before_the_first_test_counts() {
        assert_eq!(Some(Tally::default().with_exit(false)), tally(0, 1, 0));
        assert_eq!(Some(Tally::of(false).with_exit(false)), tally(0, 1, 0));
        assert_eq!(Some(Tally::of(true).with_exit(true)), tally(1, 0, 0));
    }

    #[test]
    fn the_line_at_the_end_has_its_form() {
        assert_eq!(
            Tally {
                passed: 3,
                failed: 0,
                skipped: 0
            }
            .to_string(),
            "3 passed, 0 failed"
        );
        assert_eq!(
            Tally {
                passed: 3,
                failed: 1,
                skipped: 2
            }
            .to_string(),
            "3 passed, 1 failed, 2 skipped"
        );
    }
}
