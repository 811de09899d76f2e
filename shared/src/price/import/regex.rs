//! The few regular expressions of genai-prices, written out as globs.
//!
//! They are dates, digits, optional parts and choices; and, to leave speech models out, two kinds of negative
//! look-ahead. What is none of these is not understood, and its model is left out.

/// A pattern may stand for so many globs.
const MOST: usize = 64;

/// The rules that mean what a regular expression does, each as a rule of the book; none if there are none such.
pub(super) fn globs(regex: &str) -> Option<Vec<String>> {
    let (mut rest, mut at_start) = match regex.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (regex, false),
    };
    let mut without: Vec<&str> = Vec::new();
    for (look, means) in [
        // Not a speech model.
        (r"(?!.*-[tT][tT][sS](?:$|-))", &["!*-tts", "!*-tts-*"][..]),
        // Not a name with a path.
        ("(?![^/]+/)", &["!?*/*"][..]),
    ] {
        if let Some(after) = rest.strip_prefix(look).filter(|_| at_start) {
            rest = after;
            without.extend(means);
        }
    }
    // A path that begins with a slash is no name, so the look-ahead means any slash.
    let without: Vec<&str> = without.into_iter().map(|w| if w == "!?*/*" { "!*/*" } else { w }).collect();
    if rest.is_empty() && !without.is_empty() {
        return Some(vec![without.join("&")]);
    }
    let at_end = rest.strip_suffix('$').filter(|before| !before.ends_with('\\'));
    let mut reader = Reader { rest: at_end.unwrap_or(rest) };
    let texts = reader.choice()?;
    if !reader.rest.is_empty() {
        return None;
    }
    let star = |wanted: bool| if wanted { "" } else { "*" };
    at_start |= regex.starts_with('^');
    let rule = |text: String| {
        let glob = format!("{}{text}{}", star(at_start), star(at_end.is_some()));
        let glob = glob.replace("**", "*");
        [&[glob.as_str()], without.as_slice()].concat().join("&")
    };
    Some(texts.into_iter().map(rule).collect())
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, text: &str) -> bool {
        self.rest.strip_prefix(text).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    /// `a|b`
    fn choice(&mut self) -> Option<Vec<String>> {
        let mut all = self.sequence()?;
        while self.take("|") {
            all.extend(self.sequence()?);
        }
        (all.len() <= MOST).then_some(all)
    }

    fn sequence(&mut self) -> Option<Vec<String>> {
        let mut all = vec![String::new()];
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let mut next = self.atom()?;
            if self.take("?") {
                next.push(String::new());
            } else if self.rest.starts_with(['*', '+', '{']) {
                next = self.repeated(&next)?;
            }
            all = all.iter().flat_map(|head| next.iter().map(move |tail| format!("{head}{tail}"))).collect();
            if all.len() > MOST {
                return None;
            }
        }
        Some(all)
    }

    /// `{8}`, of one text.
    fn repeated(&mut self, texts: &[String]) -> Option<Vec<String>> {
        let [text] = texts else { return None };
        let (count, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
        self.rest = rest;
        let count: usize = count.parse().ok().filter(|n| *n <= 16)?;
        Some(vec![text.repeat(count)])
    }

    fn atom(&mut self) -> Option<Vec<String>> {
        if self.take("(?:") || (!self.rest.starts_with("(?") && self.take("(")) {
            let inner = self.choice()?;
            return self.take(")").then_some(inner);
        }
        if self.take(r"\d") {
            return Some(vec!["#".to_owned()]);
        }
        if self.take(".*") {
            return Some(vec!["*".to_owned()]);
        }
        if self.take("[") {
            let (inside, rest) = self.rest.split_once(']')?;
            // A range or a negation is more than a list of characters; a hyphen first is one.
            if inside.starts_with('^') || inside.contains('\\') || inside.get(1..)?.contains('-') {
                return None;
            }
            self.rest = rest;
            return Some(inside.chars().map(String::from).collect());
        }
        let escaped = self.take("\\");
        let next = self.rest.chars().next()?;
        let plain = next.is_ascii_alphanumeric() || "-_/=@: ".contains(next);
        if (escaped && next.is_ascii_alphanumeric()) || (!escaped && !plain) {
            return None;
        }
        self.rest = &self.rest[next.len_utf8()..];
        Some(vec![next.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_written_out() {
        for (regex, wanted) in [
            (r"^claude-opus-5[-@]\d{8}$", &["claude-opus-5-########", "claude-opus-5@########"][..]),
            (r"^gpt-6\.1-sol-\d{4}-\d{2}-\d{2}$", &["gpt-6.1-sol-####-##-##"]),
            (r"^gemini-3\.5-flash-\d", &["gemini-3.5-flash-#*"]),
            (r"^(?!.*-[tT][tT][sS](?:$|-))", &["!*-tts&!*-tts-*"]),
            (r"^composer-2\.5\[fast=false\]$", &["composer-2.5[fast=false]"]),
            (r"^(a/)?b(-\d{2})?$", &["a/b-##", "a/b", "b-##", "b"]),
            (r"^o[134]", &["o1*", "o3*", "o4*"]),
            (
                r"^(?![^/]+/)(?:labs-)?(?:(?:mi|code)stral|mixtral)",
                &[
                    "labs-mistral*&!*/*",
                    "labs-codestral*&!*/*",
                    "labs-mixtral*&!*/*",
                    "mistral*&!*/*",
                    "codestral*&!*/*",
                    "mixtral*&!*/*",
                ],
            ),
            ("part", &["*part*"]),
        ] {
            assert_eq!(
                globs(regex).as_deref(),
                Some(&wanted.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]),
                "{regex}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        for regex in
            ["a+", "a{2,3}", "[a-z]", "[^a]", r"\w", "(?=x)", "a.b", "(a", "a)", "^(?!x)y", "[", "a{99999}"]
        {
            assert_eq!(globs(regex), None, "{regex}");
        }
    }
}
