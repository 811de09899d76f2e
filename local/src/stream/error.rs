//! What can go wrong with a stream log on disk, and what its owner can do about it.

use std::io;
use std::path::PathBuf;

/// A stream that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StreamOpenError {
    /// The file system refused.
    #[error("cannot {action} {}: {error}; check that the directory can be written to and the disk is not full", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process, or another log in this one, has the stream open.
    #[error("the stream in {} is in use; stop the other process, or give this one a directory of its own", path.display())]
    InUse {
        /// The directory of the stream.
        path: PathBuf,
    },
    /// The options are not usable.
    #[error("a stream cannot be opened with {0}")]
    Options(&'static str),
    /// The description of the stream is missing or not readable.
    #[error("{} {why}; restore the file from a backup, or move the whole directory aside to begin a new stream", path.display())]
    Description {
        /// The description.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer version.
    #[error("the stream described by {} has format {found}, this version knows {known}; use the newer agentledger that wrote it", path.display())]
    Newer {
        /// The description.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// A segment that was complete once is not any more.
    #[error(transparent)]
    Read(#[from] StreamReadError),
}

/// Records that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamReadError {
    /// The file system refused.
    #[error("cannot {action} {}: {error}; check the disk and the permissions of the file", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A frame that was complete once is not any more.
    #[error(
        "{} is damaged at byte {offset}: {why}; restore the file from a backup. Without one, stop the server and \
         move the whole stream directory aside: totals stay, and what was not counted yet is given up",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where its first damaged frame begins.
        offset: u64,
        /// What is wrong with the frame.
        why: String,
    },
    /// The position asked for is past the end of the shard.
    #[error(
        "shard {shard} ends at {latest}, before {after}, which was consumed: records were lost. Restore the stream \
         directory from a backup, or move it aside: totals stay, and a new stream is begun"
    )]
    Ahead {
        /// The shard.
        shard: u32,
        /// The position asked for.
        after: u64,
        /// The last durable record.
        latest: u64,
    },
    /// There is no such shard.
    #[error("there is no shard {shard}: the stream has {shards}, numbered from 0")]
    NoShard {
        /// The shard asked for.
        shard: u32,
        /// How many there are.
        shards: u32,
    },
}
