//! The tests from outside: pytest in environments of their own, against the built program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::programs::{Installer, Program};
use super::session::{Job, Outcome};
use super::tally::Tally;
use super::workspace::{Workspace, lines};

/// Programs that make an environment.
const PYTHON: [Program; 2] = [
    Program::new("python3", &["--version"], "python3"),
    Program::new("python3", &["-c", "import venv, ensurepip"], "python3-venv"),
];

/// Programs that tests of every suite call.
const PROGRAMS: [Program; 8] = [
    Program::new("openssl", &["version"], "openssl"),
    Program::new("curl", &["--version"], "curl"),
    Program::new("nginx", &["-v"], "nginx-light"),
    Program::new("haproxy", &["-v"], "haproxy"),
    Program::new("pgbouncer", &["--version"], "pgbouncer"),
    Program::new("faketime", &["--version"], "faketime"),
    Program::new("ip", &["-V"], "iproute2"),
    Program::new("systemd-sysusers", &["--version"], "systemd"),
];

/// Programs that judge the files in deploy/, and make packages of them.
const DEPLOY_PROGRAMS: [Program; 4] = [
    Program::new("systemd-analyze", &["--version"], "systemd"),
    Program::new("promtool", &["--version"], "prometheus"),
    // dh has no argument with which it does nothing and succeeds.
    Program::new("sh", &["-c", "command -v dh"], "debhelper"),
    Program::new("debootstrap", &["--version"], "debootstrap"),
];

/// Programs that judge packages, and the system in which they are installed.
const PACKAGE_PROGRAMS: [Program; 2] = [
    Program::new("debootstrap", &["--version"], "debootstrap"),
    Program::new("lintian", &["--version"], "lintian"),
];

/// Programs of other makers: they ask for certificates, use them, and judge them.
const INTEROP_PROGRAMS: [Program; 13] = [
    Program::new("chromium", &["--version"], "chromium"),
    Program::new("firefox-esr", &["--version"], "firefox-esr"),
    Program::new("go", &["version"], "golang-go"),
    Program::new("javac", &["-version"], "default-jdk-headless"),
    Program::new("mvn", &["--version"], "maven"),
    Program::new("node", &["--version"], "nodejs"),
    Program::new("npm", &["--version"], "npm"),
    Program::new("certtool", &["--version"], "gnutls-bin"),
    Program::new("pki", &["--help"], "strongswan-pki"),
    Program::new(
        "sh",
        &["-c", "ls /usr/lib/ipsec/plugins/libstrongswan-curl.so"],
        "libstrongswan-extra-plugins",
    ),
    // Keys on elliptic curves.
    Program::new(
        "sh",
        &["-c", "ls /usr/lib/ipsec/plugins/libstrongswan-openssl.so"],
        "libstrongswan-standard-plugins",
    ),
    // NSS's programs have no argument with which they do nothing and succeed.
    Program::new("sh", &["-c", "command -v pk12util"], "libnss3-tools"),
    Program::new(
        "sh",
        &[
            "-c",
            "echo '#include <mbedtls/ssl.h>' | cc -E - -o /dev/null",
        ],
        "libmbedtls-dev",
    ),
];

/// Programs that make, compile and run clients.
const GENERATOR_PROGRAMS: [Program; 5] = [
    Program::new("go", &["version"], "golang-go"),
    Program::new("node", &["--version"], "nodejs"),
    Program::new("npm", &["--version"], "npm"),
    Program::new("java", &["-version"], "default-jre-headless"),
    Program::new("mvn", &["--version"], "maven"),
];

/// A set of Python packages, and the tests that run with it.
struct Suite {
    name: &'static str,
    /// The middle of `requirements-….txt` in the folder of the tests.
    packages: &'static str,
    /// Arguments of pytest.
    tests: &'static [&'static str],
    /// Programs that these tests call, in addition to [`PROGRAMS`].
    programs: &'static [Program],
}

/// The suites, long ones first.
const SUITES: [Suite; 11] = [
    Suite {
        name: "tests of several servers on PostgreSQL",
        packages: "sdk5",
        tests: &["cluster"],
        programs: &[],
    },
    Suite {
        name: "tests of stored data",
        packages: "sdk5",
        tests: &["storage"],
        programs: &[],
    },
    Suite {
        name: "tests of connections, requests and pages",
        packages: "sdk5",
        tests: &["wire", "--ignore=wire/test_openapi.py"],
        programs: &[],
    },
    Suite {
        name: "enforcement points, and proxies that ask them",
        packages: "enforcement",
        tests: &["enforcement"],
        programs: &[],
    },
    Suite {
        // Every folder that no other suite names.
        name: "tests from outside, Python SDK 5",
        packages: "sdk5",
        tests: &[
            ".",
            "--ignore=cluster",
            "--ignore=enforcement",
            "--ignore=generated",
            "--ignore=interop",
            "--ignore=storage",
            "--ignore=wire",
            "--ignore=packages",
            "--ignore=operations/test_compose.py",
            "--ignore=operations/test_deploy.py",
            "--ignore=operations/test_operations.py",
            "--ignore=operations/test_packages.py",
            "--ignore=operations/test_tasks.py",
        ],
        programs: &[],
    },
    Suite {
        name: "tests with programs of other makers",
        packages: "sdk5",
        tests: &["interop"],
        programs: &INTEROP_PROGRAMS,
    },
    Suite {
        name: "tests with Python SDK 4",
        packages: "sdk4",
        tests: &["sdk", "--ignore=sdk/test_sdk_routes.py"],
        programs: &[],
    },
    Suite {
        name: "tests from the OpenAPI document",
        packages: "schemathesis",
        tests: &["wire/test_openapi.py"],
        programs: &[],
    },
    Suite {
        name: "generated clients, Python and TypeScript",
        packages: "generated",
        tests: &["generated", "-k", "python_client or typescript"],
        programs: &GENERATOR_PROGRAMS,
    },
    Suite {
        name: "generated clients, Go and Java",
        packages: "generated",
        tests: &["generated", "-k", "not python_client and not typescript"],
        programs: &GENERATOR_PROGRAMS,
    },
    Suite {
        name: "files to run certgate with",
        packages: "deploy",
        tests: &[
            "operations/test_compose.py",
            "operations/test_deploy.py",
            "operations/test_operations.py",
            "operations/test_packages.py",
            "operations/test_tasks.py",
        ],
        programs: &DEPLOY_PROGRAMS,
    },
];

/// The tests of the files of a release. They are not in CI.
const PACKAGES: Suite = Suite {
    name: "packages",
    packages: "deploy",
    tests: &["packages"],
    programs: &PACKAGE_PROGRAMS,
};

/// Tests the files of a release in a folder.
pub(super) fn packages(
    workspace: &Workspace,
    folder: &Path,
    installer: &mut Installer,
) -> Result<Outcome> {
    match prepared(workspace, &PACKAGES, installer)? {
        Ok(python) => run(workspace, &PACKAGES, &python, Some(folder)),
        Err(reason) => Ok(Outcome::Skipped(reason)),
    }
}

/// Returns every suite. Suites run at the same time, each with servers, ports and directories of its
/// own.
pub(super) fn suites(workspace: &Workspace) -> impl Iterator<Item = Job<'_>> {
    SUITES.iter().map(move |suite| Job {
        name: suite.name,
        run: Box::new(move |programs| {
            // Other suites install programs while this one runs.
            let python = prepared(workspace, suite, &mut programs.lock())?;
            match python {
                Ok(python) => run(workspace, suite, &python, None),
                Err(reason) => Ok(Outcome::Skipped(reason)),
            }
        }),
    })
}

/// Installs the programs and packages of a suite. Returns its Python, or the reason for which it
/// cannot run.
fn prepared(
    workspace: &Workspace,
    suite: &Suite,
    installer: &mut Installer,
) -> Result<Result<PathBuf, String>> {
    for program in PROGRAMS.iter().chain(suite.programs) {
        if let Err(reason) = installer.provide(program) {
            return Ok(Err(reason));
        }
    }
    environment(workspace, suite.packages, installer)
}

/// Returns the Python of an environment, or the reason for which there is none.
///
/// Makes the environment if it is missing or if its packages have changed.
pub(super) fn environment(
    workspace: &Workspace,
    packages: &str,
    installer: &mut Installer,
) -> Result<Result<PathBuf, String>> {
    for program in &PYTHON {
        if let Err(reason) = installer.provide(program) {
            return Ok(Err(reason));
        }
    }
    let folder = workspace.target.join("python").join(packages);
    let python = folder.join("bin/python");
    let requirements = workspace
        .root
        .join(format!("tests/python/requirements-{packages}.txt"));
    let wanted = std::fs::read(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // This file is written last: an environment without it is unfinished.
    let stamp = folder.join("installed.txt");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Ok(Ok(python));
    }
    println!(
        "installing the packages of {} into {}",
        requirements.display(),
        folder.display()
    );
    let is_made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .status()?
        .success();
    if !is_made {
        return Ok(Err(format!("python3 -m venv {} failed", folder.display())));
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
    let is_installed = Command::new(&python)
        .args(install)
        .arg(&requirements)
        .status()?
        .success();
    if !is_installed {
        let reason = "its Python packages could not be installed: check that pip reaches its index";
        return Ok(Err(reason.to_owned()));
    }
    std::fs::write(&stamp, wanted)?;
    Ok(Ok(python))
}

/// Runs a suite. `packages` is the folder with the files of a release, if the suite tests one.
fn run(
    workspace: &Workspace,
    suite: &Suite,
    python: &Path,
    packages: Option<&Path>,
) -> Result<Outcome> {
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
    if let Some(folder) = packages {
        command.env("CERTGATE_TEST_PACKAGES", folder);
    }
    let mut tally = None;
    let succeeded = lines(&mut command, |line| {
        tally = Tally::from_pytest(line).or(tally);
        // Lines of suites that run at the same time are mixed.
        println!("{}: {line}", suite.name);
    })?;
    Ok(Outcome::Ran(tally.unwrap_or_default().with_exit(succeeded)))
}
