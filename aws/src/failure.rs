//! What a failed call means: try again, or never.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Passing. A write may have happened.
    #[error("{0}")]
    Retry(String),
    /// It will fail again until someone changes something; the text says what.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// Whether trying again may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Retry(_))
    }
}

/// Codes that pass: throttling, faults, and other writers.
const PASSING: [&str; 23] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerErrorException",
    "InternalServiceError",
    "InternalServiceFault",
    "KMSThrottlingException",
    "LimitExceededException",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttled",
    "Throttling",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// Codes of credentials that are wrong.
const CREDENTIALS: [&str; 7] = [
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Whether an error code passes by itself.
pub(crate) fn is_passing_code(code: &str) -> bool {
    PASSING.binary_search(&code).is_ok()
}

/// What a failed call means; `action` is its IAM name, such as `kinesis:PutRecords`, and `target` what it was
/// called on.
pub(crate) fn of<E>(action: &str, target: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let retry = |why: &str| Failure::Retry(format!("{action} on {target}: {why}"));
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            of_answer(action, target, status, answer.err())
        }
        SdkError::TimeoutError(_) => retry("no answer in time; it may have happened"),
        SdkError::ConstructionFailure(_) => Failure::Refused(format!(
            "{action} on {target} cannot be asked for: {}",
            DisplayErrorContext(error)
        )),
        // Connections, unreadable answers, and credentials that could not be fetched.
        _ => retry(&DisplayErrorContext(error).to_string()),
    }
}

fn of_answer<E: ProvideErrorMetadata>(action: &str, target: &str, status: u16, error: &E) -> Failure {
    let code = error.code().unwrap_or("an error without a code");
    let said = error.message().unwrap_or("no message");
    if is_passing_code(code) || status >= 500 || status == 429 {
        return Failure::Retry(format!("{action} on {target}: {code} ({said})"));
    }
    // The SDK fetches others for the next call.
    if code.starts_with("ExpiredToken") || code.starts_with("RequestExpired") {
        return Failure::Retry(format!("{action} on {target}: {code} ({said})"));
    }
    let advice = if CREDENTIALS.contains(&code) {
        " Are the caller's credentials those of this account, and is its clock right?".to_owned()
    } else if code.contains("AccessDenied") || code.starts_with("Authorization") || status == 403 {
        format!(" Allow {action} on {target} in the policy of the caller's role.")
    } else if code.contains("NotFound") || code.contains("NonExistent") || code == "NoSuchBucket" {
        format!(" Is {target} in this account and region?")
    } else {
        String::new()
    };
    Failure::Refused(format!("{action} on {target} was refused: {code} ({said}).{advice}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn passing_codes_are_sorted_for_the_search() {
        assert!(super::PASSING.is_sorted());
    }
}
