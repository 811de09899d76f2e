//! An archive in a directory: what `aws s3 sync` brings.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use jiff::Timestamp;

use super::ArchiveError;
use super::layout::Hours;
use crate::read::ReadError;

/// The files that can hold what is asked for, by name.
pub(super) fn list(root: &Path, from: Timestamp, to: Timestamp) -> Result<Vec<String>, ArchiveError> {
    let failed = |path: &Path, error: &io::Error| {
        ArchiveError::Read(ReadError::Refused(format!("{} cannot be read: {error}", path.display())))
    };
    let hours = Hours::of(from, to);
    let mut names = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        // Links are followed for the root only: a loop would never end.
        let kind = if path == root { path.metadata() } else { path.symlink_metadata() };
        let kind = kind.map_err(|error| failed(&path, &error))?;
        if kind.is_dir() {
            for entry in path.read_dir().map_err(|error| failed(&path, &error))? {
                waiting.push(entry.map_err(|error| failed(&path, &error))?.path());
            }
        } else if kind.is_file() {
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if hours.holds(&below) {
                names.push(path.to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// A file's bytes.
pub(super) fn read(name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    let object = |why: String| ArchiveError::Object { name: name.to_owned(), why };
    let file = File::open(name).map_err(|error| object(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| object(format!("cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(object(format!("is larger than {limit} bytes")));
    }
    Ok(bytes)
}
