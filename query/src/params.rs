//! Query parameters, read strictly: a mistyped filter that is ignored would answer another question.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use edge::limits::MAX_PAGE_ROWS;
use percent_encoding::percent_decode_str;

use crate::error::QueryError;

/// The parameters of a request, each of a known name.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query string; `known` are the names that the route accepts.
    pub(crate) fn read(request: &ApiGatewayV2httpRequest, known: &[&str]) -> Result<Self, QueryError> {
        let raw = request.raw_query_string.as_deref().unwrap_or_default();
        let mut params = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| QueryError::parameter(name, "is not UTF-8"))?;
            let value = decode(value).ok_or_else(|| QueryError::parameter(&name, "is not UTF-8"))?;
            if !known.contains(&name.as_str()) {
                return Err(unknown(&name, known));
            }
            params.push((name, value));
        }
        Ok(Self(params))
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that is given at most once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, QueryError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(QueryError::parameter(name, "is given more than once; give it once"));
        }
        Ok(first)
    }

    /// A parameter that is parsed.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, QueryError> {
        let value = self.one(name)?;
        value.map(|text| parse(text).map_err(|e| QueryError::parameter(name, e.to_string()))).transpose()
    }

    /// Rows of a page.
    pub(crate) fn limit(&self, default: usize) -> Result<usize, QueryError> {
        self.limit_up_to(default, MAX_PAGE_ROWS)
    }

    /// The same, up to another number than usual.
    pub(crate) fn limit_up_to(&self, default: usize, most: usize) -> Result<usize, QueryError> {
        let limit = self.parsed("limit", |text| match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(format!("is {text:?}; give a whole number from 1 to {most}")),
        })?;
        Ok(limit.unwrap_or(default))
    }
}

fn decode(text: &str) -> Option<String> {
    // A `+` stays a plus: times with an offset hold one, and ids hold no spaces.
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn unknown(name: &str, known: &[&str]) -> QueryError {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2));
    let accepted = known.join(", ");
    let reason = match nearest {
        Some((_, nearest)) => format!("is not known here; did you mean `{nearest}`? Accepted: {accepted}"),
        None if known.is_empty() => "is not known here, which takes no parameters".to_owned(),
        None => format!("is not known here; accepted: {accepted}"),
    };
    QueryError::parameter(name, reason)
}
