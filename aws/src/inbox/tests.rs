//! What goes into the inbox comes out of the table's stream, and of a replay, as it was.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::KinesisEventResponse;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_mocks::mock;
use aws_smithy_types::error::ErrorMetadata;
use jiff::Timestamp;
use proptest::prelude::*;
use shared::clock::Clock;
use shared::stream::{EventStream, PutError, PutRecord};

use super::{Inbox, MAX_RECORD_BYTES, Partition, Reader, item, to_dynamodb, to_kinesis};
use crate::mocks::mock_client;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn inbox(client: Client) -> Inbox<At> {
    let now = Timestamp::from_millisecond(1_795_000_000_123).unwrap();
    Inbox::new(client, "AgentLedger", Duration::from_secs(24 * 3600), At(now))
}

fn record(lane: u32, data: &[u8]) -> PutRecord {
    PutRecord { partition_key: lane.to_string(), spread: 0, data: data.to_vec().into() }
}

/// What was put, in order.
type Puts = Arc<Mutex<Vec<PutItemInput>>>;

fn taking() -> (aws_smithy_mocks::Rule, Puts) {
    let puts = Puts::default();
    let taken = Arc::clone(&puts);
    let rule = mock!(Client::put_item).then_compute_output(move |input| {
        taken.lock().unwrap().push(input.clone());
        PutItemOutput::builder().build()
    });
    (rule, puts)
}

/// What the table's stream brings of a put.
fn streamed(put: &PutItemInput, number: usize) -> EventRecord {
    let item = put.item().unwrap();
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(s) => serde_dynamo::AttributeValue::S(s.clone()),
        AttributeValue::N(n) => serde_dynamo::AttributeValue::N(n.clone()),
        AttributeValue::B(b) => serde_dynamo::AttributeValue::B(b.as_ref().to_vec()),
        other => panic!("{other:?}"),
    };
    let image: std::collections::HashMap<_, _> = item.iter().map(|(k, v)| (k.clone(), value(v))).collect();
    let mut keys = image.clone();
    keys.retain(|name, _| name == "pk" || name == "sk");
    let mut record = EventRecord::default();
    record.event_name = "INSERT".to_owned();
    record.event_id = format!("event {number}");
    record.change.keys = keys.into();
    record.change.new_image = image.into();
    record.change.sequence_number = Some(format!("{number}00"));
    // As Lambda hands it over.
    serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap()
}

fn event(records: Vec<EventRecord>) -> Event {
    let mut event = Event::default();
    event.records = records;
    event
}

fn round_trip(datas: &[Vec<u8>]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (rule, puts) = taking();
        let inbox = inbox(mock_client!(aws_sdk_dynamodb, [&rule]));
        let records: Vec<_> = datas.iter().zip(0..).map(|(data, n)| record(n, data)).collect();
        let answers = inbox.put(records).await;
        let mut puts = puts.lock().unwrap().clone();
        // Puts run at the same time.
        puts.sort_by_key(|put| put.item().unwrap()["lane"].as_n().unwrap().parse::<u32>().unwrap());
        assert_eq!(puts.len(), datas.len());
        let batch = to_kinesis(event(puts.iter().enumerate().map(|(n, put)| streamed(put, n)).collect()));
        let mut ids = std::collections::BTreeSet::new();
        for (n, (data, read)) in datas.iter().zip(&batch.records).enumerate() {
            assert_eq!(&read.kinesis.data.0, data);
            assert_eq!(read.kinesis.partition_key, n.to_string());
            assert_eq!(read.kinesis.sequence_number, format!("{n}00"));
            assert_eq!(read.kinesis.approximate_arrival_timestamp.timestamp_millis(), 1_795_000_000_123);
            assert!(ids.insert(read.event_id.clone()));
            let sk = puts[n].item().unwrap()["sk"].as_s().unwrap();
            assert_eq!(answers[n].as_ref(), Ok(sk));
            assert!(sk.starts_with("01795000000123#"), "{sk}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_put_comes_out_of_the_stream(
        datas in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..3_000),
                "[a-c]{0,5000}".prop_map(String::into_bytes),
            ],
            1..20,
        )
    ) {
        round_trip(&datas);
    }
}

#[test]
fn the_largest_record_fits_and_compressible_data_is_packed() {
    round_trip(&[vec![b'a'; MAX_RECORD_BYTES]]);
    let (packed, is_deflated) = item::pack(vec![b'a'; 10_000].into());
    assert!(is_deflated && packed.len() < 200);
    let (kept, is_deflated) = item::pack(vec![b'a'; 500].into());
    assert!(!is_deflated && kept.len() == 500, "a write unit is paid for anyway");
}

#[test]
fn a_bomb_is_not_unpacked() {
    let (packed, _) = item::pack(vec![0; MAX_RECORD_BYTES + 1].into());
    assert_eq!(item::unpack(&packed, Some("deflate")), None);
    assert_eq!(item::unpack(b"x", Some("zstd")), None);
}

#[tokio::test]
async fn items_have_the_keys_that_the_mapping_and_the_replay_rely_on() {
    let (rule, puts) = taking();
    inbox(mock_client!(aws_sdk_dynamodb, [&rule])).put(vec![record(3, b"{}")]).await;
    let put = puts.lock().unwrap().remove(0);
    assert_eq!(put.table_name(), Some("AgentLedger"));
    assert_eq!(put.condition_expression(), None);
    let item = put.item().unwrap();
    let pk = item["pk"].as_s().unwrap();
    assert!(["I#0003#00", "I#0003#01", "I#0003#02", "I#0003#03"].contains(&&**pk), "{pk}");
    assert_eq!(item["lane"].as_n().unwrap(), "3");
    assert_eq!(item["ttl"].as_n().unwrap(), &(1_795_000_000 + 86_400).to_string());
}

#[tokio::test]
async fn errors_say_whether_to_try_again() {
    async fn answer(code: &'static str) -> Result<String, PutError> {
        let rule = mock!(Client::put_item)
            .then_error(move || PutItemError::generic(ErrorMetadata::builder().code(code).build()));
        inbox(mock_client!(aws_sdk_dynamodb, [&rule])).put(vec![record(1, b"{}")]).await.remove(0)
    }
    let passing = [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "InternalServerError",
        "ThrottlingException",
    ];
    for code in passing {
        assert!(matches!(answer(code).await, Err(PutError::Retry(_))), "{code}");
    }
    for code in ["ValidationException", "ResourceNotFoundException", "AccessDeniedException"] {
        assert!(matches!(answer(code).await, Err(PutError::Refused(_))), "{code}");
    }
    let (rule, _) = taking();
    let too_large = record(1, &vec![0; MAX_RECORD_BYTES + 1]);
    let answers = inbox(mock_client!(aws_sdk_dynamodb, [&rule])).put(vec![too_large]).await;
    assert!(matches!(answers[0], Err(PutError::Refused(_))), "{answers:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_and_what_is_no_new_item_is_left_out() {
    let (rule, puts) = taking();
    inbox(mock_client!(aws_sdk_dynamodb, [&rule])).put(vec![record(3, b"{}")]).await;
    let good = streamed(&puts.lock().unwrap()[0], 1);
    let mut without_image = good.clone();
    without_image.change.new_image = serde_dynamo::Item::default();
    without_image.change.sequence_number = Some("200".to_owned());
    let mut expired = good.clone();
    expired.event_name = "REMOVE".to_owned();
    let mut rollup = good.clone();
    let key = serde_dynamo::AttributeValue::S("R#H#x".to_owned());
    rollup.change.keys = std::collections::HashMap::from([("pk".to_owned(), key)]).into();
    let batch = to_kinesis(event(vec![good, without_image, expired, rollup]));
    let numbers: Vec<_> = batch.records.iter().map(|r| &*r.kinesis.sequence_number).collect();
    assert_eq!(numbers, ["100", "200"]);
    let raw = &batch.records[1].kinesis.data.0;
    assert!(shared::wire::StreamRecord::decode(raw).is_err());
    assert!(serde_json::from_slice::<EventRecord>(raw).is_ok(), "all that is known of it");

    let mut response = KinesisEventResponse::default();
    response.add_failure("200");
    let answer = to_dynamodb(&response);
    assert_eq!(answer.batch_item_failures[0].item_identifier.as_deref(), Some("200"));
}

#[tokio::test]
async fn a_replay_reads_each_partition_between_two_times_over_pages() {
    let put = |sk: &str| {
        let (data, _) = item::pack(vec![b'a'; 2_000].into());
        std::collections::HashMap::from([
            ("pk".to_owned(), AttributeValue::S("I#0001#02".to_owned())),
            ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
            ("lane".to_owned(), AttributeValue::N("1".to_owned())),
            ("data".to_owned(), AttributeValue::B(data.into())),
            ("packed".to_owned(), AttributeValue::S("deflate".to_owned())),
        ])
    };
    let first = put("00000000001000#a");
    let last_key = first.clone();
    let rule = mock!(Client::query)
        .sequence()
        .http_status(400, Some(r#"{"__type":"ThrottlingException"}"#.to_owned()))
        .output(move || {
            QueryOutput::builder().items(first.clone()).set_last_evaluated_key(Some(last_key.clone())).build()
        })
        .output(move || QueryOutput::builder().items(put("00000000002000#b")).build())
        .build();
    let client = mock_client!(aws_sdk_dynamodb, [&rule]);
    let second = |n| Timestamp::from_second(n).unwrap();
    let partition = Reader::partitions(2).nth(6).unwrap();
    assert_eq!(partition, Partition { lane: 1, spread: 2 });
    let mut pages = Reader::new(client, "AgentLedger").read(partition, second(1), second(3), None);
    let mut read = Vec::new();
    while let Some(records) = pages.next().await.unwrap() {
        read.extend(records);
    }
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].kinesis.data.0, vec![b'a'; 2_000]);
    assert_eq!(read[0].event_id.as_deref(), Some("inbox:I#0001#02:00000000001000#a"));
    assert_eq!(pages.position(), Some("00000000002000#b"));
}
