//! The tests from outside: pytest in environments of their own, against the built program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::programs::{Installer, Program};
use super::tally::Tally;
use super::{Outcome, Session, Workspace, lines};

/// What the tests of every suite call beside the environments' Python packages.
const PROGRAMS: [Program; 6] = [
    Program {
        name: "openssl",
        probe: &["version"],
        package: "openssl",
    },
    Program {
        name: "curl",
        probe: &["--version"],
        package: "curl",
    },
    Program {
        name: "nginx",
        probe: &["-v"],
        package: "nginx-light",
    },
    Program {
        name: "haproxy",
        probe: &["-v"],
        package: "haproxy",
    },
    Program {
        name: "python3",
        probe: &["--version"],
        package: "python3",
    },
    Program {
        name: "python3",
        probe: &["-c", "import venv, ensurepip"],
        package: "python3-venv",
    },
];

/// What judges the files in deploy/.
const DEPLOY_PROGRAMS: [Program; 2] = [
    Program {
        name: "systemd-analyze",
        probe: &["--version"],
        package: "systemd",
    },
    Program {
        name: "promtool",
        probe: &["--version"],
        package: "prometheus",
    },
];

/// A set of packages, and the tests that run with it.
struct Suite {
    name: &'static str,
    /// `requirements-….txt` in the directory of the tests.
    packages: &'static str,
    /// Arguments of pytest.
    tests: &'static [&'static str],
    /// What these tests call beside [`PROGRAMS`].
    programs: &'static [Program],
}

const SUITES: [Suite; 4] = [
    Suite {
        name: "tests from outside, Python SDK 5",
        packages: "sdk5",
        tests: &[
            ".",
            "--ignore=wire/test_openapi.py",
            "--ignore=operations/test_deploy.py",
            "--ignore=operations/test_operations.py",
        ],
        programs: &[],
    },
    Suite {
        name: "tests with Python SDK 4",
        packages: "sdk4",
        tests: &["sdk"],
        programs: &[],
    },
    Suite {
        name: "tests from the OpenAPI document",
        packages: "schemathesis",
        tests: &["wire/test_openapi.py"],
        programs: &[],
    },
    Suite {
        name: "files to run certgate with",
        packages: "deploy",
        tests: &["operations/test_deploy.py", "operations/test_operations.py"],
        programs: &DEPLOY_PROGRAMS,
    },
];

/// Runs every suite.
pub(super) fn suites(workspace: &Workspace, session: &mut Session) -> Result<()> {
    for suite in &SUITES {
        session.step(suite.name, |installer| {
            match environment(workspace, suite, installer)? {
                Ok(python) => run(workspace, suite, &python),
                Err(why) => Ok(Outcome::Skipped(why)),
            }
        })?;
    }
    Ok(())
}

/// The Python of the suite's environment, made where it is missing or its packages have changed; otherwise why there is
/// none.
fn environment(
    workspace: &Workspace,
    suite: &Suite,
    installer: &mut Installer,
) -> Result<Result<PathBuf, String>> {
    for program in PROGRAMS.iter().chain(suite.programs) {
        if let Err(why) = installer.provide(program) {
            return Ok(Err(why));
        }
    }
    let place = workspace.target.join("python").join(suite.packages);
    let python = place.join("bin/python");
    let requirements = workspace
        .root
        .join(format!("tests/python/requirements-{}.txt", suite.packages));
    let wanted = std::fs::read(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // Written last: an environment without it is unfinished.
    let stamp = place.join("installed.txt");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Ok(Ok(python));
    }
    println!(
        "installing the packages of {} into {}",
        requirements.display(),
        place.display()
    );
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&place)
        .status()?
        .success();
    if !made {
        return Ok(Err(format!("python3 -m venv {} failed", place.display())));
    }
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--requirement",
    ];
    if !Command::new(&python)
        .args(install)
        .arg(&requirements)
        .status()?
        .success()
    {
        let why = "its Python packages could not be installed; is the package index within reach?";
        return Ok(Err(why.to_owned()));
    }
    std::fs::write(&stamp, wanted)?;
    Ok(Ok(python))
}

fn run(workspace: &Workspace, suite: &Suite, python: &Path) -> Result<Outcome> {
    let mut command = Command::new(python);
    command
        .current_dir(workspace.root.join("tests/python"))
        .args(["-m", "pytest", "--color=no", "--durations=5", "--tb=short"])
        .args(suite.tests)
        .env(
            "CERTGATE_TEST_BINARY",
            workspace.target.join("debug/certgate"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    let mut tally = None;
    let succeeded = lines(&mut command, |line| {
        tally = Tally::from_pytest(line).or(tally);
        println!("{line}");
    })?;
    Ok(Outcome::Ran(tally.unwrap_or_default().with_exit(succeeded)))
}
