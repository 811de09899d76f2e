//! From a book's data to its flat lists.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::file::{BookFile, ModelFile, Text};
use super::packed::{Lists, Packed, ProviderAt, Rules, Texts};
use super::pattern::{Clause, Shape};
use super::tier;

/// Why a book cannot be packed.
#[derive(Debug)]
pub(super) enum PackError {
    /// A provider asks for the prices of one that is not there.
    Fallback(String, String),
    /// An entry cannot be written as JSON.
    Line(serde_json::Error),
}

/// What a clause is to be found by: its shape and its text.
type Found = Vec<Clause>;

#[derive(Default)]
struct Provider {
    id: String,
    gateway: bool,
    fallback: Vec<u32>,
    /// In the order of the book.
    rules: Vec<(u32, Found)>,
    own: Vec<(u32, Found)>,
}

#[derive(Default)]
struct Packing {
    providers: Vec<Provider>,
    called: HashMap<String, ProviderAt>,
    /// The first entry of the book by name and provider.
    names: BTreeMap<String, BTreeMap<ProviderAt, u32>>,
}

/// Packs a book.
pub(super) fn pack(file: &BookFile<'_>) -> Result<Packed, PackError> {
    let mut packing = Packing::default();
    for provider in &file.providers {
        let at = packing.provider(provider.id.as_str());
        packing.providers[at].own = provider.models.iter().map(|text| (0, clauses(text))).collect();
        packing.providers[at].gateway = provider.gateway;
    }
    for provider in &file.providers {
        let at = packing.provider(provider.id.as_str());
        for name in &provider.names {
            // A provider's own name wins over what another is called, too.
            packing.called.entry(name.as_str().to_lowercase()).or_insert(at);
        }
        for fallback in &provider.fallback {
            let Some(to) = packing.called.get(&fallback.as_str().to_lowercase()).copied() else {
                let (provider, fallback) = (provider.id.as_str().into(), fallback.as_str().into());
                return Err(PackError::Fallback(provider, fallback));
            };
            packing.providers[at].fallback.push(number(to));
        }
    }
    let mut lines = Writing::default();
    for (at, model) in (0..).zip(&file.models) {
        let provider = packing.provider(model.provider.as_str());
        for name in model.aliases.iter().chain([&model.model]) {
            packing.add(provider, name.as_str().to_lowercase(), at);
        }
        for rule in &model.rules {
            match clauses(rule).as_mut_slice() {
                [Clause { wanted: true, shape: Shape::Exact, text }] => {
                    packing.add(provider, std::mem::take(text), at);
                }
                _ => packing.providers[provider].rules.push((at, clauses(rule))),
            }
        }
        lines.push(&line(model).map_err(PackError::Line)?);
    }
    Ok(packing.flat(file, lines.done()))
}

fn clauses(rule: &Text<'_>) -> Found {
    Clause::parse_all(rule.as_str())
}

/// An entry without the names that it is found by, and what is only told of it.
fn line(model: &ModelFile<'_>) -> Result<String, serde_json::Error> {
    serde_json::to_string(&ModelFile {
        provider: model.provider.clone(),
        model: model.model.clone(),
        strict: model.strict,
        prices: model.prices.clone(),
        ..ModelFile::default()
    })
}

impl Packing {
    fn provider(&mut self, id: &str) -> ProviderAt {
        let id = id.to_lowercase();
        let next = self.providers.len();
        let at = *self.called.entry(id.clone()).or_insert(next);
        if at == next {
            self.providers.push(Provider { id, ..Provider::default() });
        }
        at
    }

    fn add(&mut self, provider: ProviderAt, name: String, at: u32) {
        self.names.entry(name).or_default().entry(provider).or_insert(at);
    }

    fn flat(self, file: &BookFile<'_>, lines: Texts) -> Packed {
        let mut tiers: Vec<&str> = Vec::new();
        for tier in file.models.iter().flat_map(|model| &model.prices).filter_map(|price| price.tier.as_ref())
        {
            let tier = tier.as_str();
            if !tier.is_empty() && tier::canonical(tier).is_none() && !tiers.contains(&tier) {
                tiers.push(tier);
            }
        }
        let called: BTreeMap<_, _> = self.called.into_iter().collect();
        let holders = self.names.values().map(|holders| {
            holders.iter().flat_map(|(provider, entry)| [number(*provider), *entry]).collect()
        });
        Packed {
            version: Cow::Owned(file.version.as_str().to_owned()),
            source: Cow::Owned(file.source.as_str().to_owned()),
            inherit: file.inherit,
            tiers: texts(tiers),
            lines,
            ids: texts(self.providers.iter().map(|provider| &*provider.id)),
            called_of: called.values().map(|at| number(*at)).collect(),
            called: texts(called.keys().map(String::as_str)),
            gateway: self.providers.iter().map(|provider| u32::from(provider.gateway)).collect(),
            fallback: lists(self.providers.iter().map(|provider| provider.fallback.clone())),
            holders: lists(holders),
            names: texts(self.names.keys().map(String::as_str)),
            rules: rules(&self.providers.iter().map(|provider| &*provider.rules)),
            own: rules(&self.providers.iter().map(|provider| &*provider.own)),
        }
    }
}

#[derive(Default)]
struct Writing {
    all: String,
    ends: Vec<u32>,
}

impl Writing {
    fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(number(self.all.len()));
    }

    fn done(mut self) -> Texts {
        self.all.shrink_to_fit();
        self.ends.shrink_to_fit();
        Texts { all: Cow::Owned(self.all), ends: Cow::Owned(self.ends) }
    }
}

fn texts<'a>(all: impl IntoIterator<Item = &'a str>) -> Texts {
    let mut writing = Writing::default();
    all.into_iter().for_each(|text| writing.push(text));
    writing.done()
}

fn lists(all: impl Iterator<Item = Vec<u32>>) -> Lists {
    let (mut flat, mut ends) = (Vec::new(), Vec::new());
    for list in all {
        flat.extend(list);
        ends.push(number(flat.len()));
    }
    flat.shrink_to_fit();
    ends.shrink_to_fit();
    Lists { all: Cow::Owned(flat), ends: Cow::Owned(ends) }
}

fn rules<'a>(providers: &(impl Iterator<Item = &'a [(u32, Found)]> + Clone)) -> Rules {
    let each = || providers.clone().flatten();
    Rules {
        of: lists(providers.clone().map(|rules| rules.iter().map(|(entry, _)| *entry).collect())),
        shapes: lists(each().map(|(_, clauses)| clauses.iter().map(Clause::number).collect())),
        texts: texts(each().flat_map(|(_, clauses)| clauses.iter().map(|clause| &*clause.text))),
    }
}

/// A book's text is far from 4 GB.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
