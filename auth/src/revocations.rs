//! The administration of tokens: `PUT /v1/admin/revocations/{jti}` and `GET /v1/revocations`.

use std::sync::Arc;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::{Code, Problem, read_body};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::id::TokenId;
use shared::ledger::LedgerError;
use shared::revocation::{MAX_REASON_BYTES, MAX_REVOCATIONS, Revocation, RevocationStore};

use crate::access::{Access, Caller};
use crate::audit::{audit, object_of};
use crate::claims::{MAX_DAYS, Role};

const LIST: &str = "/v1/revocations";
const CHANGE: &str = "/v1/admin/revocations/";

/// Revokes tokens, and lists those that are revoked.
#[derive(Debug)]
pub struct Revocations<S, C> {
    store: Arc<S>,
    clock: C,
    access: Access,
}

/// Revoked tokens, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevocationReport {
    /// The revocations.
    pub revocations: Vec<Revocation>,
    /// None: there is one page.
    pub next: Option<String>,
}

/// The body of a revocation; all of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    reason: Option<String>,
    /// When the token ends, if that is later than a token of today can.
    until: Option<Timestamp>,
}

impl<S: RevocationStore, C: Clock> Revocations<S, C> {
    /// Writes to `store`, and tells the verifier of `access` at once.
    pub fn new(store: Arc<S>, clock: C, access: Access) -> Self {
        Self { store, clock, access }
    }

    /// Whether a path is answered here.
    pub fn answers(path: &str) -> bool {
        path == LIST || path.starts_with(CHANGE)
    }

    /// Answers a request.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let id = request.request_context.request_id.clone();
        let path = request.raw_path.clone().unwrap_or_default();
        let method = request.request_context.http.method.clone();
        let caller = self.access.caller(&request.headers);
        let known = caller.as_ref().ok().cloned();
        let answer = match caller {
            Ok(caller) => self.answer(&caller, &path, request).await,
            Err(error) => Err(error.problem()),
        };
        if path != LIST {
            let outcome = answer.as_ref().map_or_else(|problem| problem.code.name(), |_| "done");
            audit(known.as_ref(), &method, &object_of(&path), id.as_deref(), outcome);
        }
        match answer {
            Ok(body) => edge::json(body),
            Err(problem) => problem.response(id.as_deref()),
        }
    }

    async fn answer(
        &self,
        caller: &Caller,
        path: &str,
        request: ApiGatewayV2httpRequest,
    ) -> Result<String, Problem> {
        caller.demand(Role::Admin).map_err(|denied| denied.problem())?;
        let method = &request.request_context.http.method;
        if path == LIST {
            if method != Method::GET {
                return Err(Problem::method_not_allowed("GET", format!("{LIST} is read with GET")));
            }
            if !request.raw_query_string.as_deref().unwrap_or_default().is_empty() {
                return Err(Problem::new(Code::BadParameter, format!("{LIST} takes no parameters")));
            }
            let revocations = self.store.revocations().await.map_err(|e| failed(&e))?;
            return json(&RevocationReport { revocations, next: None });
        }
        let jti = path.strip_prefix(CHANGE).unwrap_or_default();
        let jti = percent_decode_str(jti).decode_utf8_lossy();
        let jti = TokenId::parse(&jti)
            .map_err(|e| bad(format!("the token's id {e}; it is the member `jti`, not the token itself")))?;
        if method != Method::PUT {
            let detail = "a token is revoked with PUT, for good; GET /v1/revocations lists them";
            return Err(Problem::method_not_allowed("PUT", detail));
        }
        let form = read_form(request)?;
        let at = self.clock.now();
        // Whatever holds now has ended by then, and what is revoked must not come back before.
        let latest = at
            .checked_add(SignedDuration::from_hours(24 * i64::from(MAX_DAYS) + 1))
            .unwrap_or(Timestamp::MAX);
        let until = form.until.map_or(latest, |until| until.max(latest));
        let standing = self.store.revocations().await.map_err(|e| failed(&e))?;
        let room = standing.iter().filter(|known| known.until >= at && known.jti != jti).count();
        if room >= MAX_REVOCATIONS {
            let detail = format!(
                "{MAX_REVOCATIONS} revocations stand already; take the key that signed these tokens out of \
                 [auth] public_keys instead"
            );
            return Err(Problem::new(Code::TooManyRevocations, detail));
        }
        let revocation = Revocation { jti, until, at, reason: form.reason };
        let kept = self.store.revoke(&revocation).await.map_err(|e| failed(&e))?;
        if let Some(verifier) = self.access.verifier() {
            verifier.revoke([&kept]);
        }
        json(&kept)
    }
}

fn read_form(request: ApiGatewayV2httpRequest) -> Result<Form, Problem> {
    let body = read_body(request.body, request.is_base64_encoded, &request.headers)?;
    if body.is_empty() {
        return Ok(Form::default());
    }
    let form: Form = edge::read_object(&body)
        .map_err(|e| bad(format!("the body is no revocation such as {{\"reason\":\"lost\"}}: {e}")))?;
    if form.reason.as_ref().is_some_and(|r| r.len() > MAX_REASON_BYTES || r.chars().any(char::is_control)) {
        return Err(bad(format!(
            "`reason` has at most {MAX_REASON_BYTES} bytes, without control characters"
        )));
    }
    Ok(form)
}

fn json<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value)
        .map_err(|e| failed(&LedgerError::Broken(format!("a revocation cannot be shown: {e}"))))
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::InvalidRevocation, detail)
}

fn failed(error: &LedgerError) -> Problem {
    tracing::error!(%error, "a revocation failed");
    let code = match error {
        LedgerError::Retry(_) => Code::LedgerUnavailable,
        LedgerError::Broken(_) => Code::LedgerBroken,
    };
    Problem::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use shared::clock::SystemClock;

    use super::*;

    #[derive(Default)]
    struct Fake(Mutex<Vec<Revocation>>);

    impl RevocationStore for Fake {
        async fn revoke(&self, revocation: &Revocation) -> Result<Revocation, LedgerError> {
            self.0.lock().unwrap().push(revocation.clone());
            Ok(revocation.clone())
        }

        async fn revocations(&self) -> Result<Vec<Revocation>, LedgerError> {
            Ok(self.0.lock().unwrap().clone())
        }
    }

    /// A ready future's value: the store in memory never waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("the store in memory waits for nothing"),
        }
    }

    fn put(store: &Arc<Fake>, jti: &str, body: &str) -> i64 {
        let handler = Revocations::new(Arc::clone(store), SystemClock, Access::open());
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some(format!("{CHANGE}{jti}"));
        request.request_context.http.method = Method::PUT;
        request.body = Some(body.to_owned());
        now(handler.handle(request)).status_code
    }

    #[test]
    fn a_revocation_outlasts_every_token_of_today() {
        let store = Arc::new(Fake::default());
        let before = SystemClock.now();
        // An end that is too early would give a token back.
        for body in ["", "{}", r#"{"reason":"lost","until":"2000-01-01T00:00:00Z"}"#] {
            assert_eq!(put(&store, "t", body), 200, "{body}");
        }
        let longest = before.checked_add(SignedDuration::from_hours(24 * 90)).unwrap();
        assert!(store.0.lock().unwrap().iter().all(|kept| kept.until > longest));
        assert_eq!(put(&store, "late", r#"{"until":"2999-01-01T00:00:00Z"}"#), 200);
        assert_eq!(store.0.lock().unwrap()[3].until.to_string(), "2999-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_revocation_changes_nothing() {
        let store = Arc::new(Fake::default());
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(MAX_REASON_BYTES + 1));
        for (jti, body) in [
            ("t", "[]"),
            ("t", "[null,null]"),
            ("t", r#"{"reasons":"x"}"#),
            ("t", r#"{"reason":"a\nb"}"#),
            ("t", &long),
            ("t", r#"{"until":"tomorrow"}"#),
            ("", ""),
            ("a%20b", ""),
            (&"x".repeat(65), ""),
        ] {
            assert_eq!(put(&store, jti, body), 400, "{jti} {body}");
        }
        assert!(store.0.lock().unwrap().is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_what_is_over_does_not_count() {
        let store = Arc::new(Fake::default());
        let at = SystemClock.now();
        let kept = |n: usize, until| Revocation {
            jti: TokenId::parse(&format!("t{n}")).unwrap(),
            until,
            at,
            reason: None,
        };
        let later = at.checked_add(SignedDuration::from_hours(1)).unwrap();
        *store.0.lock().unwrap() = (0..MAX_REVOCATIONS).map(|n| kept(n, later)).collect();
        assert_eq!(put(&store, "another", ""), 422);
        assert_eq!(put(&store, "t7", ""), 200, "it stands already");
        store.0.lock().unwrap()[0].until = Timestamp::UNIX_EPOCH;
        store.0.lock().unwrap().truncate(MAX_REVOCATIONS);
        assert_eq!(put(&store, "another", ""), 200);
    }
}
