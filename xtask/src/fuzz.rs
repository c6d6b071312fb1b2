//! `cargo xtask fuzz` runs the readers of bytes from outside under libFuzzer, for a limited time.
//!
//! Works with the stable compiler and without cargo-fuzz. The flags below are those of cargo-fuzz
//! without the address sanitizer, which stable Rust lacks and which code without `unsafe` needs
//! least.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::test::workspace::Workspace;

/// The targets, and the longest inputs in KiB. The readers accept up to 32, but longer inputs only
/// slow the search.
pub const TARGETS: [Target; 11] = [
    Target::new("authority", 4),
    // An input is a chain of several certificates.
    Target::new("chain", 8),
    Target::new("csr", 4),
    Target::new("est", 4),
    // Runs in an input make heads and bodies beyond their limits of 64 KiB.
    Target::new("http", 4),
    // A dozen lines.
    Target::new("journal", 4),
    Target::new("ocsp_path", 4),
    Target::new("ocsp_request", 4),
    // A hundred policies.
    Target::new("policies", 1),
    // An RSA-8192 key in Base64 must fit.
    Target::new("private_key", 8),
    Target::new("subject", 4),
];

/// Coverage that guides libFuzzer: counters of edges, their places, and the operands of
/// comparisons.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The longest time of one input. Most inputs take microseconds, an RSA-8192 key a tenth of a
/// second.
const INPUT_SECONDS_MAX: u32 = 5;

/// The most memory of a target: thirty times the usual need.
const MEMORY_MB_MAX: u32 = 1024;

/// Letters of a name that libFuzzer gives, which is a SHA-1. People give other names.
const HASHED_NAME_LETTERS: usize = 40;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name of its program in fuzz/src/bin and of its folder in fuzz/corpus.
    pub name: &'static str,
    input_bytes_max: u32,
}

impl Target {
    const fn new(name: &'static str, input_kib_max: u32) -> Self {
        let input_bytes_max = input_kib_max * 1024;
        Self {
            name,
            input_bytes_max,
        }
    }
}

/// The choice of targets and times.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds for each target
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Run this target only
    #[arg(long, value_name = "NAME", value_parser = TARGETS.map(|target| target.name))]
    pub target: Option<String>,
    /// Add inputs that reached new code to fuzz/corpus, and remove inputs that the others cover
    #[arg(long)]
    pub keep: bool,
}

/// Runs the targets. Fails if one has a finding.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let held = each(arguments)?;
    Ok(if held.iter().all(|held| *held) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the targets. Returns true for each that ran without a finding.
pub fn each(arguments: &Arguments) -> Result<Vec<bool>> {
    let fuzzing = Fuzzing::build()?;
    let chosen = |target: &Target| {
        arguments
            .target
            .as_deref()
            .is_none_or(|name| name == target.name)
    };
    let mut held = Vec::new();
    for target in TARGETS.into_iter().filter(chosen) {
        held.push(fuzzing.fuzz(target, arguments.seconds)?);
        if arguments.keep {
            fuzzing.keep(target)?;
        }
    }
    Ok(held)
}

/// The targets, built.
struct Fuzzing {
    /// fuzz/ of the workspace.
    folder: PathBuf,
    /// The folder of programs, logs and new inputs, which are not committed.
    output: PathBuf,
    programs: PathBuf,
}

impl Fuzzing {
    fn build() -> Result<Self> {
        let workspace = Workspace::find();
        let (folder, output) = (workspace.root.join("fuzz"), workspace.target.join("fuzz"));
        // With a named target, cargo does not instrument build scripts and procedural macros.
        let host = host()?;
        let build = ["build", "--quiet", "--locked", "--release", "--bins"];
        let mut command = workspace.cargo(&build);
        command
            .current_dir(&folder)
            .args(["--target", &host])
            .env("CARGO_TARGET_DIR", &output)
            // This variable has priority over every other source of flags.
            .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
        let built = command
            .status()
            .with_context(|| format!("cannot run {command:?}"))?
            .success();
        ensure!(
            built,
            "the fuzz targets do not build. If a dependency changed, run: cargo update --workspace \
             --manifest-path fuzz/Cargo.toml"
        );
        let programs = output.join(host).join("release");
        Ok(Self {
            folder,
            output,
            programs,
        })
    }

    /// Runs a target on its corpus and on new inputs. Returns true if it had no finding.
    fn fuzz(&self, target: Target, seconds: u32) -> Result<bool> {
        let Target {
            name,
            input_bytes_max,
        } = target;
        let (corpus, new) = (self.corpus(target), self.new_inputs(target));
        let findings = self.folder.join("findings").join(name);
        for folder in [&new, &findings] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let log = self.output.join(format!("{name}.log"));
        let program = self.programs.join(name);
        let mut command = Command::new(&program);
        command
            .args([
                format!("-max_total_time={seconds}"),
                format!("-max_len={input_bytes_max}"),
                format!("-timeout={INPUT_SECONDS_MAX}"),
                format!("-rss_limit_mb={MEMORY_MB_MAX}"),
                // libFuzzer appends file names directly, so that the path needs its separator.
                format!("-artifact_prefix={}/", findings.display()),
                format!("-dict={}", self.folder.join("dictionary.txt").display()),
                "-print_final_stats=1".to_owned(),
            ])
            // libFuzzer reads both folders, and writes to the first.
            .args([&new, &corpus])
            .stderr(File::create(&log).with_context(|| format!("cannot make {}", log.display()))?);
        let is_clean = command
            .status()
            .with_context(|| format!("cannot run {command:?}"))?
            .success();
        let output = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let report = Report::read(&String::from_utf8_lossy(&output));
        match is_clean {
            true => {
                let (start, end) = report.coverage.context(
                    "libFuzzer printed no coverage: check that the code is instrumented",
                )?;
                println!(
                    "{name}: {} executions in {seconds} s, {start} edges at the start, \
                     {end} at the end, no finding",
                    report.executions,
                );
            }
            false => {
                println!("{name}: A FINDING\n{}", report.reason);
                match report.input {
                    Some(input) => println!(
                        "the input is in {input}\nrun it again with: {program} {input}\n\
                         after the fix, move it to {corpus} under a name that describes \
                         the defect: the tests read it there",
                        program = program.display(),
                        corpus = corpus.display(),
                    ),
                    None => println!(
                        "libFuzzer left no input. Its output is in {}",
                        log.display()
                    ),
                }
            }
        }
        Ok(is_clean)
    }

    /// Rewrites the corpus: all inputs of people, and those others that reach code of their own.
    fn keep(&self, target: Target) -> Result<()> {
        let (corpus, new) = (self.corpus(target), self.new_inputs(target));
        let kept = self.output.join("kept").join(target.name);
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(&kept)?;
        for file in files(&corpus)? {
            let name = file.file_name().context("a file has a name")?;
            let is_hash = |name: &str| {
                name.len() == HASHED_NAME_LETTERS
                    && name.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            if !name.to_str().is_some_and(is_hash) {
                fs::copy(&file, kept.join(name))?;
            }
        }
        let mut command = Command::new(self.programs.join(target.name));
        command
            // Counting how often an edge is passed triples the inputs and finds no other code.
            .args(["-merge=1", "-use_counters=0"])
            .arg(format!("-max_len={}", target.input_bytes_max))
            .args([&kept, &corpus, &new])
            .stderr(File::create(
                self.output.join(format!("{}.merge.log", target.name)),
            )?);
        let merged = command
            .status()
            .with_context(|| format!("cannot run {command:?}"))?
            .success();
        ensure!(
            merged,
            "the corpus of {} cannot be merged: {command:?}",
            target.name
        );
        for file in files(&corpus)? {
            fs::remove_file(file)?;
        }
        let files = files(&kept)?;
        for file in &files {
            fs::copy(
                file,
                corpus.join(file.file_name().context("a file has a name")?),
            )?;
        }
        println!("{}: {} inputs kept", target.name, files.len());
        Ok(())
    }

    fn corpus(&self, target: Target) -> PathBuf {
        self.folder.join("corpus").join(target.name)
    }

    fn new_inputs(&self, target: Target) -> PathBuf {
        self.output.join("new").join(target.name)
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Returns the platform on which the compiler runs.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let version = String::from_utf8(output.stdout).context("rustc prints UTF-8")?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc -vV names its host")?;
    Ok(host.to_owned())
}

/// The parts of libFuzzer's output that the task prints.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    /// Edges that the corpus reached, and edges at the end.
    coverage: Option<(u64, u64)>,
    executions: u64,
    /// The reason for a stop.
    reason: String,
    /// The file with the input at which libFuzzer stopped.
    input: Option<String>,
}

impl Report {
    fn read(output: &str) -> Self {
        let number = |text: &str| {
            text.split_whitespace()
                .next()
                .and_then(|word| word.parse().ok())
        };
        let edges = |line: &str| line.split_once(" cov: ").and_then(|(_, rest)| number(rest));
        let of = |event: &str| {
            output
                .lines()
                .rfind(|line| line.contains(event))
                .and_then(edges)
        };
        let after = |mark: &str| {
            output
                .lines()
                .find_map(|line| line.split_once(mark))
                .map(|(_, rest)| rest.trim())
        };
        let reasons = ["panicked at", "ERROR: libFuzzer", "ALARM:", "SUMMARY:"];
        let mut reason = Vec::new();
        let mut lines = output.lines();
        while let Some(line) = lines.next() {
            if reasons.iter().any(|mark| line.contains(mark)) {
                reason.push(line.trim());
                // The message of a panic is on the next line.
                reason.extend(line.contains("panicked at").then(|| lines.next()).flatten());
            }
        }
        Self {
            coverage: of("INITED").zip(of("DONE")),
            executions: after("stat::number_of_executed_units:")
                .and_then(number)
                .unwrap_or_default(),
            reason: reason.join("\n"),
            input: after("Test unit written to ").map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_corpus_and_is_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let names = |folder: PathBuf| {
            let mut names: Vec<_> = files(&folder).unwrap();
            names.sort();
            names
                .iter()
                .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let targets = TARGETS.map(|target| target.name);
        assert_eq!(names(folder.join("src/bin")), targets);
        assert_eq!(names(folder.join("corpus")), targets);
    }

    #[test]
    fn the_output_of_libfuzzer_is_read() {
        let said = "#24\tINITED cov: 890 ft: 1271 corp: 23/10298b exec/s: 0 rss: 29Mb\n\
                    #513938\tDONE   cov: 1178 ft: 2119 corp: 413/146Kb lim: 3047 exec/s: 57104 \
                    rss: 30Mb\n\
                    stat::number_of_executed_units: 513938\n";
        let report = Report::read(said);
        assert_eq!(
            (report.coverage, report.executions, report.input),
            (Some((890, 1178)), 513_938, None)
        );

        let said = "#24\tINITED cov: 890 ft: 1271 corp: 23/10298b exec/s: 0 rss: 29Mb\n\
                    thread '<unnamed>' (7) panicked at src/private_key.rs:27:5:\nit is too long\n\
                    ==7== ERROR: libFuzzer: deadly signal\n\
                    artifact_prefix='findings/'; Test unit written to findings/crash-e3b7\n";
        let report = Report::read(said);
        assert_eq!(report.input.as_deref(), Some("findings/crash-e3b7"));
        assert!(
            report.coverage.is_none() && report.reason.contains("it is too long"),
            "{}",
            report.reason
        );
    }
}
