//! Who serves which model, and which entry of the book prices it.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::error::PriceBookError;
use super::file::{BookFile, Text};
use super::names;
use super::pattern::Rule;

/// Of `Index::providers`.
type ProviderAt = usize;
/// Of the book's entries.
pub(super) type EntryAt = usize;

/// The names of a book's models.
#[derive(Debug)]
pub(super) struct Index {
    providers: Vec<Provider>,
    by_name: HashMap<Box<str>, ProviderAt>,
    /// Names that one provider alone has; none for a name of several.
    alone: HashMap<Box<str>, Option<EntryAt>>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Provider {
    id: Box<str>,
    exact: HashMap<Box<str>, EntryAt>,
    /// In the order of the book.
    rules: Vec<(EntryAt, Rule)>,
    own: Vec<Rule>,
    fallback: Vec<ProviderAt>,
    gateway: bool,
}

impl Provider {
    /// The first entry of the book that a name, in lower case, fits.
    fn find(&self, name: &str) -> Option<EntryAt> {
        let exact = self.exact.get(name).copied();
        let before = self.rules.iter().take_while(|(at, _)| exact.is_none_or(|exact| *at < exact));
        before.into_iter().find(|(_, rule)| rule.matches(name)).map(|(at, _)| *at).or(exact)
    }
}

impl Index {
    /// Reads the names of a book.
    pub(super) fn new(file: &BookFile<'_>) -> Result<Self, PriceBookError> {
        let mut index = Self {
            providers: Vec::with_capacity(file.providers.len()),
            by_name: HashMap::with_capacity(file.providers.len() * 4),
            alone: HashMap::with_capacity(file.models.len() * 2),
            seen: Seen::new(),
        };
        for provider in &file.providers {
            let at = index.provider(provider.id.as_str());
            index.providers[at].own = rules(&provider.models).collect();
            index.providers[at].gateway = provider.gateway;
        }
        for provider in &file.providers {
            let at = index.provider(provider.id.as_str());
            for name in &provider.names {
                // A provider's own name wins over what another is called, too.
                index.by_name.entry(lower(name)).or_insert(at);
            }
            for fallback in &provider.fallback {
                let Some(to) = index.by_name.get(&lower(fallback)).copied() else {
                    let (provider, fallback) = (provider.id.as_str().into(), fallback.as_str().into());
                    return Err(PriceBookError::Fallback { provider, fallback });
                };
                index.providers[at].fallback.push(to);
            }
        }
        for (at, model) in file.models.iter().enumerate() {
            let provider = index.provider(model.provider.as_str());
            for name in model.aliases.iter().chain([&model.model]) {
                index.add(provider, lower(name), at);
            }
            for rule in rules(&model.rules) {
                match rule.exact() {
                    Some(name) => index.add(provider, name.into(), at),
                    None => index.providers[provider].rules.push((at, rule)),
                }
            }
        }
        Ok(index)
    }

    fn provider(&mut self, id: &str) -> ProviderAt {
        let id: Box<str> = id.to_lowercase().into();
        let next = self.providers.len();
        let at = *self.by_name.entry(id.clone()).or_insert(next);
        if at == next {
            self.providers.push(Provider { id, ..Provider::default() });
        }
        at
    }

    fn add(&mut self, provider: ProviderAt, name: Box<str>, at: EntryAt) {
        let before = *self.providers[provider].exact.entry(name.clone()).or_insert(at);
        if before == at {
            self.alone
                .entry(name)
                .and_modify(|known| *known = known.filter(|k| *k == at))
                .or_insert(Some(at));
        }
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
        if &*provider.id == "huggingface"
            && let Some((model, partner)) = model.rsplit_once(':')
        {
            return self.spelled(self.named(&format!("huggingface_{partner}"))?, model);
        }
        self.spelled(provider, model).or_else(|| {
            let (maker, model) = model.split_once('/').filter(|_| provider.gateway)?;
            self.spelled(self.named(maker).filter(|maker| !maker.gateway)?, model)
        })
    }

    fn named(&self, provider: &str) -> Option<&Provider> {
        self.providers.get(*self.by_name.get(provider.to_lowercase().as_str())?)
    }

    fn spelled(&self, provider: &Provider, model: &str) -> Option<EntryAt> {
        let fallback = || provider.fallback.iter().filter_map(|at| self.providers.get(*at));
        names::first(&provider.id, model, |name| {
            provider.find(name).or_else(|| fallback().find_map(|other| other.find(name)))
        })
    }

    /// Without a provider: the maker's own prices, then those of the provider that stands before the model as
    /// in `groq/llama-3.3-70b`, then those of the only provider that has a model of that name.
    fn of_maker(&self, model: &str) -> Option<EntryAt> {
        let lower = model.to_lowercase();
        let makers = self.providers.iter().filter(|p| p.own.iter().any(|rule| rule.matches(&lower)));
        let own = makers.into_iter().find_map(|provider| self.spelled(provider, model));
        own.or_else(|| {
            let (provider, rest) = lower.split_once('/')?;
            self.at_provider(provider, rest)
        })
        .or_else(|| names::first("", model, |name| self.alone.get(name).copied().flatten()))
    }
}

fn lower(text: &Text<'_>) -> Box<str> {
    text.as_str().to_lowercase().into()
}

fn rules<'a>(texts: &'a [Text<'_>]) -> impl Iterator<Item = Rule> + 'a {
    texts.iter().map(|text| Rule::parse(text.as_str()))
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
