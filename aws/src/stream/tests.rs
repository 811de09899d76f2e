//! Kinesis answers as it does: in part, not at all, and with a refusal.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::operation::get_shard_iterator::GetShardIteratorOutput;
use aws_sdk_kinesis::operation::list_shards::ListShardsOutput;
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsOutput};
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::error::{
    ExpiredIteratorException, ProvisionedThroughputExceededException, ResourceNotFoundException,
};
use aws_sdk_kinesis::types::{PutRecordsResultEntry, Record, SequenceNumberRange, Shard as CloudShard};
use aws_smithy_mocks::mock;
use aws_smithy_types::error::ErrorMetadata;
use shared::stream::{EventStream, PutError, PutRecord};

use super::{Kinesis, MAX_RECORD_BYTES, Reader, Start, Stop, read::is_later};
use crate::mocks::mock_client;
use crate::read::{Patience, ReadError};

fn record(bytes: usize) -> PutRecord {
    PutRecord { partition_key: "1".to_owned(), spread: 0, data: vec![b'x'; bytes].into() }
}

fn stored(number: &str) -> PutRecordsResultEntry {
    PutRecordsResultEntry::builder().sequence_number(number).shard_id("shardId-0").build()
}

fn failed(code: &str) -> PutRecordsResultEntry {
    PutRecordsResultEntry::builder().error_code(code).error_message("why").build()
}

fn put_output(entries: Vec<PutRecordsResultEntry>) -> PutRecordsOutput {
    PutRecordsOutput::builder().set_records(Some(entries)).build().unwrap()
}

fn kinesis(client: Client) -> Kinesis {
    Kinesis::new(client, "AgentLedger")
}

fn is_retry(answer: &Result<String, PutError>) -> bool {
    matches!(answer, Err(PutError::Retry(_)))
}

fn is_refused(answer: &Result<String, PutError>) -> bool {
    matches!(answer, Err(PutError::Refused(_)))
}

#[tokio::test]
async fn each_record_has_its_own_answer() {
    let rule = mock!(Client::put_records).then_output(|| {
        put_output(vec![
            stored("1"),
            failed("ProvisionedThroughputExceededException"),
            failed("InternalFailure"),
            failed("SomethingElse"),
        ])
    });
    let stream = kinesis(mock_client!(aws_sdk_kinesis, [&rule]));
    let answers = stream.put(vec![record(1), record(2), record(3), record(4), record(5)]).await;
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[0], Ok("1".to_owned()));
    assert!(is_retry(&answers[1]) && is_retry(&answers[2]), "{answers:?}");
    assert!(is_refused(&answers[3]), "{answers:?}");
    assert!(is_retry(&answers[4]), "an answer that is missing is no acknowledgement: {answers:?}");
}

#[tokio::test]
async fn a_failed_call_fails_each_of_its_records() {
    let throttled = mock!(Client::put_records).then_error(|| {
        let meta = ErrorMetadata::builder().code("ProvisionedThroughputExceededException").build();
        PutRecordsError::ProvisionedThroughputExceededException(
            ProvisionedThroughputExceededException::builder().meta(meta).build(),
        )
    });
    let answers = kinesis(mock_client!(aws_sdk_kinesis, [&throttled])).put(vec![record(1), record(2)]).await;
    assert!(answers.iter().all(is_retry), "{answers:?}");

    let missing = mock!(Client::put_records).then_error(|| {
        let meta = ErrorMetadata::builder().code("ResourceNotFoundException").build();
        PutRecordsError::ResourceNotFoundException(ResourceNotFoundException::builder().meta(meta).build())
    });
    let answers = kinesis(mock_client!(aws_sdk_kinesis, [&missing])).put(vec![record(1)]).await;
    assert!(is_refused(&answers[0]), "{answers:?}");

    let denied = mock!(Client::put_records).then_error(|| {
        PutRecordsError::generic(ErrorMetadata::builder().code("AccessDeniedException").message("no").build())
    });
    let answers = kinesis(mock_client!(aws_sdk_kinesis, [&denied])).put(vec![record(1)]).await;
    let Err(PutError::Refused(why)) = &answers[0] else { panic!("{answers:?}") };
    assert!(why.contains("Allow kinesis:PutRecords on stream AgentLedger"), "{why}");
}

#[tokio::test]
async fn a_fault_passes_and_the_sdk_tries_again_itself() {
    let rule = mock!(Client::put_records)
        .sequence()
        .http_status(500, None)
        .http_status(503, None)
        .output(|| put_output(vec![stored("7")]))
        .build();
    let stream = kinesis(mock_client!(aws_sdk_kinesis, [&rule], 3));
    assert_eq!(stream.put(vec![record(1)]).await, [Ok("7".to_owned())]);
    assert_eq!(rule.num_calls(), 3);

    let rule = mock!(Client::put_records).sequence().http_status(500, None).times(1).build();
    let answers = kinesis(mock_client!(aws_sdk_kinesis, [&rule])).put(vec![record(1)]).await;
    assert!(is_retry(&answers[0]), "{answers:?}");
}

#[tokio::test]
async fn calls_stay_within_the_limits_and_answers_in_order() {
    let rule = mock!(Client::put_records).then_compute_output(|input| {
        assert!(input.records().len() <= 500);
        let bytes: usize =
            input.records().iter().map(|r| r.data().as_ref().len() + r.partition_key().len()).sum();
        assert!(bytes <= 10 << 20, "{bytes}");
        put_output(input.records().iter().map(|r| stored(&r.data().as_ref().len().to_string())).collect())
    });
    let stream = kinesis(mock_client!(aws_sdk_kinesis, [&rule]));
    let records = (1..=1_201).map(record).collect();
    let answers = stream.put(records).await;
    let expected: Vec<_> = (1..=1_201).map(|n| Ok(n.to_string())).collect();
    assert_eq!(answers, expected);
    assert_eq!(rule.num_calls(), 3);

    let big = stream.max_record_bytes();
    let answers = stream.put(vec![record(big); 21]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(rule.num_calls(), 6);
}

#[tokio::test]
async fn a_record_that_is_too_large_fails_alone() {
    let rule = mock!(Client::put_records)
        .then_compute_output(|input| put_output(vec![stored("1"); input.records().len()]));
    let stream = kinesis(mock_client!(aws_sdk_kinesis, [&rule]));
    let answers = stream.put(vec![record(1), record(MAX_RECORD_BYTES), record(3)]).await;
    assert!(answers[0].is_ok() && is_refused(&answers[1]) && answers[2].is_ok(), "{answers:?}");
}

fn quick() -> Patience {
    let millis = std::time::Duration::from_millis;
    Patience { pause: millis(0), backoff: millis(1), longest: millis(2), attempts: 4 }
}

fn read_record(number: u32, second: i64) -> Record {
    Record::builder()
        .sequence_number(number.to_string())
        .approximate_arrival_timestamp(DateTime::from_secs(second))
        .partition_key("3")
        .data(Blob::new(format!("data {number}")))
        .build()
        .unwrap()
}

fn page(records: Vec<Record>, next: Option<&str>, behind: i64) -> GetRecordsOutput {
    GetRecordsOutput::builder()
        .set_records(Some(records))
        .set_next_shard_iterator(next.map(str::to_owned))
        .millis_behind_latest(behind)
        .build()
        .unwrap()
}

async fn all(reader: &Reader, start: Start, stop: Stop) -> Result<Vec<String>, ReadError> {
    let mut pages = reader.read("shardId-1", start, stop);
    let mut numbers = Vec::new();
    while let Some(records) = pages.next().await? {
        numbers.extend(records.into_iter().map(|r| r.kinesis.sequence_number));
    }
    Ok(numbers)
}

fn iterator() -> aws_smithy_mocks::Rule {
    mock!(Client::get_shard_iterator)
        .then_output(|| GetShardIteratorOutput::builder().shard_iterator("it").build())
}

fn reader(client: Client) -> Reader {
    Reader::new(client, "AgentLedger").with_patience(quick())
}

#[tokio::test]
async fn a_shard_is_read_to_its_end_over_throttles_and_expired_iterators() {
    let from_start = mock!(Client::get_shard_iterator)
        .match_requests(|r| r.starting_sequence_number().is_none())
        .then_output(|| GetShardIteratorOutput::builder().shard_iterator("a").build());
    let renewed = mock!(Client::get_shard_iterator)
        .match_requests(|r| r.starting_sequence_number() == Some("2"))
        .then_output(|| GetShardIteratorOutput::builder().shard_iterator("b").build());
    let records = mock!(Client::get_records)
        .sequence()
        .error(|| {
            let meta = ErrorMetadata::builder().code("ProvisionedThroughputExceededException").build();
            GetRecordsError::ProvisionedThroughputExceededException(
                ProvisionedThroughputExceededException::builder().meta(meta).build(),
            )
        })
        .output(|| page(vec![read_record(1, 10), read_record(2, 11)], Some("c"), 5_000))
        .error(|| GetRecordsError::ExpiredIteratorException(ExpiredIteratorException::builder().build()))
        .output(|| page(Vec::new(), Some("d"), 3_000))
        .output(|| page(vec![read_record(3, 12)], Some("e"), 0))
        .build();
    let client = mock_client!(aws_sdk_kinesis, [&from_start, &renewed, &records]);
    let numbers = all(&reader(client), Start::Horizon, Stop::Tip).await;
    assert_eq!(numbers.unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn records_look_as_in_a_batch() {
    let records =
        mock!(Client::get_records).then_output(|| page(vec![read_record(1, 1_795_000_000)], None, 0));
    let client = mock_client!(aws_sdk_kinesis, [&iterator(), &records]);
    let mut pages = reader(client).read("shardId-1", Start::Horizon, Stop::Tip);
    let record = pages.next().await.unwrap().unwrap().remove(0);
    assert_eq!(record.event_id.as_deref(), Some("shardId-1:1"));
    assert_eq!(record.kinesis.partition_key, "3");
    assert_eq!(record.kinesis.data.0, b"data 1");
    assert_eq!(record.kinesis.approximate_arrival_timestamp.timestamp(), 1_795_000_000);
    assert_eq!(pages.position(), &Start::After("1".to_owned()));
    assert_eq!(pages.next().await, Ok(None), "a closed shard has an end");
}

#[tokio::test]
async fn reading_ends_where_it_is_told_to() {
    let records = || {
        mock!(Client::get_records).then_output(|| {
            // Arrival times are not in order.
            page(
                vec![read_record(8, 10), read_record(9, 21), read_record(10, 19), read_record(11, 40)],
                Some("x"),
                9,
            )
        })
    };
    let client = mock_client!(aws_sdk_kinesis, [&iterator(), &records()]);
    let stop = Stop::Time(jiff::Timestamp::from_second(20).unwrap());
    assert_eq!(all(&reader(client), Start::Horizon, stop).await.unwrap(), ["8", "10"]);

    let client = mock_client!(aws_sdk_kinesis, [&iterator(), &records()]);
    let stop = Stop::At("10".to_owned());
    assert_eq!(all(&reader(client), Start::Horizon, stop).await.unwrap(), ["8", "9", "10"]);
}

#[tokio::test]
async fn patience_ends() {
    let records = mock!(Client::get_records).then_error(|| {
        let meta = ErrorMetadata::builder().code("ProvisionedThroughputExceededException").build();
        GetRecordsError::ProvisionedThroughputExceededException(
            ProvisionedThroughputExceededException::builder().meta(meta).build(),
        )
    });
    let client = mock_client!(aws_sdk_kinesis, [&iterator(), &records]);
    let error = all(&reader(client), Start::Horizon, Stop::Tip).await.unwrap_err();
    assert!(matches!(error, ReadError::Unavailable { attempts: 4, .. }), "{error}");
}

#[tokio::test]
async fn shards_are_listed_over_pages_the_closed_ones_too() {
    let shard = |id: &str, last: Option<&str>| {
        let range = SequenceNumberRange::builder()
            .starting_sequence_number("1")
            .set_ending_sequence_number(last.map(str::to_owned))
            .build()
            .unwrap();
        CloudShard::builder()
            .shard_id(id)
            .hash_key_range(
                aws_sdk_kinesis::types::HashKeyRange::builder()
                    .starting_hash_key("0")
                    .ending_hash_key("1")
                    .build()
                    .unwrap(),
            )
            .sequence_number_range(range)
            .build()
            .unwrap()
    };
    let rule = mock!(Client::list_shards)
        .sequence()
        .output(move || ListShardsOutput::builder().shards(shard("a", Some("9"))).next_token("more").build())
        .output(move || ListShardsOutput::builder().shards(shard("b", None)).build())
        .build();
    let shards = reader(mock_client!(aws_sdk_kinesis, [&rule])).shards().await.unwrap();
    assert_eq!(
        shards.iter().map(|s| (&*s.id, s.last.as_deref())).collect::<Vec<_>>(),
        [("a", Some("9")), ("b", None)]
    );
}

#[test]
fn sequence_numbers_are_compared_as_numbers() {
    assert!(is_later("10", "9"));
    assert!(!is_later("9", "10"));
    assert!(!is_later("0010", "10"));
    assert!(is_later("49590338271490256608559692538361571095921575989136588899", "4"));
}

#[test]
fn lanes_lie_evenly_over_shards() {
    for shards in [1_u32, 3, 4, 16] {
        for lanes in [shards, 2 * shards] {
            let stream = kinesis(mock_client!(aws_sdk_kinesis, [])).over(lanes);
            let width = (u128::MAX / u128::from(shards)).saturating_add(1);
            let mut held = vec![0; usize::try_from(shards).unwrap()];
            for lane in 0..lanes {
                let key: u128 = stream.hash_key(&lane.to_string()).unwrap().parse().unwrap();
                let shard = usize::try_from(key / width).unwrap();
                held[shard] += 1;
            }
            assert!(held.iter().all(|n| *n == lanes / shards), "{lanes} lanes over {shards}: {held:?}");
        }
    }
    let stream = kinesis(mock_client!(aws_sdk_kinesis, [])).over(4);
    assert_eq!(stream.hash_key("4"), None);
    assert_eq!(stream.hash_key("x"), None);
}
