//! The ports on AWS: the ledger in one DynamoDB table, the stream on Kinesis or in the table's inbox, metrics on
//! CloudWatch, alerts on SNS, archives in S3.
//!
//! Each service has a feature, so that a Lambda function links what it calls. No handler's logic is here.

pub mod env;

#[cfg(feature = "s3")]
pub mod archive;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "lambda")]
pub mod deployed;
#[cfg(feature = "client")]
pub mod failure;
#[cfg(feature = "function")]
pub mod function;
#[cfg(feature = "dynamodb")]
pub mod inbox;
#[cfg(feature = "cloudwatch")]
pub mod metrics;
#[cfg(test)]
#[cfg(feature = "testing")]
mod mocks;
#[cfg(feature = "sqs")]
pub mod queue;
#[cfg(feature = "client")]
pub mod read;
#[cfg(feature = "kinesis")]
pub mod stream;
#[cfg(feature = "dynamodb")]
pub mod table;
#[cfg(feature = "sns")]
pub mod topic;
