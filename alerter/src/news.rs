//! What a change may mean for a budget: where to look, never what to decide.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_lambda_events::dynamodb::EventRecord;
use jiff::Timestamp;
use serde_dynamo::AttributeValue;
use shared::budget::Budget;
use shared::id::BudgetName;
use shared::rollup::{RollupKey, Scope, ScopeKind};
use shared::window::{QUARTER, Range, WindowKind};

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum News {
    /// A scope's totals in a UTC hour.
    Rollup(RollupKey),
    /// A budget itself.
    Budget(BudgetName),
}

impl News {
    /// Reads a change's keys; none if it is of no interest.
    pub(crate) fn of(record: &EventRecord) -> Option<Self> {
        let text = |name: &str| match record.change.keys.get(name) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        };
        let (pk, sk) = (text("pk")?, text("sk")?);
        if let Some(name) = Budget::from_item_key(pk, sk) {
            return Some(Self::Budget(name));
        }
        let key = RollupKey::from_item_key(pk, sk)?;
        (key.window == WindowKind::Hour && !key.scope.kind.is_pair()).then_some(Self::Rollup(key))
    }
}

/// The UTC months whose usage may have changed, each with the places of what says so.
pub(crate) fn months(all_news: &BTreeMap<News, Vec<usize>>) -> BTreeMap<i64, BTreeSet<usize>> {
    let mut months: BTreeMap<i64, BTreeSet<usize>> = BTreeMap::new();
    for (news, from) in all_news {
        // Whatever is committed changes the totals of the organisation.
        if let News::Rollup(key) = news
            && key.scope.kind == ScopeKind::Org
        {
            months.entry(WindowKind::Month.start(key.start)).or_default().extend(from);
        }
    }
    months
}

/// Budgets, found by what a change names.
pub(crate) struct Watched<'b> {
    by_scope: HashMap<Scope, Vec<&'b Budget>>,
    by_name: HashMap<&'b BudgetName, &'b Budget>,
}

impl<'b> Watched<'b> {
    pub(crate) fn new(budgets: &'b [Budget]) -> Self {
        let mut by_scope: HashMap<Scope, Vec<&'b Budget>> = HashMap::new();
        for budget in budgets {
            by_scope.entry(budget.spec.scope.scope()).or_default().push(budget);
        }
        Self { by_scope, by_name: budgets.iter().map(|budget| (&budget.spec.name, budget)).collect() }
    }

    /// The budgets that it may concern, each with the period to look at.
    pub(crate) fn concerned(&self, news: &News, now: Timestamp) -> Vec<(&'b Budget, Range)> {
        match news {
            News::Rollup(key) => {
                let budgets = self.by_scope.get(&key.scope).into_iter().flatten();
                budgets
                    .flat_map(|budget| periods(budget, key.start).map(|period| (*budget, period)))
                    .collect()
            }
            News::Budget(name) => {
                let budget = self.by_name.get(name).copied();
                budget.map(|b| (b, b.spec.period.containing(now, &b.spec.timezone))).into_iter().collect()
            }
        }
    }
}

/// The periods that an hour is in: two where a zone is off by quarter hours.
fn periods(budget: &Budget, hour: i64) -> impl Iterator<Item = Range> {
    let spec = &budget.spec;
    let quarters = (0..4).filter_map(|n| Timestamp::from_second(hour + n * QUARTER).ok());
    let periods: BTreeSet<Range> = quarters.map(|at| spec.period.containing(at, &spec.timezone)).collect();
    periods.into_iter()
}
