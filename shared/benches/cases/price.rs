//! One event rated by the embedded book. A model that was looked up before is found by its name as it was written; the
//! first look-up of one, which a process makes once, is a case of its own.

use std::rc::Rc;

use shared::event::UsageEvent;
use shared::id::{ModelId, ProviderId};
use shared::price::PriceBook;
use shared::usage::{Bucket, Usage};

use crate::case::{Amount, Case};

struct Rated {
    name: &'static str,
    provider: &'static str,
    model: &'static str,
    tier: Option<&'static str>,
    input: u64,
    /// What the call costs, so that a case cannot become another one unseen.
    cost: Option<&'static str>,
}

const COMMON: Rated = Rated {
    name: "common",
    provider: "openai",
    model: "gpt-4o-mini",
    tier: None,
    input: 812,
    cost: Some("0.0005994"),
};
const ALIAS: Rated = Rated {
    name: "alias",
    provider: "bedrock",
    model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    tier: None,
    input: 812,
    cost: Some("0.00871728"),
};
/// A long input has prices of its own.
const TIERED: Rated = Rated {
    name: "tiered",
    provider: "google",
    model: "gemini-2.5-pro",
    tier: None,
    input: 250_000,
    cost: Some("0.630284"),
};
const SERVICE_TIER: Rated = Rated {
    name: "service-tier",
    provider: "openai",
    model: "gpt-5",
    tier: Some("flex"),
    input: 812,
    cost: Some("0.0021835"),
};
const UNKNOWN: Rated =
    Rated { name: "unknown", provider: "openai", model: "no-such-model", tier: None, input: 812, cost: None };

impl Rated {
    fn event(&self) -> UsageEvent {
        let usage = Usage::new([
            (Bucket::Input, self.input),
            (Bucket::CacheRead, 4096),
            (Bucket::Output, 220),
            (Bucket::Reasoning, 64),
        ]);
        let at = "2026-11-24T02:30:00Z".parse().expect("a time");
        let mut event = UsageEvent::new(at, usage.expect("counts that can be added"));
        event.provider = Some(ProviderId::parse(self.provider).expect("a provider"));
        event.model = Some(ModelId::parse(self.model).expect("a model"));
        event.service_tier = self.tier.map(str::to_owned);
        event
    }

    /// The event, when its cost is what is stated.
    fn checked(&self) -> UsageEvent {
        let (book, event) = (embedded(), self.event());
        let cost = book.candidates(&event).find_map(|price| price.cost(&event.usage));
        assert_eq!(cost.map(|cost| cost.to_string()).as_deref(), self.cost, "{}", self.name);
        event
    }

    fn again(&self, book: &Rc<PriceBook>) -> Case {
        let (book, event) = (Rc::clone(book), self.checked());
        Case::again(self.name, Amount::Events(1), move || {
            book.candidates(&event).find_map(|price| price.cost(&event.usage))
        })
    }

    fn first(&self) -> Case {
        let event = Rc::new(self.checked());
        let rate = move |book: PriceBook| {
            let cost = book.candidates(&event).find_map(|price| price.cost(&event.usage));
            // What is asked for is the look-up, not dropping a book.
            (cost, std::mem::ManuallyDrop::new(book))
        };
        Case::once(format!("first-{}", self.name), Amount::Events(1), embedded, rate)
    }
}

fn embedded() -> PriceBook {
    PriceBook::embedded().expect("the book that is compiled in")
}

pub(crate) fn cases() -> Vec<Case> {
    let book = Rc::new(embedded());
    let again = [COMMON, ALIAS, TIERED, SERVICE_TIER, UNKNOWN].map(|rated| rated.again(&book));
    let first = [COMMON, ALIAS, UNKNOWN].map(|rated| rated.first());
    let read = Case::again("read-the-book", Amount::Events(1), PriceBook::embedded);
    again.into_iter().chain(first).chain([read]).collect()
}
