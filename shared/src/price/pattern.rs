//! Rules that name models by their shape: globs, in which `*` is any run of characters and `#` one digit.
//!
//! Price lists state them as prefixes, parts and regular expressions; an import turns those into globs, so that
//! looking a model up needs no regular expressions.

/// One of the globs of a rule, which all have to hold; one that begins with `!` must not. Written with `&` between
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) wanted: bool,
    pub(super) shape: Shape,
    /// What stays of it, in lower case.
    pub(super) text: String,
}

/// The common shapes apart, as they need no backtracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Exact,
    Prefix,
    Suffix,
    Part,
    Glob,
}

impl Clause {
    /// Reads a rule; names are compared in lower case.
    pub(super) fn parse_all(rule: &str) -> Vec<Self> {
        rule.split('&').map(Self::parse).collect()
    }

    fn parse(text: &str) -> Self {
        let (wanted, text) = text.strip_prefix('!').map_or((true, text), |rest| (false, rest));
        let lower = text.to_lowercase();
        let (shape, text) = Shape::parse(&lower);
        Self { wanted, shape, text: text.to_owned() }
    }

    /// Its shape, and whether it is wanted, as a number.
    pub(super) fn number(&self) -> u32 {
        self.shape as u32 * 2 + u32::from(self.wanted)
    }
}

impl Shape {
    /// Of [`Clause::number`].
    pub(super) fn of_number(number: u32) -> (bool, Self) {
        let shape = match number / 2 {
            0 => Self::Exact,
            1 => Self::Prefix,
            2 => Self::Suffix,
            3 => Self::Part,
            _ => Self::Glob,
        };
        (number % 2 == 1, shape)
    }

    fn parse(text: &str) -> (Self, &str) {
        let plain = |text: &str| !text.contains(['*', '#']);
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if plain(text) => (Self::Exact, text),
            (_, Some(rest)) if plain(rest) => (Self::Prefix, rest),
            (Some(rest), _) if plain(rest) => (Self::Suffix, rest),
            (Some(rest), Some(_)) => match rest.strip_suffix('*') {
                Some(part) if plain(part) => (Self::Part, part),
                _ => (Self::Glob, text),
            },
            _ => (Self::Glob, text),
        }
    }
}

/// Whether a rule means a name, in lower case.
pub(super) fn fits(rule: &[Clause], name: &str) -> bool {
    rule.iter().all(|clause| matches(clause.shape, &clause.text, name) == clause.wanted)
}

/// Whether a glob means a name, in lower case.
pub(super) fn matches(shape: Shape, text: &str, name: &str) -> bool {
    match shape {
        Shape::Exact => name == text,
        Shape::Prefix => name.starts_with(text),
        Shape::Suffix => name.ends_with(text),
        Shape::Part => name.contains(text),
        Shape::Glob => glob(text.as_bytes(), name.as_bytes()),
    }
}

/// Time is the product of the lengths at worst: the last star alone is tried again.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(b'#') if name[from].is_ascii_digit() => (at, from) = (at + 1, from + 1),
            Some(byte) if *byte != b'#' && *byte == name[from] => (at, from) = (at + 1, from + 1),
            _ => match star {
                Some((after, tried)) => {
                    (at, from) = (after, tried + 1);
                    star = Some((after, tried + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_means_what_it_says() {
        for (rule, yes, no) in [
            ("gpt-4o", "gpt-4o", "gpt-4o-mini"),
            ("gpt-4o*", "gpt-4o-mini", "x-gpt-4o"),
            ("*gpt-4o", "x-gpt-4o", "gpt-4o-mini"),
            ("*.claude-*", "us.claude-x", "claude-x"),
            ("m-########", "m-20250929", "m-2025092x"),
            ("m-####-##-##", "m-2025-09-29", "m-2025-09-290"),
            ("gemini-3.5-flash-#*", "gemini-3.5-flash-001", "gemini-3.5-flash-lite"),
            ("a*b*c", "aXbYbZc", "aXcYb"),
            ("gemini-2.5-pro*&!*-tts&!*-tts-*", "gemini-2.5-pro-exp", "gemini-2.5-pro-preview-tts"),
            ("Mixed-Case*", "mixed-case-7b", "mixed"),
        ] {
            let clauses = Clause::parse_all(rule);
            assert!(fits(&clauses, yes), "{rule} {yes}");
            assert!(!fits(&clauses, no), "{rule} {no}");
            let numbers = clauses.iter().map(|clause| Shape::of_number(clause.number()));
            assert!(numbers.eq(clauses.iter().map(|clause| (clause.wanted, clause.shape))));
        }
    }
}
