//! `--jsonl`: one request object per line, one answer per line, in order. A bad line is answered with what is
//! wrong with it, and the next is read.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::extract::{Hints, extract};
use shared::price::PriceBook;

use super::answer::Answer;
use super::given;

/// The longest line. A longer one is read to its end, and refused.
const MAX_LINE: u64 = 256 * 1024 * 1024;

/// One request. Fields that are not known are left alone.
#[derive(Debug, Deserialize)]
struct Line {
    provider: Option<String>,
    path: Option<String>,
    model: Option<String>,
    content_type: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    body: Option<String>,
    body_encoding: Option<String>,
    at: Option<Timestamp>,
    /// Counts instead of a body.
    usage: Option<Value>,
    mode: Option<String>,
}

/// What is wrong with a line.
#[derive(Debug, Serialize)]
struct Refused {
    error: String,
    line: u64,
}

/// Answers each line of `input`. The outer error is of reading, the inner one of writing.
pub(super) fn answer_each(
    mut input: impl BufRead,
    out: &mut impl Write,
    book: &PriceBook,
    now: Timestamp,
) -> anyhow::Result<io::Result<()>> {
    let mut text = Vec::new();
    for n in 1.. {
        text.clear();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut text);
        let read = read.with_context(|| format!("cannot read line {n}"))?;
        if read == 0 {
            break;
        }
        let whole = text.ends_with(b"\n") || (read as u64) < MAX_LINE;
        if whole && text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = if whole {
            answer(&text, book, now)
        } else {
            skip_line(&mut input).with_context(|| format!("cannot read line {n}"))?;
            Err(format!("the line is longer than {MAX_LINE} bytes"))
        };
        let written = match answer {
            Ok(answer) => serde_json::to_writer(&mut *out, &answer),
            Err(error) => serde_json::to_writer(&mut *out, &Refused { error, line: n }),
        };
        if let Err(error) = written.map_err(io::Error::from).and_then(|()| out.write_all(b"\n")) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    input.skip_until(b'\n').map(|_| ())
}

fn answer(text: &[u8], book: &PriceBook, now: Timestamp) -> Result<Answer, String> {
    let line: Line = serde_json::from_slice(text).map_err(|e| format!("not a request object: {e}"))?;
    let at = line.at.unwrap_or(now);
    if let Some(usage) = &line.usage {
        let call = given::call(usage, line.provider.as_deref(), line.model.as_deref(), line.mode.as_deref())?;
        return Ok(Answer::of_given(call, book, at));
    }
    let body = line.body.ok_or("neither `body` nor `usage` is there")?;
    let body = match line.body_encoding.as_deref() {
        None | Some("utf-8" | "") => body.into_bytes(),
        Some("base64") => STANDARD.decode(body).map_err(|e| format!("`body` is not base64: {e}"))?,
        Some(other) => return Err(format!("`body_encoding` {other:?} is neither utf-8 nor base64")),
    };
    let text_of = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let headers: Vec<(String, String)> = line
        .headers
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, value)| Some((name, text_of(value)?)))
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let hints = Hints {
        provider: line.provider.as_deref(),
        path: line.path.as_deref(),
        model: line.model.as_deref(),
        content_type: line.content_type.as_deref(),
        status: line.status,
        headers: &headers,
    };
    Ok(Answer::of(extract(&body, hints), book, at))
}
