//! Price books over HTTP: `GET /v1/prices`, `GET /v1/prices/{version}` and `POST /v1/admin/prices`.
//!
//! They are answered where events are priced, so that what is counted next has the new prices.

use std::sync::Arc;

use auth::{Access, Caller, Role, audit, object_of};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::{Code, Problem, read_body};
use http::Method;
use percent_encoding::percent_decode_str;
use shared::clock::Clock;
use shared::ledger::LedgerError;
use shared::price::{
    BookFile, BookLine, BookReport, BookStore, Books, StoredBook, check_version, embedded_file,
};

const LIST: &str = "/v1/prices";
const BOOK: &str = "/v1/prices/";
const CHANGE: &str = "/v1/admin/prices";

/// Shows price books, and puts imported ones in force.
#[derive(Debug)]
pub struct Prices<S, C> {
    store: Arc<S>,
    clock: C,
    access: Access,
    books: Option<Books>,
}

impl<S: BookStore, C: Clock> Prices<S, C> {
    /// Keeps books in `store`, for those whom `access` lets in.
    pub fn new(store: Arc<S>, clock: C, access: Access) -> Self {
        Self { store, clock, access, books: None }
    }

    /// Puts what is imported in force there, too. Without it the next start does.
    #[must_use]
    pub fn with_books(self, books: Books) -> Self {
        Self { books: Some(books), ..self }
    }

    /// Whether a path is answered here.
    pub fn answers(path: &str) -> bool {
        path == LIST || path.starts_with(BOOK) || path == CHANGE
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
        if path == CHANGE {
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
        let is_change = path == CHANGE;
        let role = if is_change { Role::Admin } else { Role::Read };
        caller.demand(role).map_err(|denied| denied.problem())?;
        let method = request.request_context.http.method.clone();
        let query = request.raw_query_string.clone().unwrap_or_default();
        if is_change {
            if method != Method::POST {
                let detail = "a price book is imported with POST; GET /v1/prices lists them";
                return Err(Problem::method_not_allowed("POST", detail));
            }
            let over = over(&query)?;
            let body = read_body(request.body, request.is_base64_encoded, &request.headers)?;
            return self.import(&body, over).await;
        }
        if method != Method::GET {
            return Err(Problem::method_not_allowed("GET", format!("{path} is read with GET")));
        }
        if !query.is_empty() {
            return Err(Problem::new(Code::BadParameter, format!("{path} takes no parameters")));
        }
        let Some(version) = path.strip_prefix(BOOK) else { return self.list().await };
        let version = percent_decode_str(version).decode_utf8_lossy();
        match self.json(&version).await? {
            Some(json) => Ok(json),
            None => Err(no_such(&version)),
        }
    }

    async fn list(&self) -> Result<String, Problem> {
        let embedded = embedded_file().map_err(|e| broken(&e))?;
        let mut books = self.store.books().await.map_err(|e| failed(&e))?;
        books.retain(|book| book.version != embedded.version.as_str());
        books.push(line(&embedded, None));
        let current = match &self.books {
            Some(books) => books.current().version().to_owned(),
            None => match self.store.newest_book().await.map_err(|e| failed(&e))? {
                Some(book) => book.line.version,
                None => embedded.version.as_str().to_owned(),
            },
        };
        json(&BookReport { current, books, next: None })
    }

    /// Puts the newest kept book in force. Another import may come between: whoever is the last to put one in
    /// force sees that there is a newer one, and goes on.
    async fn put_newest_in_force(&self, books: &Books) -> Result<(), Problem> {
        loop {
            let newest = self.store.newest_book().await.map_err(|e| failed(&e))?;
            let Some(newest) = newest else { return Ok(()) };
            let file = BookFile::read(&newest.json).map_err(|e| broken(&e))?;
            put_in_force(&*self.store, books, &file, self.clock.now()).await.map_err(|e| match e {
                InForceError::Ledger(error) => failed(&error),
                InForceError::Book(error) => bad(error),
            })?;
            let still = self.store.newest_book().await.map_err(|e| failed(&e))?;
            if still.is_some_and(|still| still.line.version == newest.line.version) {
                return Ok(());
            }
        }
    }

    /// A book as it is written; the one that is compiled in, too.
    async fn json(&self, version: &str) -> Result<Option<String>, Problem> {
        if let Some(book) = self.store.book(version).await.map_err(|e| failed(&e))? {
            return Ok(Some(book.json));
        }
        let embedded = embedded_file().map_err(|e| broken(&e))?;
        if embedded.version.as_str() != version {
            return Ok(None);
        }
        embedded.write().map(Some).map_err(|e| broken(&e))
    }

    /// Lays a book over another, keeps the whole and puts it in force.
    async fn import(&self, body: &[u8], over: Over) -> Result<String, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8".to_owned()))?;
        let layer = BookFile::read(text).map_err(|e| bad(format!("the body is no price book: {e}")))?;
        check_version(layer.version.as_str()).map_err(bad)?;
        let version = layer.version.as_str().to_owned();
        let embedded = embedded_file().map_err(|e| broken(&e))?;
        if embedded.version.as_str() == version {
            return Err(taken(&version));
        }
        let below = match &over {
            Over::Nothing => None,
            Over::Embedded => Some(embedded.write().map_err(|e| broken(&e))?),
            Over::Version(below) => Some(self.json(below).await?.ok_or_else(|| no_such(below))?),
        };
        let whole = match &below {
            Some(below) => BookFile::read(below).map_err(|e| broken(&e))?.with_layer(layer),
            None => layer,
        };
        // What cannot be read again is not kept, nor what the operator's own prices cannot be laid over: the next
        // start would fail.
        shared::price::PriceBook::from_file(&whole).map_err(|e| bad(e.to_string()))?;
        if let Some(books) = &self.books {
            let composed = books.compose(whole.clone()).map_err(|e| bad(e.to_string()))?;
            books.read(&composed).map_err(|e| bad(e.to_string()))?;
        }
        let stored = StoredBook {
            line: line(&whole, Some(self.clock.now())),
            derived: false,
            json: whole.write().map_err(|e| broken(&e))?,
        };
        let answer = json(&stored.line)?;
        if !self.store.put_book(&stored).await.map_err(|e| failed(&e))? {
            return Err(taken(&version));
        }
        if let Some(books) = &self.books {
            self.put_newest_in_force(books).await?;
        }
        Ok(answer)
    }
}

/// Why a kept book is not in force.
#[derive(Debug, thiserror::Error)]
pub enum InForceError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The book, or the operator's own prices over it.
    #[error("{0}")]
    Book(String),
}

/// Puts a book in force, with the operator's own prices over it; what that makes is kept, too, so that what it
/// prices can be explained later.
pub async fn put_in_force<S: BookStore>(
    store: &S,
    books: &Books,
    file: &BookFile<'_>,
    at: jiff::Timestamp,
) -> Result<(), InForceError> {
    let wrong = |error: &dyn std::fmt::Display| InForceError::Book(error.to_string());
    let whole = books.compose(file.clone()).map_err(|e| wrong(&e))?;
    let book = books.read(&whole).map_err(|e| wrong(&e))?;
    if whole.version != file.version {
        let json = whole.write().map_err(|e| wrong(&e))?;
        store.put_book(&StoredBook { line: line(&whole, Some(at)), derived: true, json }).await?;
    }
    books.replace(Arc::new(book));
    Ok(())
}

/// Puts the newest kept book in force, or the one that is compiled in.
pub async fn begin<S: BookStore>(store: &S, books: &Books, at: jiff::Timestamp) -> Result<(), InForceError> {
    let wrong = |error: &dyn std::fmt::Display| InForceError::Book(error.to_string());
    let embedded = embedded_file().map_err(|e| wrong(&e))?;
    // A later release is compiled with another, and may still be asked to reprice by this one.
    if store.book(embedded.version.as_str()).await?.is_none() {
        let json = embedded.write().map_err(|e| wrong(&e))?;
        store.put_book(&StoredBook { line: line(&embedded, Some(at)), derived: true, json }).await?;
    }
    let Some(newest) = store.newest_book().await? else {
        // It is in force already; what the configuration made of it is to be kept.
        let version = books.current().version().to_owned();
        if store.book(&version).await?.is_none() && books.has_overrides() {
            put_in_force(store, books, &embedded, at).await?;
        }
        return Ok(());
    };
    let file = BookFile::read(&newest.json).map_err(|e| wrong(&e))?;
    put_in_force(store, books, &file, at).await
}

/// What a book is laid over.
enum Over {
    Embedded,
    Nothing,
    Version(String),
}

fn over(query: &str) -> Result<Over, Problem> {
    let wrong = |detail: &str| Problem::new(Code::BadParameter, detail);
    match query.split_once('=') {
        None if query.is_empty() => Ok(Over::Embedded),
        Some(("replace", "true")) => Ok(Over::Nothing),
        Some(("over", version)) if !version.is_empty() && !version.contains('&') => {
            Ok(Over::Version(percent_decode_str(version).decode_utf8_lossy().into_owned()))
        }
        _ => Err(wrong("an import takes `over=VERSION` or `replace=true`, and nothing else")),
    }
}

fn line(file: &BookFile<'_>, at: Option<jiff::Timestamp>) -> BookLine {
    BookLine {
        version: file.version.as_str().to_owned(),
        source: file.source.as_str().to_owned(),
        models: file.models.len() as u64,
        at,
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|e| broken(&e))
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::InvalidPrices, detail)
}

fn no_such(version: &str) -> Problem {
    Problem::not_found(format!("there is no price book {version:?}; GET {LIST} lists them"))
}

fn taken(version: &str) -> Problem {
    let detail = format!("{version} is the version of another price book; give this one a name of its own");
    Problem::new(Code::PriceBookExists, detail)
}

fn broken(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a price book cannot be read or written");
    Problem::new(Code::LedgerBroken, format!("a price book cannot be read or written: {error}"))
}

fn failed(error: &LedgerError) -> Problem {
    tracing::error!(%error, "a price book could not be kept or read");
    let code = match error {
        LedgerError::Retry(_) => Code::LedgerUnavailable,
        LedgerError::Broken(_) => Code::LedgerBroken,
    };
    Problem::new(code, error.to_string())
}
