//! A table, a stream and queues of an emulator, and the command over them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use auth::Access;
use aws::inbox::Inbox;
use aws::stream::Kinesis;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType,
};
use ingest::{Ingest, IngestConfig};
use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use shared::stream::{EventStream, PutRecord};
use tokio::runtime::Runtime;

type Item = HashMap<String, AttributeValue>;

/// What the tests need of one.
pub(crate) struct Deployment {
    name: String,
    config: SdkConfig,
    runtime: Runtime,
    dir: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Deployment {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let endpoint = std::env::var("AGENTLEDGER_ENDPOINT").expect("AGENTLEDGER_ENDPOINT names an emulator");
        let name = format!("cli{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = runtime.block_on(
            aws_config::defaults(BehaviorVersion::latest())
                .http_client(aws::client::http())
                .endpoint_url(&endpoint)
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .load(),
        );
        let variables = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AGENTLEDGER_TABLE", &name),
            ("AGENTLEDGER_STREAM", &name),
            ("AGENTLEDGER_AGGREGATOR", "none"),
            ("AGENTLEDGER_ALERTER", "none"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut made = Self { name, config, runtime, dir: tempfile::tempdir().unwrap(), variables };
        made.runtime.block_on(async {
            made.table().await;
            made.stream().await;
        });
        let urls = ["aggregator", "alerter"].map(|of| made.queue(of));
        made.set("AGENTLEDGER_FAILURE_QUEUES", &urls.join(" "));
        made
    }

    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.variables.insert(variable.to_owned(), value.to_owned());
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn function(&self, of: &str) -> String {
        format!("{}-{of}", self.name)
    }

    async fn table(&self) {
        let attribute = |name: &str| {
            let kind = ScalarAttributeType::S;
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
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
        aws_sdk_dynamodb::Client::new(&self.config)
            .create_table()
            .table_name(&self.name)
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

    async fn stream(&self) {
        let client = aws_sdk_kinesis::Client::new(&self.config);
        client.create_stream().stream_name(&self.name).shard_count(2).send().await.unwrap();
        for _ in 0..100 {
            let described = client.describe_stream_summary().stream_name(&self.name).send().await.unwrap();
            if described.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the stream did not become active");
    }

    fn queue(&self, of: &str) -> String {
        let call = aws_sdk_sqs::Client::new(&self.config).create_queue();
        let name = format!("{}-failures", self.function(of));
        self.runtime.block_on(call.queue_name(name).send()).unwrap().queue_url.unwrap()
    }

    /// A message of a mapping.
    pub(crate) fn fail(&self, of: &str, message: &Value) {
        let call = aws_sdk_sqs::Client::new(&self.config).send_message();
        let call = call.queue_url(self.queue(of)).message_body(message.to_string());
        self.runtime.block_on(call.send()).unwrap();
    }

    fn kinesis(&self) -> Kinesis {
        Kinesis::new(aws_sdk_kinesis::Client::new(&self.config), &self.name)
    }

    /// A submission, as a sender posts it.
    pub(crate) fn put(&self, body: &Value) {
        self.put_into(self.kinesis(), body);
    }

    /// The same, into the inbox.
    pub(crate) fn put_in_inbox(&self, body: &Value) {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        self.put_into(
            Inbox::new(client, &self.name, std::time::Duration::from_secs(86_400), SystemClock),
            body,
        );
    }

    /// What the stream holds, as an object of an archive; answers the archive's address.
    pub(crate) fn archive(&self) -> String {
        let (shard, ..) = self.positions();
        let reader = aws::stream::Reader::new(aws_sdk_kinesis::Client::new(&self.config), &self.name);
        let mut pages = reader.read(&shard, aws::stream::Start::Horizon, aws::stream::Stop::Tip);
        let records = self.runtime.block_on(pages.next()).unwrap().unwrap();
        let bytes: Vec<u8> = records.into_iter().flat_map(|record| record.kinesis.data.0).collect();
        let client = aws_sdk_s3::Client::new(&self.config);
        let hour = SystemClock.now().strftime("%Y/%m/%d/%H");
        self.runtime.block_on(async {
            client.create_bucket().bucket(&self.name).send().await.unwrap();
            let put = client.put_object().bucket(&self.name).key(format!("events/{hour}/a"));
            put.body(bytes.into()).send().await.unwrap();
        });
        format!("s3://{}/events", self.name)
    }

    fn put_into<S: EventStream>(&self, stream: S, body: &Value) {
        let ingest = Ingest::new(stream, SystemClock, IngestConfig::default(), Access::open());
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = http::Method::POST;
        request.headers.insert("content-type", "application/json".parse().unwrap());
        request.body = Some(body.to_string());
        let answer = self.runtime.block_on(ingest.handle(request));
        assert_eq!(answer.status_code, 200, "{:?}", answer.body);
    }

    /// A record that no ingest wrote.
    pub(crate) fn put_raw(&self, data: &'static [u8]) {
        let record = PutRecord { partition_key: "0".to_owned(), spread: 0, data: data.into() };
        for put in self.runtime.block_on(self.kinesis().put(vec![record])) {
            put.unwrap();
        }
    }

    /// The shard of the records, and the first and last number in it.
    pub(crate) fn positions(&self) -> (String, String, String) {
        self.runtime.block_on(async {
            let reader = aws::stream::Reader::new(aws_sdk_kinesis::Client::new(&self.config), &self.name);
            for shard in reader.shards().await.unwrap() {
                let (start, stop) = (aws::stream::Start::Horizon, aws::stream::Stop::Tip);
                if let Some(records) = reader.read(&shard.id, start, stop).next().await.unwrap() {
                    let number = |n: usize| records[n].kinesis.sequence_number.clone();
                    return (shard.id, number(0), number(records.len() - 1));
                }
            }
            panic!("the stream is empty")
        })
    }

    /// Functions that do nothing, and mappings that call them.
    pub(crate) fn functions(&mut self) {
        // An empty archive: nobody is invoked, as nothing is put.
        let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let stream = format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", self.name);
        let client = aws_sdk_lambda::Client::new(&self.config);
        for of in ["aggregator", "alerter"] {
            let name = self.function(of);
            let code = aws_sdk_lambda::types::FunctionCode::builder();
            let code = code.zip_file(aws_sdk_lambda::primitives::Blob::new(&zip[..])).build();
            let function = client.create_function().function_name(&name).code(code).handler("bootstrap");
            let function = function.runtime(aws_sdk_lambda::types::Runtime::Providedal2023).timeout(1);
            let function = function.role("arn:aws:iam::000000000000:role/r");
            self.runtime.block_on(function.send()).unwrap();
            let mapping = client.create_event_source_mapping().function_name(&name).event_source_arn(&stream);
            let mapping = mapping
                .starting_position(aws_sdk_lambda::types::EventSourcePosition::TrimHorizon)
                .enabled(true);
            self.runtime.block_on(mapping.send()).unwrap();
            self.set(&format!("AGENTLEDGER_{}", of.to_uppercase()), &name);
        }
    }

    /// The states of these mappings.
    pub(crate) fn states(&self) -> Vec<String> {
        let deployed = aws::deployed::Deployed::new(aws_sdk_lambda::Client::new(&self.config));
        let of = |of| self.runtime.block_on(deployed.mappings(&self.function(of))).unwrap();
        ["aggregator", "alerter"].into_iter().flat_map(of).map(|mapping| mapping.state).collect()
    }

    fn items(&self) -> Vec<Item> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let pages =
            client.scan().table_name(&self.name).consistent_read(true).into_paginator().items().send();
        self.runtime.block_on(pages.collect::<Result<Vec<_>, _>>()).unwrap()
    }

    /// What all rollup items say, lanes added up: name, attribute, and millions of a millionth of a millionth.
    pub(crate) fn rollups(&self) -> BTreeMap<(String, String, String), i128> {
        let mut sums = BTreeMap::new();
        for item in self.items().into_iter().filter(|item| is_rollup(item, &["H", "D", "M"])) {
            let (pk, sk) = (text(&item, "pk"), text(&item, "sk"));
            let name = sk[..sk.len() - 10].to_owned();
            for (attribute, value) in &item {
                if let AttributeValue::N(digits) = value
                    && attribute != "n"
                {
                    *sums.entry((pk.clone(), name.clone(), attribute.clone())).or_default() += scaled(digits);
                }
            }
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    /// Deletes the rollups of all hours and days; answers how many there were.
    pub(crate) fn delete_day(&self) -> usize {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let gone: Vec<Item> = self.items().into_iter().filter(|item| is_rollup(item, &["H", "D"])).collect();
        for item in &gone {
            let call = client.delete_item().table_name(&self.name);
            let call = call.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
            self.runtime.block_on(call.send()).unwrap();
        }
        gone.len()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentledger"));
        command.args(args).arg("--aws").envs(&self.variables).env_remove("AWS_PROFILE").output().unwrap()
    }

    pub(crate) fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--format", "json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn text(item: &Item, name: &str) -> String {
    item[name].as_s().unwrap().clone()
}

fn is_rollup(item: &Item, windows: &[&str]) -> bool {
    let pk = text(item, "pk");
    windows.iter().any(|window| ["R", "P"].iter().any(|group| pk.starts_with(&format!("{group}#{window}#"))))
}

/// An exact decimal of at most 18 places.
fn scaled(digits: &str) -> i128 {
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(part.len() <= 18 && !digits.contains(['e', 'E']), "{digits}");
    format!("{whole}{part:0<18}").parse().unwrap()
}
