//! What the documents say of the code is there, what they link to too, and their commands do what they say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
mod run;

use blocks::{anchors, links, pages, read, root};

/// The table of threats names a test for each: by file, then by name.
#[test]
fn the_tests_that_the_threat_model_names_exist() {
    let (root, text) = (root(), read("docs/security.md"));
    let mut named = 0;
    let threats = text.lines().skip_while(|line| *line != "## Threats").filter(|line| line.starts_with("| "));
    for line in threats.skip(2) {
        let tests = line.trim_end_matches('|').rsplit('|').next().unwrap();
        for test in tests.split(", ") {
            let mut words = test.split('`').skip(1).step_by(2);
            let (file, name) = (words.next().unwrap(), words.next().unwrap_or_else(|| panic!("{test}")));
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(source.contains(&format!("fn {name}")), "{file} has no {name}");
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
}

/// The pages that the README sends its readers to.
const READERS: [&str; 4] =
    ["docs/for-agents.md", "docs/for-finance.md", "docs/for-engineers.md", "docs/for-sres.md"];

#[test]
fn each_readers_page_starts_with_three_commands_and_is_short() {
    let readme = read("README.md");
    for page in READERS {
        let text = read(page);
        let found = blocks::blocks(&text);
        assert_eq!((found[0].info.as_str(), found[0].commands().len()), ("sh", 3), "{page}");
        assert!(found[0].line <= 4, "{page} has something before its commands");
        assert!(text.lines().count() <= 140, "{page} has {} lines", text.lines().count());
        assert!(readme.contains(&format!("]({page})")), "the README does not lead to {page}");
    }
}

#[test]
fn what_is_not_run_says_why() {
    for page in pages() {
        for block in blocks::blocks(&read(&page)) {
            assert_ne!(block.not_run(), Some(""), "{page}, line {}", block.line);
            assert!(
                block.info == "sh" || block.language() != "sh" || block.not_run().is_some(),
                "{page}: {}",
                block.info
            );
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    for page in pages() {
        for link in links(&read(&page)) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let dir = std::path::Path::new(&page).parent().unwrap();
            let target = if file.is_empty() { page.clone().into() } else { dir.join(file) };
            assert!(root().join(&target).exists(), "{page} links to {link}");
            let target = target.to_str().unwrap();
            assert!(
                anchor.is_empty() || anchors(&read(target)).iter().any(|known| known == anchor),
                "{page} links to {link}"
            );
            followed += 1;
        }
    }
    assert!(followed > 100, "{followed}");
}
