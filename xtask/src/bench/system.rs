//! Readings of the operating system: the clock, and files in /proc.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use certgate_model::Timestamp;

/// The present time.
pub fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix(i64::try_from(since.as_secs())?))
}

/// The memory of the machine.
pub fn memory_bytes() -> anyhow::Result<u64> {
    let kib: u64 = line_of("/proc/meminfo", "MemTotal")?
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib << 10)
}

/// Returns the text after the colon of the first line with this beginning.
pub fn line_of(path: &str, beginning: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(beginning)?.split_once(':'));
    Ok(line
        .with_context(|| format!("{path} has no {beginning}"))?
        .1
        .trim()
        .to_owned())
}

/// Octets that the loopback device has carried so far, in both directions, with their headers.
pub fn loopback_bytes() -> anyhow::Result<f64> {
    let received = line_of("/proc/net/dev", "    lo")?;
    let octets = received.split_whitespace().next();
    Ok(octets
        .context("no counter of the loopback device")?
        .parse()?)
}

/// User and system time of a process in ticks of 1/100 s.
///
/// `with_children` adds the time of ended child processes for which it has waited.
pub fn ticks(process: u32, with_children: bool) -> anyhow::Result<f64> {
    // proc(5): fields 14 to 17, counted after the name in parentheses.
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
    let count = if with_children { 4 } else { 2 };
    Ok(fields
        .split(' ')
        .skip(11)
        .take(count)
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?)
}

/// Octets of a block in the numbers of stat(2).
const BLOCK_BYTES: u64 = 512;

/// Returns the space on the disk of the files in a directory, and in those below it.
pub fn directory_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => directory_bytes(&entry.path())?,
            false => entry.metadata()?.blocks() * BLOCK_BYTES,
        };
    }
    Ok(bytes)
}
