//! The functions as they are deployed: their event source mappings, to be paused for a repair and looked at.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::primitives::Blob;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::failure::{self, Failure};

/// How often a change is asked for of a mapping that is still changing.
const ATTEMPTS: u32 = 60;
/// The pause between.
const PAUSE: Duration = Duration::from_secs(2);

/// An event source mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its UUID.
    pub id: String,
    /// What it reads.
    pub source: String,
    /// `Enabled`, `Disabled`, or on the way to one of them.
    pub state: String,
    /// What became of its last batch, as AWS says it.
    pub last_result: Option<String>,
    /// Why it is in this state.
    pub reason: Option<String>,
}

impl Mapping {
    /// Whether it delivers, or is about to.
    pub fn is_on(&self) -> bool {
        matches!(&*self.state, "Enabled" | "Enabling" | "Creating" | "Updating")
    }
}

/// Asks Lambda of functions.
#[derive(Clone, Debug)]
pub struct Deployed {
    client: Client,
    pause: Duration,
}

impl Deployed {
    /// Of the account and region of this client.
    pub fn new(client: Client) -> Self {
        Self { client, pause: PAUSE }
    }

    /// The mappings of a function.
    pub async fn mappings(&self, function: &str) -> Result<Vec<Mapping>, Failure> {
        let (mut found, mut next) = (Vec::new(), None::<String>);
        loop {
            let call = self.client.list_event_source_mappings().function_name(function);
            let page = call.set_marker(next.take()).send().await;
            let page = page.map_err(|error| {
                failure::of("lambda:ListEventSourceMappings", &format!("function {function}"), &error)
            })?;
            for mapping in page.event_source_mappings.unwrap_or_default() {
                found.push(Mapping {
                    id: mapping.uuid.unwrap_or_default(),
                    source: mapping.event_source_arn.unwrap_or_default(),
                    state: mapping.state.unwrap_or_default(),
                    last_result: mapping.last_processing_result.filter(|said| !said.is_empty()),
                    reason: mapping.state_transition_reason.filter(|said| !said.is_empty()),
                });
            }
            next = page.next_marker.filter(|marker| !marker.is_empty());
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// Turns a mapping on or off, and waits while it is still on its way to something else.
    pub async fn turn(&self, id: &str, on: bool) -> Result<(), Failure> {
        let mut last = Failure::Retry(format!("mapping {id} was not asked"));
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.pause).await;
            }
            let sent = self.client.update_event_source_mapping().uuid(id).enabled(on).send().await;
            let Err(error) = sent else { return Ok(()) };
            let is_changing = is_in_use(&error);
            last = failure::of("lambda:UpdateEventSourceMapping", &format!("mapping {id}"), &error);
            if !is_changing && !last.is_passing() {
                return Err(last);
            }
        }
        Err(last)
    }

    /// Waits until a mapping is off.
    pub async fn wait_until_off(&self, id: &str) -> Result<(), Failure> {
        let mut state = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.pause).await;
            }
            let got = self.client.get_event_source_mapping().uuid(id).send().await;
            match got {
                Ok(mapping) => state = mapping.state.unwrap_or_default(),
                Err(error) => {
                    let failure =
                        failure::of("lambda:GetEventSourceMapping", &format!("mapping {id}"), &error);
                    if !failure.is_passing() {
                        return Err(failure);
                    }
                }
            }
            if state == "Disabled" {
                return Ok(());
            }
        }
        Err(Failure::Retry(format!("mapping {id} is still {state}")))
    }

    /// How long an invocation of a function may last.
    pub async fn timeout(&self, function: &str) -> Result<Duration, Failure> {
        let got = self.client.get_function_configuration().function_name(function).send().await;
        let got = got.map_err(|error| {
            failure::of("lambda:GetFunctionConfiguration", &format!("function {function}"), &error)
        })?;
        // Lambda's own longest.
        let seconds = got.timeout.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(900);
        Ok(Duration::from_secs(seconds))
    }

    /// Invokes a function, and waits for its answer; an error of its own is one here.
    pub async fn invoke(&self, function: &str, payload: &str) -> Result<(), Failure> {
        let call = self.client.invoke().function_name(function).payload(Blob::new(payload.as_bytes()));
        let answer = call
            .send()
            .await
            .map_err(|error| failure::of("lambda:InvokeFunction", &format!("function {function}"), &error))?;
        match answer.function_error {
            None => Ok(()),
            Some(kind) => {
                let said = answer.payload.map(Blob::into_inner).unwrap_or_default();
                let said = String::from_utf8_lossy(&said).into_owned();
                Err(Failure::Refused(format!("function {function} failed: {kind} {said}")))
            }
        }
    }
}

fn is_in_use<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = match error {
        SdkError::ServiceError(answer) => answer.err().code(),
        _ => None,
    };
    matches!(code, Some("ResourceInUseException" | "ResourceConflictException"))
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use aws_sdk_lambda::operation::update_event_source_mapping::{
        UpdateEventSourceMappingError, UpdateEventSourceMappingOutput,
    };
    use aws_sdk_lambda::types::error::{ResourceInUseException, ResourceNotFoundException};
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::mocks::mock_client;

    fn deployed(client: Client) -> Deployed {
        Deployed { client, pause: Duration::from_millis(1) }
    }

    #[tokio::test]
    async fn a_mapping_that_is_still_changing_is_asked_again() {
        let busy = mock!(Client::update_event_source_mapping)
            .sequence()
            .error(|| {
                let meta = ErrorMetadata::builder().code("ResourceInUseException").build();
                UpdateEventSourceMappingError::ResourceInUseException(
                    ResourceInUseException::builder().meta(meta).build(),
                )
            })
            .times(2)
            .output(|| UpdateEventSourceMappingOutput::builder().build())
            .build();
        let client = mock_client!(aws_sdk_lambda, [&busy]);
        deployed(client).turn("m", false).await.unwrap();
        assert_eq!(busy.num_calls(), 3);
    }

    #[tokio::test]
    async fn a_mapping_that_is_not_there_is_not() {
        let gone = mock!(Client::update_event_source_mapping).then_error(|| {
            let meta = ErrorMetadata::builder().code("ResourceNotFoundException").build();
            UpdateEventSourceMappingError::ResourceNotFoundException(
                ResourceNotFoundException::builder().meta(meta).build(),
            )
        });
        let client = mock_client!(aws_sdk_lambda, [&gone]);
        let error = deployed(client).turn("m", false).await.unwrap_err();
        assert!(!error.is_passing(), "{error}");
    }
}
