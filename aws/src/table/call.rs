//! Calls and their failures: what may pass, what lasts, and pauses in between.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use shared::ledger::LedgerError;

/// How often a call is made anew by itself, beside what the SDK repeats.
pub(super) const RACES: u32 = 40;

/// Tells what may pass from what lasts. Whether a write happened is unknown after either.
pub(super) fn failed<E, R>(what: &str, error: &SdkError<E, R>) -> LedgerError
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("unknown error");
            let message = service.err().message().unwrap_or_default();
            let said = format!("{what}: {code}: {message}");
            match code {
                "ValidationException"
                | "AccessDeniedException"
                | "UnrecognizedClientException"
                | "IncompleteSignature"
                | "InvalidSignatureException"
                | "MissingAuthenticationToken"
                | "SerializationException"
                | "ItemCollectionSizeLimitExceededException" => LedgerError::Broken(said),
                "ResourceNotFoundException" => {
                    LedgerError::Broken(format!("{said}; is AGENTLEDGER_TABLE the table's name?"))
                }
                // Throttled, in conflict with another transaction, or a fault of the service.
                _ => LedgerError::Retry(said),
            }
        }
        SdkError::ConstructionFailure(_) => LedgerError::Broken(format!("{what}: {error}")),
        SdkError::DispatchFailure(failure) => {
            let why = failure.as_connector_error().map_or_else(String::new, ConnectorError::to_string);
            LedgerError::Retry(format!("{what}: not sent: {why}"))
        }
        _ => LedgerError::Retry(format!("{what}: {error}")),
    }
}

/// Whether nothing happened, as a condition did not hold.
pub(super) fn is_refused<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ConditionalCheckFailedException")
}

/// A pause before the next attempt: longer each time, and never the same.
pub(super) async fn pause(attempt: u32) {
    let most = 10_u64.saturating_mul(1 << attempt.min(6));
    tokio::time::sleep(Duration::from_millis(fastrand::u64(most / 2..=most))).await;
}
