//! How callers spell a model: what may stand around its name, in the order in which it is taken off.

/// Calls `find` with each spelling of a model's name, the one that was given first, until it answers.
///
/// `provider` is the book's name of who serves it, as some spellings mean something at one provider only.
pub(super) fn first<T>(provider: &str, model: &str, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
    let given = model.to_lowercase();
    let mut tried: Vec<String> = Vec::with_capacity(4);
    let mut queue = vec![given];
    // Each step only shortens a name or puts one form for another, once; the bound is for the reader's peace.
    while let Some(name) = queue.pop() {
        if name.is_empty() || tried.contains(&name) || tried.len() > 24 {
            continue;
        }
        if let Some(found) = find(&name) {
            return Some(found);
        }
        let mut next: Vec<String> = others(provider, &name).into_iter().flatten().collect();
        next.reverse();
        queue.extend(next);
        tried.push(name);
    }
    None
}

/// What the name may be short of, or long for, most likely first.
fn others(provider: &str, name: &str) -> [Option<String>; 7] {
    [
        without_path(name).map(str::to_owned),
        version_after_at(name),
        at_provider(provider, name),
        dashed_date(name),
        without_at(name).map(str::to_owned),
        without_snapshot_date(name).map(str::to_owned),
        without_own_prefix(provider, name).map(str::to_owned),
    ]
}

/// Resource names: `models/gemini-2.5-pro`, `publishers/google/models/…` and `projects/…` of Google,
/// `arn:aws:bedrock:…:foundation-model/…` and `…:inference-profile/…` of Bedrock.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html>
///
/// An application inference profile, a provisioned or a tuned model has an id that says nothing about its model.
fn without_path(name: &str) -> Option<&str> {
    if name.starts_with("arn:") {
        let (kind, id) = name.rsplit_once('/')?;
        let known = kind.ends_with(":foundation-model") || kind.ends_with(":inference-profile");
        return known.then_some(id);
    }
    let rest = name.strip_prefix("models/").or_else(|| {
        let google = name.starts_with("publishers/") || name.starts_with("projects/");
        google.then(|| name.rsplit_once("/models/").map(|(_, id)| id)).flatten()
    });
    rest.or_else(|| name.strip_prefix("converse/"))
}

/// Vertex writes a version after an `@`: `claude-3-7-sonnet@20250219` is Anthropic's `claude-3-7-sonnet-20250219`.
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude>
fn version_after_at(name: &str) -> Option<String> {
    let (model, version) = name.split_once('@')?;
    let is_date = version.len() == 8 && version.bytes().all(|b| b.is_ascii_digit());
    is_date.then(|| format!("{model}-{version}"))
}

/// `@default` is the version that Vertex serves without one.
fn without_at(name: &str) -> Option<&str> {
    name.strip_suffix("@default")
}

/// Spellings of one provider only.
fn at_provider(provider: &str, name: &str) -> Option<String> {
    match provider {
        // Azure calls 3.5 35, and names of deployments hold no points.
        // https://learn.microsoft.com/azure/ai-services/openai/concepts/models
        "azure" => match name.strip_prefix("gpt-35") {
            Some(rest) => Some(format!("gpt-3.5{rest}")),
            None => pointed(name),
        },
        // Variants of routing that do not change the price of a token; `:free`, `:nitro` and `:floor` do.
        // https://openrouter.ai/docs/guides/routing/model-variants
        "openrouter" => name
            .strip_suffix(":online")
            .or_else(|| name.strip_suffix(":thinking"))
            .or_else(|| name.strip_suffix(":exacto"))
            .map(str::to_owned),
        _ => None,
    }
}

/// `gpt-5-5-mini` as `gpt-5.5-mini`.
fn pointed(name: &str) -> Option<String> {
    let rest = name.strip_prefix("gpt-")?;
    let [major, b'-', minor, ..] = rest.as_bytes() else { return None };
    let ends = rest.as_bytes().get(3).is_none_or(|b| *b == b'-');
    let digits = major.is_ascii_digit() && minor.is_ascii_digit();
    (digits && ends).then(|| format!("gpt-{}.{}", &rest[..1], &rest[2..]))
}

/// Gateways write `gpt-5.2-20251211` for the snapshot `gpt-5.2-2025-12-11`.
fn dashed_date(name: &str) -> Option<String> {
    let (model, date) = name.rsplit_once('-')?;
    let is_date = date.len() == 8 && date.starts_with("20") && date.bytes().all(|b| b.is_ascii_digit());
    is_date.then(|| format!("{model}-{}-{}-{}", &date[..4], &date[4..6], &date[6..]))
}

/// `openai/gpt-4o` asked of OpenAI itself.
fn without_own_prefix<'a>(provider: &str, name: &'a str) -> Option<&'a str> {
    let (prefix, rest) = name.split_once('/')?;
    (!provider.is_empty() && prefix == provider).then_some(rest)
}

/// `gpt-4o-2024-08-06` and `claude-haiku-4-5-20251001` are snapshots of the model without the date. A snapshot
/// that has prices of its own is an entry or an alias of the book, and found before.
fn without_snapshot_date(name: &str) -> Option<&str> {
    let digits = |text: &str, lengths: &[usize]| {
        let parts: Vec<_> = text.split('-').collect();
        parts.len() == lengths.len()
            && parts.iter().zip(lengths).all(|(p, n)| p.len() == *n && p.bytes().all(|b| b.is_ascii_digit()))
    };
    [&[4, 2, 2][..], &[8][..]].into_iter().find_map(|lengths| {
        let len = lengths.iter().sum::<usize>() + lengths.len() - 1;
        let (head, date) = name.len().checked_sub(len).and_then(|at| name.split_at_checked(at))?;
        head.strip_suffix('-').filter(|model| !model.is_empty() && digits(date, lengths))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(provider: &str, model: &str) -> Vec<String> {
        let mut all = Vec::new();
        assert_eq!(
            first(provider, model, |name| -> Option<()> {
                all.push(name.to_owned());
                None
            }),
            None
        );
        all
    }

    #[test]
    fn what_stands_around_a_name_is_taken_off() {
        for (provider, model, wanted) in [
            ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("vertex", "publishers/google/models/gemini-2.0-flash", "gemini-2.0-flash"),
            ("vertex", "projects/p/locations/l/publishers/anthropic/models/claude-x@default", "claude-x"),
            ("vertex", "claude-3-7-sonnet@20250219", "claude-3-7-sonnet-20250219"),
            ("vertex", "claude-3-7-sonnet@20250219", "claude-3-7-sonnet"),
            ("azure", "gpt-35-turbo-0125", "gpt-3.5-turbo-0125"),
            ("azure", "gpt-5-5", "gpt-5.5"),
            ("azure", "gpt-4-1-mini-2025-04-14", "gpt-4.1-mini"),
            ("aws", "arn:aws:bedrock:us-east-1:1:inference-profile/us.m-v1:0", "us.m-v1:0"),
            ("aws", "arn:aws:bedrock:us-east-1::foundation-model/m-v1:0", "m-v1:0"),
            ("openrouter", "openai/gpt-4o:online", "openai/gpt-4o"),
            ("openai", "gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
            ("openai", "GPT-4o-2024-08-06", "gpt-4o"),
            ("openai", "openai/gpt-4o", "gpt-4o"),
        ] {
            assert!(spellings(provider, model).iter().any(|s| s == wanted), "{model} {wanted}");
        }
    }

    #[test]
    fn nothing_else_is_taken_off() {
        for (provider, model) in [
            ("openrouter", "openai/gpt-4o:free"),
            ("openrouter", "openai/gpt-4o:nitro"),
            ("aws", "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2"),
            ("openai", "claude-3-5-sonnet-latest"),
            ("azure", "gpt-4-0613"),
            ("openai", "gpt-5-5"),
            ("openai", "2024-08-06"),
            ("openai", "m-2024-8-06"),
            ("openai", "azure/gpt-4o"),
        ] {
            assert_eq!(spellings(provider, model), [model], "{model}");
        }
        assert_eq!(spellings("openai", ""), Vec::<String>::new());
        assert_eq!(spellings("openai", "é-20251001").last().unwrap(), "é");
    }
}
