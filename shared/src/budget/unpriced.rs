//! What usage of unknown cost means for a budget: nothing, that the budget cannot be trusted, or a price.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::BudgetError;
use crate::money::UnitPrice;

/// What calls of unknown cost mean for a budget. JSON: `"ignore"`, `"block"`, or
/// `{"assume_usd_per_token":"0.000002"}`; on the command line the last is `assume=0.000002`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnpricedPolicy {
    /// The known cost counts, and nothing else.
    #[default]
    Ignore,
    /// Any of them counts as having reached the limit: who cannot know the cost does not go on.
    Block,
    /// Their tokens count at this price, in US dollars for each. Other units of theirs, such as searches, count
    /// nothing.
    Assume(UnitPrice),
}

const NAMES: &str = "\"ignore\", \"block\" or {\"assume_usd_per_token\":\"0.000002\"}";
const PRICE: &str = "assume_usd_per_token";

impl UnpricedPolicy {
    /// Whether it is the default.
    pub fn is_ignore(&self) -> bool {
        *self == Self::Ignore
    }
}

impl fmt::Display for UnpricedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignore => f.write_str("ignore"),
            Self::Block => f.write_str("block"),
            Self::Assume(price) => write!(f, "assume={}", price.as_decimal()),
        }
    }
}

impl FromStr for UnpricedPolicy {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let bad = |reason: String| BudgetError { field: "unpriced", reason };
        match text.split_once('=') {
            None if text == "ignore" => Ok(Self::Ignore),
            None if text == "block" => Ok(Self::Block),
            Some(("assume", price)) => {
                price.parse().map(Self::Assume).map_err(|e: crate::money::MoneyError| {
                    bad(format!("the price that is assumed is wrong: {e}"))
                })
            }
            _ => Err(bad(format!("{text:?} is none of ignore, block and assume=PRICE (US dollars a token)"))),
        }
    }
}

impl Serialize for UnpricedPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ignore => serializer.serialize_str("ignore"),
            Self::Block => serializer.serialize_str("block"),
            Self::Assume(price) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(PRICE, price)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for UnpricedPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Policy)
    }
}

struct Policy;

impl<'de> Visitor<'de> for Policy {
    type Value = UnpricedPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<UnpricedPolicy, E> {
        match text {
            "ignore" => Ok(UnpricedPolicy::Ignore),
            "block" => Ok(UnpricedPolicy::Block),
            _ => Err(E::custom(format_args!("`unpriced`: {text:?} is none of {NAMES}"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UnpricedPolicy, A::Error> {
        let mut price = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key != PRICE || price.is_some() {
                return Err(A::Error::custom(format_args!(
                    "`unpriced`: give {NAMES}, and nothing beside it"
                )));
            }
            // As text: a number would have been a float on its way.
            let text: Cow<'de, str> = map.next_value()?;
            let read: Result<UnitPrice, _> = text.parse();
            price = Some(read.map_err(|e| A::Error::custom(format_args!("`unpriced`, `{PRICE}`: {e}")))?);
        }
        price
            .map(UnpricedPolicy::Assume)
            .ok_or_else(|| A::Error::custom(format_args!("`unpriced`: give {NAMES}")))
    }
}

impl JsonSchema for UnpricedPolicy {
    fn schema_name() -> Cow<'static, str> {
        "UnpricedPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let price = generator.subschema_for::<UnitPrice>();
        json_schema!({
            "description": "What calls of unknown cost mean for a budget.",
            "anyOf": [
                {"enum": ["ignore", "block"]},
                {"type": "object", "required": [PRICE], "additionalProperties": false,
                    "properties": {PRICE: price}},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetForm;
    use crate::money::UsdSum;
    use crate::totals::Totals;
    use crate::usage::{Bucket, Usage};

    fn spent(usd: &str, unpriced: u64) -> Totals {
        let usage = |n| Usage::new([(Bucket::Input, n)]).unwrap();
        let mut totals = Totals::of_call(&usage(1), Some(usd.parse().unwrap()));
        if unpriced > 0 {
            totals.add(&Totals::of_call(&usage(unpriced), None)).unwrap();
        }
        totals
    }

    fn form(unpriced: Option<UnpricedPolicy>) -> BudgetForm {
        let (scope, period, limit_usd) = ("org".to_owned(), "day".to_owned(), Some("10".to_owned()));
        BudgetForm { scope, limit_usd, period, unpriced, ..BudgetForm::default() }
    }

    #[test]
    fn policies_read_as_they_are_written() {
        for text in ["ignore", "block", "assume=0.000002", "assume=0"] {
            let policy: UnpricedPolicy = text.parse().unwrap();
            assert_eq!(policy.to_string(), text);
            let json = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<UnpricedPolicy>(&json).unwrap(), policy, "{json}");
        }
        for bad in ["", "stop", "assume", "assume=", "assume=-1", "assume=1e-6", "block=1"] {
            assert_eq!(bad.parse::<UnpricedPolicy>().unwrap_err().field, "unpriced", "{bad}");
        }
        for bad in [
            "\"assume=1\"",
            "1",
            "{}",
            r#"{"assume_usd_per_token":0.1}"#,
            r#"{"assume_usd_per_token":"-1"}"#,
            r#"{"assume_usd_per_token":"1","x":1}"#,
        ] {
            assert!(serde_json::from_str::<UnpricedPolicy>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_budget_decides_by_its_policy() {
        let reached = |unpriced, percent, totals: &Totals| {
            form(Some(unpriced)).spec("b").unwrap().reached(percent, totals)
        };
        let (priced, mixed) = (spent("4", 0), spent("4", 1_000_000));
        assert!(!reached(UnpricedPolicy::Ignore, 50, &mixed));
        assert!(!reached(UnpricedPolicy::Block, 50, &priced));
        assert!(reached(UnpricedPolicy::Block, 10_000, &mixed));
        let assume = "assume=0.000001".parse().unwrap();
        assert!(reached(assume, 50, &mixed) && !reached(assume, 51, &mixed));
        assert!(!reached(assume, 50, &priced) && !reached(assume, 50, &spent("4", 999_999)));
        // What passes every sum passes every limit, too.
        let absurd = Totals { unpriced_events: 1, unpriced_tokens: i128::MAX, ..spent("4", 0) };
        assert!(reached(assume, 10_000, &absurd));
        let spec = form(Some(assume)).spec("b").unwrap();
        assert_eq!((spec.assumed(&absurd), spec.assumed(&priced)), (Some(UsdSum::MAX), None));
    }

    #[test]
    fn a_policy_that_ignores_leaves_a_stored_budget_as_it_was() {
        let json = |policy| serde_json::to_value(form(policy).spec("b").unwrap()).unwrap();
        assert_eq!(json(None).get("unpriced"), None);
        assert_eq!(json(None), json(Some(UnpricedPolicy::Ignore)));
        assert_eq!(json(Some(UnpricedPolicy::Block))["unpriced"], "block");
    }

    #[test]
    fn a_limit_in_tokens_needs_no_price() {
        let tokens = |policy: &str| {
            let form = BudgetForm { limit_usd: None, limit_tokens: Some(5), ..form(policy.parse().ok()) };
            form.spec("b").map_err(|e| e.field)
        };
        assert_eq!(tokens("assume=1").unwrap_err(), "unpriced");
        assert!(tokens("block").is_ok());
    }
}
