//! A submission in steps, so that benchmarks measure each: what [`Ingest::handle`] does between HTTP and the stream.

use edge::Problem;
use http::HeaderMap;
use shared::clock::Clock;
use shared::mint::Mint;
use shared::stream::{EventStream, PutRecord};

use crate::content_type::Form;
use crate::parse::{self, Submission};
use crate::problem::internal;
use crate::{Ingest, seal};

/// A valid submission.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Parsed(Submission);

impl<S: EventStream, C: Clock, M: Mint> Ingest<S, C, M> {
    /// From headers and a body to events. It asks for no authorisation.
    #[doc(hidden)]
    pub fn parse(&self, headers: &HeaderMap, body: &[u8]) -> Result<Parsed, Problem> {
        let form = Form::of(headers)?;
        parse::submission(headers, form, body, self.clock.now(), self.closed_before.get(), None).map(Parsed)
    }

    /// From events to the records that go into the stream.
    #[doc(hidden)]
    pub fn seal(&self, Parsed(submission): Parsed) -> Result<Vec<PutRecord>, Problem> {
        let key = submission.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let sealed = seal::seal(submission, &self.mint).map_err(|e| internal("the submission", &e))?;
        let packed = self.pack(sealed.entries, sealed.mark, &key);
        let packed = packed.map_err(|e| internal("the stream record", &e))?;
        Ok(packed.into_iter().map(|out| out.record).collect())
    }
}
