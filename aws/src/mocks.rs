//! A client of any service that answers as a test says.

/// `mock_client!(aws_sdk_kinesis, [&rule, …])`, with `attempts` of one call.
///
/// The one of `aws-smithy-mocks` asks for the SDKs' `test-util`, which would build each of them once more.
macro_rules! mock_client {
    ($sdk:ident, [$($rule:expr),* $(,)?]) => {
        $crate::mocks::mock_client!($sdk, [$($rule),*], 1)
    };
    ($sdk:ident, [$($rule:expr),* $(,)?], $attempts:expr) => {{
        let interceptor = ::aws_smithy_mocks::MockResponseInterceptor::new()
            .rule_mode(::aws_smithy_mocks::RuleMode::MatchAny)
            $(.with_rule($rule))*;
        let config = $sdk::config::Builder::new()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new("us-east-1"))
            .credentials_provider(::aws_credential_types::Credentials::new("id", "secret", None, None, "test"))
            .retry_config(
                ::aws_smithy_types::retry::RetryConfig::standard()
                    .with_max_attempts($attempts)
                    .with_initial_backoff(::std::time::Duration::from_millis(1)),
            )
            .http_client(::aws_smithy_mocks::create_mock_http_client())
            .interceptor(interceptor)
            .build();
        $sdk::Client::from_conf(config)
    }};
}

pub(crate) use mock_client;
