//! `--config FILE`: settings in TOML. An unknown key is an error: a mistyped budget that is ignored costs
//! money.

mod auth;
mod webhook;

use std::path::{Path, PathBuf};

use shared::budget::{BudgetForm, BudgetSpec, UnpricedPolicy};
use shared::money::UnitPrice;
use toml::{Table, Value};

pub(crate) use auth::AuthConfig;
pub(crate) use webhook::{ALERT_KEYS, WebhookSettings};

use crate::serve::IN_FLIGHT;

/// What the operator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// For tokens of models that the price book lacks.
    pub(crate) fallback: Option<UnitPrice>,
    /// Files of prices of one's own, which stand over any price book.
    pub(crate) overrides: Vec<PathBuf>,
    /// To be set when the server starts.
    pub(crate) budgets: Vec<BudgetSpec>,
    /// How long the stream can be replayed.
    pub(crate) stream_hours: u32,
    /// How late an event may arrive.
    pub(crate) late_days: u32,
    /// Where alerts go, beside the log.
    pub(crate) webhook: Option<WebhookSettings>,
    /// Whose tokens are asked for; none if nobody's.
    pub(crate) auth: Option<AuthConfig>,
    /// How many submissions are worked on at a time.
    pub(crate) in_flight: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fallback: None,
            overrides: Vec::new(),
            budgets: Vec::new(),
            stream_hours: 24,
            late_days: 400,
            webhook: None,
            auth: None,
            in_flight: IN_FLIGHT,
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable { file: String, reason: String },
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key or table that is not known.
    #[error("`{path}` is not known; {hint}")]
    Unknown { path: String, hint: String },
    /// A value that cannot be used.
    #[error("`{path}` {reason}")]
    Value { path: String, reason: String },
}

/// What is known, by table.
const TABLES: [(&str, &[&str]); 6] = [
    ("prices", &["fallback_usd_per_token", "overrides"]),
    (
        "budgets",
        &["name", "scope", "limit_usd", "limit_tokens", "period", "timezone", "thresholds", "unpriced"],
    ),
    ("retention", &["stream_hours", "late_days"]),
    ("limits", &["in_flight"]),
    ("alerts", &ALERT_KEYS),
    ("auth", auth::KEYS),
];

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let unreadable = |reason: String| ConfigError::Unreadable { file: file.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        Self::parse(&text).map_err(|e| unreadable(e.to_string()))
    }

    /// Reads TOML.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: Table = toml::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))?;
        let mut config = Self::default();
        for (name, value) in &file {
            let Some((_, keys)) = TABLES.iter().find(|(known, _)| known == name) else {
                return Err(unknown("", name, &TABLES.map(|(known, _)| known)));
            };
            match (name.as_str(), value) {
                ("budgets", Value::Array(budgets)) => {
                    for (n, budget) in budgets.iter().enumerate() {
                        let path = format!("budgets[{n}]");
                        let Value::Table(budget) = budget else {
                            return Err(wrong(&path, "is no table; write [[budgets]]"));
                        };
                        check_keys(&path, budget, keys)?;
                        config.budgets.push(read_budget(&path, budget)?);
                    }
                }
                ("budgets", _) => return Err(wrong(name, "is a list; write [[budgets]]")),
                (_, Value::Table(table)) => {
                    check_keys(name, table, keys)?;
                    config.read_table(name, table)?;
                }
                _ => return Err(wrong(name, &format!("is a table; write [{name}]"))),
            }
        }
        let mut names: Vec<_> = config.budgets.iter().map(|budget| &budget.name).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(
                "budgets",
                &format!("has two of the name {:?}; give each its own", twice[0].as_str()),
            ));
        }
        Ok(config)
    }

    fn read_table(&mut self, name: &str, table: &Table) -> Result<(), ConfigError> {
        match name {
            "prices" => {
                let key = "fallback_usd_per_token";
                if let Some(text) = string(name, table, key)? {
                    let path = format!("{name}.{key}");
                    self.fallback = Some(text.parse().map_err(|e| wrong(&path, &format!("is wrong: {e}")))?);
                }
                let paths = match table.get("overrides") {
                    None => Some(Vec::new()),
                    Some(Value::Array(values)) => {
                        values.iter().map(|v| v.as_str().map(PathBuf::from)).collect()
                    }
                    Some(_) => None,
                };
                let bad =
                    || wrong(&format!("{name}.overrides"), "is no list of files such as [\"prices.toml\"]");
                self.overrides = paths.ok_or_else(bad)?;
            }
            "retention" => {
                // A stream of 0 hours could not be replayed after a crash; a year is Kinesis' own limit.
                self.stream_hours =
                    whole(name, table, "stream_hours", 1..=8760)?.unwrap_or(self.stream_hours);
                self.late_days = whole(name, table, "late_days", 1..=3660)?.unwrap_or(self.late_days);
            }
            "alerts" => self.webhook = webhook::read(name, table)?,
            "auth" => self.auth = auth::read(table)?,
            "limits" => {
                // One at a time still answers everybody; beyond the connections there is nobody to admit.
                self.in_flight = whole(name, table, "in_flight", 1..=512)?.unwrap_or(self.in_flight);
            }
            _ => {}
        }
        Ok(())
    }
}

fn read_budget(path: &str, table: &Table) -> Result<BudgetSpec, ConfigError> {
    let needed =
        |key: &str| string(path, table, key)?.ok_or_else(|| wrong(&format!("{path}.{key}"), "is missing"));
    let thresholds = match table.get("thresholds") {
        None => None,
        Some(Value::Array(values)) => {
            let percent = |v: &Value| v.as_integer().and_then(|n| u32::try_from(n).ok());
            let percents: Option<Vec<u32>> = values.iter().map(percent).collect();
            let bad = || wrong(&format!("{path}.thresholds"), "holds something else than whole percentages");
            Some(percents.ok_or_else(bad)?)
        }
        Some(_) => return Err(wrong(&format!("{path}.thresholds"), "is no list such as [50, 80, 100]")),
    };
    let limit_tokens = match table.get("limit_tokens") {
        None => None,
        Some(value) => {
            let tokens = value.as_integer().and_then(|n| u64::try_from(n).ok());
            let bad = || wrong(&format!("{path}.limit_tokens"), "is no whole number of tokens");
            Some(tokens.ok_or_else(bad)?)
        }
    };
    let name = needed("name")?;
    let form = BudgetForm {
        scope: needed("scope")?,
        limit_usd: string(path, table, "limit_usd")?,
        limit_tokens,
        period: needed("period")?,
        timezone: string(path, table, "timezone")?,
        thresholds,
        unpriced: read_unpriced(&format!("{path}.unpriced"), table.get("unpriced"))?,
    };
    form.spec(&name).map_err(|e| wrong(path, &format!("({name}), {e}")))
}

fn read_unpriced(path: &str, value: Option<&Value>) -> Result<Option<UnpricedPolicy>, ConfigError> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if text == "ignore" => Ok(Some(UnpricedPolicy::Ignore)),
        Some(Value::String(text)) if text == "block" => Ok(Some(UnpricedPolicy::Block)),
        Some(Value::Table(table)) => {
            let key = "assume_usd_per_token";
            check_keys(path, table, &[key])?;
            let path_of_key = format!("{path}.{key}");
            let text = string(path, table, key)?.ok_or_else(|| wrong(&path_of_key, "is missing"))?;
            let price = text.parse().map_err(|e| wrong(&path_of_key, &format!("is wrong: {e}")))?;
            Ok(Some(UnpricedPolicy::Assume(price)))
        }
        Some(_) => {
            Err(wrong(path, "is none of \"ignore\", \"block\" and { assume_usd_per_token = \"0.000002\" }"))
        }
    }
}

fn string(path: &str, table: &Table, key: &str) -> Result<Option<String>, ConfigError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Integer(_) | Value::Float(_)) => {
            let reason = "is a number; write it as a string, such as \"0.000002\", so that it stays exact";
            Err(wrong(&format!("{path}.{key}"), reason))
        }
        Some(other) => {
            Err(wrong(&format!("{path}.{key}"), &format!("is no string but {}", other.type_str())))
        }
    }
}

fn whole(
    path: &str,
    table: &Table,
    key: &str,
    range: std::ops::RangeInclusive<u32>,
) -> Result<Option<u32>, ConfigError> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let number = value.as_integer().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
    let reason = format!("is no whole number from {} to {}", range.start(), range.end());
    number.map(Some).ok_or_else(|| wrong(&format!("{path}.{key}"), &reason))
}

fn check_keys(path: &str, table: &Table, known: &[&str]) -> Result<(), ConfigError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(unknown(path, key, known)),
        None => Ok(()),
    }
}

fn unknown(path: &str, key: &str, known: &[&str]) -> ConfigError {
    let nearest = known.iter().min_by_key(|known| strsim::damerau_levenshtein(key, known));
    let hint = match nearest {
        Some(nearest) => format!("the nearest known key is `{nearest}` (of {})", known.join(", ")),
        None => format!("[{path}] has no settings yet"),
    };
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    ConfigError::Unknown { path, hint }
}

fn wrong(path: &str, reason: &str) -> ConfigError {
    ConfigError::Value { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_known_is_read() {
        let config = Config::parse(
            r#"
            [prices]
            fallback_usd_per_token = "0.000002"
            [[budgets]]
            name = "growth"
            scope = "team:growth"
            limit_usd = "100"
            period = "month"
            timezone = "Europe/Berlin"
            thresholds = [100, 80]
            [[budgets]]
            name = "all"
            scope = "org"
            limit_tokens = 1000000
            period = "day"
            unpriced = "block"
            [[budgets]]
            name = "assumed"
            scope = "org"
            limit_usd = "5"
            period = "day"
            unpriced = { assume_usd_per_token = "0.000002" }
            [retention]
            stream_hours = 48
            [alerts]
            webhook_url = "https://hooks.example/x"
            webhook_secret_file = "webhook.secret"
            [limits]
            in_flight = 8
            [auth]
            "#,
        )
        .unwrap();
        assert_eq!(config.fallback, Some("0.000002".parse().unwrap()));
        assert_eq!((config.stream_hours, config.late_days, config.in_flight), (48, 400, 8));
        let thresholds: Vec<_> = config.budgets.iter().map(|b| b.thresholds.clone()).collect();
        assert_eq!(thresholds, [vec![80, 100], vec![50, 80, 100], vec![50, 80, 100]]);
        let policies: Vec<_> = config.budgets.iter().map(|b| b.unpriced.to_string()).collect();
        assert_eq!(policies, ["ignore", "block", "assume=0.000002"]);
        assert_eq!(config.budgets[0].timezone.name(), "Europe/Berlin");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        let budget = |rest: &str| format!("[[budgets]]\nname='b'\nscope='org'\nperiod='day'\n{rest}");
        for (toml, words) in [
            ("[price]".to_owned(), "`price` is not known; the nearest known key is `prices`"),
            (
                "[prices]\nfalback_usd_per_token='1'".to_owned(),
                "`prices.falback_usd_per_token` is not known; the nearest known key is `fallback_usd_per_token`",
            ),
            ("[prices]\nfallback_usd_per_token=0.1".to_owned(), "is a number; write it as a string"),
            ("[prices]\nfallback_usd_per_token='-1'".to_owned(), "-1 is negative"),
            ("[limits]\nin_flight=0".to_owned(), "`limits.in_flight` is no whole number from 1 to 512"),
            (
                "[limits]\nkeys=1".to_owned(),
                "`limits.keys` is not known; the nearest known key is `in_flight`",
            ),
            ("[retention]\nlate_days=0".to_owned(), "`retention.late_days` is no whole number from 1"),
            (budget("limit_usd=5"), "`budgets[0].limit_usd` is a number"),
            (budget(""), "give one of limit_usd and limit_tokens"),
            (
                budget("limit_usd='5'\nthreshold=[1]"),
                "`budgets[0].threshold` is not known; the nearest known key is `thresholds`",
            ),
            (budget("limit_usd='5'\nthresholds=[0]"), "from 1 to 10000"),
            (budget("limit_usd='5'\ntimezone='Mars'"), "is not an IANA time zone"),
            (budget("limit_usd='5'\nunpriced='stop'"), "`budgets[0].unpriced` is none of \"ignore\""),
            (
                budget("limit_usd='5'\nunpriced={assume_usd_per_token=0.1}"),
                "`budgets[0].unpriced.assume_usd_per_token` is a number; write it as a string",
            ),
            (budget("limit_usd='5'\nunpriced={price='1'}"), "nearest known key is `assume_usd_per_token`"),
            (budget("limit_tokens=5\nunpriced={assume_usd_per_token='1'}"), "a limit in tokens has no use"),
            ("[budgets]\nname='b'".to_owned(), "write [[budgets]]"),
            ("prices=1".to_owned(), "write [prices]"),
            ("[prices".to_owned(), "not TOML"),
            (budget("limit_usd='5'\n").repeat(2), "two of the name"),
        ] {
            let error = Config::parse(&toml).unwrap_err().to_string();
            assert!(error.contains(words), "{toml}\n{error}");
        }
    }
}
