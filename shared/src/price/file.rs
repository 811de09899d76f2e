//! The book as data: one JSON object, with a line for each model.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is borrowed from the file where it can be: most of a book is names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that borrows nothing.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Any)
    }
}

/// Prices by the name of their bucket, as decimal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateTexts<'a>(pub Vec<(Text<'a>, Text<'a>)>);

impl RateTexts<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for RateTexts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, price) in &self.0 {
            map.serialize_entry(name, price)?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RateTexts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rates;
        impl<'de> Visitor<'de> for Rates {
            type Value = RateTexts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of bucket names and decimal texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RateTexts<'de>, A::Error> {
                let mut rates = Vec::with_capacity(4);
                while let Some(entry) = map.next_entry()? {
                    rates.push(entry);
                }
                Ok(RateTexts(rates))
            }
        }
        deserializer.deserialize_map(Rates)
    }
}

/// A price book, or a layer of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookFile<'a> {
    /// The name that records keep.
    #[serde(borrow)]
    pub version: Text<'a>,
    /// Where its facts are from, with the licence.
    #[serde(borrow)]
    pub source: Text<'a>,
    /// Whether a bucket without a price has its parent's ([`super::parent`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherit: bool,
    /// Who serves models.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderFile<'a>>,
    /// Their models. The first that a name fits is meant.
    #[serde(borrow)]
    pub models: Vec<ModelFile<'a>>,
}

/// A provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderFile<'a> {
    /// Its name in the book.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// What else it is called.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Text<'a>>,
    /// Rules for models that are its own, for calls that name no provider.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Text<'a>>,
    /// Whose prices it asks for models that it has no entry for.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<Text<'a>>,
    /// Whether it names a model `maker/model` and asks what the maker does, where it has no entry of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gateway: bool,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile<'a> {
    /// Who serves it.
    #[serde(borrow)]
    pub provider: Text<'a>,
    /// Its name.
    #[serde(borrow)]
    pub model: Text<'a>,
    /// Other names of it.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Text<'a>>,
    /// Rules for further names: `*` any characters, `#` a digit, `!` not, `&` and.
    #[serde(borrow, default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Text<'a>>,
    /// In a layer: the prices come beside those of the entry below, and do not replace them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub add: bool,
    /// Whether a bucket without a price has none, whatever the book says: its parent's price would be wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Where the prices are from, where it is not the book's source.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Text<'a>>,
    /// The day on which they were read there.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Text<'a>>,
    /// Its prices. Of those that hold at a time the last applies; where none is bound to hours or days of the
    /// week, the last to have begun.
    #[serde(borrow)]
    pub prices: Vec<PriceFile<'a>>,
}

/// Prices and when they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile<'a> {
    /// From this day (in UTC) or instant on.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Text<'a>>,
    /// Only at these hours of the day, such as `16:30-00:30`, in UTC.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Text<'a>>,
    /// Only on these days of the week, in UTC; Monday is 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<u8>,
    /// Only for this processing tier, in which they replace the standard prices of the same name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Text<'a>>,
    /// US dollars per million units, by bucket.
    #[serde(borrow, default, skip_serializing_if = "RateTexts::is_empty")]
    pub per_million: RateTexts<'a>,
    /// US dollars per unit, by bucket.
    #[serde(borrow, default, skip_serializing_if = "RateTexts::is_empty")]
    pub per_unit: RateTexts<'a>,
    /// Prices of long inputs.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub long: Vec<LongFile<'a>>,
}

/// What replaces them for an input of more tokens than `above`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongFile<'a> {
    /// Tokens.
    pub above: u64,
    /// US dollars per million units, by bucket.
    #[serde(borrow, default, skip_serializing_if = "RateTexts::is_empty")]
    pub per_million: RateTexts<'a>,
}

impl<'a> BookFile<'a> {
    /// Reads a book; texts are borrowed from it.
    pub fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Writes a book with a line for each model, so that a change of a price is a change of a line.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        let lines = |items: Vec<String>| items.join(",\n");
        let texts = |items: Result<Vec<String>, serde_json::Error>| items.map(lines);
        let providers = texts(self.providers.iter().map(serde_json::to_string).collect())?;
        let models = texts(self.models.iter().map(serde_json::to_string).collect())?;
        let (version, source) = (serde_json::to_string(&self.version)?, serde_json::to_string(&self.source)?);
        let inherit = self.inherit;
        Ok(format!(
            "{{\"version\":{version},\n\"source\":{source},\n\"inherit\":{inherit},\n\"providers\":[\n{providers}\n],\n\"models\":[\n{models}\n]}}\n"
        ))
    }
}
