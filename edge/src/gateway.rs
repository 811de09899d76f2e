//! What a Lambda function gets from API Gateway, in both payload formats: 2.0 from HTTP APIs, 1.0 from REST
//! APIs (and from HTTP APIs that ask for it). Handlers see 2.0, and the answer goes back in the format asked.
//!
//! Source: AWS, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", on the payload formats.

use aws_lambda_events::apigw::{
    ApiGatewayProxyRequest, ApiGatewayProxyResponse, ApiGatewayV2httpRequest, ApiGatewayV2httpResponse,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The stage that does not appear in paths.
const DEFAULT_STAGE: &str = "$default";
/// All but what RFC 3986 leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request in either format.
#[derive(Clone, Debug)]
pub enum GatewayRequest {
    /// Payload format 1.0.
    V1 {
        /// As it came.
        request: Box<ApiGatewayProxyRequest>,
        /// Whether an HTTP API sent it: these put the stage into the path, REST APIs do not.
        from_http_api: bool,
    },
    /// Payload format 2.0.
    V2(Box<ApiGatewayV2httpRequest>),
}

impl<'de> Deserialize<'de> for GatewayRequest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let event = Value::deserialize(deserializer)?;
        // A REST API's event states no version.
        let version = event.get("version").and_then(Value::as_str);
        if version == Some("2.0") {
            return serde_json::from_value(event).map(|v2| Self::V2(Box::new(v2))).map_err(Error::custom);
        }
        let from_http_api = version.is_some();
        let request = serde_json::from_value(event).map_err(Error::custom)?;
        Ok(Self::V1 { request: Box::new(request), from_http_api })
    }
}

/// The answer, in the format of its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum GatewayResponse {
    /// Payload format 1.0.
    V1(ApiGatewayProxyResponse),
    /// Payload format 2.0.
    V2(ApiGatewayV2httpResponse),
}

/// Answers a request of either format by a handler of format 2.0.
pub async fn answer_gateway<F: Future<Output = ApiGatewayV2httpResponse>>(
    request: GatewayRequest,
    handler: impl FnOnce(ApiGatewayV2httpRequest) -> F,
) -> GatewayResponse {
    match request {
        GatewayRequest::V1 { request, from_http_api } => {
            GatewayResponse::V1(to_v1(handler(from_v1(*request, from_http_api)).await))
        }
        GatewayRequest::V2(v2) => {
            let mut v2 = *v2;
            v2.raw_path = v2.raw_path.map(|path| without_stage(path, v2.request_context.stage.as_deref()));
            GatewayResponse::V2(handler(v2).await)
        }
    }
}

fn from_v1(v1: ApiGatewayProxyRequest, from_http_api: bool) -> ApiGatewayV2httpRequest {
    let context = v1.request_context;
    let mut v2 = ApiGatewayV2httpRequest::default();
    v2.version = Some("2.0".to_owned());
    let stage = context.stage.as_deref().filter(|_| from_http_api);
    v2.raw_path = v1.path.map(|path| without_stage(path, stage));
    // What came more than once is only in the one with several values.
    v2.headers = if v1.multi_value_headers.is_empty() { v1.headers } else { v1.multi_value_headers };
    let params = if v1.multi_value_query_string_parameters.is_empty() {
        v1.query_string_parameters
    } else {
        v1.multi_value_query_string_parameters
    };
    // They come decoded.
    let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let pairs: Vec<_> =
        params.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    v2.raw_query_string = Some(pairs.join("&"));
    v2.query_string_parameters = params;
    v2.path_parameters = v1.path_parameters;
    v2.request_context.http.method = v1.http_method;
    v2.request_context.http.path.clone_from(&v2.raw_path);
    v2.request_context.http.source_ip = context.identity.source_ip;
    v2.request_context.request_id = context.request_id;
    v2.request_context.stage = context.stage;
    v2.body = v1.body;
    v2.is_base64_encoded = v1.is_base64_encoded;
    v2
}

fn to_v1(v2: ApiGatewayV2httpResponse) -> ApiGatewayProxyResponse {
    let mut v1 = ApiGatewayProxyResponse::default();
    v1.status_code = v2.status_code;
    v1.headers = v2.headers;
    v1.multi_value_headers = v2.multi_value_headers;
    v1.body = v2.body;
    v1.is_base64_encoded = v2.is_base64_encoded;
    v1
}

fn without_stage(path: String, stage: Option<&str>) -> String {
    let Some(stage) = stage.filter(|stage| *stage != DEFAULT_STAGE && !stage.is_empty()) else { return path };
    match path.strip_prefix('/').and_then(|rest| rest.strip_prefix(stage)) {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    /// Asks a handler that tells what it saw.
    async fn seen(event: &Value) -> Value {
        let request: GatewayRequest = serde_json::from_value(event.clone()).unwrap();
        let answer = answer_gateway(request, |v2: ApiGatewayV2httpRequest| async move {
            let agents: Vec<_> =
                v2.headers.get_all("x-agent-id").iter().map(|v| v.to_str().unwrap()).collect();
            let body = json!({
                "method": v2.request_context.http.method.as_str(), "path": v2.raw_path,
                "query": v2.raw_query_string, "agents": agents, "body": v2.body,
                "base64": v2.is_base64_encoded, "id": v2.request_context.request_id,
            });
            crate::answer(StatusCode::OK, "application/json", body.to_string())
        });
        let answer = serde_json::to_value(answer.await).unwrap();
        assert_eq!(answer["statusCode"], 200);
        assert_eq!(answer["headers"]["content-type"], "application/json");
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    fn rest() -> Value {
        json!({
            "resource": "/{proxy+}", "path": "/v1/usage", "httpMethod": "POST",
            "headers": {"X-Agent-Id": "b"}, "multiValueHeaders": {"X-Agent-Id": ["a", "b"]},
            "queryStringParameters": {"q": "2"}, "multiValueQueryStringParameters": {"q": ["1 & 2"]},
            "pathParameters": null, "stageVariables": null,
            "requestContext": {"stage": "prod", "requestId": "r-1", "httpMethod": "POST", "identity": {}},
            "body": "e30=", "isBase64Encoded": true
        })
    }

    #[tokio::test]
    async fn a_rest_event_is_seen_like_any_other_with_what_came_twice() {
        let wanted = json!({"method": "POST", "path": "/v1/usage", "query": "q=1%20%26%202",
            "agents": ["a", "b"], "body": "e30=", "base64": true, "id": "r-1"});
        assert_eq!(seen(&rest()).await, wanted);
    }

    #[tokio::test]
    async fn a_rest_event_without_the_forms_for_several_values_is_seen_too() {
        let mut event = rest();
        for field in ["multiValueHeaders", "multiValueQueryStringParameters"] {
            event[field] = Value::Null;
        }
        let seen = seen(&event).await;
        assert_eq!((&seen["agents"], &seen["query"]), (&json!(["b"]), &json!("q=2")));
    }

    #[tokio::test]
    async fn the_stage_is_not_a_part_of_the_path() {
        for (stage, path, wanted) in [
            ("$default", "/v1/usage", "/v1/usage"),
            ("prod", "/prod/v1/usage", "/v1/usage"),
            ("v1", "/v1/v1/usage", "/v1/usage"),
            ("prod", "/production/v1/usage", "/production/v1/usage"),
        ] {
            let event = json!({
                "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {"x-agent-id": "a"},
                "requestContext": {"stage": stage, "http": {"method": "POST", "path": path}},
                "body": "{}", "isBase64Encoded": false
            });
            assert_eq!(seen(&event).await["path"], wanted, "{stage}");
        }
    }

    #[tokio::test]
    async fn a_rest_api_has_no_stage_in_its_paths_and_an_http_api_has() {
        let mut event = rest();
        event["requestContext"]["stage"] = json!("v1");
        assert_eq!(seen(&event).await["path"], "/v1/usage");
        event["version"] = json!("1.0");
        event["path"] = json!("/v1/v1/usage");
        assert_eq!(seen(&event).await["path"], "/v1/usage");
    }

    #[tokio::test]
    async fn the_answer_is_in_the_format_of_the_request() {
        let answered = |event: Value| async {
            let request = serde_json::from_value(event).unwrap();
            let ok = |_| async { crate::answer(StatusCode::OK, "text/plain", String::new()) };
            answer_gateway(request, ok).await
        };
        let GatewayResponse::V1(v1) = answered(rest()).await else { panic!("a REST API gets 1.0") };
        assert_eq!(v1.body, Some(Body::Text(String::new())));
        let http = json!({"version": "2.0", "headers": {}, "requestContext": {"http": {"method": "GET"}}});
        assert!(matches!(answered(http).await, GatewayResponse::V2(_)));
    }
}
