//! A server that runs for one measurement: started on an empty directory, asked, ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

pub(super) struct Process {
    child: Child,
    pub(super) url: String,
}

impl Process {
    /// Starts it, and waits for the line with its address.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .env("AGENTLEDGER_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it has no standard output")?).read_line(&mut line)?;
        let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{} did not become ready: {line}", command.get_program().display());
        };
        Ok(Self { url: url.to_owned(), child })
    }

    /// Processor time that it has used, in nanoseconds.
    pub(super) fn processor(&self) -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .context("the processor time of a process is read from /proc, which only Linux has")?;
        // The name before it may hold spaces. User and system time are fields 14 and 15, in hundredths of a second.
        let fields = stat.rsplit_once(')').context("its state is unreadable")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.sum::<Result<u64, _>>()? * 10_000_000)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
