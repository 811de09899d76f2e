//! One book over another: what a layer says replaces what is below, and the rest stays.

use std::collections::HashMap;

use super::file::{BookFile, ModelFile, ProviderFile, Text};

impl<'a> BookFile<'a> {
    /// The book's name of a provider, which may be one that it is called by.
    pub fn provider_id<'b>(&'b self, name: &'b str) -> &'b str {
        let is = |text: &Text<'_>| text.as_str().eq_ignore_ascii_case(name);
        if self.providers.iter().any(|provider| is(&provider.id)) {
            return name;
        }
        let known = self.providers.iter().find(|provider| provider.names.iter().any(is));
        known.map_or(name, |provider| provider.id.as_str())
    }

    /// Puts `layer` over this book. The whole has the layer's version, and both sources.
    ///
    /// An entry of the same provider and model has its prices replaced, or added to if the layer says `add`, and
    /// keeps its names beside the layer's. A new entry is asked before those below, so that its names win.
    #[must_use]
    pub fn with_layer(mut self, layer: BookFile<'a>) -> Self {
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        for (at, model) in self.models.iter().enumerate() {
            places.entry(key(model)).or_insert(at);
        }
        let mut models = Vec::new();
        let mut ids: HashMap<String, String> = HashMap::new();
        for mut model in layer.models {
            let name = model.provider.as_str();
            let id = ids.entry(name.to_owned()).or_insert_with(|| self.provider_id(name).to_owned());
            if id.as_str() != name {
                model.provider = id.clone().into();
            }
            match places.get(&key(&model)).and_then(|at| self.models.get_mut(*at)) {
                Some(below) => merge(below, model),
                None => models.push(model),
            }
        }
        models.append(&mut self.models);
        for provider in layer.providers {
            match self.providers.iter_mut().find(|p| p.id == provider.id) {
                Some(below) => merge_provider(below, provider),
                None => self.providers.push(provider),
            }
        }
        let source = if self.source == layer.source {
            layer.source
        } else {
            format!("{}; {}", layer.source.as_str(), self.source.as_str()).into()
        };
        Self {
            version: layer.version,
            source,
            inherit: self.inherit || layer.inherit,
            providers: self.providers,
            models,
        }
    }
}

fn key(model: &ModelFile<'_>) -> (String, String) {
    (model.provider.as_str().to_owned(), model.model.as_str().to_lowercase())
}

fn merge<'a>(below: &mut ModelFile<'a>, layer: ModelFile<'a>) {
    for name in layer.aliases {
        if !below.aliases.contains(&name) {
            below.aliases.push(name);
        }
    }
    for rule in layer.rules {
        if !below.rules.contains(&rule) {
            below.rules.push(rule);
        }
    }
    if layer.add {
        below.prices.extend(layer.prices);
    } else {
        below.prices = layer.prices;
        below.strict = layer.strict;
    }
    below.source = layer.source.or(below.source.take());
    below.checked = layer.checked.or(below.checked.take());
}

fn merge_provider<'a>(below: &mut ProviderFile<'a>, layer: ProviderFile<'a>) {
    below.gateway |= layer.gateway;
    let lists = [
        (&mut below.names, layer.names),
        (&mut below.models, layer.models),
        (&mut below.fallback, layer.fallback),
    ];
    for (known, more) in lists {
        for text in more {
            if !known.contains(&text) {
                known.push(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(text: &str) -> BookFile<'_> {
        BookFile::read(text).unwrap()
    }

    #[test]
    fn a_layer_replaces_what_it_names_and_keeps_the_rest() {
        let below = book(
            r#"{"version":"1","source":"a","models":[
            {"provider":"p","model":"m","aliases":["n"],"prices":[{"per_million":{"input":"1"}}]},
            {"provider":"p","model":"o","prices":[{"per_million":{"input":"2"}}]}]}"#,
        );
        let layer = book(
            r#"{"version":"2","source":"b","models":[
            {"provider":"p","model":"M","prices":[{"per_million":{"input":"9"}}]},
            {"provider":"p","model":"o","add":true,"prices":[{"tier":"batch","per_million":{"input":"1"}}]},
            {"provider":"q","model":"new","prices":[]}]}"#,
        );
        let whole = below.with_layer(layer);
        assert_eq!((whole.version.as_str(), whole.source.as_str()), ("2", "b; a"));
        let names: Vec<_> = whole.models.iter().map(|m| (m.model.as_str(), m.prices.len())).collect();
        assert_eq!(names, [("new", 0), ("m", 1), ("o", 2)]);
        assert_eq!(whole.models[1].aliases[0].as_str(), "n");
        assert_eq!(whole.models[1].prices[0].per_million.0[0].1.as_str(), "9");
    }

    #[test]
    fn a_book_is_read_as_it_was_written() {
        let text = r#"{"version":"1","source":"a \"b\"","inherit":true,
            "providers":[{"id":"p","names":["x"],"models":["m*"],"fallback":["q"]}],
            "models":[{"provider":"p","model":"m","match":["m-#*"],"source":"s","checked":"2026-01-01","prices":[
              {"from":"2026-01-01","hours":"01:00-02:00","days":[1],"tier":"flex","per_million":{"input":"1"},
               "per_unit":{"requests":"2"},"long":[{"above":5,"per_million":{"input":"3"}}]}]}]}"#;
        let read = book(text);
        let written = read.write().unwrap();
        assert_eq!(book(&written), read);
        assert_eq!(written.lines().filter(|l| l.contains("\"model\"")).count(), 1);
    }
}
