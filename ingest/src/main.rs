//! The ingest function on AWS: requests from an HTTP API in, records into Kinesis or the table's inbox out.
//!
//! It assumes of its function: one request at a time, a timeout above that of a put (`IngestConfig::deadline`), and
//! below the 30 seconds that an HTTP API waits.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth::{Access, Principals, PublicKey, Verifier};
use aws::client::{Patience, load_in_function};
use aws::env::{self, EnvError};
use aws::function::{Again, Lateness, start_log, within};
use aws::inbox::Inbox;
use aws::metrics::rejected_line;
use aws::stream::Kinesis;
use aws::table::Table;
use edge::{Code, GatewayRequest, GatewayResponse, Problem, answer_gateway};
use ingest::{Ingest, IngestConfig};
use jiff::Timestamp;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use shared::clock::{Clock, SystemClock};
use shared::ledger::{LedgerError, RecordStore};
use shared::stream::{EventStream, PutError, PutRecord};

/// How often the table is asked for revocations and the watermark: a revocation acts within a minute.
const EVERY: Duration = Duration::from_secs(30);
/// How soon after a failure. Requests in between go by what was known.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long a request waits for that.
const REFRESH: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log()?;
    let host = Box::pin(Host::open())
        .await
        .inspect_err(|error| tracing::error!(%error, "the function cannot start"))?;
    let host = &host;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<GatewayRequest>| async move {
        Ok::<_, Infallible>(host.answer(event.payload, &event.context).await)
    }))
    .await
}

/// Where records go.
enum Stream {
    Kinesis(Kinesis),
    Inbox(Inbox<SystemClock>),
}

impl EventStream for Stream {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        match self {
            Self::Kinesis(stream) => stream.put(records).await,
            Self::Inbox(stream) => stream.put(records).await,
        }
    }

    fn max_record_bytes(&self) -> usize {
        match self {
            Self::Kinesis(stream) => stream.max_record_bytes(),
            Self::Inbox(stream) => stream.max_record_bytes(),
        }
    }

    fn max_put_records(&self) -> usize {
        match self {
            Self::Kinesis(stream) => stream.max_put_records(),
            Self::Inbox(stream) => stream.max_put_records(),
        }
    }

    fn spread(&self) -> u32 {
        match self {
            Self::Kinesis(stream) => stream.spread(),
            Self::Inbox(stream) => stream.spread(),
        }
    }
}

struct Host {
    ingest: Ingest<Stream, SystemClock>,
    table: Table,
    verifier: Option<Arc<Verifier>>,
    lateness: Lateness,
    /// The ledger's watermark, as it was last read.
    closed: Mutex<Option<Timestamp>>,
    again: Again,
    namespace: String,
}

impl Host {
    /// Reads the environment, and opens the connections that the first request needs.
    async fn open() -> Result<Self, Error> {
        let config = load_in_function(Patience::REQUEST).await;
        let lateness = Lateness::from_env()?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let table = Table::new(dynamodb.clone(), env::table());
        let (access, verifier) = access()?;
        let lanes = env::parsed(env::LANES, IngestConfig::default().lanes)?;
        let kinesis = env::optional(env::STREAM).map(|name| (aws_sdk_kinesis::Client::new(&config), name));
        let stream = match &kinesis {
            Some((client, name)) => Stream::Kinesis(Kinesis::new(client.clone(), name).over(lanes)),
            None => Stream::Inbox(Inbox::new(dynamodb, env::table(), lateness.replay, SystemClock)),
        };
        let ingest = IngestConfig { lanes, ..IngestConfig::default() };
        let host = Self {
            ingest: Ingest::new(stream, SystemClock, ingest, access),
            table,
            verifier,
            lateness,
            closed: Mutex::default(),
            again: Again::new(EVERY, AFTER_FAILURE),
            namespace: env::optional(env::NAMESPACE).unwrap_or_else(|| env::DEFAULT_NAME.to_owned()),
        };
        let connect = async {
            if let Some((client, name)) = &kinesis {
                // For the connection: what the answer says, or that it may not be asked, changes nothing.
                let asked = client.describe_stream_summary().stream_name(name).send().await;
                if let Err(error) = asked {
                    tracing::debug!(?error, "the stream was not described");
                }
            }
        };
        host.refuse_what_is_late();
        let (known, ()) = tokio::join!(host.look(), connect);
        match known {
            Ok(()) => host.again.looked(SystemClock.now(), true),
            // Without the revocations a token that was taken back would hold.
            Err(error) if host.verifier.is_some() => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the watermark cannot be read; the ledger asks for it again");
            }
        }
        Ok(host)
    }

    /// Takes in the watermark and the revocations.
    async fn look(&self) -> Result<(), LedgerError> {
        let revocations = async {
            match &self.verifier {
                Some(verifier) => verifier.refresh(&self.table).await,
                None => Ok(()),
            }
        };
        let (closed, revoked) = tokio::join!(self.table.closed_before(), revocations);
        let closed = closed.map(|closed| *self.known_closed() = closed);
        self.refuse_what_is_late();
        closed.and(revoked)
    }

    fn known_closed(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_what_is_late(&self) {
        let oldest = self.lateness.oldest(SystemClock.now(), *self.known_closed());
        self.ingest.closed_before().set(oldest);
    }

    async fn look_if_due(&self) {
        let now = SystemClock.now();
        if !self.again.is_due(now) {
            return;
        }
        let looked = tokio::time::timeout(REFRESH, self.look()).await;
        self.again.looked(now, matches!(looked, Ok(Ok(()))));
        match looked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "revocations cannot be read; those known still hold"),
            Err(_) => tracing::error!("revocations could not be read in time; those known still hold"),
        }
    }

    async fn answer(&self, request: GatewayRequest, context: &Context) -> GatewayResponse {
        Box::pin(self.look_if_due()).await;
        let before = self.ingest.rejected();
        let answer = answer_gateway(request, async |request| {
            let id = request.request_context.request_id.clone();
            match within(context, &SystemClock, Box::pin(self.ingest.handle(request))).await {
                Some(answer) => answer,
                None => {
                    self.ingest.count_rejected();
                    let detail = "the stream did not answer in time; send the whole submission again";
                    Problem::new(Code::StreamUnavailable, detail).response(id.as_deref())
                }
            }
        })
        .await;
        let rejected = self.ingest.rejected() - before;
        if rejected > 0 {
            // A metric as a line of its own; a log that takes none is no reason to fail.
            let _ = writeln!(
                std::io::stdout(),
                "{}",
                rejected_line(&self.namespace, rejected, SystemClock.now())
            );
        }
        answer
    }
}

/// Who may send, as the environment says. There is no default: an API that anybody may write to is asked for.
fn access() -> Result<(Access, Option<Arc<Verifier>>), EnvError> {
    let wrong = |name, what: String| EnvError { name, what };
    match env::required(env::AUTH)?.as_str() {
        "token" => {
            let keys = PublicKey::all_from_text(&env::required(env::PUBLIC_KEYS)?)
                .map_err(|error| wrong(env::PUBLIC_KEYS, error.to_string()))?;
            let audience = env::optional(env::AUDIENCE).unwrap_or_else(|| auth::AUDIENCE.to_owned());
            let verifier = Arc::new(Verifier::new(keys, audience, Arc::new(SystemClock)));
            Ok((Access::tokens(Arc::clone(&verifier)), Some(verifier)))
        }
        "iam" => {
            let principals = Principals::from_json(&env::required(env::PRINCIPALS)?)
                .map_err(|error| wrong(env::PRINCIPALS, error.to_string()))?;
            Ok((Access::principals(principals), None))
        }
        "none" => Ok((Access::open(), None)),
        other => Err(wrong(env::AUTH, format!("is {other:?}; it is token, iam or none"))),
    }
}
