//! The registry of error codes: what programs match on, each with its status and a page in `docs/errors/`.
//!
//! A code is never renamed and its meaning never changes. A code without a page does not compile.

use std::fmt;

use http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $status:ident;)+) => {
        /// What kind of failure an answer tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As answers state it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The status that it is answered with.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }

            /// What it means, in one line.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+),)+
                }
            }

            /// Its page, in Markdown: what it means and what to do.
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../docs/errors/", $name, ".md")),)+
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or not the kind of JSON that was wanted.
    InvalidJson = "invalid_json", BAD_REQUEST;
    /// An event, or a header that stands for every event, is wrong.
    InvalidEvent = "invalid_event", BAD_REQUEST;
    /// Every fault is an event from a period that is closed.
    ClosedPeriod = "closed_period", BAD_REQUEST;
    /// The submission holds no event.
    EventCount = "event_count", BAD_REQUEST;
    /// The body cannot be decoded.
    InvalidBody = "invalid_body", BAD_REQUEST;
    /// The body did not arrive.
    BodyIncomplete = "body_incomplete", BAD_REQUEST;
    /// A query parameter is wrong or unknown.
    BadParameter = "bad_parameter", BAD_REQUEST;
    /// A budget is wrong.
    InvalidBudget = "invalid_budget", BAD_REQUEST;
    /// A revocation is wrong.
    InvalidRevocation = "invalid_revocation", BAD_REQUEST;
    /// A repricing is wrong.
    InvalidRepricing = "invalid_repricing", BAD_REQUEST;
    /// A repricing reaches into closed periods without saying so.
    RepricingClosed = "repricing_closed", BAD_REQUEST;
    /// What is to be counted in place of something put aside is wrong.
    InvalidRedrive = "invalid_redrive", BAD_REQUEST;
    /// A price book is wrong.
    InvalidPrices = "invalid_prices", BAD_REQUEST;
    /// No token was sent, or not exactly one.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// The token is none of this server.
    InvalidToken = "invalid_token", UNAUTHORIZED;
    /// The token has expired.
    TokenExpired = "token_expired", UNAUTHORIZED;
    /// The token was revoked.
    TokenRevoked = "token_revoked", UNAUTHORIZED;
    /// The token's role, or its team, may not do this.
    Forbidden = "forbidden", FORBIDDEN;
    /// The token may not write for this agent.
    AgentNotAllowed = "agent_not_allowed", FORBIDDEN;
    /// The token may not charge, or see, this team.
    TeamNotAllowed = "team_not_allowed", FORBIDDEN;
    /// A foreign `Host` or `Origin`.
    ForeignRequest = "foreign_request", FORBIDDEN;
    /// There is no such path.
    NotFound = "not_found", NOT_FOUND;
    /// There is no such budget.
    NoSuchBudget = "no_such_budget", NOT_FOUND;
    /// There is no such run of a repricing.
    NoSuchRepricing = "no_such_repricing", NOT_FOUND;
    /// Nothing of that id is in the quarantine.
    NoSuchQuarantined = "no_such_quarantined", NOT_FOUND;
    /// There is no such event.
    NoSuchEvent = "no_such_event", NOT_FOUND;
    /// The path does not take this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The version is another price book's.
    PriceBookExists = "price_book_exists", CONFLICT;
    /// The body is too large, as sent or when inflated.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The submission holds too many events.
    TooManyEvents = "too_many_events", PAYLOAD_TOO_LARGE;
    /// The content type is none that is read.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The content encoding is none that is read.
    UnsupportedEncoding = "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE;
    /// The report has too many rows.
    TooManyRows = "too_many_rows", UNPROCESSABLE_ENTITY;
    /// Too many revocations stand.
    TooManyRevocations = "too_many_revocations", UNPROCESSABLE_ENTITY;
    /// Something unexpected happened.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// The stream will never take a record of this submission.
    StreamRefused = "stream_refused", INTERNAL_SERVER_ERROR;
    /// A sum would not be exact.
    Overflow = "overflow", INTERNAL_SERVER_ERROR;
    /// What is stored cannot be read.
    LedgerBroken = "ledger_broken", INTERNAL_SERVER_ERROR;
    /// The stream did not acknowledge every event in time.
    StreamUnavailable = "stream_unavailable", SERVICE_UNAVAILABLE;
    /// The ledger did not answer.
    LedgerUnavailable = "ledger_unavailable", SERVICE_UNAVAILABLE;
    /// More is asked than can be worked on in time.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE;
    /// Every connection is taken.
    TooManyConnections = "too_many_connections", SERVICE_UNAVAILABLE;
}

impl Code {
    /// The code of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Its page on the server that answered, as a path.
    pub fn page_path(self) -> String {
        format!("{PAGES}{}", self.name())
    }
}

/// Where the pages are served.
pub const PAGES: &str = "/errors/";

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_of_its_own_that_says_what_to_do() {
        for code in Code::ALL {
            let page = code.page();
            let head = format!("# `{code}`\n\nStatus {}. ", code.status().as_u16());
            assert!(page.starts_with(&head), "{code}: {page}");
            assert!(page.contains("## What to do\n"), "{code}");
            assert_eq!(Code::from_name(code.name()), Some(*code));
        }
    }

    #[test]
    fn every_page_is_of_a_code_and_the_index_names_them_all() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        for file in std::fs::read_dir(&dir).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".md").unwrap();
            assert!(name == "README" || Code::from_name(name).is_some(), "{name} is no code");
        }
        let index = std::fs::read_to_string(dir.join("README.md")).unwrap();
        for code in Code::ALL {
            let row =
                format!("| {} | [`{code}`]({code}.md) | {} |", code.status().as_u16(), code.about().trim());
            assert!(index.contains(&row), "docs/errors/README.md lacks: {row}");
        }
    }
}
