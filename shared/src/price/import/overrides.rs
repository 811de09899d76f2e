//! A company's own prices: contract discounts, private models, prices of its own.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::ImportError;
use super::decimal::parse;
use crate::price::file::{BookFile, LongFile, ModelFile, PriceFile, ProviderFile, RateTexts, Text};
use crate::price::pattern::{Clause, fits};

/// The file, after TOML or JSON was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// What is paid less for.
    #[serde(default)]
    pub discount: Vec<Discount>,
    /// Models with prices of one's own.
    #[serde(default)]
    pub price: Vec<OwnPrice>,
    /// Providers with names of one's own.
    #[serde(default)]
    pub provider: Vec<OwnProvider>,
}

/// Percent off what the book below says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// Whose models.
    pub provider: String,
    /// Which of them, as a rule of the book such as `gpt-5*`; all without it.
    #[serde(default)]
    pub model: Option<String>,
    /// How much less, from 0 to 100; a surcharge is negative.
    pub percent: String,
    /// From this day or instant on; always without it.
    #[serde(default)]
    pub from: Option<String>,
}

/// One price of a model. A model may come several times, with other times and tiers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPrice {
    /// Who serves it.
    pub provider: String,
    /// Its name.
    pub model: String,
    /// Other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Rules for further names.
    #[serde(default, rename = "match")]
    pub rules: Vec<String>,
    /// As in the book.
    #[serde(default)]
    pub from: Option<String>,
    /// As in the book.
    #[serde(default)]
    pub tier: Option<String>,
    /// US dollars per million, by bucket, as texts.
    #[serde(default)]
    pub per_million: std::collections::BTreeMap<String, String>,
    /// US dollars per unit, by bucket, as texts.
    #[serde(default)]
    pub per_unit: std::collections::BTreeMap<String, String>,
}

/// A provider that the book lacks, or further names of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnProvider {
    /// Its name in the book.
    pub id: String,
    /// What else it is called.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whose prices it asks for models that it has no entry for.
    #[serde(default)]
    pub fallback: Vec<String>,
}

impl Overrides {
    /// The layer that these are over `below`, called `version`. Discounts come first, so that a price of one's own
    /// is what it says.
    pub fn layer(
        &self,
        below: &BookFile<'_>,
        version: &str,
        source: &str,
    ) -> Result<BookFile<'static>, ImportError> {
        let mut file = BookFile {
            version: version.to_owned().into(),
            source: source.to_owned().into(),
            inherit: below.inherit,
            ..BookFile::default()
        };
        for provider in &self.provider {
            file.providers.push(ProviderFile {
                id: provider.id.clone().into(),
                names: texts(&provider.names),
                fallback: texts(&provider.fallback),
                ..ProviderFile::default()
            });
        }
        for discount in &self.discount {
            let provider = below.provider_id(&discount.provider);
            let rule = discount.model.as_deref().map(Clause::parse_all);
            for model in below.models.iter().filter(|m| m.provider.as_str() == provider) {
                let name = model.model.as_str().to_lowercase();
                if rule.as_ref().is_none_or(|rule| fits(rule, &name)) {
                    let at = file
                        .models
                        .iter()
                        .position(|m| m.model == model.model && m.provider == model.provider);
                    let before = at.map(|at| file.models.remove(at));
                    let model = before.as_ref().unwrap_or(model);
                    let model = discounted(model, discount)?;
                    file.models.push(model);
                }
            }
        }
        for own in &self.price {
            let provider = below.provider_id(&own.provider).to_owned();
            let price = own.price();
            let same = |m: &&mut ModelFile<'static>| {
                m.provider.as_str() == provider && m.model.as_str().eq_ignore_ascii_case(&own.model)
            };
            let first = self.price.iter().find(|o| o.provider == own.provider && o.model == own.model);
            let is_first = first.is_some_and(|first| std::ptr::eq(first, own));
            match file.models.iter_mut().find(same) {
                Some(model) if !is_first => model.prices.push(price),
                Some(model) => model.prices = vec![price],
                None => file.models.push(ModelFile {
                    // The price of a tier stands beside the standard one.
                    add: own.tier.is_some(),
                    provider: provider.clone().into(),
                    model: own.model.clone().into(),
                    aliases: texts(&own.aliases),
                    rules: texts(&own.rules),
                    prices: vec![price],
                    ..ModelFile::default()
                }),
            }
        }
        Ok(file)
    }
}

impl OwnPrice {
    fn price(&self) -> PriceFile<'static> {
        let rates = |map: &std::collections::BTreeMap<String, String>| {
            RateTexts(map.iter().map(|(name, price)| (name.clone().into(), price.clone().into())).collect())
        };
        PriceFile {
            from: self.from.clone().map(Text::from),
            tier: self.tier.clone().map(Text::from),
            per_million: rates(&self.per_million),
            per_unit: rates(&self.per_unit),
            ..PriceFile::default()
        }
    }
}

fn texts(list: &[String]) -> Vec<Text<'static>> {
    list.iter().cloned().map(Text::from).collect()
}

/// A model with a discount. With a day the prices before it stay, and those after it begin at it again.
fn discounted(model: &ModelFile<'_>, discount: &Discount) -> Result<ModelFile<'static>, ImportError> {
    let name = format!("{}/{}", model.provider.as_str(), model.model.as_str());
    let wrong = |text: &str| ImportError::Price {
        model: name.clone(),
        name: "percent".to_owned(),
        text: text.to_owned(),
    };
    let percent = parse(&discount.percent).filter(|p| *p <= Decimal::ONE_HUNDRED);
    let percent = percent.ok_or_else(|| wrong(&discount.percent))?;
    let left = (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED;
    let rates = |rates: &RateTexts<'_>, places: u32| {
        let less = rates.0.iter().map(|(bucket, price)| {
            let product = parse(price.as_str()).and_then(|price| price.checked_mul(left));
            let product = product.map(|p| p.normalize()).filter(|p| p.scale() <= places);
            let product = product.ok_or_else(|| ImportError::Price {
                model: name.clone(),
                name: bucket.as_str().to_owned(),
                text: format!("{} less {percent} percent", price.as_str()),
            })?;
            Ok((bucket.clone().into_owned(), product.to_string().into()))
        });
        less.collect::<Result<Vec<_>, ImportError>>().map(RateTexts)
    };
    let mut prices = Vec::new();
    if discount.from.is_some() {
        prices.extend(model.prices.iter().map(owned));
    }
    for price in &model.prices {
        let mut less = owned(price);
        less.per_million = rates(&price.per_million, 9)?;
        less.per_unit = rates(&price.per_unit, 15)?;
        for (long, below) in less.long.iter_mut().zip(&price.long) {
            long.per_million = rates(&below.per_million, 9)?;
        }
        if let Some(from) = &discount.from {
            // Texts of days and instants in UTC are in the order of their times.
            let later = less.from.as_ref().is_some_and(|known| known.as_str() > from.as_str());
            if !later {
                less.from = Some(from.clone().into());
            }
        }
        prices.push(less);
    }
    Ok(ModelFile {
        provider: model.provider.clone().into_owned(),
        model: model.model.clone().into_owned(),
        strict: model.strict,
        prices,
        ..ModelFile::default()
    })
}

fn owned(price: &PriceFile<'_>) -> PriceFile<'static> {
    let text = |text: &Option<Text<'_>>| text.clone().map(Text::into_owned);
    let rates = |rates: &RateTexts<'_>| {
        let owned = rates.0.iter().map(|(a, b)| (a.clone().into_owned(), b.clone().into_owned()));
        RateTexts(owned.collect())
    };
    PriceFile {
        from: text(&price.from),
        hours: text(&price.hours),
        days: price.days.clone(),
        tier: text(&price.tier),
        per_million: rates(&price.per_million),
        per_unit: rates(&price.per_unit),
        long: price
            .long
            .iter()
            .map(|long| LongFile { above: long.above, per_million: rates(&long.per_million) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::PriceBook;
    use crate::usage::{Bucket, Usage};

    const BELOW: &str = r#"{"version":"b","source":"s","inherit":true,
        "providers":[{"id":"p","names":["alias"]}],
        "models":[{"provider":"p","model":"m-1","aliases":["one"],"prices":[{"per_million":{"input":"2","output":"4"},
            "long":[{"above":10,"per_million":{"input":"4"}}]},{"from":"2026-06-01","per_million":{"input":"1"}}]},
          {"provider":"p","model":"n","prices":[{"per_million":{"input":"3"}}]}]}"#;

    fn cost(overrides: &str, model: &str, time: &str) -> String {
        let below = BookFile::read(BELOW).unwrap();
        let overrides: Overrides = serde_json::from_str(overrides).unwrap();
        let layer = overrides.layer(&below, "o", "ours").unwrap();
        let book = PriceBook::from_file(&below.with_layer(layer)).unwrap();
        let price = book.price(Some("alias"), model, "", time.parse().unwrap()).unwrap();
        assert_eq!(price.book, "o");
        price.cost(&Usage::new([(Bucket::Input, 1_000_000)]).unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_discount_is_exact_and_keeps_what_the_model_is_called() {
        let ten = r#"{"discount":[{"provider":"alias","model":"m-*","percent":"12.5"}]}"#;
        assert_eq!(cost(ten, "one", "2026-01-01T00:00:00Z"), "3.5");
        assert_eq!(cost(ten, "m-1", "2026-07-01T00:00:00Z"), "0.875");
        assert_eq!(cost(ten, "n", "2026-07-01T00:00:00Z"), "3");
        let twice =
            r#"{"discount":[{"provider":"p","percent":"50"},{"provider":"p","model":"n","percent":"10"}]}"#;
        assert_eq!(cost(twice, "n", "2026-07-01T00:00:00Z"), "1.35");
    }

    #[test]
    fn a_discount_of_a_day_begins_on_it() {
        for (from, before, after) in [("2026-05-01", "4", "2"), ("2026-06-15", "1", "0.5")] {
            let text = format!(r#"{{"discount":[{{"provider":"p","percent":"50","from":"{from}"}}]}}"#);
            let the_day_before = from.parse::<jiff::civil::Date>().unwrap().yesterday().unwrap();
            assert_eq!(cost(&text, "m-1", &format!("{the_day_before}T23:59:59Z")), before, "{from}");
            assert_eq!(cost(&text, "m-1", &format!("{from}T00:00:00Z")), after, "{from}");
            assert_eq!(cost(&text, "m-1", "2026-07-01T00:00:00Z"), "0.5", "{from}");
        }
    }

    #[test]
    fn a_price_of_ones_own_is_what_it_says() {
        let text = r#"{"discount":[{"provider":"p","percent":"50"}],"price":[
            {"provider":"p","model":"n","per_million":{"input":"7"}},
            {"provider":"p","model":"n","from":"2026-06-01","per_million":{"input":"8"}},
            {"provider":"p","model":"private","aliases":["mine"],"per_million":{"input":"9"}}]}"#;
        assert_eq!(cost(text, "n", "2026-01-01T00:00:00Z"), "7");
        assert_eq!(cost(text, "n", "2026-07-01T00:00:00Z"), "8");
        assert_eq!(cost(text, "mine", "2026-07-01T00:00:00Z"), "9");
        assert_eq!(cost(text, "m-1", "2026-07-01T00:00:00Z"), "0.5");
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let below = BookFile::read(BELOW).unwrap();
        for percent in ["101", "a", "0.00000000001"] {
            let text = format!(r#"{{"discount":[{{"provider":"p","percent":"{percent}"}}]}}"#);
            let overrides: Overrides = serde_json::from_str(&text).unwrap();
            assert!(overrides.layer(&below, "o", "ours").is_err(), "{percent}");
        }
    }
}
