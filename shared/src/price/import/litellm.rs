//! `LiteLLM`'s `model_prices_and_context_window.json` (MIT outside `enterprise/`):
//! <https://github.com/BerriAI/litellm>.
//!
//! A flat object for each model, in dollars per unit, with the tier and the length of the input in the names of
//! its fields. It has no dates: an import of it holds for all times.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal::{kept, number, shifted};
use super::{ImportError, Imported, LeftOut};
use crate::price::file::{BookFile, LongFile, ModelFile, PriceFile, RateTexts, Text};
use crate::usage::Bucket;

type Fields = BTreeMap<String, Box<RawValue>>;
/// Prices by tier and by the length that they begin above.
type Sorted = BTreeMap<String, BTreeMap<u64, Vec<(Bucket, Decimal)>>>;

#[derive(Deserialize)]
struct Window {
    hours_utc: Hours,
    #[serde(default)]
    weekdays: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Hours {
    One(String),
    Several(Vec<String>),
}

const TIERS: [(&str, &str); 6] = [
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
    ("_decisions", "decisions"),
];

/// Prices that are not of tokens, of the standard tier, and the bucket that they are for.
fn unit_bucket(name: &str, mode: &str) -> Option<Bucket> {
    match name {
        "input_cost_per_request" => Some(Bucket::Requests),
        "ocr_cost_per_page" => Some(Bucket::Pages),
        "input_cost_per_query" if mode == "rerank" => Some(Bucket::RerankSearches),
        "output_cost_per_image" if mode == "image_generation" => Some(Bucket::Images),
        "input_cost_per_second" if mode == "audio_transcription" => Some(Bucket::AudioSeconds),
        _ => None,
    }
}

fn token_bucket(name: &str) -> Option<Bucket> {
    Some(match name {
        "input_cost_per_token" => Bucket::Input,
        "output_cost_per_token" => Bucket::Output,
        "cache_read_input_token_cost" => Bucket::CacheRead,
        "cache_creation_input_token_cost" => Bucket::CacheWrite5m,
        "cache_creation_input_token_cost_above_1hr" => Bucket::CacheWrite1h,
        "cache_read_input_audio_token_cost" => Bucket::CacheReadAudio,
        "cache_read_input_image_token_cost" => Bucket::CacheReadImage,
        "input_cost_per_audio_token" => Bucket::InputAudio,
        "output_cost_per_audio_token" => Bucket::OutputAudio,
        "input_cost_per_image_token" => Bucket::InputImage,
        "output_cost_per_image_token" => Bucket::OutputImage,
        "output_cost_per_reasoning_token" => Bucket::Reasoning,
        _ => return None,
    })
}

/// Splits `input_cost_per_token_above_200k_tokens_priority` into the price, the length and the tier.
fn split(name: &str) -> (&str, u64, &'static str) {
    let tier = TIERS.iter().find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, *tier)));
    let (name, tier) = tier.unwrap_or((name, ""));
    let long = name.strip_suffix("k_tokens").and_then(|head| {
        let (price, thousands) = head.rsplit_once("_above_")?;
        Some((price, thousands.parse::<u64>().ok()?.checked_mul(1000)?))
    });
    let (name, above) = long.unwrap_or((name, 0));
    (name, above, tier)
}

/// Reads `LiteLLM`'s JSON, and calls the layer `version`.
///
/// A model whose prices are all zero is left out unless it is called free: the list writes zero where it does not
/// know, and what is not known must not be free.
pub fn litellm(json: &str, version: &str, source: &str) -> Result<Imported, ImportError> {
    let models: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
    let mut file = BookFile {
        version: version.to_owned().into(),
        source: source.to_owned().into(),
        inherit: true,
        ..BookFile::default()
    };
    let mut left_out = Vec::new();
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    let mut bare = Vec::new();
    for (key, raw) in models.iter().filter(|(key, _)| *key != "sample_spec") {
        let fields: Fields = serde_json::from_str(raw.get())?;
        let provider = words(&fields, "litellm_provider").unwrap_or_default();
        match key.strip_prefix(&format!("{provider}/")) {
            Some(model) => {
                let model = model.to_owned();
                read(key, &provider, model, &fields, &mut known, &mut file, &mut left_out)?;
            }
            None => bare.push((key, provider, fields)),
        }
    }
    // A name with its provider is the more exact one of two.
    for (key, provider, fields) in bare {
        read(key, &provider, key.clone(), &fields, &mut known, &mut file, &mut left_out)?;
    }
    left_out.sort();
    Ok(Imported { file, left_out })
}

/// A text field.
fn words(fields: &Fields, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

fn read(
    key: &str,
    provider: &str,
    model: String,
    fields: &Fields,
    known: &mut BTreeSet<(String, String)>,
    file: &mut BookFile<'static>,
    left_out: &mut Vec<LeftOut>,
) -> Result<(), ImportError> {
    // `vertex_ai-language-models` and its like are one provider's families.
    let provider = provider.split_once('-').map_or(provider, |(head, _)| match head {
        "vertex_ai" | "fireworks_ai" => head,
        _ => provider,
    });
    if provider.is_empty() || !known.insert((provider.to_owned(), model.to_lowercase())) {
        return Ok(());
    }
    let mut reader = Reader { key, left_out };
    let mode = words(fields, "mode").unwrap_or_default();
    let prices = reader.prices(fields, &mode)?;
    let priced = prices.iter().flat_map(|p| p.per_million.0.iter().chain(&p.per_unit.0));
    let is_free = key.contains(":free") || key.ends_with("-free");
    match priced.clone().next() {
        None => return Ok(()),
        Some(_) if !is_free && priced.clone().all(|(_, price)| price.as_str() == "0") => {
            reader.leave_out("the model: all its prices are zero, which may mean unknown");
            return Ok(());
        }
        Some(_) => {}
    }
    file.models.push(ModelFile {
        provider: provider.to_owned().into(),
        model: model.into(),
        prices,
        ..ModelFile::default()
    });
    Ok(())
}

struct Reader<'a> {
    key: &'a str,
    left_out: &'a mut Vec<LeftOut>,
}

impl Reader<'_> {
    fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(LeftOut { model: self.key.to_owned(), what: what.into() });
    }

    fn prices(&mut self, fields: &Fields, mode: &str) -> Result<Vec<PriceFile<'static>>, ImportError> {
        let mut sorted = Sorted::new();
        let mut units: Vec<(Bucket, Decimal)> = Vec::new();
        for (name, raw) in fields {
            if raw.get() == "null" || !name.contains("cost") {
                continue;
            }
            if name == "search_context_cost_per_query" {
                units.extend(self.searches(raw)?);
            } else if name == "input_cost_per_token_cache_hit" {
                // Says again what `cache_read_input_token_cost` does.
                if !fields.contains_key("cache_read_input_token_cost") {
                    let price = self.number(name, raw)?;
                    place(&mut sorted, "", 0, Bucket::CacheRead, price);
                }
            } else if let Some(bucket) = unit_bucket(name, mode) {
                let price = self.number(name, raw)?;
                units.push((bucket, kept(price, 15)));
            } else {
                let (price, above, tier) = split(name);
                match token_bucket(price) {
                    Some(bucket) => place(&mut sorted, tier, above, bucket, self.number(name, raw)?),
                    None => self.leave_out(format!("`{name}`")),
                }
            }
        }
        if let Some(raw) = fields.get("tiered_pricing") {
            self.steps(raw, &mut sorted)?;
        }
        let mut prices: Vec<PriceFile<'static>> = Vec::new();
        if !sorted.contains_key("") && !units.is_empty() {
            sorted.insert(String::new(), BTreeMap::new());
        }
        for (tier, by_length) in sorted {
            let mut price = PriceFile::default();
            for (above, rates) in by_length {
                let rates = RateTexts(rates.into_iter().map(per_million).collect());
                if above == 0 {
                    price.per_million = rates;
                } else {
                    price.long.push(LongFile { above, per_million: rates });
                }
            }
            if tier.is_empty() {
                let units = std::mem::take(&mut units);
                price.per_unit = RateTexts(units.into_iter().map(|(b, p)| text(b, p)).collect());
                prices.insert(0, price);
            } else {
                price.tier = Some(tier.into());
                prices.push(price);
            }
        }
        if let Some(raw) = fields.get("off_peak_pricing") {
            let off_peak = self.off_peak(raw)?;
            let at = prices.len().min(1);
            prices.splice(at..at, off_peak);
        }
        Ok(prices)
    }

    /// A price for each search, by the size of its context.
    fn searches(&mut self, raw: &RawValue) -> Result<Vec<(Bucket, Decimal)>, ImportError> {
        let sizes: Fields = serde_json::from_str(raw.get())?;
        let mut prices = Vec::new();
        for (size, bucket) in [
            ("search_context_size_low", Bucket::WebSearchesLow),
            ("search_context_size_medium", Bucket::WebSearchesMedium),
            ("search_context_size_high", Bucket::WebSearchesHigh),
        ] {
            if let Some(raw) = sizes.get(size) {
                prices.push((bucket, kept(self.number(size, raw)?, 15)));
            }
        }
        // The same at any size is the price of a search.
        Ok(match prices.as_slice() {
            [(_, a), (_, b), (_, c)] if a == b && b == c => vec![(Bucket::WebSearches, *a)],
            _ => prices,
        })
    }

    /// Steps by the length of the input: `{"range": [32000, 128000], …}`.
    fn steps(&mut self, raw: &RawValue, sorted: &mut Sorted) -> Result<(), ImportError> {
        let steps: Vec<Fields> = serde_json::from_str(raw.get())?;
        for step in &steps {
            let range: Vec<Box<RawValue>> = match step.get("range") {
                Some(raw) => serde_json::from_str(raw.get())?,
                None => Vec::new(),
            };
            let from = range.first().and_then(|raw| number(raw)).map(|n| n.normalize());
            let Some(above) = from.and_then(|from| u64::try_from(from).ok()) else {
                self.leave_out("a step whose range is no number of tokens");
                continue;
            };
            for (name, raw) in step.iter().filter(|(name, _)| *name != "range") {
                match token_bucket(name) {
                    Some(bucket) => place(sorted, "", above, bucket, self.number(name, raw)?),
                    None => self.leave_out(format!("`{name}` of a step")),
                }
            }
        }
        Ok(())
    }

    fn off_peak(&mut self, raw: &RawValue) -> Result<Vec<PriceFile<'static>>, ImportError> {
        let fields: Fields = serde_json::from_str(raw.get())?;
        let mut rates = Vec::new();
        for (name, raw) in fields.iter().filter(|(name, _)| *name != "windows") {
            match token_bucket(name) {
                Some(bucket) => rates.push(per_million((bucket, self.number(name, raw)?))),
                None => self.leave_out(format!("`{name}` off the peak")),
            }
        }
        let windows: Vec<Window> = match fields.get("windows") {
            Some(raw) => serde_json::from_str(raw.get())?,
            None => Vec::new(),
        };
        let spans = windows.into_iter().flat_map(|window| {
            let hours = match window.hours_utc {
                Hours::One(hours) => vec![hours],
                Hours::Several(hours) => hours,
            };
            hours.into_iter().map(move |hours| (hours, window.weekdays.clone()))
        });
        let price = |(hours, days): (String, Vec<u8>)| PriceFile {
            hours: Some(hours.into()),
            days,
            per_million: RateTexts(rates.clone()),
            ..PriceFile::default()
        };
        Ok(spans.map(price).collect())
    }

    fn number(&self, name: &str, raw: &RawValue) -> Result<Decimal, ImportError> {
        number(raw).ok_or_else(|| ImportError::Price {
            model: self.key.to_owned(),
            name: name.to_owned(),
            text: raw.get().chars().take(64).collect(),
        })
    }
}

fn place(sorted: &mut Sorted, tier: &str, above: u64, bucket: Bucket, price: Decimal) {
    sorted.entry(tier.to_owned()).or_default().entry(above).or_default().push((bucket, price));
}

fn text(bucket: Bucket, price: Decimal) -> (Text<'static>, Text<'static>) {
    (bucket.name().into(), price.normalize().to_string().into())
}

fn per_million((bucket, price): (Bucket, Decimal)) -> (Text<'static>, Text<'static>) {
    // Moving the point of a price that was read cannot overflow: it had at most 28 digits.
    text(bucket, shifted(kept(price, 15), 6).unwrap_or(price))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::price::PriceBook;
    use crate::usage::Usage;

    fn imported(json: &str) -> Imported {
        litellm(json, "l", "test").unwrap()
    }

    fn cost(
        book: &PriceBook,
        model: &str,
        tier: &str,
        time: &str,
        usage: &[(Bucket, u64)],
    ) -> Option<String> {
        let price = book.price(Some("p"), model, tier, time.parse().unwrap())?;
        Some(price.cost(&Usage::new(usage.iter().copied()).unwrap())?.to_string())
    }

    const TUESDAY: &str = "2026-11-24T02:30:00Z";

    #[test]
    fn the_names_of_fields_are_taken_apart() {
        assert_eq!(split("input_cost_per_token"), ("input_cost_per_token", 0, ""));
        assert_eq!(
            split("cache_creation_input_token_cost_above_1hr_above_200k_tokens"),
            ("cache_creation_input_token_cost_above_1hr", 200_000, "")
        );
        assert_eq!(
            split("input_cost_per_token_above_272k_tokens_priority"),
            ("input_cost_per_token", 272_000, "priority")
        );
    }

    #[test]
    fn a_model_is_priced_by_length_tier_and_hour() {
        let list = imported(
            r#"{"sample_spec":{"input_cost_per_token":"as text"},
            "p/m":{"litellm_provider":"p","mode":"chat","input_cost_per_token":1e-06,"output_cost_per_token":2e-6,
              "input_cost_per_token_above_200k_tokens":3E-06,"input_cost_per_token_batches":5e-07,
              "search_context_cost_per_query":{"search_context_size_low":0.01,"search_context_size_medium":0.01,
                "search_context_size_high":0.01}},
            "p/s":{"litellm_provider":"p","tiered_pricing":[
              {"range":[0,32000.0],"input_cost_per_token":1e-6},{"range":[32000.0,128000.0],"input_cost_per_token":2e-6}]},
            "p/o":{"litellm_provider":"p","input_cost_per_token":4e-6,"off_peak_pricing":{"input_cost_per_token":1e-6,
              "windows":[{"hours_utc":["00:00-01:00","10:00-00:00"],"weekdays":[1,2,3,4,5]},
                         {"hours_utc":"00:00-00:00","weekdays":[6,7]}]}},
            "p/zero":{"litellm_provider":"p","input_cost_per_token":0,"output_cost_per_token":0.0},
            "m":{"litellm_provider":"p","input_cost_per_token":9}}"#,
        );
        let book = PriceBook::from_file(&list.file).unwrap();
        let m = |tier, usage: &[(Bucket, u64)]| cost(&book, "m", tier, TUESDAY, usage).unwrap();
        assert_eq!(m("", &[(Bucket::Input, 10), (Bucket::Output, 1)]), "0.000012");
        assert_eq!(m("", &[(Bucket::Input, 200_001)]), "0.600003");
        assert_eq!(m("batch", &[(Bucket::Input, 10)]), "0.000005");
        assert_eq!(m("", &[(Bucket::WebSearchesHigh, 1)]), "0.01");
        assert_eq!(cost(&book, "s", "", TUESDAY, &[(Bucket::Input, 32_000)]).unwrap(), "0.032");
        assert_eq!(cost(&book, "s", "", TUESDAY, &[(Bucket::Input, 32_001)]).unwrap(), "0.064002");
        for (time, wanted) in [
            (TUESDAY, "0.000004"),
            ("2026-11-24T10:00:00Z", "0.000001"),
            ("2026-11-24T23:59:59Z", "0.000001"),
            ("2026-11-28T02:30:00Z", "0.000001"),
        ] {
            assert_eq!(cost(&book, "o", "", time, &[(Bucket::Input, 1)]).unwrap(), wanted, "{time}");
        }
        assert_eq!(cost(&book, "zero", "", TUESDAY, &[(Bucket::Input, 1)]), None);
        assert!(list.left_out.iter().any(|left| left.model == "p/zero"));
    }

    #[test]
    fn a_price_that_is_none_is_named() {
        let json = r#"{"p/m":{"litellm_provider":"p","input_cost_per_token":true}}"#;
        let error = litellm(json, "l", "test").unwrap_err().to_string();
        assert!(error.contains("p/m") && error.contains("input_cost_per_token"), "{error}");
    }

    proptest! {
        /// A float holds few of these: one that passed through it would differ in its last digits.
        #[test]
        fn prices_never_pass_through_floats(mantissa in 1_u64..999_999_999_999_999, exponent in 0_u32..=15) {
            let json = format!(
                r#"{{"p/m":{{"litellm_provider":"p","input_cost_per_token":{mantissa}e-{exponent}}}}}"#
            );
            let wanted = Decimal::try_from_i128_with_scale(i128::from(mantissa), exponent).unwrap();
            prop_assume!(wanted < Decimal::from(1_000_000));
            let book = PriceBook::from_file(&imported(&json).file).unwrap();
            let price = book.price(Some("p"), "m", "", TUESDAY.parse().unwrap()).unwrap();
            prop_assert_eq!(price.unit["input"].as_decimal(), wanted.normalize());
        }
    }
}
