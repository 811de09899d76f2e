//! Where in the stream a submission goes: where its agent's others go, so that an agent's events meet in one batch and
//! its totals are written once. An agent that is much of the traffic goes to several places, so that none is hot.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use shared::hash::ContentHash;

/// Units a second in this process below which an agent keeps to one place, whatever its share. A unit is a record, or
/// a kilobyte if it has more: a shard takes 1,000 of each. A function answers one request at a time, some 30 to 60 a
/// second, so each of many processes sees a small part of an agent's rate, but the same share of the traffic.
const FEW: u64 = 10;
/// An agent with up to this part of an even place's traffic keeps to one place; one with more goes to as many as make
/// each of them less.
const PART: u64 = 4;
/// Rates are counted in this many slots by the hash of an agent, twice over: where both meet others, they count as one.
const SLOTS: usize = 2_048;

/// Which agents are busy in this process.
#[derive(Debug)]
pub(crate) struct Places(Mutex<Rates>);

/// Units that were seen, halved each second: one to two seconds' worth of a steady rate.
#[derive(Debug)]
struct Rates {
    second: i64,
    all: u64,
    slots: [Vec<u32>; 2],
}

impl Default for Places {
    fn default() -> Self {
        Self(Mutex::new(Rates { second: 0, all: 0, slots: [vec![0; SLOTS], vec![0; SLOTS]] }))
    }
}

impl Places {
    /// The place of a submission of this agent among so many; `key` tells it from the agent's others.
    ///
    /// A retry may go to another place than what it repeats: it counts once wherever it is.
    pub(crate) fn place(&self, agent: &str, key: &str, units: u64, now: Timestamp, places: u32) -> u32 {
        let [agent, other] = hashes(agent);
        let places = places.max(1);
        let over = self.note([agent, other], units, now).over(places);
        let [key, _] = if over > 1 { hashes(key) } else { [0; 2] };
        (agent % places + key % over) % places
    }

    fn note(&self, agent: [u32; 2], units: u64, now: Timestamp) -> Share {
        // Whatever panicked, a wrong rate costs little.
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rates.pass(now.as_second());
        rates.all = rates.all.saturating_add(units);
        let all = rates.all;
        let mut own = u64::MAX;
        for (slots, hash) in rates.slots.iter_mut().zip(agent) {
            let slot = usize::try_from(hash).unwrap_or(0) % SLOTS;
            if let Some(count) = slots.get_mut(slot) {
                *count = count.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
                own = own.min(u64::from(*count));
            }
        }
        Share { own, all }
    }
}

impl Rates {
    fn pass(&mut self, second: i64) {
        // A clock that goes back changes nothing.
        let passed = u32::try_from(second.saturating_sub(self.second).max(0)).unwrap_or(u32::MAX);
        if passed > 0 {
            self.second = second;
            self.all = self.all.checked_shr(passed).unwrap_or(0);
            let slots = self.slots.iter_mut().flatten();
            slots.for_each(|count| *count = count.checked_shr(passed).unwrap_or(0));
        }
    }
}

struct Share {
    own: u64,
    all: u64,
}

impl Share {
    /// Over how many of the places the agent goes.
    fn over(&self, places: u32) -> u32 {
        if self.own < 2 * FEW {
            return 1;
        }
        let parts = self.own.saturating_mul(PART * u64::from(places)).div_ceil(self.all.max(1));
        // In powers of two, so that a share that varies a little moves nothing.
        u32::try_from(parts).unwrap_or(u32::MAX).checked_next_power_of_two().unwrap_or(u32::MAX).min(places)
    }
}

/// Two numbers of a text, the same in each process.
fn hashes(of: &str) -> [u32; 2] {
    let hash = ContentHash::of_bytes(of.as_bytes());
    [0..8, 8..16].map(|part| {
        let digits = hash.as_str().get(part).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        digits.unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Where `per_second` submissions of each agent go, in each of so many seconds; those of the last second.
    fn after(seconds: i64, agents: &[(&str, u64)], units: u64, places: u32) -> BTreeMap<String, Vec<u32>> {
        let table = Places::default();
        let mut seen = BTreeMap::new();
        for second in 0..seconds {
            seen.clear();
            let now = Timestamp::from_second(1_795_000_000 + second).unwrap();
            let most = agents.iter().map(|(_, n)| *n).max().unwrap_or(0);
            for n in 0..most {
                for (agent, _) in agents.iter().filter(|(_, rate)| n < *rate) {
                    let place = table.place(agent, &format!("{second} {n}"), units, now, places);
                    seen.entry((*agent).to_owned()).or_insert_with(Vec::new).push(place);
                }
            }
        }
        seen
    }

    fn different(places: &[u32]) -> usize {
        places.iter().collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn agents_that_are_many_keep_to_a_place_each_at_any_rate() {
        let names: Vec<_> = (0..50).map(|n| format!("agent-{n}")).collect();
        for rate in [1, 40] {
            let agents: Vec<_> = names.iter().map(|name| (name.as_str(), rate)).collect();
            let seen = after(10, &agents, 1, 4);
            assert!(seen.values().all(|places| different(places) == 1), "{rate}");
            assert_eq!(different(&seen.into_values().flatten().collect::<Vec<_>>()), 4, "all are used");
        }
    }

    #[test]
    fn an_agent_that_is_most_of_the_traffic_is_spread_evenly() {
        let seen = after(10, &[("busy", 2_000), ("a", 3), ("b", 3)], 1, 4);
        let mut by_place = BTreeMap::new();
        seen["busy"].iter().for_each(|place| *by_place.entry(*place).or_insert(0) += 1);
        assert_eq!(by_place.len(), 4);
        assert!(by_place.values().all(|n| (400..600).contains(n)), "{by_place:?}");
        assert_eq!((different(&seen["a"]), different(&seen["b"])), (1, 1));
        // One of a few requests a second is not, however alone it is; nor is one with large ones left in a place.
        assert_eq!(different(&after(10, &[("alone", 9)], 1, 4)["alone"]), 1);
        assert!(different(&after(10, &[("large", 9)], 200, 4)["large"]) > 1);
    }

    #[test]
    fn a_process_that_sees_a_part_of_the_rate_finds_out_by_the_share() {
        // 2,000 a second of 2,800, in 60 processes.
        let others: Vec<_> = (0..13).map(|n| format!("other-{n}")).collect();
        let mut agents = vec![("busy", 33)];
        agents.extend(others.iter().map(|name| (name.as_str(), 1)));
        let seen = after(5, &agents, 1, 4);
        assert_eq!(different(&seen["busy"]), 4);
    }

    #[test]
    fn what_was_busy_is_forgotten() {
        let table = Places::default();
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        let place = |key: u32, second| table.place("a", &key.to_string(), 1, at(second), 8);
        let busy: Vec<_> = (0..500).map(|key| place(key, 0)).collect();
        assert_eq!(different(&busy), 8);
        let calm: Vec<_> = (0..9).map(|n| place(n, 20 + i64::from(n))).collect();
        assert_eq!(different(&calm), 1);
        assert_eq!(different(&(0..5).map(|key| place(key, -100)).collect::<Vec<_>>()), 1);
    }

    #[test]
    fn agents_beyond_the_slots_take_none_of_them_for_busy() {
        let table = Places::default();
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        for round in 0..3 {
            for n in 0..50_000 {
                let share = table.note(hashes(&format!("agent-{n}")), 1, now);
                assert!(round == 0 || share.over(8) == 1, "{n}: {} of {}", share.own, share.all);
            }
        }
    }
}
