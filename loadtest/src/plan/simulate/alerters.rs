//! The alerters of the shards of the table's stream.
#![expect(clippy::float_arithmetic, reason = "simulated time and counts; no money")]

use super::lane::Settled;
use crate::plan::config::Config;
use crate::plan::demand::Demand;
use crate::plan::numbers::whole;

/// Steps that time is cut in, in seconds.
const STEP: f64 = 0.1;
/// Buckets of the kinds that call the alerter: org, team, agent, task, model, provider (`aws/src/table/keys.rs`).
const BUCKETS: [u32; 6] = [1, 4, 16, 16, 4, 1];

/// An invocation, by its begin and end, and the part of a full batch that it took.
type Call = (f64, f64, f64);

pub(super) struct Alerters {
    /// The invocations of each shard, and the part of what it can take that it took.
    calls: Vec<Vec<Call>>,
    busy: Vec<f64>,
}

impl Alerters {
    pub(super) fn play(
        config: &Config,
        demand: &Demand,
        settled: &[Settled],
        seconds: f64,
        warm: f64,
    ) -> Self {
        let shards = usize::try_from(demand.table_shards).unwrap_or(1);
        let steps = index(seconds / STEP) + 1;
        let mut changes = vec![vec![0.0_f64; steps]; shards];
        for one in settled {
            let t = one.touched;
            let kinds = [t.org, t.teams, t.agents, t.tasks, t.models, t.providers];
            let (first, last) = (index(one.begin / STEP), index(one.end / STEP).min(steps - 1));
            if first >= steps {
                continue;
            }
            let width = f64::from(u32::try_from(last - first + 1).unwrap_or(1));
            let mut key = 0_usize;
            for (count, buckets) in kinds.into_iter().zip(BUCKETS) {
                for _ in 0..buckets {
                    // A key's partition is as good as any.
                    let shard = key.wrapping_mul(7_919) % shards;
                    key += 1;
                    let each = count / f64::from(buckets) / width;
                    if let Some(of_shard) = changes.get_mut(shard) {
                        of_shard.iter_mut().take(last + 1).skip(first).for_each(|step| *step += each);
                    }
                }
            }
        }
        let (mut calls, mut busy) = (Vec::new(), Vec::new());
        for of_shard in &changes {
            let made = invocations(of_shard, config, demand.alerter_ms / 1_000.0);
            let measured = |(begin, end, part): &Call| (end.min(seconds) - begin.max(warm)).max(0.0) * part;
            busy.push(made.iter().map(measured).sum::<f64>() / (seconds - warm));
            calls.push(made);
        }
        Self { calls, busy }
    }

    pub(super) fn busiest(&self) -> f64 {
        self.busy.iter().copied().fold(0.0, f64::max)
    }

    /// Seconds from a change until what it means is sent, by one of the shards; none if that was not played.
    pub(super) fn from(&self, at: f64, salt: usize) -> Option<f64> {
        let calls = self.calls.get(salt.wrapping_mul(31) % self.calls.len())?;
        // Its change is in the batch that is taken next.
        let next = calls.get(calls.partition_point(|(begin, ..)| *begin < at))?;
        Some(next.1 - at)
    }
}

fn invocations(changes: &[f64], config: &Config, takes_s: f64) -> Vec<Call> {
    let batch = f64::from(config.alerter_batch) * f64::from(config.alerter_parallelization);
    let window = f64::from(config.alerter_window_s);
    let (mut calls, mut pending, mut since, mut free_at) = (Vec::new(), 0.0, 0.0, 0.0);
    for (n, count) in changes.iter().enumerate() {
        let now = f64::from(u32::try_from(n).unwrap_or(u32::MAX)) * STEP;
        if pending <= 0.0 && *count > 0.0 {
            since = now;
        }
        pending += count;
        let is_ready = pending >= batch || (pending > 0.0 && now >= since + window);
        if is_ready && now >= free_at {
            calls.push((now, now + takes_s, (pending / batch).min(1.0)));
            free_at = now + takes_s;
            pending = (pending - batch).max(0.0);
            since = now;
        }
    }
    calls
}

fn index(steps: f64) -> usize {
    usize::try_from(whole(steps)).unwrap_or(0)
}
