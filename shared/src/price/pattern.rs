//! Rules that name models by their shape: globs, in which `*` is any run of characters and `#` one digit.
//!
//! Price lists state them as prefixes, parts and regular expressions; an import turns those into globs, so that
//! looking a model up needs no regular expressions.

/// Globs that all have to hold; one that begins with `!` must not. Written with `&` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule(Box<[Clause]>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    wanted: bool,
    shape: Shape,
}

/// The common shapes apart, as they need no backtracking.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Part(Box<str>),
    Glob(Box<str>),
}

impl Rule {
    /// Reads a rule; names are compared in lower case.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.split('&').map(Clause::parse).collect())
    }

    /// Whether a name, in lower case, is meant.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.iter().all(|clause| clause.shape.matches(name) == clause.wanted)
    }

    /// The name, if it is the only one that the rule means.
    pub(super) fn exact(&self) -> Option<&str> {
        match &*self.0 {
            [Clause { wanted: true, shape: Shape::Exact(name) }] => Some(name),
            _ => None,
        }
    }
}

impl Clause {
    fn parse(text: &str) -> Self {
        let (wanted, text) = text.strip_prefix('!').map_or((true, text), |rest| (false, rest));
        Self { wanted, shape: Shape::parse(&text.to_lowercase()) }
    }
}

impl Shape {
    fn parse(text: &str) -> Self {
        let plain = |text: &str| !text.contains(['*', '#']);
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if plain(text) => Self::Exact(text.into()),
            (_, Some(rest)) if plain(rest) => Self::Prefix(rest.into()),
            (Some(rest), _) if plain(rest) => Self::Suffix(rest.into()),
            (Some(rest), Some(_)) => match rest.strip_suffix('*') {
                Some(part) if plain(part) => Self::Part(part.into()),
                _ => Self::Glob(text.into()),
            },
            _ => Self::Glob(text.into()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => name == &**text,
            Self::Prefix(text) => name.starts_with(&**text),
            Self::Suffix(text) => name.ends_with(&**text),
            Self::Part(text) => name.contains(&**text),
            Self::Glob(text) => glob(text.as_bytes(), name.as_bytes()),
        }
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
            assert!(Rule::parse(rule).matches(yes), "{rule} {yes}");
            assert!(!Rule::parse(rule).matches(no), "{rule} {no}");
        }
    }

    #[test]
    fn only_a_plain_name_is_exact() {
        assert_eq!(Rule::parse("GPT-4").exact(), Some("gpt-4"));
        assert_eq!(Rule::parse("gpt-4*").exact(), None);
        assert_eq!(Rule::parse("!gpt-4").exact(), None);
    }
}
