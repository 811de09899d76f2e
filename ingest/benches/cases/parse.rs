//! A submission of so many events, from its bytes to events that are valid.

use std::rc::Rc;

use crate::case::{Amount, Case};
use crate::submission::{body, headers, ingest};

pub(crate) fn cases() -> Vec<Case> {
    let ingest = Rc::new(ingest());
    let case = |events: usize| {
        let (ingest, body, headers) = (Rc::clone(&ingest), body(events), headers(Some("key-1")));
        Case::again(events.to_string(), Amount::Events(events), move || {
            ingest.parse(&headers, &body).unwrap_or_else(|problem| panic!("{problem:?}"))
        })
    };
    [1, 10, 100, 500].map(case).into()
}
