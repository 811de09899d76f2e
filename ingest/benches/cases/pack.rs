//! A sealed submission of so many events, from events to the records that go into the stream.

use std::rc::Rc;

use crate::case::{Amount, Case};
use crate::submission::{body, headers, ingest, seal};

/// By then an agent's rate is seen, and its place is found in the same way ever after.
const WARM: usize = 64;

pub(crate) fn cases() -> Vec<Case> {
    let ingest = Rc::new(ingest());
    let case = |events: usize| {
        let parsed = ingest.parse(&headers(Some("key-1")), &body(events));
        let parsed = parsed.unwrap_or_else(|problem| panic!("{problem:?}"));
        let ingest = Rc::clone(&ingest);
        Case::once(
            events.to_string(),
            Amount::Events(events),
            move || parsed.clone(),
            move |parsed| seal(&ingest, parsed),
        )
    };
    let cases = [1, 10, 100, 500].map(case).into();
    for _ in 0..WARM {
        let parsed = ingest.parse(&headers(Some("key-1")), &body(1));
        seal(&ingest, parsed.unwrap_or_else(|problem| panic!("{problem:?}")));
    }
    cases
}
