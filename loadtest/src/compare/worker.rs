//! Programs in Python that others are measured by: installed into an environment of their own, and kept running, so that
//! what their start takes is in no figure.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use rust_decimal::Decimal;
use serde_json::Value;

/// A virtual environment.
pub(super) struct Environment {
    pub(super) python: PathBuf,
}

impl Environment {
    /// The one under `directory`, made and filled if it is not as wanted.
    pub(super) fn with(directory: &Path, python: &str, packages: &[&str]) -> anyhow::Result<Self> {
        let (venv, stamp) = (directory.join("venv"), directory.join("venv.installed"));
        let python_of = |venv: &Path| venv.join("bin/python");
        let wanted = packages.join(" ");
        // The stamp is written last: an installation that broke off is made anew.
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Self { python: fs::canonicalize(&venv)?.join("bin/python") });
        }
        crate::say(&format!("installing {wanted} into {}", venv.display()));
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(python_of(&venv))
            .args(["-m", "pip", "-q", "--disable-pip-version-check", "install"])
            .args(packages))?;
        fs::write(&stamp, wanted)?;
        Ok(Self { python: fs::canonicalize(&venv)?.join("bin/python") })
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    anyhow::ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}

/// A running program that answers a line with a line.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it and waits for its first line.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<(Self, Value)> {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let input = child.stdin.take().context("it has no standard input")?;
        let output = BufReader::new(child.stdout.take().context("it has no standard output")?);
        let mut worker = Self { child, input, output };
        let hello = worker.line().with_context(|| format!("{shown} did not start"))?;
        Ok((worker, hello))
    }

    /// Its answer to a line.
    pub(super) fn ask(&mut self, line: &str) -> anyhow::Result<Value> {
        writeln!(self.input, "{line}")?;
        self.line()
    }

    fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "a peer ended; what it said on standard error stands above");
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number as Python writes it, with or without an exponent.
pub(super) fn decimal(text: &str) -> anyhow::Result<Decimal> {
    let read = if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { text.parse() };
    read.with_context(|| format!("a peer answered {text:?} as a cost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_as_python_writes_them() {
        assert_eq!(decimal("2.4e-06").unwrap(), Decimal::new(24, 7));
        assert_eq!(decimal("0.0015").unwrap(), Decimal::new(15, 4));
        assert_eq!(decimal("0E-8").unwrap(), Decimal::ZERO);
        assert!(decimal("nan").is_err());
    }
}
