//! Who serves which model, and which entry of the book prices it.

use std::sync::OnceLock;

use super::names;
use super::packed::{EntryAt, Packed, ProviderAt};

/// Finds the entries of a book.
#[derive(Debug)]
pub(super) struct Index {
    book: Packed,
    seen: Seen,
}

impl Index {
    /// Over the names of a book.
    pub(super) fn new(book: Packed) -> Self {
        Self { book, seen: Seen::new() }
    }

    /// The book.
    pub(super) fn book(&self) -> &Packed {
        &self.book
    }

    /// The entry of a model, at a provider if one is named. Known names are answered without allocating.
    pub(super) fn find(&self, provider: Option<&str>, model: &str) -> Option<EntryAt> {
        let served_by = provider.unwrap_or_default();
        self.seen.get_or(served_by, model, || match provider {
            Some(provider) => self.at_provider(provider, model),
            None => self.of_maker(model),
        })
    }

    /// A provider that the book does not know has no prices, whatever its models are called.
    fn at_provider(&self, provider: &str, model: &str) -> Option<EntryAt> {
        let provider = self.named(provider)?;
        // Hugging Face names the provider that it hands a call on to after the model.
        // https://huggingface.co/docs/inference-providers
        if self.id(provider) == "huggingface"
            && let Some((model, partner)) = model.rsplit_once(':')
        {
            return self.spelled(self.named(&format!("huggingface_{partner}"))?, model);
        }
        self.spelled(provider, model).or_else(|| {
            let (maker, model) = model.split_once('/').filter(|_| self.book.is_gateway(provider))?;
            self.spelled(self.named(maker).filter(|maker| !self.book.is_gateway(*maker))?, model)
        })
    }

    fn named(&self, provider: &str) -> Option<ProviderAt> {
        self.book.provider(&provider.to_lowercase())
    }

    fn id(&self, provider: ProviderAt) -> &str {
        self.book.ids.get(provider).unwrap_or_default()
    }

    fn spelled(&self, provider: ProviderAt, model: &str) -> Option<EntryAt> {
        let asked =
            || [provider].into_iter().chain(self.book.fallback.get(provider).iter().map(|at| *at as usize));
        names::first(self.id(provider), model, |name| {
            let holders = self.book.holders(name);
            asked().find_map(|other| self.book.find(other, name, holders.clone()))
        })
    }

    /// Without a provider: the maker's own prices, then those of the provider that stands before the model as
    /// in `groq/llama-3.3-70b`, then those of the only provider that has a model of that name.
    fn of_maker(&self, model: &str) -> Option<EntryAt> {
        let lower = model.to_lowercase();
        let is_own = |provider: &ProviderAt| self.book.own.find(*provider, &lower, usize::MAX).is_some();
        let own = (0..self.book.ids.len()).filter(is_own).find_map(|provider| self.spelled(provider, model));
        own.or_else(|| {
            let (provider, rest) = lower.split_once('/')?;
            self.at_provider(provider, rest)
        })
        .or_else(|| names::first("", model, |name| self.alone(name)))
    }

    /// The entry of a name that one provider alone has.
    fn alone(&self, name: &str) -> Option<EntryAt> {
        let mut holders = self.book.holders(name);
        let (_, entry) = holders.next()?;
        holders.next().is_none().then_some(entry)
    }
}

/// What was looked up before, found or not, so that each model of a fleet is searched once.
///
/// First come, kept for good: models are few, and a flood of invented names costs only what looking up costs.
#[derive(Debug)]
struct Seen(Box<[OnceLock<Known>]>);

#[derive(Debug)]
struct Known {
    provider: Box<str>,
    model: Box<str>,
    entry: Option<EntryAt>,
}

const SEEN: usize = 1024;
/// So many places are tried for a name.
const PROBES: usize = 8;

impl Seen {
    fn new() -> Self {
        Self(std::iter::repeat_with(OnceLock::new).take(SEEN).collect())
    }

    fn get_or(&self, provider: &str, model: &str, find: impl FnOnce() -> Option<EntryAt>) -> Option<EntryAt> {
        let start = hash(provider, model);
        let places = || (0..PROBES).filter_map(move |probe| self.0.get((start + probe) % SEEN));
        let is_it = |known: &&Known| *known.model == *model && *known.provider == *provider;
        if let Some(known) = places().map_while(OnceLock::get).find(is_it) {
            return known.entry;
        }
        let entry = find();
        let known = Known { provider: provider.into(), model: model.into(), entry };
        let mut known = Some(known);
        for place in places() {
            if let Some(mine) = known.take()
                && let Err(mine) = place.set(mine)
            {
                known = Some(mine);
            }
        }
        entry
    }
}

/// FNV-1a: names are short, and what a collision costs is bounded.
fn hash(provider: &str, model: &str) -> usize {
    let bytes = provider.bytes().chain([0]).chain(model.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from((hash >> 40) % SEEN as u64).unwrap_or_default()
}
