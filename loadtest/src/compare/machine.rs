//! The machine that the figures are from, as it says itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::figures::percentile;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: u64,
    pub(super) memory_mb: u64,
    pub(super) system: String,
    /// What the work directory's file system takes to sync 4 KiB that were appended, in nanoseconds.
    pub(super) fsync_p50: u64,
    pub(super) fsync_p99: u64,
    /// The load average of the last minute, in hundredths, when each round began.
    pub(super) load: Vec<u64>,
    /// Programs and libraries, and their versions.
    pub(super) versions: Vec<(String, String)>,
}

impl Machine {
    /// Looks, and writes a little in `directory` to see how long a sync takes.
    pub(super) fn look(directory: &Path) -> anyhow::Result<Self> {
        let (fsync_p50, fsync_p99) = fsync(directory)?;
        let mut versions = vec![("AgentLedger".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        for (name, program, arguments) in [
            ("rustc", "rustc", ["--version"].as_slice()),
            ("revision", "git", &["describe", "--always", "--dirty"]),
        ] {
            if let Some(version) = output(program, arguments) {
                versions.push((name.to_owned(), version.trim_start_matches("rustc ").to_owned()));
            }
        }
        versions.extend(crates(&fs::read_to_string("Cargo.lock").unwrap_or_default()));
        Ok(Self {
            processor: line("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: u64::try_from(std::thread::available_parallelism()?.get())?,
            memory_mb: line("/proc/meminfo", "MemTotal")
                .and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok())
                .map_or(0, |kb| kb / 1024),
            system: output("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            fsync_p50,
            fsync_p99,
            load: Vec::new(),
            versions,
        })
    }

    /// Notes the load average.
    pub(super) fn note_load(&mut self) {
        let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let first = text.split_whitespace().next().unwrap_or_default().replace('.', "");
        self.load.extend(first.parse::<u64>().ok());
    }
}

/// What a line of a file of the kernel says after its name.
fn line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The crates that matter here, as the lock file has them.
fn crates(lock: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("name = ").map(|name| name.trim_matches('"')) else { continue };
        let version = lines.next().and_then(|line| line.strip_prefix("version = "));
        if let ("axum" | "rusqlite" | "libsqlite3-sys" | "rust_decimal" | "serde_json", Some(version)) =
            (name, version)
        {
            found.push((name.to_owned(), version.trim_matches('"').to_owned()));
        }
    }
    found
}

fn fsync(directory: &Path) -> anyhow::Result<(u64, u64)> {
    let path = directory.join("fsync.tmp");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..300 {
        file.write_all(&[7; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    drop(file);
    fs::remove_file(&path)?;
    Ok((percentile(&took, 50).unwrap_or_default(), percentile(&took, 99).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_read_from_a_lock_file() {
        let lock = "[[package]]\nname = \"axum\"\nversion = \"0.8.9\"\n\n[[package]]\nname = \"b\"\nversion = \"1\"\n";
        assert_eq!(crates(lock), [("axum".to_owned(), "0.8.9".to_owned())]);
    }
}
