//! Which form a body has, as its headers say it.

use edge::{Code, Fault, Problem};
use http::{HeaderMap, header};

use crate::cloudevents;
use crate::problem::invalid;

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, whose own shape says what it is.
    Json,
    /// One CloudEvents event.
    CloudEvent,
    /// An array of them.
    CloudEvents,
    /// The data of a CloudEvents event whose envelope is in the headers.
    CloudEventData,
    /// A provider's stream, as it came.
    Stream,
}

impl Form {
    /// A missing content type, and curl's default form type, are read as JSON.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let text = values.next().map_or("", |value| value.to_str().unwrap_or("?"));
        if values.next().is_some() {
            return Err(invalid(vec![Fault::of_request(
                "content-type",
                "comes more than once; send it once",
            )]));
        }
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/cloudevents+json" => Ok(Self::CloudEvent),
            "application/cloudevents-batch+json" => Ok(Self::CloudEvents),
            "application/json" | "application/x-www-form-urlencoded" | "" => Ok(Self::plain(headers)),
            "text/event-stream"
            | "application/vnd.amazon.eventstream"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/stream+json" => Ok(Self::Stream),
            other if other.starts_with("application/cloudevents") => Err(refused()),
            other if other.starts_with("application/") && other.ends_with("+json") => {
                Ok(Self::plain(headers))
            }
            _ => Err(refused()),
        }
    }

    fn plain(headers: &HeaderMap) -> Self {
        if cloudevents::is_binary(headers) { Self::CloudEventData } else { Self::Json }
    }
}

fn refused() -> Problem {
    let detail = "the content-type is none that is read; send application/json, application/cloudevents+json, \
                  application/cloudevents-batch+json, or a provider's stream as text/event-stream, \
                  application/x-ndjson or application/vnd.amazon.eventstream";
    Problem::new(Code::UnsupportedMediaType, detail)
}
