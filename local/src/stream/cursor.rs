//! Walks the frames of one segment file with large reads, for recovery and for consumers.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};

use super::error::StreamReadError;
use super::frame::{self, Decoded, LogRecord};

/// How much is read at least, unless the caller knows better.
pub(super) const READ_BYTES: usize = 1 << 20;

/// A place in one segment file.
pub(super) struct Cursor {
    file: File,
    path: PathBuf,
    offset: u64,
    /// What was read ahead, beginning at `offset`.
    buf: Bytes,
}

impl Cursor {
    /// Opens the file, at a byte where a frame begins.
    pub(super) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, path: path.to_owned(), offset, buf: Bytes::new() })
    }

    /// The byte where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame before the byte `end`, and its length; None at `end`.
    ///
    /// `end` may grow between calls, never shrink: what was read ahead is kept.
    pub(super) fn peek(
        &mut self,
        end: u64,
        chunk: usize,
    ) -> Result<Option<(LogRecord, usize)>, StreamReadError> {
        if self.offset >= end {
            return Ok(None);
        }
        loop {
            match frame::decode(&self.buf) {
                Decoded::Frame { record, len, .. } => return Ok(Some((record, len))),
                Decoded::Bad(why) => return Err(self.damaged(why)),
                Decoded::Short(need) => {
                    let left = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
                    if need > left {
                        return Err(self.damaged("it is cut off"));
                    }
                    self.fill(need.max(chunk).min(left))?;
                }
            }
        }
    }

    /// Steps over the frame that [`Self::peek`] returned.
    pub(super) fn advance(&mut self, len: usize) {
        self.buf.advance(len);
        self.offset += len as u64;
    }

    /// An error about the frame at the present place.
    pub(super) fn damaged(&self, why: impl Into<String>) -> StreamReadError {
        StreamReadError::Damaged { path: self.path.clone(), offset: self.offset, why: why.into() }
    }

    fn fill(&mut self, len: usize) -> Result<(), StreamReadError> {
        let mut buf = vec![0; len];
        self.file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| self.file.read_exact(&mut buf))
            .map_err(|error| StreamReadError::Io { action: "read", path: self.path.clone(), error })?;
        self.buf = buf.into();
        Ok(())
    }
}
