//! The page of results: what a command wrote stands between markers, and what people wrote around them is theirs.

use anyhow::Context;

/// The text with one part written anew. Everything else stays as it is, to the byte.
///
/// Fails where the page has no such part, or has it twice: it says where people want to read it.
pub(super) fn replace(page: &str, name: &str, command: &str, body: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- begin {name}:"), format!("<!-- end {name} -->"));
    for marker in [&begin, &end] {
        let found = page.matches(marker.as_str()).count();
        anyhow::ensure!(
            found == 1,
            "the page has the marker {marker:?} {found} times; it has to be there once"
        );
    }
    anyhow::ensure!(
        !command.contains("-->"),
        "a command that ends a comment cannot stand in one: {command:?}"
    );
    let (before, rest) = page.split_once(&begin).context("the marker was counted above")?;
    let (_, after) =
        rest.split_once(&end).with_context(|| format!("{end:?} comes before {begin:?}; turn them round"))?;
    Ok(format!("{before}{begin} {command} -->\n{}\n{end}{after}", body.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n\nby hand \n\n<!-- begin a: x -->\nold\n<!-- end a -->\n\nbetween\r\n\
                        <!-- begin b: x -->\n<!-- end b -->\nits end \n\n ";

    #[test]
    fn only_the_part_is_touched_and_a_second_time_changes_nothing() {
        let once = replace(PAGE, "a", "make it", "| new |\n").unwrap();
        assert_eq!(once, PAGE.replace("x -->\nold\n", "make it -->\n| new |\n"));
        assert_eq!(replace(&once, "a", "make it", "| new |\n").unwrap(), once);
        let both = replace(&once, "b", "x", "text").unwrap();
        assert_eq!(both.split("<!-- begin b").next(), once.split("<!-- begin b").next());
        assert!(both.ends_with("<!-- end b -->\nits end \n\n "));
    }

    #[test]
    fn a_missing_marker_is_an_error() {
        for page in [
            PAGE.replace("<!-- begin a", "<!-- a"),
            PAGE.replace("<!-- end a -->", ""),
            format!("{PAGE}{PAGE}"),
            "<!-- end a --> <!-- begin a: x -->".to_owned(),
        ] {
            assert!(replace(&page, "a", "x", "new").is_err(), "{page}");
        }
        assert!(replace(PAGE, "c", "x", "new").unwrap_err().to_string().contains("begin c"));
    }
}
