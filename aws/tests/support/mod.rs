//! Tables of an emulator, for the tests of the second tier: `AGENTLEDGER_ENDPOINT` names it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use aws::table::Table;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

/// The emulator's address.
pub(crate) fn endpoint() -> String {
    std::env::var("AGENTLEDGER_ENDPOINT")
        .expect("AGENTLEDGER_ENDPOINT names an emulator; scripts/aws-tests.sh starts one")
}

/// A client of it.
pub(crate) fn client() -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint())
        .http_client(aws::client::http())
        .build();
    Client::from_conf(config)
}

/// A new table, as Terraform makes it.
pub(crate) async fn table() -> Table {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    make(&client(), &name).await;
    Table::new(client(), name)
}

async fn make(client: &Client, name: &str) {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let index = |name: &str, hash: &str, range: &str| {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key(hash, KeyType::Hash))
            .key_schema(key(range, KeyType::Range))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
            .build()
            .unwrap()
    };
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(["pk", "sk", "tpk", "tsk", "upk", "usk"].map(attribute).to_vec()))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index("by_time", "tpk", "tsk"))
        .global_secondary_indexes(index("unmet", "upk", "usk"))
        .send()
        .await
        .unwrap();
}

/// Removes a table.
pub(crate) async fn drop_table(table: &Table) {
    client().delete_table().table_name(table.name()).send().await.unwrap();
}
