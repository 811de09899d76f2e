//! Packing entries into stream records, and putting them until all are acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use edge::{Code, Problem};
use shared::clock::Clock;
use shared::id::{AgentId, EventId};
use shared::mint::Mint;
use shared::sequence::SequenceMark;
use shared::stream::{EventStream, PutError, PutRecord};
use shared::wire::{Entry, StreamRecord};

use crate::Ingest;
use crate::problem::internal;
use crate::seal::Sealed;

/// Records are kept near this size, so that a consumer's batch can be split evenly.
const TARGET_BYTES: usize = 256 << 10;

/// What a record takes besides its entries, at most: its time, and a submission's number with two names.
const HEAD_BYTES: usize = 512;

/// A stream record and the events in it.
pub(crate) struct Outgoing {
    pub(crate) record: PutRecord,
    indexes: Vec<usize>,
    /// Where it goes.
    place: u32,
}

/// Why records are not known to be durable.
enum Failure {
    /// The stream will never take one of them.
    Refused(String),
    /// The stream did not take them in time.
    Unavailable(String),
}

impl<S: EventStream, C: Clock, M: Mint> Ingest<S, C, M> {
    /// Makes a submission durable, or says which events are not known to be.
    pub(crate) async fn put(&self, sealed: Sealed, key: &str) -> Result<Vec<EventId>, Problem> {
        let Sealed { ids, entries, mark } = sealed;
        let is_marked = mark.is_some();
        let mut first = self.pack(entries, mark, key).map_err(|e| internal("the stream record", &e))?;
        // The number of a submission says that all of it is durable, so it is put after the rest of it.
        let marked = if is_marked && first.len() > 1 { first.pop() } else { None };
        let give_up = tokio::time::Instant::now() + self.config.deadline;
        if let Err((mut waiting, failure)) = self.deliver(first, give_up).await {
            waiting.extend(marked);
            return Err(without_receipt(&waiting, &ids, failure));
        }
        if let Some(marked) = marked
            && let Err((waiting, failure)) = self.deliver(vec![marked], give_up).await
        {
            return Err(without_receipt(&waiting, &ids, failure));
        }
        Ok(ids)
    }

    /// Puts records until all are acknowledged; else answers those that are not known to be, and why.
    async fn deliver(
        &self,
        mut waiting: Vec<Outgoing>,
        give_up: tokio::time::Instant,
    ) -> Result<(), (Vec<Outgoing>, Failure)> {
        let mut pause = self.config.backoff;
        let (mut last, mut refused) = (String::new(), None);
        for attempt in 0..=self.config.attempts {
            if attempt > 0 {
                let jitter =
                    Duration::from_micros(fastrand::u64(..=u64::try_from(pause.as_micros()).unwrap_or(1)));
                if tokio::time::Instant::now() + pause + jitter > give_up {
                    break;
                }
                tokio::time::sleep(pause + jitter).await;
                pause *= 2;
            }
            let mut failed = Vec::new();
            let mut queue = waiting.into_iter().peekable();
            while queue.peek().is_some() {
                let chunk: Vec<Outgoing> = queue.by_ref().take(self.stream.max_put_records()).collect();
                let records = chunk.iter().map(|out| out.record.clone()).collect();
                // A stream that does not answer in time may still take them: that is what the ids are for.
                let answers = tokio::time::timeout_at(give_up, self.stream.put(records)).await;
                let mut answers = answers.unwrap_or_default().into_iter();
                for mut out in chunk {
                    // A missing answer is no acknowledgement.
                    match answers.next() {
                        Some(Ok(_)) => continue,
                        Some(Err(PutError::Refused(reason))) => refused = Some(reason),
                        Some(Err(PutError::Retry(reason))) => last = reason,
                        None => "it did not answer in time".clone_into(&mut last),
                    }
                    // To the next place: its own may have too much. Where it was taken after all, it is there twice
                    // and counts once.
                    self.send_to((out.place + 1) % self.place_count(), &mut out);
                    failed.push(out);
                }
            }
            if failed.is_empty() {
                return Ok(());
            }
            waiting = failed;
            if let Some(reason) = refused.take() {
                // Trying again cannot help this record.
                return Err((waiting, Failure::Refused(reason)));
            }
        }
        Err((waiting, Failure::Unavailable(last)))
    }

    pub(crate) fn pack(
        &self,
        entries: Vec<(Entry, Vec<usize>)>,
        mark: Option<SequenceMark>,
        key: &str,
    ) -> Result<Vec<Outgoing>, serde_json::Error> {
        let received = self.clock.now();
        let agent = most_frequent(&entries).cloned();
        let target = self.stream.max_record_bytes().min(TARGET_BYTES);
        let mut packed: Vec<Outgoing> = Vec::new();
        let mut open: (Vec<Entry>, Vec<usize>, usize) = (Vec::new(), Vec::new(), 0);
        let mut close = |open: &mut (Vec<Entry>, Vec<usize>, usize), mark| -> Result<(), serde_json::Error> {
            let (entries, indexes, _) = std::mem::take(open);
            if !entries.is_empty() {
                let data = StreamRecord { mark, ..StreamRecord::new(received, entries) }.encode()?.into();
                let record = PutRecord { partition_key: String::new(), spread: 0, data };
                packed.push(Outgoing { record, indexes, place: 0 });
            }
            Ok(())
        };
        let single = entries.len() == 1;
        for (entry, indexes) in entries {
            // One entry needs no measuring: a part is below the target by the bounds on its events.
            let bytes = if single { 0 } else { serde_json::to_vec(&entry)?.len() + 1 };
            if open.2 + bytes + HEAD_BYTES > target {
                close(&mut open, None)?;
            }
            open.0.push(entry);
            open.1.extend(indexes);
            open.2 += bytes;
        }
        close(&mut open, mark)?;
        let units: usize = packed.iter().map(|out| out.record.data.len().div_ceil(1 << 10)).sum();
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let agent = agent.as_ref().map_or("", AgentId::as_str);
        let place = self.places.place(agent, key, units, received, self.place_count());
        packed.iter_mut().for_each(|out| self.send_to(place, out));
        Ok(packed)
    }

    /// Lanes, in as many parts as the stream has of each.
    fn place_count(&self) -> u32 {
        self.config.lanes.max(1).saturating_mul(self.stream.spread().max(1))
    }

    fn send_to(&self, place: u32, out: &mut Outgoing) {
        let lanes = self.config.lanes.max(1);
        out.place = place;
        out.record.spread = place / lanes;
        out.record.partition_key = (place % lanes).to_string();
    }
}

/// The agent of most of the events; the first of several.
fn most_frequent(entries: &[(Entry, Vec<usize>)]) -> Option<&AgentId> {
    let mut events: HashMap<&AgentId, usize> = HashMap::new();
    let (mut found, mut most) = (None, 0);
    for (entry, indexes) in entries {
        let count = events.entry(entry.agent()).or_default();
        *count += indexes.len();
        if *count > most {
            (found, most) = (Some(entry.agent()), *count);
        }
    }
    found
}

fn without_receipt(waiting: &[Outgoing], ids: &[EventId], failure: Failure) -> Problem {
    let (code, reason) = match failure {
        Failure::Refused(reason) => (Code::StreamRefused, reason),
        Failure::Unavailable(reason) => (Code::StreamUnavailable, reason),
    };
    let mut again: Vec<usize> = waiting.iter().flat_map(|out| out.indexes.iter().copied()).collect();
    again.sort_unstable();
    let stored: Vec<String> = ids
        .iter()
        .enumerate()
        .filter(|(n, _)| again.binary_search(n).is_err())
        .map(|(_, id)| id.to_string())
        .collect();
    let detail = format!(
        "{} of {} events have no receipt ({reason}); send the submission again with the same idempotency-key or ids",
        again.len(),
        ids.len()
    );
    let mut problem = Problem::new(code, detail);
    problem.extra.insert("send_again".to_owned(), again.into());
    problem.extra.insert("stored".to_owned(), stored.into());
    problem
}
