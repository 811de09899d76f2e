//! A data directory: what is kept where, and that one process at a time holds it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::stream::sync_dir;

/// A data directory, locked for as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The file system refused.
    #[error("cannot {action} {}: {error}; check that the directory can be written to", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Nothing was kept there yet.
    #[error("{} holds no ledger; `agentledger up --data {}` makes one", path.display(), path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// Another process has it.
    #[error(
        "{} is in use by {holder}; ask that server with --url, stop it, or give another directory",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it, as far as it said.
        holder: String,
    },
}

impl DataDir {
    /// Locks `path`, making it if it is not there.
    pub fn create(path: &Path) -> Result<Self, DataDirError> {
        make_durably(path)?;
        let dir = Self::lock(path)?;
        make_durably(&dir.stream())?;
        Ok(dir)
    }

    /// Locks `path`, which must hold a ledger: a mistyped directory is not taken for an empty one.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        if !path.join(LEDGER).is_file() {
            return Err(DataDirError::Empty { path: path.to_owned() });
        }
        Self::lock(path)
    }

    fn lock(path: &Path) -> Result<Self, DataDirError> {
        let file = path.join("lock");
        let io = |action| {
            let path = file.clone();
            move |error| DataDirError::Io { action, path, error }
        };
        let open = File::options().create(true).truncate(false).read(true).write(true).open(&file);
        let mut lock = open.map_err(io("open"))?;
        if let Err(error) = lock.try_lock() {
            if let fs::TryLockError::Error(error) = error {
                return Err(io("lock")(error));
            }
            let mut said = String::new();
            let _ = lock.read_to_string(&mut said);
            let holder = match said.trim().parse::<u32>() {
                Ok(pid) => format!("process {pid}"),
                Err(_) => "another process".to_owned(),
            };
            return Err(DataDirError::InUse { path: path.to_owned(), holder });
        }
        // Only for the message above; the lock itself is the operating system's.
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(io("write"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger's database.
    pub fn ledger(&self) -> PathBuf {
        self.path.join(LEDGER)
    }

    /// The stream's directory.
    pub fn stream(&self) -> PathBuf {
        self.path.join("stream")
    }
}

const LEDGER: &str = "ledger.db";

/// Makes a directory, and the names of all that were made on the way durable: a receipt is worth as much as
/// the name of the directory that it is kept in.
fn make_durably(path: &Path) -> Result<(), DataDirError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |error| DataDirError::Io { action, path, error }
    };
    let mut made: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
    fs::create_dir_all(path).map_err(io("make", path))?;
    made.retain(|dir| !dir.as_os_str().is_empty());
    for dir in made {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_dir(parent).map_err(io("sync", parent))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_next_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = DataDir::create(&path).unwrap();
        let refused = DataDir::create(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(held);
        DataDir::create(&path).unwrap();
    }

    #[test]
    fn reading_does_not_make_a_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("typo");
        assert!(matches!(DataDir::open(&missing), Err(DataDirError::Empty { .. })));
        assert!(!missing.exists());
    }
}
