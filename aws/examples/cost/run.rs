//! A case: traffic of some time through ingest and the aggregator, and what was asked of AWS for it.

use std::sync::Arc;

use aggregator::Aggregator;
use aws::inbox::item_of;
use aws::table::size::{item_bytes, write_units};
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use shared::price::PriceBook;
use shared::stream::PutRecord;

use crate::Outcome;
use crate::ledger::{Counted, Counting, Nowhere};
use crate::traffic::{At, Sender, Traffic};

/// What Lambda sends to a function at most.
const PAYLOAD: usize = 6 << 20;
/// What it says of each record beside its data, in JSON.
const RECORD_JSON: usize = 500;
/// Over how many shards of the table's stream the inbox of one lane is spread: its four partition keys, of hashes
/// that fall as they may, lie on about three of the four partitions that a table on demand begins with.
pub(crate) const DIRECT_SHARDS: u64 = 3;
const DIRECT_SHARD_OF: [usize; 4] = [0, 0, 1, 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Profile {
    OnDemand,
    Provisioned,
    Direct,
}

impl Profile {
    pub(crate) const ALL: [Self; 3] = [Self::OnDemand, Self::Provisioned, Self::Direct];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OnDemand => "kinesis, on demand",
            Self::Provisioned => "kinesis, provisioned",
            Self::Direct => "direct",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) traffic: Traffic,
    pub(crate) profile: Profile,
    pub(crate) window_seconds: u64,
}

impl Case {
    /// With the lanes that Terraform gives it, and the shards that carry it at seven tenths of their limit.
    pub(crate) fn new(traffic: Traffic, profile: Profile, window_seconds: u64) -> Self {
        let submissions_per_1000_s = traffic.events_per_1000_s() / traffic.per_submission;
        let kb = 1 + traffic.per_submission * 5 / 10;
        let shards = submissions_per_1000_s.max(submissions_per_1000_s * kb).div_ceil(700_000);
        let lanes = match profile {
            Profile::OnDemand => shards.max(4),
            Profile::Provisioned => shards,
            Profile::Direct => 1,
        };
        Self { traffic: Traffic { lanes, ..traffic }, profile, window_seconds }
    }

    /// How many batches are gathered at a time.
    pub(crate) fn writers(&self) -> u64 {
        match self.profile {
            Profile::Direct => DIRECT_SHARDS,
            _ => self.traffic.lanes,
        }
    }

    /// As many as Terraform's default, and the most where the window is long.
    fn batch_size(&self) -> usize {
        if self.window_seconds > 10 { 10_000 } else { 1_000 }
    }

    /// Which of the writers a record comes to.
    fn writer_of(&self, put: &PutRecord) -> usize {
        match self.profile {
            Profile::Direct => DIRECT_SHARD_OF.get(put.spread as usize).copied().unwrap_or(0),
            _ => put.partition_key.parse().unwrap_or(0),
        }
    }

    /// For how long full batches leave it to the next to settle: `direct` has no sweep to make up for it.
    fn settle_ms(&self) -> u64 {
        if self.profile == Profile::Direct { 0 } else { self.window_seconds * 1_000 }
    }
}

/// What the writers did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) counted: Counted,
    pub(crate) batches: usize,
    pub(crate) events: u64,
    /// From the first record of a batch to its end, summed.
    pub(crate) gathering_ms: u64,
    /// Of all submissions, and in the stream: records, kilobytes begun, PUT units, and units of the inbox.
    pub(crate) submissions: u64,
    pub(crate) stream_bytes: usize,
    pub(crate) stream_kb: usize,
    pub(crate) put_units: usize,
    pub(crate) inbox_units: usize,
}

/// What one writer gathers.
#[derive(Default)]
struct Writer {
    batch: Vec<PutRecord>,
    began: u64,
    payload: usize,
    events: u64,
    batches: usize,
    is_done: bool,
}

/// Runs a case until each writer has settled, and there is enough to go by.
pub(crate) async fn run(case: &Case) -> Outcome<Run> {
    let is_direct = case.profile == Profile::Direct;
    let sender = Sender::new(case.traffic, if is_direct { aws::inbox::SPREAD } else { 1 });
    let ledger = Arc::new(Counting::settling_every(case.settle_ms()));
    let aggregator = Aggregator::new(Arc::clone(&ledger), Nowhere, At::begin(), PriceBook::embedded()?);
    let aggregator = if is_direct { aggregator } else { aggregator.with_full_batches_of(case.batch_size()) };
    let mut run = Run::default();
    let mut writers: Vec<Writer> = (0..case.writers()).map(|_| Writer::default()).collect();
    for submission in 0.. {
        let at = case.traffic.sent_ms(submission);
        run.submissions += 1;
        for put in sender.send(submission).await? {
            let bytes = put.data.len();
            let item_bytes = is_direct.then(|| item_bytes(&item_of(put.clone(), At::begin().0)));
            run.stream_bytes += bytes;
            run.stream_kb += (bytes + put.partition_key.len()).div_ceil(1 << 10);
            run.put_units += bytes.div_ceil(25 << 10);
            run.inbox_units += item_bytes.map_or(0, write_units);
            let number = case.writer_of(&put);
            let Some(writer) = writers.get_mut(number).filter(|writer| !writer.is_done) else { continue };
            let more = item_bytes.unwrap_or(bytes).div_ceil(3) * 4 + RECORD_JSON;
            let is_late = at >= writer.began + case.window_seconds * 1_000;
            let is_full = writer.batch.len() == case.batch_size() || writer.payload + more > PAYLOAD;
            if !writer.batch.is_empty() && (is_late || is_full) {
                let end = at.min(writer.began + case.window_seconds * 1_000);
                run.gathering_ms += end - writer.began;
                run.batches += 1;
                writer.batches += 1;
                ledger.batch(end, writer.began);
                deliver(&aggregator, std::mem::take(&mut writer.batch)).await?;
                writer.payload = 0;
                let is_enough = writer.events * case.writers() >= 2_000 || writer.batches >= 8;
                let lane = if is_direct { 0 } else { u32::try_from(number)? };
                writer.is_done = is_enough && ledger.is_settled(lane);
                if writer.is_done {
                    run.events += writer.events;
                    if writers.iter().all(|writer| writer.is_done) {
                        run.counted = ledger.counted();
                        return Ok(run);
                    }
                    continue;
                }
            }
            if writer.batch.is_empty() {
                writer.began = at;
            }
            writer.payload += more;
            writer.events += case.traffic.per_submission;
            writer.batch.push(put);
        }
    }
    Err("there is no end of submissions".into())
}

async fn deliver(aggregator: &Aggregator<Arc<Counting>, Nowhere, At>, puts: Vec<PutRecord>) -> Outcome<()> {
    let mut batch = KinesisEvent::default();
    batch.records = (0..)
        .zip(puts)
        .map(|(n, put): (u64, PutRecord)| {
            let mut record = KinesisEventRecord::default();
            record.kinesis.partition_key = put.partition_key;
            record.kinesis.sequence_number = format!("{n:056}");
            record.kinesis.data.0 = put.data.to_vec();
            record
        })
        .collect();
    let answer = aggregator.handle(batch).await;
    if answer.batch_item_failures.is_empty() { Ok(()) } else { Err("a record failed".into()) }
}
