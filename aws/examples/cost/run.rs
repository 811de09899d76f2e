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

    fn is_of_first_writer(&self, submission: u64, put: &PutRecord) -> bool {
        match self.profile {
            Profile::Direct => {
                (submission.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(DIRECT_SHARDS)
            }
            _ => put.partition_key == "0",
        }
    }
}

/// What one writer, of several alike, did.
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

/// Runs one writer's part of a case, until there is enough to go by.
pub(crate) async fn run(case: &Case) -> Outcome<Run> {
    let sender = Sender::new(case.traffic);
    let ledger = Arc::new(Counting::default());
    let aggregator = Aggregator::new(Arc::clone(&ledger), Nowhere, At::begin(), PriceBook::embedded()?);
    let mut run = Run::default();
    let mut batch: Vec<PutRecord> = Vec::new();
    let (mut began, mut payload) = (0, 0);
    let mut events = 0;
    for submission in 0.. {
        let at = case.traffic.sent_ms(submission);
        run.submissions += 1;
        for put in sender.send(submission).await? {
            let item = item_of(put.clone(), At::begin().0);
            let bytes = put.data.len();
            run.stream_bytes += bytes;
            run.stream_kb += (bytes + put.partition_key.len()).div_ceil(1 << 10);
            run.put_units += bytes.div_ceil(25 << 10);
            run.inbox_units += write_units(item_bytes(&item));
            if !case.is_of_first_writer(submission, &put) {
                continue;
            }
            let bytes = if case.profile == Profile::Direct { item_bytes(&item) } else { bytes };
            let more = bytes.div_ceil(3) * 4 + RECORD_JSON;
            let is_late = at >= began + case.window_seconds * 1_000;
            let is_full = batch.len() == case.batch_size() || payload + more > PAYLOAD;
            if !batch.is_empty() && (is_late || is_full) {
                run.gathering_ms += (at - began).min(case.window_seconds * 1_000);
                run.batches += 1;
                run.events += events;
                deliver(&aggregator, std::mem::take(&mut batch)).await?;
                (events, payload) = (0, 0);
                if run.events >= 2_000 || run.batches == 8 {
                    run.counted = ledger.counted();
                    return Ok(run);
                }
            }
            if batch.is_empty() {
                began = at;
            }
            payload += more;
            events += case.traffic.per_submission;
            batch.push(put);
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
