//! What the documents say of the code is there.

use std::path::Path;

/// The table of threats names a test for each: by file, then by name.
#[test]
fn the_tests_that_the_threat_model_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
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
