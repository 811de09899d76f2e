//! `--resume FILE`: how far a replay is, kept after each batch, so that it goes on from there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use operate::replay::Position;
use serde::{Deserialize, Serialize};

use crate::source::Misuse;

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What was asked, so that another question does not go on in the middle.
    question: Vec<String>,
    position: Position,
}

/// A file that keeps a place, or none.
pub(crate) struct Place {
    file: Option<PathBuf>,
    question: Vec<String>,
}

impl Place {
    /// Opens it; answers the place to go on from, which is the beginning if there is no file.
    pub(crate) fn open(file: Option<&Path>, question: Vec<String>) -> anyhow::Result<(Self, Position)> {
        let place = Self { file: file.map(Path::to_owned), question };
        let Some(file) = file.filter(|file| file.exists()) else { return Ok((place, Position::default())) };
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("--resume {shown} cannot be read"))?;
        let wrong = |e| Misuse(format!("--resume {shown} is no place of a replay: {e}"));
        let kept: Kept = serde_json::from_str(&text).map_err(wrong)?;
        if kept.question != place.question {
            let asked = kept.question.join(" ");
            return Err(Misuse(format!(
                "--resume {shown} is the place of another replay, `{asked}`: ask the same, or name another file"
            ))
            .into());
        }
        Ok((place, kept.position))
    }

    /// Keeps a place; the file is there as a whole or not at all.
    pub(crate) fn keep(&self, position: &Position) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let kept = Kept { question: self.question.clone(), position: position.clone() };
        let text = serde_json::to_string(&kept).map_err(|e| e.to_string())?;
        let draft = file.with_extension("new");
        let written = fs::File::create(&draft)
            .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
            .and_then(|()| fs::rename(&draft, file));
        written.map_err(|e| format!("{}: {e}", file.display()))
    }

    /// The replay is done.
    pub(crate) fn done(&self) -> anyhow::Result<()> {
        match &self.file {
            Some(file) if file.exists() => {
                fs::remove_file(file).with_context(|| format!("{} cannot be removed", file.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_for_the_same_question_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("place.json");
        let question = || vec!["--apply".to_owned()];
        let (place, position) = Place::open(Some(&file), question()).unwrap();
        assert_eq!(position, Position::default());
        let further = Position { after: [("s".to_owned(), "7".to_owned())].into(), done: [].into() };
        place.keep(&further).unwrap();
        assert_eq!(Place::open(Some(&file), question()).unwrap().1, further);
        let other = Place::open(Some(&file), Vec::new()).err().unwrap();
        assert!(other.is::<Misuse>() && other.to_string().contains("`--apply`"), "{other}");
        place.done().unwrap();
        assert!(!file.exists());
        place.done().unwrap();
    }
}
