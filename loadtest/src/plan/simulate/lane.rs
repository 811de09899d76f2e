//! A lane's writer: gathers, commits, settles.
#![expect(clippy::float_arithmetic, reason = "simulated time and counts; no money")]

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::arrivals::Arrival;
use super::rollups::{Calls, Rollups};
use super::{histogram, milliseconds};
use crate::plan::config::Config;
use crate::plan::cycle::{
    COMMIT_ITEMS, COMMIT_RECORDS, PUTS, SETTLE_GROUP, SETTLE_OPEN, SETTLE_READ, SETTLE_ROOM, full_batch,
};
use crate::plan::numbers::whole;
use crate::plan::touched::Touched;
use crate::plan::workload::Workload;
use crate::plan::{service, sizes};

/// What all lanes go by.
pub(super) struct Rules {
    load: Workload,
    window_s: f64,
    settle_s: f64,
    is_direct: bool,
    /// Submissions of a full batch.
    full: usize,
    memory: u32,
}

impl Rules {
    pub(super) fn of(load: &Workload, config: &Config) -> Self {
        Self {
            load: *load,
            window_s: f64::from(config.window_s),
            settle_s: config.settle_s(),
            is_direct: config.is_direct(),
            full: usize::try_from(whole(full_batch(load, config))).unwrap_or(1),
            memory: config.aggregator_mb,
        }
    }
}

/// What was counted from when it is measured.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) events: f64,
    pub(super) commits: f64,
    pub(super) updates: f64,
    /// Events of the settlings that were counted.
    pub(super) settled: f64,
}

/// A settling.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) begin: f64,
    pub(super) end: f64,
    /// Rollups that the alerter is called for.
    pub(super) touched: Touched,
    /// When some of its submissions arrived.
    some: Vec<f64>,
}

/// One event of it: when its rollup was written, how long that was after its receipt, and a number of its own.
pub(super) struct Sample {
    pub(super) at: f64,
    pub(super) after: f64,
    pub(super) salt: usize,
}

impl Settled {
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> {
        let sample = |(salt, at): (usize, &f64)| Sample { at: self.end, after: self.end - at, salt };
        self.some.iter().enumerate().map(sample)
    }
}

struct Entry {
    calls: Vec<Calls>,
    adds: f64,
}

pub(super) struct Lane {
    queue: VecDeque<Arrival>,
    free_at: f64,
    settled_at: f64,
    open: Vec<Entry>,
    /// When what is open arrived.
    unsettled: Vec<f64>,
    measured_from: f64,
    worked: f64,
    left: u32,
    pub(super) seen: Counted,
    pub(super) total: Histogram<u64>,
    pub(super) rollup: Histogram<u64>,
}

impl Lane {
    pub(super) fn measured_from(at: f64) -> Self {
        Self {
            queue: VecDeque::new(),
            free_at: 0.0,
            settled_at: f64::NEG_INFINITY,
            open: Vec::new(),
            unsettled: Vec::new(),
            measured_from: at,
            worked: 0.0,
            left: 0,
            seen: Counted::default(),
            total: histogram(),
            rollup: histogram(),
        }
    }

    pub(super) fn push(&mut self, arrival: Arrival) {
        self.queue.push_back(arrival);
    }

    /// Seconds that it worked, up to that time.
    pub(super) fn worked(&self, until: f64) -> f64 {
        self.worked - (self.free_at - until.max(self.measured_from)).max(0.0).min(self.worked)
    }

    /// Events that had come and found no place in the last batch.
    pub(super) fn waiting(&self, rules: &Rules) -> f64 {
        f64::from(self.left) * f64::from(rules.load.batch)
    }

    /// Does what there is to do up to that time.
    pub(super) fn advance(
        &mut self,
        until: f64,
        rules: &Rules,
        rollups: &mut Rollups,
        settled: &mut Vec<Settled>,
    ) {
        loop {
            let ready = match (self.queue.get(rules.full - 1), self.queue.front()) {
                (Some(last), _) => last.at,
                (None, Some(first)) => first.at + rules.window_s,
                (None, None) => return,
            };
            let start = ready.max(self.free_at);
            if start > until {
                return;
            }
            let there = self.queue.iter().take(rules.full).take_while(|arrival| arrival.at <= start).count();
            let batch: Vec<Arrival> = self.queue.drain(..there).collect();
            let left = self.queue.iter().take_while(|arrival| arrival.at <= start).count();
            self.left = u32::try_from(left).unwrap_or(u32::MAX);
            self.work(&batch, start, rules, rollups, settled);
        }
    }

    fn work(
        &mut self,
        batch: &[Arrival],
        start: f64,
        rules: &Rules,
        rollups: &mut Rollups,
        settled: &mut Vec<Settled>,
    ) {
        let is_measured = start >= self.measured_from;
        let is_full = batch.len() == rules.full;
        let mut sorted = batch.to_vec();
        sorted.sort_by_key(|arrival| arrival.agent);
        let (entries, ends, page_calls) = commits(&sorted, rules, rollups);
        let commits = f64::from(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        let events = f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)) * f64::from(rules.load.batch);
        let commit_s = service::commit_ms(commits, page_calls / commits, events, rules.memory) / 1_000.0;
        if is_measured {
            self.seen.events += events;
            self.seen.commits += commits;
            let mut done = 0.0;
            let mut submissions = sorted.iter();
            for end in &ends {
                done += commit_s / commits;
                for arrival in submissions.by_ref().take(*end) {
                    let _ = self.total.record(milliseconds(start + done - arrival.at));
                }
            }
        }
        self.open.extend(entries);
        self.unsettled.extend(batch.iter().map(|arrival| arrival.at));
        let is_due = start >= self.settled_at + rules.settle_s
            || self.open.len() > usize::try_from(SETTLE_OPEN).unwrap_or(usize::MAX);
        let mut end = start + commit_s;
        if rules.is_direct || !is_full || is_due {
            end = self.settle(end, is_measured, rules, rollups, settled);
            self.settled_at = start;
        }
        self.worked += (end - start.max(self.measured_from)).max(0.0);
        self.free_at = end;
    }

    /// Brings in what is open; answers when that is done.
    fn settle(
        &mut self,
        begin: f64,
        is_measured: bool,
        rules: &Rules,
        rollups: &mut Rollups,
        settled: &mut Vec<Settled>,
    ) -> f64 {
        let entries = std::mem::take(&mut self.open);
        let mut left = &entries[..];
        let (mut updates, mut all) = (0.0, Touched::default());
        while !left.is_empty() {
            let group = group(left);
            rollups.begin();
            left.iter().take(group).flat_map(|entry| &entry.calls).for_each(|calls| rollups.add(*calls));
            let touched = rollups.touched();
            updates += touched.rollups();
            all = all.with(touched);
            left = left.get(group..).unwrap_or_default();
        }
        let end = begin + service::settle_ms(updates, rules.memory) / 1_000.0;
        if is_measured {
            self.seen.updates += updates;
            let submissions = f64::from(u32::try_from(self.unsettled.len()).unwrap_or(u32::MAX));
            self.seen.settled += submissions * f64::from(rules.load.batch);
            for at in &self.unsettled {
                let _ = self.rollup.record(milliseconds(end - at));
            }
        }
        let step = self.unsettled.len().div_ceil(64).max(1);
        let some = self.unsettled.iter().step_by(step).copied().collect();
        self.unsettled.clear();
        settled.push(Settled { begin, end, touched: all, some });
        end
    }
}

/// How many of these entries are settled together.
fn group(entries: &[Entry]) -> usize {
    let read = usize::try_from(SETTLE_READ).unwrap_or(1);
    let most = entries.len().min(usize::try_from(SETTLE_GROUP).unwrap_or(1));
    let (mut taken, mut adds) = (0, 0.0);
    while taken < most && adds < SETTLE_ROOM {
        let upto = entries.len().min(taken + read);
        adds += entries.iter().take(upto).skip(taken).map(|entry| entry.adds).sum::<f64>();
        taken = upto;
    }
    taken
}

/// Commits of a batch that is in the order of agents: their entries, how many submissions each has, and the calls that put
/// pages.
fn commits(sorted: &[Arrival], rules: &Rules, rollups: &mut Rollups) -> (Vec<Entry>, Vec<usize>, f64) {
    let batch = rules.load.batch;
    let records = f64::from(sizes::parts(batch));
    let (mut entries, mut ends, mut page_calls) = (Vec::new(), Vec::new(), 0.0);
    let mut rest = sorted;
    while !rest.is_empty() {
        rollups.begin();
        let mut calls: Vec<Calls> = Vec::new();
        let (mut taken, mut held, mut adds) = (0_usize, 0.0, 0.0);
        for arrival in rest {
            let one = Calls { agent: arrival.agent, slot: arrival.slot, first: arrival.call, count: batch };
            if held + records > COMMIT_RECORDS && taken > 0 {
                break;
            }
            rollups.add(one);
            let more = rollups.touched().rollups();
            if held + records + more > COMMIT_ITEMS && taken > 0 {
                break;
            }
            adds = more;
            held += records;
            taken += 1;
            match calls.last_mut() {
                Some(last) if last.slot == one.slot && last.first + last.count == one.first => {
                    last.count += batch;
                }
                _ => calls.push(one),
            }
        }
        let agents = f64::from(u32::try_from(calls.len()).unwrap_or(u32::MAX));
        page_calls += (agents.max(held / sizes::PAGE) / PUTS).ceil();
        entries.push(Entry { calls, adds });
        ends.push(taken);
        rest = rest.get(taken..).unwrap_or_default();
    }
    (entries, ends, page_calls)
}
