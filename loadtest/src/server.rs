//! A server process: started, asked, killed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// A running `agentledger up`.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Server {
    /// Starts it on `data` and waits for its line.
    pub(crate) fn start(program: &Path, data: &Path) -> anyhow::Result<Self> {
        Self::start_with(program, data, None)
    }

    /// Starts it with a configuration file.
    pub(crate) fn start_with(program: &Path, data: &Path, config: Option<&Path>) -> anyhow::Result<Self> {
        Self::start_at(program, data, config, "127.0.0.1:0")
    }

    /// Starts it at this address: again, where it was before.
    pub(crate) fn start_at(
        program: &Path,
        data: &Path,
        config: Option<&Path>,
        listen: &str,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["up", "--listen", listen, "--data"])
            .arg(data)
            .args(config.into_iter().flat_map(|file| [Path::new("--config"), file]))
            .env("AGENTLEDGER_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("it has no standard output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) else {
            let _ = child.kill();
            let mut rest = String::new();
            let _ = lines.read_to_string(&mut rest);
            bail!("it did not become ready: {line}{rest}");
        };
        Ok(Self { url: url.to_owned(), child })
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Resident memory now and at most, in MB; none where the system does not tell.
    pub(crate) fn memory(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb / 1024)
        };
        Some((of("VmRSS:")?, of("VmHWM:")?))
    }

    /// Processor time used so far by it and by this program; none where the system does not tell.
    pub(crate) fn processor(&self) -> Option<[Duration; 2]> {
        let of = |process: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // The name before it may hold spaces. User and system time are fields 14 and 15, in hundredths.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
            let mut next = || fields.next()?.parse::<u64>().ok();
            Some(Duration::from_millis(10 * (next()? + next()?)))
        };
        Some([of(&self.child.id().to_string())?, of("self")?])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
