//! Shares of many records on their way to the rollups: hours are added up, and days and months made of them at
//! the end.

use std::collections::{HashMap, HashSet};

use super::places::ScopeAt;
use super::{Additions, Parts, Places, RollupKey, Share};
use crate::totals::{Overflow, Totals};
use crate::window::{WindowKind, quarter_of_hour};

/// Sums of shares, by scope and hour.
#[derive(Debug, Default)]
pub struct Sums {
    /// Of `rows`.
    row_of: HashMap<ScopeAt, usize>,
    rows: Vec<Row>,
    /// How many rollups they are in.
    len: usize,
    /// Everything without its sign: while this fits, no sum of any of it passes what it can hold.
    magnitude: Totals,
}

/// One scope's. It mostly has one hour.
#[derive(Debug)]
struct Row {
    scope: ScopeAt,
    first: Hour,
    more: Vec<Hour>,
}

#[derive(Debug)]
struct Hour {
    windows: Windows,
    parts: Parts,
}

impl Hour {
    fn new(windows: Windows) -> Self {
        Self { windows, parts: Parts::empty(WindowKind::Hour) }
    }
}

impl Row {
    fn hours(&self) -> impl Iterator<Item = &Hour> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// Which of these windows it has: the hour, the day, the month.
    fn has(&self, windows: &Windows) -> [bool; 3] {
        let mut has = [false; 3];
        for hour in self.hours() {
            has[0] |= hour.windows.hour == windows.hour;
            has[1] |= hour.windows.day == windows.day;
            has[2] |= hour.windows.month == windows.month;
        }
        has
    }

    /// An hour, which is made if it is not there.
    fn hour(&mut self, windows: Windows) -> &mut Hour {
        if self.first.windows == windows {
            return &mut self.first;
        }
        let at = self.more.iter().position(|hour| hour.windows == windows).unwrap_or_else(|| {
            self.more.push(Hour::new(windows));
            self.more.len() - 1
        });
        &mut self.more[at]
    }
}

/// The starts of the windows of an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Windows {
    hour: i64,
    day: i64,
    month: i64,
}

impl Windows {
    fn start(&self, window: WindowKind) -> i64 {
        match window {
            WindowKind::Hour => self.hour,
            WindowKind::Day => self.day,
            WindowKind::Month => self.month,
        }
    }

    fn of(at: i64) -> Self {
        Self {
            hour: WindowKind::Hour.start(at),
            day: WindowKind::Day.start(at),
            month: WindowKind::Month.start(at),
        }
    }
}

impl Sums {
    /// How many rollups there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many rollups there would be with these shares.
    pub fn len_with(&self, shares: &[Share], places: &Places) -> usize {
        let mut new = 0;
        // What two shares would both bring counts once.
        let mut brought = HashSet::new();
        for share in shares {
            let windows = Windows::of(share.quarter);
            for scope in places.scopes_of(share) {
                let row = self.row_of.get(scope).and_then(|at| self.rows.get(*at));
                let has = row.map_or([false; 3], |row| row.has(&windows));
                if shares.len() == 1 {
                    new += count_new(has);
                    continue;
                }
                for (has, window) in has.into_iter().zip(WindowKind::ALL) {
                    let is_new = !has && brought.insert((*scope, window as u8, windows.start(window)));
                    new += usize::from(is_new);
                }
            }
        }
        self.len + new
    }

    /// Adds shares, or says what would not fit. On an error nothing has changed.
    pub fn add(&mut self, shares: &[Share], places: &Places) -> Result<(), Overflow> {
        let mut magnitude = self.magnitude.clone();
        for share in shares {
            magnitude.add(&share.totals.magnitude())?;
        }
        self.magnitude = magnitude;
        for share in shares {
            let windows = Windows::of(share.quarter);
            let part = quarter_of_hour(share.quarter);
            for scope in places.scopes_of(share) {
                let next = self.rows.len();
                let at = *self.row_of.entry(*scope).or_insert(next);
                let has = self.rows.get(at).map_or([false; 3], |row| row.has(&windows));
                self.len += count_new(has);
                if at == next {
                    self.rows.push(Row { scope: *scope, first: Hour::new(windows), more: Vec::new() });
                }
                if let Some(slot) = self.rows[at].hour(windows).parts.0.get_mut(part) {
                    // It fits, as the magnitude does.
                    let _ = slot.add(&share.totals);
                }
            }
        }
        Ok(())
    }

    /// The additions that they are.
    pub fn additions(mut self, places: &Places) -> Additions {
        self.rows.sort_unstable_by(|a, b| places.key(a.scope).cmp(&places.key(b.scope)));
        let mut all: Vec<(RollupKey, Parts)> = Vec::with_capacity(self.len);
        let mut windows = Vec::new();
        for row in self.rows {
            let scope = places.scope_at(row.scope);
            let key = |window, start| RollupKey { scope: scope.clone(), window, start };
            let mut more = row.more;
            more.sort_unstable_by_key(|hour| hour.windows.hour);
            let before = more.partition_point(|hour| hour.windows.hour < row.first.windows.hour);
            let after = more.split_off(before);
            let from = all.len();
            windows.clear();
            for hour in more.into_iter().chain([row.first]).chain(after) {
                windows.push(hour.windows);
                all.push((key(WindowKind::Hour, hour.windows.hour), hour.parts));
            }
            for window in [WindowKind::Day, WindowKind::Month] {
                let mut at = from;
                for same in windows.chunk_by(|a, b| a.start(window) == b.start(window)) {
                    let mut sum = Totals::default();
                    let hours = all.get(at..at + same.len()).unwrap_or_default();
                    for part in hours.iter().flat_map(|(_, parts)| &parts.0).filter(|part| !part.is_zero()) {
                        // It fits, as the magnitude does.
                        let _ = sum.add(part);
                    }
                    at += same.len();
                    let start = same.first().map_or(0, |windows| windows.start(window));
                    all.push((key(window, start), Parts(vec![sum])));
                }
            }
        }
        Additions(all.into_iter().collect())
    }
}

fn count_new(has: [bool; 3]) -> usize {
    has.into_iter().filter(|has| !has).count()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::event::UsageEvent;
    use crate::id::{AgentId, TaskId, TeamId};
    use crate::rollup::Scope;
    use crate::usage::{Bucket, Usage};

    /// An agent's call, or a task's outcome, at a second.
    #[derive(Clone, Debug)]
    struct Did {
        agent: u8,
        team: Option<u8>,
        task: u8,
        model: Option<u8>,
        second: i64,
        tokens: u64,
        is_task: bool,
    }

    fn did() -> impl Strategy<Value = Did> {
        // Over the ends of a quarter, an hour, a day and a month.
        let second = (0..4_i64, -2_000..2_000_i64).prop_map(|(n, near)| {
            let ends = [1_793_491_200, 1_793_494_800, 1_793_577_600, 1_796_083_200];
            ends[usize::try_from(n).unwrap()] + near
        });
        (
            0..3_u8,
            prop::option::of(0..2_u8),
            0..3_u8,
            prop::option::of(0..3_u8),
            second,
            0..9_u64,
            any::<bool>(),
        )
            .prop_map(|(agent, team, task, model, second, tokens, is_task)| Did {
                agent,
                team,
                task,
                model,
                second,
                tokens,
                is_task,
            })
    }

    /// Its share, and the scopes and totals that it is made of.
    fn share(did: &Did, places: &mut Places) -> (Share, Vec<Scope>, Totals) {
        let agent = AgentId::parse(&format!("a{}", did.agent)).unwrap();
        let team = did.team.map(|team| TeamId::parse(&format!("t{team}")).unwrap());
        // A name may be another's in another dimension.
        let task = TaskId::parse(&format!("a{}", did.task)).unwrap();
        let usage = Usage::new([(Bucket::ALL[usize::from(did.task) * 5], did.tokens)]).unwrap();
        if did.is_task {
            let totals = Totals::of_task(crate::event::TaskResult::Success, Some("-0.5".parse().unwrap()));
            let place = places.of_task(&agent, team.as_ref(), &task);
            let scopes = Scope::of_task(&agent, team.as_ref(), &task).to_vec();
            return (Share::new(place, did.second, totals.clone()), scopes, totals);
        }
        let mut event = UsageEvent::new(Timestamp::from_second(did.second).unwrap(), usage);
        (event.team_id, event.task_id) = (team, Some(task));
        event.model = did.model.map(|model| format!("m{model}").try_into().unwrap());
        let totals = Totals::of_call(&usage, (did.tokens > 3).then(|| "0.003".parse().unwrap()));
        let place = places.of_call(&agent, &event);
        (Share::new(place, did.second, totals.clone()), Scope::of_call(&agent, &event).to_vec(), totals)
    }

    proptest! {
        #[test]
        fn sums_are_what_each_event_adds_to_each_rollup(records in prop::collection::vec(prop::collection::vec(did(), 0..6), 0..8)) {
            let (mut places, mut sums, mut wanted) = (Places::default(), Sums::default(), Additions::default());
            for record in &records {
                let mut shares = Vec::new();
                for did in record {
                    let (share, scopes, totals) = share(did, &mut places);
                    shares.push(share);
                    wanted.add(&scopes, Timestamp::from_second(did.second).unwrap(), &totals).unwrap();
                }
                let would_be = sums.len_with(&shares, &places);
                sums.add(&shares, &places).unwrap();
                prop_assert_eq!((would_be, sums.len()), (wanted.len(), wanted.len()));
            }
            prop_assert_eq!(sums.additions(&places), wanted);
        }
    }

    #[test]
    fn what_would_not_fit_changes_nothing() {
        let mut places = Places::default();
        let did = Did { agent: 0, team: None, task: 0, model: None, second: 0, tokens: 1, is_task: false };
        let (small, ..) = share(&did, &mut places);
        let mut large = small.clone();
        large.totals.usage[0] = i128::MIN + 2;
        let mut sums = Sums::default();
        sums.add(std::slice::from_ref(&small), &places).unwrap();
        assert!(sums.add(&[small.clone(), large], &places).is_err());
        let mut same = Sums::default();
        same.add(&[small], &places).unwrap();
        assert_eq!(sums.additions(&places), same.additions(&places));
    }
}
