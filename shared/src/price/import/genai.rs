//! genai-prices' list of providers (MIT): <https://github.com/pydantic/genai-prices>.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal::{divided, number, shifted};
use super::{ImportError, Imported, LeftOut, regex};
use crate::money::MAX_SCALE;
use crate::price::file::{BookFile, LongFile, ModelFile, PriceFile, ProviderFile, RateTexts, Text};
use crate::usage::Bucket;

#[derive(Deserialize)]
struct Provider {
    id: String,
    #[serde(default)]
    model_match: Option<Match>,
    #[serde(default)]
    fallback_model_providers: Option<Vec<String>>,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(rename = "match")]
    rule: Match,
    #[serde(default)]
    price_comments: Option<String>,
    prices: Box<RawValue>,
    #[serde(default)]
    price_variants: Option<Vec<Variant>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Match {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Match>),
    And(Vec<Match>),
}

#[derive(Deserialize)]
struct Conditional {
    #[serde(default)]
    constraint: Option<Constraint>,
    prices: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Variant {
    when: BTreeMap<String, String>,
    prices: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    constraint: Option<Constraint>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraint {
    #[serde(default)]
    start_date: Option<String>,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(default)]
    end_time: Option<String>,
}

#[derive(Deserialize)]
struct Tiered {
    base: Box<RawValue>,
    #[serde(default)]
    tiers: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    start: u64,
    price: Box<RawValue>,
}

/// How a unit of the list becomes one of ours.
enum Unit {
    Million(Bucket),
    Thousand(Bucket),
    Hour(Bucket),
    None,
}

fn unit(name: &str) -> Unit {
    match name {
        "input_mtok" | "input_text_mtok" => Unit::Million(Bucket::Input),
        "output_mtok" | "output_text_mtok" => Unit::Million(Bucket::Output),
        "cache_read_mtok" => Unit::Million(Bucket::CacheRead),
        // Its unit is any write; a longer cache has a unit of its own.
        "cache_write_mtok" | "cache_write_5m_mtok" => Unit::Million(Bucket::CacheWrite5m),
        "cache_write_1h_mtok" => Unit::Million(Bucket::CacheWrite1h),
        "cache_audio_read_mtok" => Unit::Million(Bucket::CacheReadAudio),
        "cache_image_read_mtok" => Unit::Million(Bucket::CacheReadImage),
        "input_audio_mtok" => Unit::Million(Bucket::InputAudio),
        "input_image_mtok" | "input_video_mtok" => Unit::Million(Bucket::InputImage),
        "output_reasoning_mtok" => Unit::Million(Bucket::Reasoning),
        "output_audio_mtok" => Unit::Million(Bucket::OutputAudio),
        "output_image_mtok" => Unit::Million(Bucket::OutputImage),
        "web_searches_kcount" => Unit::Thousand(Bucket::WebSearches),
        "storage_searches_kcount" => Unit::Thousand(Bucket::FileSearches),
        "rerank_searches_kcount" => Unit::Thousand(Bucket::RerankSearches),
        "requests_kcount" => Unit::Thousand(Bucket::Requests),
        "input_document_kpages" => Unit::Thousand(Bucket::Pages),
        "audio_hours" | "input_audio_hours" => Unit::Hour(Bucket::AudioSeconds),
        _ => Unit::None,
    }
}

/// Reads genai-prices' JSON, and calls the layer `version`.
///
/// What has no prices in the list is free only if its name or its comment says so, and else left out.
pub fn genai(json: &str, version: &str, source: &str) -> Result<Imported, ImportError> {
    let providers: Vec<Provider> = serde_json::from_str(json)?;
    let mut file = BookFile {
        version: version.to_owned().into(),
        source: source.to_owned().into(),
        inherit: true,
        ..BookFile::default()
    };
    let mut left_out = Vec::new();
    for provider in &providers {
        let (mut names, mut own) = (Vec::new(), Vec::new());
        if let Some(rule) = &provider.model_match
            && split(rule, &mut names, &mut own).is_none()
        {
            left_out.push(LeftOut { model: provider.id.clone(), what: "its rule for models".to_owned() });
        }
        names.append(&mut own);
        file.providers.push(ProviderFile {
            id: provider.id.clone().into(),
            models: texts(names),
            fallback: texts(provider.fallback_model_providers.clone().unwrap_or_default()),
            ..ProviderFile::default()
        });
        for model in &provider.models {
            let mut reader = Reader { name: format!("{}/{}", provider.id, model.id), left_out: Vec::new() };
            let read = reader.model(provider, model)?;
            left_out.append(&mut reader.left_out);
            file.models.extend(read);
        }
    }
    left_out.sort();
    Ok(Imported { file, left_out })
}

fn texts(list: Vec<String>) -> Vec<Text<'static>> {
    list.into_iter().map(Text::from).collect()
}

/// Splits a rule into names and rules; none if it is not understood.
fn split(rule: &Match, names: &mut Vec<String>, rules: &mut Vec<String>) -> Option<()> {
    match rule {
        Match::Equals(name) => names.push(name.to_lowercase()),
        Match::Or(all) => all.iter().try_for_each(|rule| split(rule, names, rules))?,
        other => rules.extend(globs(other)?),
    }
    Some(())
}

/// The rules that mean what a clause does.
fn globs(rule: &Match) -> Option<Vec<String>> {
    let plain = |text: &str| (!text.contains(['*', '#', '&', '!'])).then(|| text.to_lowercase());
    Some(match rule {
        Match::Equals(text) => vec![plain(text)?],
        Match::StartsWith(text) => vec![format!("{}*", plain(text)?)],
        Match::EndsWith(text) => vec![format!("*{}", plain(text)?)],
        Match::Contains(text) => vec![format!("*{}*", plain(text)?)],
        Match::Regex(text) => regex::globs(text)?,
        Match::Or(all) => all.iter().map(globs).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect(),
        Match::And(all) => all.iter().try_fold(vec![String::new()], |heads, rule| {
            let tails = globs(rule)?;
            let join = |head: &String, tail: &String| {
                if head.is_empty() { tail.clone() } else { format!("{head}&{tail}") }
            };
            let joined = heads.iter().flat_map(|head| tails.iter().map(move |tail| join(head, tail)));
            Some(joined.collect())
        })?,
    })
}

struct Reader {
    name: String,
    left_out: Vec<LeftOut>,
}

impl Reader {
    fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(LeftOut { model: self.name.clone(), what: what.into() });
    }

    fn model(
        &mut self,
        provider: &Provider,
        model: &Model,
    ) -> Result<Option<ModelFile<'static>>, ImportError> {
        let (mut names, mut rules) = (Vec::new(), Vec::new());
        if split(&model.rule, &mut names, &mut rules).is_none() {
            self.leave_out("the model: its rule for names");
            return Ok(None);
        }
        names.retain(|name| *name != model.id.to_lowercase());
        names.dedup();
        let text = model.prices.get();
        let conditional: Vec<Conditional> = if text.starts_with('[') {
            serde_json::from_str(text)?
        } else {
            vec![Conditional { constraint: None, prices: serde_json::from_str(text)? }]
        };
        let mut prices = Vec::new();
        let mut strict = false;
        for item in &conditional {
            if item.prices.is_empty() {
                if is_free(model) {
                    prices.push(free(item.constraint.as_ref()));
                } else {
                    self.leave_out("the model: it has no prices, and is not said to be free");
                    return Ok(None);
                }
                continue;
            }
            let Some(mut price) = self.prices(&item.prices, &mut strict)? else { continue };
            if !when(item.constraint.as_ref(), &mut price) {
                self.leave_out("prices at an hour that is no minute of UTC");
                continue;
            }
            prices.push(price);
        }
        if prices.is_empty() {
            self.leave_out("the model: none of its units is one of ours");
            return Ok(None);
        }
        let variants = model.price_variants.as_deref().unwrap_or_default();
        prices.extend(self.variants(variants, &mut strict)?);
        Ok(Some(ModelFile {
            provider: provider.id.clone().into(),
            model: model.id.clone().into(),
            aliases: texts(names),
            rules: texts(rules),
            strict,
            prices,
            ..ModelFile::default()
        }))
    }

    /// The prices of tiers. In the list the first variant that holds gives a price; here the last does, so what
    /// holds from a day on is put together.
    fn variants(
        &mut self,
        variants: &[Variant],
        strict: &mut bool,
    ) -> Result<Vec<PriceFile<'static>>, ImportError> {
        let mut tiers: Vec<&str> = Vec::new();
        let mut known: Vec<(&str, Option<&str>, &Variant)> = Vec::new();
        for variant in variants {
            let mut when = variant.when.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let tier = match (when.next(), when.next()) {
                (Some(("service_tier", "default")), None) if variant.prices.is_empty() => continue,
                (Some(("service_tier" | "processing" | "speed", tier)), None) => tier,
                (Some((key, value)), _) if !variant.prices.is_empty() => {
                    self.leave_out(format!("prices when {key} is {value}"));
                    continue;
                }
                _ => continue,
            };
            let constraint = variant.constraint.clone().unwrap_or_default();
            if constraint.start_time.is_some() || constraint.end_time.is_some() {
                self.leave_out(format!("prices of the tier {tier} at hours of the day"));
                continue;
            }
            if !tiers.contains(&tier) {
                tiers.push(tier);
            }
            let from = variant.constraint.as_ref().and_then(|c| c.start_date.as_deref());
            known.push((tier, from, variant));
        }
        let mut prices = Vec::new();
        for tier in tiers {
            let of_tier: Vec<_> = known.iter().filter(|(known, ..)| *known == tier).collect();
            let mut days: Vec<Option<&str>> = of_tier.iter().map(|(_, from, _)| *from).collect();
            days.sort_unstable();
            days.dedup();
            for day in days {
                let mut together: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
                for (_, _, variant) in of_tier.iter().filter(|(_, from, _)| *from <= day) {
                    for (name, price) in &variant.prices {
                        together.entry(name.clone()).or_insert_with(|| price.clone());
                    }
                }
                let Some(mut price) = self.prices(&together, strict)? else { continue };
                price.tier = Some(tier.to_owned().into());
                price.from = day.map(|day| day.to_owned().into());
                prices.push(price);
            }
        }
        Ok(prices)
    }

    /// One set of prices; none if none of them is in a unit of ours.
    fn prices(
        &mut self,
        prices: &BTreeMap<String, Box<RawValue>>,
        strict: &mut bool,
    ) -> Result<Option<PriceFile<'static>>, ImportError> {
        let mut file = PriceFile::default();
        let mut long: BTreeMap<u64, Vec<(Text<'static>, Text<'static>)>> = BTreeMap::new();
        let video_differs = match (prices.get("input_video_mtok"), prices.get("input_image_mtok")) {
            (Some(video), image) => {
                image.or_else(|| prices.get("input_mtok")).map(|i| i.get()) != Some(video.get())
            }
            _ => false,
        };
        if video_differs {
            // One bucket holds both: no price is better than the wrong one of the two.
            *strict = true;
            self.leave_out("the prices of images and video, which differ");
        }
        for (name, raw) in prices {
            let visual = matches!(name.as_str(), "input_image_mtok" | "input_video_mtok");
            let twice = name == "input_video_mtok" && prices.contains_key("input_image_mtok");
            if visual && (video_differs || twice) {
                continue;
            }
            let twice = name == "input_audio_hours" && prices.contains_key("audio_hours");
            let tiered: Tiered = if raw.get().starts_with('{') {
                serde_json::from_str(raw.get())?
            } else {
                Tiered { base: raw.clone(), tiers: Vec::new() }
            };
            let base = self.number(name, &tiered.base)?;
            match unit(name) {
                Unit::Million(bucket) => {
                    let base = self.kept(name, base);
                    push(&mut file.per_million.0, bucket, base);
                    for step in &tiered.tiers {
                        let price = self.number(name, &step.price)?;
                        let price = self.kept(name, price);
                        push(long.entry(step.start).or_default(), bucket, price);
                    }
                }
                _ if !tiered.tiers.is_empty() => self.leave_out(format!("`{name}`, which has steps")),
                Unit::Thousand(bucket) => {
                    let each = shifted(base, -3).ok_or_else(|| self.price_error(name, &tiered.base))?;
                    push(&mut file.per_unit.0, bucket, each);
                }
                Unit::Hour(_) if twice => {}
                Unit::Hour(bucket) => match divided(base, 3600) {
                    Some(second) => push(&mut file.per_unit.0, bucket, second),
                    None => self.leave_out(format!("`{name}`: {base} is no exact price of a second")),
                },
                Unit::None => self.leave_out(format!("`{name}`, a unit that we have not")),
            }
        }
        let order = |rates: &mut Vec<(Text<'static>, Text<'static>)>| {
            rates.sort_by_key(|(name, _)| Bucket::from_name(name.as_str()));
        };
        order(&mut file.per_million.0);
        order(&mut file.per_unit.0);
        file.long = long
            .into_iter()
            .map(|(above, mut rates)| {
                order(&mut rates);
                LongFile { above, per_million: RateTexts(rates) }
            })
            .collect();
        let empty = file.per_million.is_empty() && file.per_unit.is_empty();
        Ok((!empty).then_some(file))
    }

    /// A price of a million to the place to which the price of one is kept.
    fn kept(&mut self, name: &str, price: Decimal) -> Decimal {
        let kept = super::decimal::kept(price, MAX_SCALE - 6);
        if kept != price {
            self.leave_out(format!("`{name}`: the digits of {price} after {kept}"));
        }
        kept
    }

    fn number(&self, name: &str, raw: &RawValue) -> Result<Decimal, ImportError> {
        number(raw).ok_or_else(|| self.price_error(name, raw))
    }

    fn price_error(&self, name: &str, raw: &RawValue) -> ImportError {
        let text = raw.get().chars().take(64).collect();
        ImportError::Price { model: self.name.clone(), name: name.to_owned(), text }
    }
}

fn push(rates: &mut Vec<(Text<'static>, Text<'static>)>, bucket: Bucket, price: Decimal) {
    rates.push((bucket.name().into(), price.normalize().to_string().into()));
}

fn is_free(model: &Model) -> bool {
    let says = |text: &str| model.price_comments.as_deref().is_some_and(|comment| comment.contains(text));
    model.id.ends_with(":free") || says("Free of charge") || says("Included in the subscription")
}

fn free(constraint: Option<&Constraint>) -> PriceFile<'static> {
    let zero = |bucket: Bucket| (bucket.name().into(), "0".into());
    let rates = [Bucket::Input, Bucket::Output, Bucket::Unsplit].map(zero);
    let mut price = PriceFile { per_million: RateTexts(rates.to_vec()), ..PriceFile::default() };
    when(constraint, &mut price);
    price
}

/// Sets when prices hold; false if that cannot be said.
fn when(constraint: Option<&Constraint>, price: &mut PriceFile<'static>) -> bool {
    let Some(constraint) = constraint else { return true };
    price.from = constraint.start_date.clone().map(Text::from);
    let minute = |text: &str| {
        let text = text.strip_suffix("+00:00").or_else(|| text.strip_suffix('Z')).unwrap_or(text);
        text.strip_suffix(":00").filter(|text| text.len() == 5).map(str::to_owned)
    };
    match (&constraint.start_time, &constraint.end_time) {
        (None, None) => true,
        (Some(start), Some(end)) => match (minute(start), minute(end)) {
            (Some(start), Some(end)) => {
                price.hours = Some(format!("{start}-{end}").into());
                true
            }
            _ => false,
        },
        _ => false,
    }
}
