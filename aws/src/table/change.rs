//! The table's stream, as the alerter reads it: the keys of rollups and budgets in the form that handlers share.

use aws_lambda_events::dynamodb::{Event, EventRecord};
use serde_dynamo::AttributeValue;
use shared::budget::Budget;
use shared::id::BudgetName;

use super::keys::{self, BUDGETS};

/// Puts item keys in the place of the table's. What is of no interest to the alerter keeps its own.
pub fn to_change(mut event: Event) -> Event {
    event.records.iter_mut().for_each(translate);
    event
}

fn translate(record: &mut EventRecord) {
    let text = |name: &str| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    let (pk, sk) = (text("pk"), text("sk"));
    let key = if pk == BUDGETS {
        BudgetName::parse(&sk).ok().map(|name| Budget::item_key(&name))
    } else {
        keys::read_rollup(&pk, &sk).map(|(key, _)| key.item_key())
    };
    if let Some((pk, sk)) = key {
        record.change.keys = std::collections::HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk)),
            ("sk".to_owned(), AttributeValue::S(sk)),
        ])
        .into();
    }
}

#[cfg(test)]
mod tests {
    use shared::rollup::{RollupKey, Scope, ScopeKind};
    use shared::window::WindowKind;

    use super::*;

    #[test]
    fn rollups_and_budgets_are_told_by_their_item_keys() {
        let scope = Scope::one(ScopeKind::Agent, "a#1");
        let key = RollupKey { scope, window: WindowKind::Hour, start: 3600 };
        let name = BudgetName::parse("b").unwrap();
        let other = ("E#a#E#x".to_owned(), "E".to_owned());
        for (stored, wanted) in [
            (keys::rollup(&key, 3), key.item_key()),
            ((BUDGETS.to_owned(), "b".to_owned()), Budget::item_key(&name)),
            (other.clone(), other),
        ] {
            let mut record = EventRecord::default();
            record.change.keys = std::collections::HashMap::from([
                ("pk".to_owned(), AttributeValue::S(stored.0)),
                ("sk".to_owned(), AttributeValue::S(stored.1)),
            ])
            .into();
            let mut event = Event::default();
            event.records.push(record);
            let keys = &to_change(event).records[0].change.keys;
            assert_eq!(keys.get("pk"), Some(&AttributeValue::S(wanted.0)));
            assert_eq!(keys.get("sk"), Some(&AttributeValue::S(wanted.1)));
        }
    }
}
