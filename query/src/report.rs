//! The shape of a spend report, as `GET /v1/spend` answers it and the command reads it back.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared::money::UsdSum;
use shared::totals::Totals;
use shared::usage::Bucket;

/// How a table shows a name that the sender did not state; JSON has null.
pub const NOT_STATED: &str = "(not stated)";

/// An answer to "who spent what".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpendReport {
    /// The dimension of the rows.
    pub by: Vec<String>,
    /// First instant counted.
    pub from: String,
    /// First instant not counted.
    pub to: String,
    /// The zone of days, hours, `from` and `to`.
    pub tz: String,
    /// One for each name, or for each day or hour.
    pub rows: Vec<SpendLine>,
    /// Over all rows of all pages.
    pub total: SpendLine,
    /// Continues the rows; none on the last page.
    pub next: Option<String>,
}

/// The sums of one row, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpendLine {
    /// What is summed, by dimension; null where it was not stated. The total has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BTreeMap<String, Option<String>>>,
    /// Model calls.
    pub events: i64,
    /// Tokens in all.
    pub tokens: i128,
    /// Sums by bucket.
    pub usage: UsageSums,
    /// Known cost; null where nothing is priced.
    pub cost_usd: Option<UsdSum>,
    /// Calls whose cost is unknown.
    pub unpriced_events: i64,
    /// Tokens of those.
    pub unpriced_tokens: i128,
    /// Outcomes of tasks, if any were reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskCounts>,
}

/// Task outcomes by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// Done.
    pub success: i64,
    /// Not done.
    pub failure: i64,
    /// Given up.
    pub abandoned: i64,
}

impl SpendLine {
    /// Shows sums.
    pub fn new(key: Option<BTreeMap<String, Option<String>>>, totals: &Totals) -> Self {
        let [success, failure, abandoned] = totals.tasks;
        Self {
            key,
            events: totals.events,
            tokens: totals.tokens(),
            usage: UsageSums(totals.usage().map(|(b, n)| (b.name().to_owned(), n)).collect()),
            cost_usd: totals.known_cost(),
            unpriced_events: totals.unpriced_events,
            unpriced_tokens: totals.unpriced_tokens,
            tasks: (totals.tasks != [0; 3]).then_some(TaskCounts { success, failure, abandoned }),
        }
    }

    /// The row's name, for a table.
    pub fn name(&self) -> &str {
        let stated = self.key.as_ref().and_then(|key| key.values().next());
        stated.and_then(Option::as_deref).unwrap_or(NOT_STATED)
    }
}

/// Sums by bucket, in the order of the interface. Wider than a JSON library's own maps of numbers hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageSums(pub Vec<(String, i128)>);

impl UsageSums {
    /// The sum of one bucket.
    pub fn get(&self, bucket: &str) -> i128 {
        self.0.iter().find(|(name, _)| name == bucket).map_or(0, |(_, n)| *n)
    }
}

impl JsonSchema for UsageSums {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UsageSums".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let sum = |bucket: Bucket| (bucket.name().to_owned(), serde_json::json!({"type": "integer"}));
        let buckets: serde_json::Map<_, _> = Bucket::ALL.into_iter().map(sum).collect();
        schemars::json_schema!({ "type": "object", "properties": buckets, "additionalProperties": false })
    }
}

impl Serialize for UsageSums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, n)| (name, n)))
    }
}

impl<'de> Deserialize<'de> for UsageSums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sums;
        impl<'de> Visitor<'de> for Sums {
            type Value = UsageSums;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of bucket names and sums")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UsageSums, A::Error> {
                let mut sums = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    sums.push(entry);
                }
                Ok(UsageSums(sums))
            }
        }
        deserializer.deserialize_map(Sums)
    }
}
