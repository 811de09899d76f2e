//! The inbox in a table, and its replay.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::inbox::{Inbox, Reader};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use shared::clock::SystemClock;
use shared::stream::EventStream;

use super::{config, name, now, records, seconds};

async fn table(client: &Client, name: &str) {
    let mut call = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let of = ScalarAttributeType::S;
        let defined = AttributeDefinition::builder().attribute_name(attribute).attribute_type(of);
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(kind);
        call = call.attribute_definitions(defined.build().unwrap()).key_schema(key.build().unwrap());
    }
    call.send().await.unwrap();
}

#[tokio::test]
#[ignore = "needs the emulator"]
async fn what_is_put_is_replayed_once() {
    let client = Client::new(&config().await);
    let name = name("table");
    table(&client, &name).await;
    let inbox = Inbox::new(client.clone(), &name, Duration::from_secs(24 * 3600), SystemClock);
    let began = now();
    let put = records(700);
    let answers = inbox.put(put.clone()).await;
    let keys: Vec<String> = answers.into_iter().map(Result::unwrap).collect();

    let reader = Reader::new(client, &name);
    let mut read = BTreeMap::new();
    for partition in Reader::partitions(4) {
        let mut pages = reader.read(partition, began, now() + seconds(1), None);
        while let Some(records) = pages.next().await.unwrap() {
            for record in records {
                let content = (record.kinesis.partition_key, record.kinesis.data.0);
                assert_eq!(read.insert(record.kinesis.sequence_number, content), None);
            }
        }
        let mut rest = reader.read(partition, began, now(), pages.position().map(str::to_owned));
        assert_eq!(rest.next().await.unwrap(), None, "nothing comes behind where it stopped");
        let mut none = reader.read(partition, began - seconds(60), began - seconds(1), None);
        assert_eq!(none.next().await.unwrap(), None);
    }
    assert_eq!(read.len(), put.len());
    for (key, put) in keys.iter().zip(&put) {
        assert_eq!(read[key], (put.partition_key.clone(), put.data.to_vec()));
    }
}
