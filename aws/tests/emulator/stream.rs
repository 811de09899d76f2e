//! Kinesis.

use std::collections::BTreeMap;

use aws::read::Patience;
use aws::stream::{Kinesis, Reader, Start, Stop};
use aws_sdk_kinesis::Client;
use shared::stream::EventStream;

use super::{config, name, now, records, seconds};

async fn stream(client: &Client, name: &str) {
    client.create_stream().stream_name(name).shard_count(2).send().await.unwrap();
    for _ in 0..100 {
        let described = client.describe_stream_summary().stream_name(name).send().await.unwrap();
        let summary = described.stream_description_summary.unwrap();
        if summary.stream_status.as_str() == "ACTIVE" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the stream {name} did not become active");
}

#[tokio::test]
#[ignore = "needs the emulator"]
async fn what_is_put_is_read_back_from_every_shard() {
    let client = Client::new(&config().await);
    let name = name("stream");
    stream(&client, &name).await;
    let began = now();
    let kinesis = Kinesis::new(client.clone(), &name);
    let put = records(1_100);
    let answers = kinesis.put(put.clone()).await;
    let numbers: Vec<String> = answers.into_iter().map(Result::unwrap).collect();

    let patience = Patience { pause: std::time::Duration::from_millis(20), ..Patience::default() };
    let reader = Reader::new(client, &name).with_patience(patience);
    let shards = reader.shards().await.unwrap();
    assert_eq!(shards.len(), 2);
    let mut read = BTreeMap::new();
    for shard in &shards {
        let mut last = None;
        let mut pages = reader.read(&shard.id, Start::Horizon, Stop::Tip);
        while let Some(records) = pages.next().await.unwrap() {
            for record in records {
                last = Some(record.kinesis.sequence_number.clone());
                let key = record.kinesis.sequence_number;
                read.insert(key, (record.kinesis.partition_key, record.kinesis.data.0));
            }
        }
        let Some(last) = last else { continue };
        let mut one = reader.read(&shard.id, Start::At(last.clone()), Stop::At(last.clone()));
        assert_eq!(one.next().await.unwrap().unwrap().len(), 1);
        assert_eq!(one.next().await.unwrap(), None);
        let mut none = reader.read(&shard.id, Start::After(last), Stop::Tip);
        assert_eq!(none.next().await.unwrap(), None);
        let mut none = reader.read(&shard.id, Start::Horizon, Stop::Time(began - seconds(60)));
        assert_eq!(none.next().await.unwrap(), None);
        let mut all =
            reader.read(&shard.id, Start::Time(began - seconds(60)), Stop::Time(now() + seconds(60)));
        assert!(all.next().await.unwrap().is_some());
    }
    assert_eq!(read.len(), put.len());
    for (number, put) in numbers.iter().zip(&put) {
        assert_eq!(read[number], (put.partition_key.clone(), put.data.to_vec()));
    }
}

#[tokio::test]
#[ignore = "needs the emulator"]
async fn a_stream_that_is_not_there_refuses() {
    let kinesis = Kinesis::new(Client::new(&config().await), name("missing"));
    let answers = kinesis.put(records(2)).await;
    assert!(matches!(&answers[1], Err(shared::stream::PutError::Refused(_))), "{answers:?}");
}
