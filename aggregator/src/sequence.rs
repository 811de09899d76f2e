//! The numbers of submissions, noted once what they number is in the ledger, or put aside with a reason.

use std::collections::BTreeMap;

use shared::clock::Clock;
use shared::ledger::{RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::sequence::SenderKey;

use crate::Aggregator;
use crate::batch::Batch;

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Notes the numbers of the records that are done. A record whose number is not noted comes again: what it
    /// holds is a duplicate then.
    pub(crate) async fn note_arrived(&self, batch: &mut Batch) {
        let mut senders: BTreeMap<SenderKey, (Vec<u64>, Vec<usize>)> = BTreeMap::new();
        for (origin, mark) in std::mem::take(&mut batch.marks) {
            if !batch.failed.contains(&origin) {
                let (sequences, origins) = senders.entry(mark.sender).or_default();
                sequences.push(mark.sequence);
                origins.push(origin);
            }
        }
        for (sender, (sequences, origins)) in senders {
            if let Err(error) = self.ledger.note_arrived(&sender, &sequences, self.clock.now()).await {
                origins.into_iter().for_each(|origin| batch.fail(origin, &error));
            }
        }
    }
}
