//! The ports on AWS: the ledger in one DynamoDB table, the stream on Kinesis or in the table's inbox, metrics on
//! CloudWatch, alerts on SNS, archives in S3.
//!
//! Each service has a feature, so that a Lambda function links what it calls. No handler's logic is here.

pub mod env;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "function")]
pub mod function;
#[cfg(feature = "dynamodb")]
pub mod table;
