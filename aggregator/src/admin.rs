//! The administrative endpoint of repricings: `POST /v1/admin/reprice`, one step at a time.
//!
//! A step is bounded, so that no request runs long; whoever asks repeats it until it is done. A look carries its
//! place in its answers; of a run the ledger keeps the place, and any step may be repeated, or come twice.

use std::sync::Arc;

use auth::{Access, Caller, Role, audit, object_of};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge::{Code, Problem, read_body};
use http::Method;
use shared::clock::Clock;
use shared::hash::ContentHash;
use shared::id::OwnId;
use shared::ledger::{LedgerError, RecordStore};
use shared::metrics::Metrics;
use shared::mint::{Mint, UuidMint};
use shared::price::{BookFile, BookStore, Books, PriceBook, embedded_file};
use shared::repricing::{
    FiguresRow, LeftRecord, MAX_NAMED, Place, RepricingAnswer, RepricingForm, RepricingStore, Run, Selection,
};

use crate::{RepriceError, Repricer, Step};

/// Answers steps of repricings.
pub struct Admin<L, M, C> {
    repricer: Repricer<L, M, C>,
    books: Books,
    access: Access,
}

const PATH: &str = "/v1/admin/reprice";

impl<L: RecordStore + RepricingStore + BookStore, M: Metrics, C: Clock> Admin<L, M, C> {
    /// Reprices with the books that are held or kept in the ledger, for those whom `access` lets in.
    pub fn new(repricer: Repricer<L, M, C>, books: Books, access: Access) -> Self {
        Self { repricer, books, access }
    }

    /// Whether a path is answered here.
    pub fn answers(path: &str) -> bool {
        path == PATH
    }

    /// Answers a request.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let id = request.request_context.request_id.clone();
        let object = object_of(request.raw_path.as_deref().unwrap_or_default());
        let method = request.request_context.http.method.clone();
        let caller = self.access.caller(&request.headers);
        let known = caller.as_ref().ok().cloned();
        let answer = match caller {
            Ok(caller) => self.step(&caller, request).await,
            Err(error) => Err(error.problem()),
        };
        let outcome = answer.as_ref().map_or_else(|problem| problem.code.name(), |_| "done");
        audit(known.as_ref(), &method, &object, id.as_deref(), outcome);
        match answer {
            Ok(body) => edge::json(body),
            Err(problem) => problem.response(id.as_deref()),
        }
    }

    async fn step(&self, caller: &Caller, request: ApiGatewayV2httpRequest) -> Result<String, Problem> {
        caller.demand(Role::Admin).map_err(|denied| denied.problem())?;
        if request.request_context.http.method != Method::POST {
            return Err(Problem::method_not_allowed("POST", format!("{PATH} takes POST")));
        }
        let body = read_body(request.body, request.is_base64_encoded, &request.headers)?;
        let form: RepricingForm =
            edge::read_object(&body).map_err(|e| bad(format!("the body is no repricing: {e}")))?;
        let answer = if form.apply { self.apply(&form).await? } else { self.look(&form).await? };
        serde_json::to_string(&answer)
            .map_err(|e| failed(&LedgerError::Broken(format!("the answer cannot be shown: {e}")).into()))
    }

    /// A book by its version, and the one in force by none.
    async fn book(&self, version: Option<&str>) -> Result<Arc<PriceBook>, Problem> {
        let Some(version) = version else { return Ok(self.books.current()) };
        if let Some(held) = self.books.by_version(version) {
            return Ok(held);
        }
        let broken = |error: String| failed(&LedgerError::Broken(error).into());
        let kept = self.repricer.ledger().book(version).await.map_err(|e| failed(&e.into()))?;
        let book = match &kept {
            Some(kept) => {
                let file = BookFile::read(&kept.json).map_err(|e| broken(e.to_string()))?;
                self.books.read(&file)
            }
            None => {
                let embedded = embedded_file().map_err(|e| broken(e.to_string()))?;
                if embedded.version.as_str() != version {
                    let current = self.books.current();
                    let detail = format!(
                        "there is no price book {version:?}; the one in force is {:?}, and GET /v1/prices lists them",
                        current.version()
                    );
                    return Err(bad(detail));
                }
                self.books.read(&embedded)
            }
        };
        book.map(Arc::new).map_err(|e| broken(e.to_string()))
    }

    async fn look(&self, form: &RepricingForm) -> Result<RepricingAnswer, Problem> {
        if form.run.is_some() {
            return Err(bad("`run` is for `apply`; a look has no name".to_owned()));
        }
        let selection = selection(form)?.ok_or_else(no_range)?;
        let book = self.book(form.book.as_deref()).await?;
        let question = ContentHash::of(&(&selection, book.version()))
            .map_err(|e| failed(&LedgerError::Broken(e.to_string()).into()))?;
        let named = selection.agents.len();
        let place = form.next.as_deref().map(|token| read_place(token, &question, named)).transpose()?;
        let step = self.repricer.look(&selection, &book, place).await.map_err(|e| failed(&e))?;
        let next = match &step.next {
            Some(place) => Some(write_place(place, &question).map_err(|e| failed(&e.into()))?),
            None => None,
        };
        Ok(answer(&book, None, step, next))
    }

    async fn apply(&self, form: &RepricingForm) -> Result<RepricingAnswer, Problem> {
        if form.next.is_some() {
            return Err(bad("`next` continues a look; a run knows where it is".to_owned()));
        }
        let selection = selection(form)?;
        let known = match &form.run {
            Some(run) => {
                self.repricer.ledger().repricing(run).await.map_err(|e| failed(&RepriceError::Ledger(e)))?
            }
            None => None,
        };
        // A run goes on with the book that it was begun with, whatever is in use by now.
        let version = form.book.as_deref().or(known.as_ref().map(|run| run.book.as_str()));
        let book = self.book(version).await?;
        let run = match (known, selection) {
            (Some(run), None) => run,
            (Some(run), Some(selection)) => self.begin(&run.run, &selection, &book).await?,
            (None, Some(selection)) => {
                let run = form.run.clone().unwrap_or_else(|| UuidMint.mint());
                self.begin(&run, &selection, &book).await?
            }
            (None, None) => {
                let Some(run) = &form.run else { return Err(no_range()) };
                let detail = format!("there is no run {run}; GET /v1/repricings lists them");
                return Err(Problem::new(Code::NoSuchRepricing, detail));
            }
        };
        let (run, step) = self.repricer.advance(run, &book).await.map_err(|e| failed(&e))?;
        Ok(answer(&book, Some(run), step, None))
    }

    async fn begin(&self, run: &OwnId, selection: &Selection, book: &PriceBook) -> Result<Run, Problem> {
        self.repricer.begin(run, selection, book).await.map_err(|e| failed(&e))
    }
}

fn answer(book: &PriceBook, run: Option<Run>, step: Step, next: Option<String>) -> RepricingAnswer {
    let row = |((agent, model), figures)| FiguresRow { agent, model, figures };
    let left = step.left.into_iter().map(|left| LeftRecord {
        agent: left.agent,
        key: left.key.to_string(),
        reason: left.reason,
    });
    let done = run.as_ref().map_or(next.is_none(), |run| run.next.is_none());
    RepricingAnswer {
        book: book.version().to_owned(),
        run: run.map(Into::into),
        rows: step.rows.into_iter().map(row).collect(),
        left: left.collect(),
        done,
        next,
    }
}

/// Which calls a form is about; none if it gives no range.
fn selection(form: &RepricingForm) -> Result<Option<Selection>, Problem> {
    for (field, count) in [("agents", form.agents.len()), ("models", form.models.len())] {
        if count > MAX_NAMED {
            return Err(bad(format!("`{field}` names {count}; at most {MAX_NAMED} are taken")));
        }
    }
    let (from, to) = match (form.from, form.to) {
        (Some(from), Some(to)) => (from, to),
        (None, None) => {
            if form.agents.is_empty() && form.models.is_empty() && !form.unpriced && !form.closed {
                return Ok(None);
            }
            return Err(no_range());
        }
        _ => return Err(no_range()),
    };
    if from >= to {
        return Err(bad(format!("`from` is {from}, which is not before `to`, {to}")));
    }
    let (mut agents, mut models) = (form.agents.clone(), form.models.clone());
    // In one order, and each once: the same question is the same run.
    agents.sort_unstable();
    agents.dedup();
    models.sort_unstable();
    models.dedup();
    Ok(Some(Selection { from, to, agents, models, unpriced: form.unpriced, closed: form.closed }))
}

fn no_range() -> Problem {
    bad("`from` and `to` are missing; give both, or the name of a `run` that was begun".to_owned())
}

fn write_place(place: &Place, question: &ContentHash) -> Result<String, LedgerError> {
    let json = serde_json::to_vec(&(question, place)).map_err(|e| LedgerError::Broken(e.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// Reads a place back; `named` is how many agents the question names.
fn read_place(token: &str, question: &ContentHash, named: usize) -> Result<Place, Problem> {
    let read = || {
        let json = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (of, place): (ContentHash, Place) = serde_json::from_slice(&json).ok()?;
        let is_record = place.after.as_ref().is_none_or(|after| after.record_key().is_some());
        (of == *question && is_record && place.agent < named.max(1)).then_some(place)
    };
    let wrong = "`next` is of no earlier answer to this question; leave it out to start over";
    read().ok_or_else(|| bad(wrong.to_owned()))
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::InvalidRepricing, detail)
}

fn failed(error: &RepriceError) -> Problem {
    let code = match error {
        RepriceError::Closed { .. } => Code::RepricingClosed,
        RepriceError::OtherRun(_) => Code::InvalidRepricing,
        RepriceError::Overflow(_) => Code::Overflow,
        RepriceError::Ledger(LedgerError::Retry(_)) => Code::LedgerUnavailable,
        RepriceError::Ledger(LedgerError::Broken(_)) => Code::LedgerBroken,
    };
    if code.status().is_server_error() {
        tracing::error!(%error, "a repricing failed");
    }
    Problem::new(code, error.to_string())
}
