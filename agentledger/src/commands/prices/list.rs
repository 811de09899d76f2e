//! Price lists in files: of other projects, of one's own, and whole books.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use shared::hash::ContentHash;
use shared::price::import::{self, Imported, Overrides};
use shared::price::{BookFile, check_version, embedded_file};

use crate::cli::ListFormat;
use crate::source::Misuse;

/// Reads a list as a layer of the book that is compiled in, and lays it there: for comparing.
pub(super) fn read(path: &Path, name: Option<&str>, kind: Option<ListFormat>) -> anyhow::Result<Imported> {
    let below = embedded_file()?.write()?;
    let mut list = read_over(path, name, kind, Some(&below))?;
    let book = BookFile::read(&below)?;
    for model in &mut list.file.models {
        // Under the name that the other book has for it.
        model.provider = book.provider_id(model.provider.as_str()).to_owned().into();
    }
    if kind_of(path, &text_of(path)?, kind)? == ListFormat::Overrides {
        let file = book.with_layer(list.file);
        let whole = file.write()?;
        return Ok(Imported { file: owned(&whole)?, left_out: list.left_out });
    }
    Ok(list)
}

/// Reads a list as a layer over the book of that text.
pub(super) fn read_over(
    path: &Path,
    name: Option<&str>,
    kind: Option<ListFormat>,
    below: Option<&str>,
) -> anyhow::Result<Imported> {
    let text = text_of(path)?;
    let kind = kind_of(path, &text, kind)?;
    let hash: String = ContentHash::of_bytes(text.as_bytes()).as_str().chars().take(8).collect();
    let made = |prefix: &str| name.map_or_else(|| format!("{prefix}-{hash}"), str::to_owned);
    let shown = path.display();
    let source = |project: &str| format!("{project}, imported");
    let wrong = || format!("{shown} is no such list");
    let mut list = match kind {
        ListFormat::Genai => import::genai(&text, &made("genai-prices"), &source("genai-prices (MIT)")),
        ListFormat::Litellm => import::litellm(&text, &made("litellm"), &source("LiteLLM (MIT)")),
        ListFormat::Overrides => {
            let empty = BookFile::default();
            let below = below.map(BookFile::read).transpose()?.unwrap_or(empty);
            let own = parse_overrides(path, &text)?;
            own.layer(&below, &made("own"), "prices of one's own")
                .map(|file| Imported { file, left_out: Vec::new() })
        }
        ListFormat::Agentledger | ListFormat::Auto => {
            Ok(Imported { file: owned(&text).with_context(wrong)?, left_out: Vec::new() })
        }
    }
    .with_context(wrong)?;
    if let Some(name) = name {
        list.file.version = name.to_owned().into();
    }
    check_version(list.file.version.as_str()).map_err(|e| Misuse(format!("--name: {e}")))?;
    Ok(list)
}

/// Reads the overrides that a configuration names.
pub(crate) fn overrides(path: &Path) -> anyhow::Result<Overrides> {
    parse_overrides(path, &text_of(path)?)
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

fn parse_overrides(path: &Path, text: &str) -> anyhow::Result<Overrides> {
    let wrong = || format!("{} holds no prices of one's own", path.display());
    if is_toml(path) {
        return toml::from_str(text).with_context(wrong);
    }
    serde_json::from_str(text).with_context(wrong)
}

fn owned(text: &str) -> anyhow::Result<BookFile<'static>> {
    // Kept for as long as the command runs, which reads one or two.
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    Ok(BookFile::read(text)?)
}

/// What a file is, by its ending and its first members.
fn kind_of(path: &Path, text: &str, kind: Option<ListFormat>) -> anyhow::Result<ListFormat> {
    if let Some(kind) = kind.filter(|kind| *kind != ListFormat::Auto) {
        return Ok(kind);
    }
    if is_toml(path) {
        return Ok(ListFormat::Overrides);
    }
    let value: Value =
        serde_json::from_str(text).with_context(|| format!("{} is not JSON", path.display()))?;
    let unknown = || Misuse(format!("{}: no kind of price list that is known; say --format", path.display()));
    Ok(match &value {
        Value::Array(_) => ListFormat::Genai,
        Value::Object(object) if object.contains_key("models") && object.contains_key("version") => {
            ListFormat::Agentledger
        }
        Value::Object(object)
            if ["discount", "price", "provider"]
                .iter()
                .any(|k| object.get(*k).is_some_and(Value::is_array)) =>
        {
            ListFormat::Overrides
        }
        Value::Object(object) if object.values().any(|v| v.get("litellm_provider").is_some()) => {
            ListFormat::Litellm
        }
        _ => return Err(unknown().into()),
    })
}
