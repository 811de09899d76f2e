//! Who sends when, and where it goes.
#![expect(clippy::float_arithmetic, reason = "simulated time")]

use fastrand::Rng;

use crate::plan::config::Config;
use crate::plan::lanes;
use crate::plan::workload::{Arrivals, Workload};

/// Which writer reads which of the four keys of an inbox lane.
const INBOX: [usize; 4] = [0, 0, 1, 2];
const WRITERS_OF_INBOX: usize = 3;

/// A submission.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) at: f64,
    pub(super) agent: u32,
    /// The agent in this lane: the place of what is known of it there.
    pub(super) slot: u32,
    /// The agent's first call in it.
    pub(super) call: u32,
}

pub(super) struct Stream {
    load: Workload,
    rng: Rng,
    places: u32,
    over: u32,
    is_direct: bool,
    busiest_over: u32,
    /// The next submission's number and time.
    number: u64,
    at: f64,
    /// Calls of each agent so far.
    calls: Vec<u32>,
}

impl Stream {
    pub(super) fn of(load: &Workload, config: &Config, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let places = if config.is_direct() { 4 * config.lanes } else { config.lanes };
        let over = lanes::spread(load, places, 1.0 / f64::from(load.agents));
        let busiest_over = lanes::spread(load, places, load.busiest).max(over);
        let stride = load.stride();
        let steps = load.shape.task_calls / stride;
        let calls = (0..load.agents)
            .map(|_| match load.arrivals {
                Arrivals::InTurn => 0,
                Arrivals::Random => stride * rng.u32(0..steps),
            })
            .collect();
        Self {
            load: *load,
            rng,
            places,
            over,
            is_direct: config.is_direct(),
            busiest_over,
            number: 0,
            at: 0.0,
            calls,
        }
    }

    /// Places of what is known of an agent in a lane.
    pub(super) fn slots(&self) -> usize {
        let others = self.calls.len() * usize::try_from(self.over).unwrap_or(1);
        others + usize::try_from(self.busiest_over).unwrap_or(1)
    }

    pub(super) fn writers(&self) -> usize {
        let places = usize::try_from(self.places).unwrap_or(1);
        if self.is_direct { places / INBOX.len() * WRITERS_OF_INBOX } else { places }
    }

    /// The next submission, and the writer that it comes to.
    #[expect(clippy::unnecessary_wraps, reason = "as an iterator: there is always a next one")]
    pub(super) fn next(&mut self) -> Option<(usize, Arrival)> {
        let mean = 1.0 / self.load.submissions();
        let is_busiest =
            self.load.busiest > 1.5 / f64::from(self.load.agents) && self.rng.f64() < self.load.busiest;
        let (agent, step) = match self.load.arrivals {
            Arrivals::InTurn => {
                let agent = self.number * 7_919 % u64::from(self.load.agents);
                (u32::try_from(agent).unwrap_or(0), mean)
            }
            Arrivals::Random => {
                let agent = if is_busiest { 0 } else { self.rng.u32(0..self.load.agents) };
                (agent, -mean * (1.0 - self.rng.f64()).ln())
            }
        };
        let at = self.at;
        self.at += step;
        self.number += 1;
        let over = if is_busiest { self.busiest_over } else { self.over };
        let nth = if over > 1 { self.rng.u32(0..over) } else { 0 };
        let place = (scattered(agent) % self.places + nth) % self.places;
        let slot = if is_busiest { self.load.agents * self.over + nth } else { agent * self.over + nth };
        let mut call = 0;
        if let Some(calls) = usize::try_from(agent).ok().and_then(|agent| self.calls.get_mut(agent)) {
            call = *calls;
            *calls = calls.wrapping_add(self.load.batch);
        }
        Some((self.writer(place), Arrival { at, agent, slot, call }))
    }

    fn writer(&self, place: u32) -> usize {
        let place = usize::try_from(place).unwrap_or(0);
        if !self.is_direct {
            return place;
        }
        let of_lane = INBOX.get(place % INBOX.len()).copied().unwrap_or(0);
        place / INBOX.len() * WRITERS_OF_INBOX + of_lane
    }
}

/// A number that tells nothing of the agent's: names fall on lanes by their hashes.
fn scattered(agent: u32) -> u32 {
    let mut x = u64::from(agent).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((x ^ (x >> 31)) >> 32).unwrap_or(0)
}
