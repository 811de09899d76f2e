//! What is otherwise in one book than in another.

use std::collections::BTreeMap;

use super::file::{BookFile, ModelFile, PriceFile, RateTexts};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The model, as `provider/model`.
    pub model: String,
    /// Which price: its bucket, and what it is bound to.
    pub price: String,
    /// In the first book; none if it has no such price.
    pub from: Option<String>,
    /// In the second.
    pub to: Option<String>,
}

type Prices = BTreeMap<String, String>;

/// The differences from `a` to `b`, by model and price. Prices are as published: per million tokens, per unit of
/// what is no token.
pub fn diff(a: &BookFile<'_>, b: &BookFile<'_>) -> Vec<Difference> {
    let (a, b) = (models(a), models(b));
    let mut differences = Vec::new();
    let empty = Prices::new();
    let all: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for model in all {
        let (from, to) = (a.get(model).unwrap_or(&empty), b.get(model).unwrap_or(&empty));
        let prices: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        for price in prices {
            let (from, to) = (from.get(price).cloned(), to.get(price).cloned());
            if from != to {
                differences.push(Difference { model: model.clone(), price: price.clone(), from, to });
            }
        }
    }
    differences
}

fn models(file: &BookFile<'_>) -> BTreeMap<String, Prices> {
    let mut models = BTreeMap::new();
    for model in &file.models {
        let name = format!("{}/{}", model.provider.as_str(), model.model.as_str());
        // The first of a name is the one that is found.
        models.entry(name).or_insert_with(|| prices(model));
    }
    models
}

fn prices(model: &ModelFile<'_>) -> Prices {
    let mut prices = Prices::new();
    for price in &model.prices {
        let bound = bound(price);
        add(&mut prices, &price.per_million, &bound);
        add(&mut prices, &price.per_unit, &bound);
        for long in &price.long {
            add(&mut prices, &long.per_million, &format!("{bound} above {}", long.above));
        }
    }
    prices
}

/// What a price is bound to, in words.
fn bound(price: &PriceFile<'_>) -> String {
    let mut words = String::new();
    let mut say = |what: &str, value: Option<&str>| {
        if let Some(value) = value {
            words.extend([" ", what, value]);
        }
    };
    say("", price.tier.as_ref().map(super::file::Text::as_str));
    say("from ", price.from.as_ref().map(super::file::Text::as_str));
    say("at ", price.hours.as_ref().map(super::file::Text::as_str));
    let days: Vec<_> = price.days.iter().map(ToString::to_string).collect();
    say("on days ", (!days.is_empty()).then(|| days.join(",")).as_deref());
    words
}

fn add(prices: &mut Prices, rates: &RateTexts<'_>, bound: &str) {
    for (bucket, price) in &rates.0 {
        prices.insert(format!("{}{bound}", bucket.as_str()), price.as_str().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_removed_and_changed_is_told_by_its_price() {
        let book = |models: &str| format!(r#"{{"version":"v","source":"s","models":[{models}]}}"#);
        let a = book(
            r#"{"provider":"p","model":"m","prices":[{"per_million":{"input":"1","output":"2"},
              "long":[{"above":5,"per_million":{"input":"3"}}]},{"tier":"batch","per_million":{"input":"9"}}]},
              {"provider":"p","model":"gone","prices":[{"per_unit":{"requests":"1"}}]}"#,
        );
        let b = book(
            r#"{"provider":"p","model":"m","prices":[{"per_million":{"input":"1","output":"4"},
              "long":[{"above":5,"per_million":{"input":"3"}}]},{"tier":"batch","per_million":{"input":"8"}}]}"#,
        );
        let differences = diff(&BookFile::read(&a).unwrap(), &BookFile::read(&b).unwrap());
        let told: Vec<_> = differences
            .iter()
            .map(|d| (d.model.as_str(), d.price.as_str(), d.from.as_deref(), d.to.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("p/gone", "requests", Some("1"), None),
                ("p/m", "input batch", Some("9"), Some("8")),
                ("p/m", "output", Some("2"), Some("4")),
            ]
        );
    }
}
