//! A book in few flat lists, as it lies in memory: most of its models are never asked for.
//!
//! The book that is compiled in is packed when it is compiled (`build.rs`), so that a start reads nothing of it and
//! only the pages that are looked at are in memory at all. Offsets, as pointers would have to be set at each start.

use std::borrow::Cow;

use super::pattern::{self, Shape};

/// Of `Packed::ids`.
pub(super) type ProviderAt = usize;
/// Of `Packed::lines`.
pub(super) type EntryAt = usize;

/// Numbers that are compiled in, or made of a book that was read.
pub(super) type Numbers = Cow<'static, [u32]>;

/// Texts, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) all: Cow<'static, str>,
    pub(super) ends: Numbers,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let start = at.checked_sub(1).map_or(Some(0), |before| Some(*self.ends.get(before)? as usize))?;
        self.all.get(start..*self.ends.get(at)? as usize)
    }

    /// Where a text is, if they are in order.
    fn position(&self, text: &str) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.get(middle)?.cmp(text) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

/// Lists of numbers, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub(super) all: Numbers,
    pub(super) ends: Numbers,
}

impl Lists {
    fn range(&self, at: usize) -> std::ops::Range<usize> {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.ends.get(at).map_or(0..0, |end| start..*end as usize)
    }

    pub(super) fn get(&self, at: usize) -> &[u32] {
        self.all.get(self.range(at)).unwrap_or_default()
    }
}

/// Rules, by provider, each with the entry that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// The rules of each provider; the numbers are the entries.
    pub(super) of: Lists,
    /// The clauses of each rule; the numbers are their shapes, as [`pattern::Clause::number`] writes them.
    pub(super) shapes: Lists,
    /// The texts of all clauses.
    pub(super) texts: Texts,
}

impl Rules {
    /// The first rule of a provider that a name, in lower case, fits, among those of entries before `before`.
    pub(super) fn find(&self, provider: ProviderAt, name: &str, before: EntryAt) -> Option<EntryAt> {
        let rules = self.of.range(provider).zip(self.of.get(provider));
        let before = rules.take_while(|(_, entry)| (**entry as usize) < before);
        before.into_iter().find(|(rule, _)| self.fits(*rule, name)).map(|(_, entry)| *entry as usize)
    }

    fn fits(&self, rule: usize, name: &str) -> bool {
        self.shapes.range(rule).zip(self.shapes.get(rule)).all(|(clause, number)| {
            let (wanted, shape) = Shape::of_number(*number);
            self.texts.get(clause).is_some_and(|text| pattern::matches(shape, text, name) == wanted)
        })
    }
}

/// A book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) version: Cow<'static, str>,
    pub(super) source: Cow<'static, str>,
    pub(super) inherit: bool,
    /// Names of tiers that entries have and that are no provider's.
    pub(super) tiers: Texts,
    /// The entries, each as JSON without the names that it is found by.
    pub(super) lines: Texts,
    /// The book's names of providers.
    pub(super) ids: Texts,
    /// Those and what else providers are called, in order, and whom each means.
    pub(super) called: Texts,
    pub(super) called_of: Numbers,
    /// One for a gateway.
    pub(super) gateway: Numbers,
    /// By provider, whose prices it asks for what it has none for.
    pub(super) fallback: Lists,
    /// Names of models, in order, and who has an entry of that name: provider, entry, provider, entry.
    pub(super) names: Texts,
    pub(super) holders: Lists,
    /// Rules that entries are found by.
    pub(super) rules: Rules,
    /// Rules for models that are a provider's own.
    pub(super) own: Rules,
}

impl Packed {
    pub(super) fn provider(&self, name: &str) -> Option<ProviderAt> {
        Some(*self.called_of.get(self.called.position(name)?)? as usize)
    }

    pub(super) fn is_gateway(&self, provider: ProviderAt) -> bool {
        self.gateway.get(provider) == Some(&1)
    }

    /// The providers that have an entry of a name, in lower case, and which.
    pub(super) fn holders(&self, name: &str) -> impl Iterator<Item = (ProviderAt, EntryAt)> + Clone {
        let list = self.names.position(name).map(|at| self.holders.get(at)).unwrap_or_default();
        list.chunks_exact(2).map(|pair| (pair[0] as usize, pair[1] as usize))
    }

    /// The first entry of a provider that a name, in lower case, fits; `holders` are that name's.
    pub(super) fn find(
        &self,
        provider: ProviderAt,
        name: &str,
        mut holders: impl Iterator<Item = (ProviderAt, EntryAt)>,
    ) -> Option<EntryAt> {
        let exact = holders.find(|(at, _)| *at == provider).map(|(_, entry)| entry);
        self.rules.find(provider, name, exact.unwrap_or(usize::MAX)).or(exact)
    }
}
