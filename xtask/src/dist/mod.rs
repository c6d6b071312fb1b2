//! `cargo xtask dist` makes the files of a release and, with `--check`, tests them.
//!
//! The same commit gives the same bytes: each file has the time of the commit, and no path of this
//! machine is in the executables.

mod outside;
mod release;
mod sbom;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use self::outside::{output_of, run_to_end};
use self::release::Release;
use crate::test::check_packages;
use crate::test::workspace::Workspace;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Folder for the files, which replace those of an earlier run
    #[arg(long, value_name = "DIR", default_value = "target/packages")]
    output: PathBuf,
    /// Package this executable, and build no static one: for tests
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    executable: Option<PathBuf>,
    /// Then test the files: the package in a Debian root of debootstrap, the image by chroot
    ///
    /// Needs root, and a mirror of Debian.
    #[arg(long)]
    check: bool,
}

/// Writes the package, the archive, the static executable, the list of components and the
/// checksums.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::find();
    let release = Release::find(&workspace)?;
    let output = workspace.root.join(&arguments.output);
    let (executable, fixed) = match &arguments.executable {
        Some(file) => (std::path::absolute(file)?, None),
        None => {
            let target = |library| format!("{}-unknown-linux-{library}", release.machine);
            let fixed = build(&workspace, &target("musl"), "dist-static")?;
            (build(&workspace, &target("gnu"), "dist")?, Some(fixed))
        }
    };
    empty(&output)?;
    if let Some(fixed) = fixed {
        std::fs::copy(fixed, output.join(release.file("static")))?;
    }
    let components = sbom::of(&workspace, &release)?;
    std::fs::write(output.join(release.file("cdx.json")), &components)?;

    let temporary = tempfile::tempdir()?;
    let tree = temporary.path().join(release.name());
    collect(&workspace, &tree, &executable)?;
    std::fs::write(tree.join("certgate.cdx.json"), &components)?;
    archive(&release, &tree, &output.join(release.file("tar.gz")))?;
    debian(&workspace, &release, &tree)?;
    for made in std::fs::read_dir(temporary.path())? {
        let made = made?.path();
        if made.extension() == Some(OsStr::new("deb")) {
            std::fs::copy(&made, output.join(made.file_name().context("a name")?))?;
        }
    }
    checksums(&output)?;
    match arguments.check {
        true => check_packages(&output),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// Builds the executable of a target with a profile. Returns its path.
fn build(workspace: &Workspace, target: &str, profile: &str) -> Result<PathBuf> {
    // Messages of panics have the paths of source files.
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .context("set CARGO_HOME")?;
    let flags = format!(
        "--remap-path-prefix={home}=/cargo --remap-path-prefix={}=/certgate",
        workspace.root.display()
    );
    let arguments = ["build", "--locked", "--package=certgate", "--profile"];
    let mut command = workspace.cargo(&arguments);
    command.arg(profile);
    run_to_end(command.args(["--target", target]).env("RUSTFLAGS", flags))?;
    Ok(workspace.target.join(target).join(profile).join("certgate"))
}

/// Folders and files of the repository that the archive and the package have.
const INCLUDED: [&str; 9] = [
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "deploy",
    "docs/*.md",
    "docs/*.svg",
    "docs/performance",
];

/// Shells, with the names that they expect for completions of `certgate`.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "certgate"),
    ("zsh", "_certgate"),
    ("fish", "certgate.fish"),
];

/// Collects the files of a release in a new folder: the program, its pages and its completions.
fn collect(workspace: &Workspace, tree: &Path, executable: &Path) -> Result<()> {
    std::fs::create_dir_all(tree.join("completions"))?;
    std::fs::copy(executable, tree.join("certgate"))
        .with_context(|| format!("cannot read {}", executable.display()))?;
    for (shell, file) in SHELLS {
        let text = output_of(Command::new(executable).args(["completions", shell]))?;
        std::fs::write(tree.join("completions").join(file), text)?;
    }
    run_to_end(Command::new(executable).arg("man").arg(tree.join("man")))?;
    let mut listed = Command::new("git");
    listed
        .current_dir(&workspace.root)
        .args(["ls-files", "--"])
        .args(INCLUDED);
    for name in output_of(&mut listed)?.lines() {
        let to = tree.join(name);
        std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        std::fs::copy(workspace.root.join(name), to)?;
    }
    Ok(())
}

/// Writes the folder as an archive whose bytes depend only on names, contents and the commit.
fn archive(release: &Release, tree: &Path, file: &Path) -> Result<()> {
    let folder = tree.parent().context("the folder is in a temporary one")?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--use-compress-program=gzip -n -9"])
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mode=u=rwX,go=rX", "--format=gnu"])
        .arg(format!("--mtime=@{}", release.epoch))
        .arg("--file")
        .arg(file)
        .arg("--directory")
        .arg(folder)
        .arg(release.name());
    run_to_end(&mut tar)
}

/// Builds the Debian package of the folder, beside it, by the rules in `deploy/debian`.
fn debian(workspace: &Workspace, release: &Release, tree: &Path) -> Result<()> {
    let rules = tree.join("debian");
    std::fs::rename(tree.join("deploy/debian"), &rules)?;
    std::fs::rename(rules.join("certgate.toml"), tree.join("certgate.toml"))?;
    std::fs::write(rules.join("changelog"), release.changelog()?)?;
    let units = tree.join("units");
    std::fs::create_dir(&units)?;
    let mut users = String::new();
    for file in std::fs::read_dir(workspace.root.join("deploy/systemd"))? {
        let file = file?.path();
        let name = file.file_name().and_then(OsStr::to_str).context("a name")?;
        let text = std::fs::read_to_string(&file)?;
        match file.extension().and_then(OsStr::to_str) {
            Some("service" | "socket" | "timer") => {
                std::fs::write(
                    units.join(name),
                    text.replace("/usr/local/bin/", "/usr/bin/"),
                )?;
            }
            Some("conf") if name.ends_with(".sysusers.conf") => users.push_str(&text),
            _ => {}
        }
    }
    std::fs::write(rules.join("certgate.sysusers"), users)?;
    let mut build = Command::new("dpkg-buildpackage");
    build
        .current_dir(tree)
        .args([
            "--build=binary",
            "--unsigned-changes",
            "--unsigned-buildinfo",
        ])
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .env("LC_ALL", "C.UTF-8");
    run_to_end(&mut build)
}

/// Makes a folder, or empties one of an earlier run.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        ensure!(
            folder.join(SUMS).exists(),
            "{} has other files: name a new folder",
            folder.display()
        );
        std::fs::remove_dir_all(folder)?;
    }
    Ok(std::fs::create_dir_all(folder)?)
}

/// The file with the checksums, which is written last.
const SUMS: &str = "SHA256SUMS";

/// Writes the checksums of the files in a folder, and prints their sizes.
fn checksums(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        let octets = file.metadata()?.len();
        names.push((file.file_name(), octets));
    }
    names.sort();
    let mut sum = Command::new("sha256sum");
    sum.current_dir(folder).arg("--");
    sum.args(names.iter().map(|(name, _)| name));
    std::fs::write(folder.join(SUMS), output_of(&mut sum)?)?;
    for (name, octets) in names {
        println!(
            "{:>8.2} MB  {}",
            octets as f64 / 1e6,
            folder.join(name).display()
        );
    }
    Ok(())
}
