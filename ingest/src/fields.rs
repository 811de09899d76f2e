//! Leaf parsers: one field of one event, or a fault that says what would be accepted.

use std::collections::BTreeMap;

use edge::Fault;
use edge::limits::MAX_FAULTS;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use shared::event::{MAX_AHEAD, MAX_TAG_VALUE, MAX_TAGS, Outcome, TaskResult};
use shared::id::{EventId, IdError, ProviderId};
use shared::money::Usd;
use shared::usage::{Bucket, MAX_COUNT, Usage};

use crate::problem::cut;

/// Reads the fields of one event and collects what is wrong with them.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    index: usize,
    /// What stands before the name of a field where the sender would look for it.
    prefix: &'static str,
    known: usize,
    pub(crate) faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, index: usize, prefix: &'static str) -> Self {
        Self { object, index, prefix, known: 0, faults: Vec::new() }
    }

    /// Top-level fields that nobody asked for.
    pub(crate) fn ignored(&self) -> usize {
        self.object.len().saturating_sub(self.known)
    }

    pub(crate) fn fault(&mut self, field: &str, reason: impl Into<String>) {
        // One more than an answer names tells that there are more.
        if self.faults.len() > MAX_FAULTS {
            return;
        }
        self.faults.push(self.fault_of(field, reason));
    }

    /// The fault of a field, for the caller to add if it matters.
    pub(crate) fn fault_of(&self, field: &str, reason: impl Into<String>) -> Fault {
        let prefix = if field == "event" { "" } else { self.prefix };
        Fault::of_event(self.index, &format!("{prefix}{field}"), reason)
    }

    /// A field that is there and not null.
    pub(crate) fn take(&mut self, field: &str) -> Option<&'a Value> {
        let value = self.object.get(field)?;
        self.known += 1;
        (!value.is_null()).then_some(value)
    }

    pub(crate) fn text(&mut self, field: &str) -> Option<&'a str> {
        let value = self.take(field)?;
        if value.as_str().is_none() {
            self.fault(field, format!("is {}, not a string", kind(value)));
        }
        value.as_str()
    }

    /// An id by its own rule.
    pub(crate) fn id<T>(&mut self, field: &str, parse: impl Fn(&str) -> Result<T, IdError>) -> Option<T> {
        let text = self.text(field)?;
        parse(text).map_err(|e| self.fault(field, e.to_string())).ok()
    }

    /// A short name.
    pub(crate) fn name(&mut self, field: &str) -> Option<String> {
        self.id(field, ProviderId::parse).map(String::from)
    }

    pub(crate) fn time(&mut self, now: Timestamp, closed_before: Timestamp) -> Option<Timestamp> {
        let text = self.text("time")?;
        let time = is_rfc3339(text).then(|| text.parse::<Timestamp>().ok()).flatten();
        let Some(time) = time else {
            self.fault("time", "is no RFC 3339 time with an offset, such as 2026-11-24T09:30:00Z");
            return None;
        };
        if time.duration_since(now) > MAX_AHEAD {
            self.fault("time", format!("is more than 5 minutes ahead of {now}"));
            return None;
        }
        if time < closed_before {
            let reason = format!("is before {closed_before}; that period is closed");
            self.faults.push(Fault { closed: true, ..self.fault_of("time", reason) });
            return None;
        }
        Some(time)
    }

    pub(crate) fn usage(&mut self) -> Option<Usage> {
        let Some(value) = self.take("usage") else {
            self.fault("usage", "is missing; give an object such as {\"input\": 812, \"output\": 220}");
            return None;
        };
        let Some(counts) = value.as_object() else {
            self.fault("usage", format!("is {}, not an object of counts", kind(value)));
            return None;
        };
        let mut read = Vec::with_capacity(counts.len());
        let mut total = None;
        let before = self.faults.len();
        for (name, value) in counts {
            let Some(count) = whole(value) else {
                let field = format!("usage.{}", cut(name));
                self.fault(&field, format!("is {}, not a whole number from 0 to 2^53", shown(value)));
                continue;
            };
            match Bucket::from_name(name) {
                Some(bucket) => read.push((bucket, count)),
                None if name == "total_tokens" => total = Some(count),
                None => {
                    self.fault(&format!("usage.{}", cut(name)), unknown_bucket(name));
                    if self.faults.len() > MAX_FAULTS {
                        return None;
                    }
                }
            }
        }
        if self.faults.len() > before {
            return None;
        }
        if counts.is_empty() {
            self.fault("usage", "is empty; give at least one count, such as {\"total_tokens\": 1500}");
            return None;
        }
        let alone = read.is_empty();
        if let (true, Some(total)) = (alone, total) {
            read.push((Bucket::Unsplit, total));
        }
        let usage = Usage::new(read).and_then(|usage| match total {
            Some(total) if !alone => usage.check_total(total).map(|()| usage),
            _ => Ok(usage),
        });
        usage.map_err(|e| self.fault("usage", e.to_string())).ok()
    }

    pub(crate) fn count(&mut self, field: &str) -> Option<u64> {
        let value = self.take(field)?;
        let count = whole(value);
        if count.is_none() {
            self.fault(field, format!("is {}, not a whole number from 0 to 2^53", shown(value)));
        }
        count
    }

    /// A decimal that never was a float.
    pub(crate) fn decimal(&mut self, field: &str) -> Option<Usd> {
        let value = self.take(field)?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(n) if n.is_u64() || n.is_i64() => n.to_string(),
            _ => {
                self.fault(
                    field,
                    format!("is {}; send a decimal as a string, such as \"0.00123\"", shown(value)),
                );
                return None;
            }
        };
        let parsed = text.parse::<Usd>().map_err(|e| e.to_string());
        let parsed =
            parsed.and_then(|usd| if usd < Usd::ZERO { Err(format!("{usd} is negative")) } else { Ok(usd) });
        parsed.map_err(|reason| self.fault(field, format!("is not accepted: {reason}"))).ok()
    }

    pub(crate) fn outcome(&mut self) -> Option<Outcome> {
        let text = self.text("outcome")?;
        let outcome = match text {
            "success" => Outcome::Success,
            "error" => Outcome::Error,
            "timeout" => Outcome::Timeout,
            "cancelled" => Outcome::Cancelled,
            "partial" => Outcome::Partial,
            _ => {
                self.fault("outcome", "is none of success, error, timeout, cancelled, partial");
                return None;
            }
        };
        Some(outcome)
    }

    pub(crate) fn task_result(&mut self) -> Option<TaskResult> {
        let result = match self.text("outcome") {
            Some("success") => Some(TaskResult::Success),
            Some("failure") => Some(TaskResult::Failure),
            Some("abandoned") => Some(TaskResult::Abandoned),
            _ => None,
        };
        if result.is_none() {
            self.fault("outcome", "of a task is one of success, failure, abandoned");
        }
        result
    }

    pub(crate) fn corrects(&mut self) -> Option<EventId> {
        if self.object.get("corrects").is_none_or(Value::is_null) {
            self.fault("corrects", "is missing; name the event to correct, such as \"ID\" or \"KEY#0\"");
            return None;
        }
        self.id("corrects", EventId::parse)
    }

    pub(crate) fn tags(&mut self) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::new();
        let Some(value) = self.take("tags") else { return tags };
        let Some(object) = value.as_object() else {
            self.fault("tags", format!("is {}, not an object of strings", kind(value)));
            return tags;
        };
        if object.len() > MAX_TAGS {
            self.fault("tags", format!("holds {} tags; at most {MAX_TAGS} are accepted", object.len()));
            return tags;
        }
        for (name, value) in object {
            let field = "tags";
            match value.as_str() {
                _ if ProviderId::parse(name).is_err() => {
                    self.fault(field, "has a name that is not 1 to 128 visible ASCII characters");
                }
                Some(text) if text.len() <= MAX_TAG_VALUE && !text.chars().any(char::is_control) => {
                    tags.insert(name.clone(), text.to_owned());
                }
                _ => self.fault(
                    &format!("tags.{}", cut(name)),
                    format!("is no string of at most {MAX_TAG_VALUE} bytes without control characters"),
                ),
            }
        }
        tags
    }
}

/// The shape of RFC 3339. The library also takes zone names, a space before the time, and offsets of days.
fn is_rfc3339(text: &str) -> bool {
    let (bytes, digit) = (text.as_bytes(), |b: &u8| b.is_ascii_digit());
    let Some((head, rest)) = bytes.split_at_checked(19) else { return false };
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let head = head.iter().zip(shape).all(|(b, s)| match s {
        b'd' => digit(b),
        b'T' => b.eq_ignore_ascii_case(s),
        _ => b == s,
    });
    let rest = match rest.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|b| digit(b)).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        _ => rest,
    };
    let offset = match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => {
            let number = |a: &u8, b: &u8| (a.wrapping_sub(b'0')) * 10 + b.wrapping_sub(b'0');
            [a, b, c, d].into_iter().all(digit) && number(a, b) < 24 && number(c, d) < 60
        }
        _ => false,
    };
    head && offset
}

/// Server time as events get it: to the millisecond.
pub(crate) fn server_time(now: Timestamp) -> Timestamp {
    let below = SignedDuration::from_nanos(i64::from(now.subsec_nanosecond()) % 1_000_000);
    now.checked_sub(below).unwrap_or(now)
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().filter(|n| *n <= MAX_COUNT)
}

fn unknown_bucket(name: &str) -> String {
    let nearest = Bucket::ALL
        .into_iter()
        // The distance takes the product of both lengths.
        .filter(|_| name.len() <= 32)
        .map(|bucket| (strsim::damerau_levenshtein(bucket.name(), name), bucket.name()))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let known = Bucket::ALL.map(Bucket::name).join(", ");
    match nearest {
        Some((_, near)) => format!("is no bucket; did you mean `{near}`? Known are {known}"),
        None => format!(
            "is no bucket; known are {known}. A provider's own response is recognised by its shape or by x-provider"
        ),
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A number as it was sent; anything else by its kind, as it may hold what must not be repeated.
fn shown(value: &Value) -> String {
    if let Value::Number(n) = value { cut(&n.to_string()) } else { kind(value).to_owned() }
}
