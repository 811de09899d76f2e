//! What a page of Markdown holds: its fenced blocks, its headings and its links.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

/// A fenced block.
pub(crate) struct Block {
    /// What stands behind the opening fence.
    pub(crate) info: String,
    pub(crate) text: String,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    /// The heading of the second level that it is under.
    pub(crate) section: String,
}

impl Block {
    pub(crate) fn language(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }

    /// Why it must not be run, of a block `sh no-run (REASON)`; an empty reason is a fault of the page.
    pub(crate) fn not_run(&self) -> Option<&str> {
        let reason = self.info.strip_prefix("sh no-run")?;
        Some(reason.trim().trim_start_matches('(').trim_end_matches(')'))
    }

    /// Its commands: a line, with those that a backslash or an open quote carries on.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut open = String::new();
        for line in self.text.lines() {
            open.push_str(line);
            open.push('\n');
            if !line.ends_with('\\') && open.matches('\'').count().is_multiple_of(2) {
                let command = std::mem::take(&mut open);
                if !command.trim().is_empty() && !command.starts_with('#') {
                    commands.push(command);
                }
            }
        }
        assert!(open.is_empty(), "line {}: a command does not end: {open}", self.line);
        commands
    }
}

/// The fenced blocks of a page.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    let mut section = String::new();
    for (n, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(info) => {
                inside = true;
                let section = section.clone();
                blocks.push(Block { info: info.to_owned(), text: String::new(), line: n + 1, section });
            }
            None if inside => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {
                if let Some(heading) = line.strip_prefix("## ") {
                    heading.clone_into(&mut section);
                }
            }
        }
    }
    assert!(!inside, "a block does not end");
    blocks
}

/// The lines of a page outside of its blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The anchors of a page's headings, as they are made where repositories are shown.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let heading = |line: &str| {
        let words = line.trim_start_matches('#');
        (words.len() < line.len() && words.starts_with(' ')).then(|| words.trim().to_lowercase())
    };
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    prose(text)
        .filter_map(heading)
        .map(|words| words.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect())
        .collect()
}

/// Where the links of a page lead, those to other sites left out.
pub(crate) fn links(text: &str) -> Vec<String> {
    let all = prose(text).collect::<Vec<_>>().join("\n");
    let targets = all.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// Every page: the README, and what is in docs/.
pub(crate) fn pages() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for dir in ["docs", "docs/adr", "docs/errors"] {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                found.push(format!("{dir}/{name}"));
            }
        }
    }
    found.sort();
    found
}
