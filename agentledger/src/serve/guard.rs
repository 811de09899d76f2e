//! Without authentication, only programs of this machine may ask: a page in a browser must not reach the
//! server under a name that was made to point here, nor from another origin.

use edge::{Code, Problem};
use http::{HeaderMap, Uri, header};

/// Refuses a foreign `Host` or `Origin`, saying why.
pub(super) fn check(headers: &HeaderMap, uri: &Uri) -> Result<(), &'static str> {
    const HOST: &str = "the Host header must be localhost, 127.0.0.1 or [::1]: without authentication this \
                        server answers programs of its own machine only";
    const ORIGIN: &str = "the Origin header names another site: without authentication this server answers \
                          its own pages only";
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), uri.authority()) {
        (Some(host), _) => host.to_str().map_err(|_| HOST)?,
        (None, Some(authority)) => authority.as_str(),
        (None, None) => return Err(HOST),
    };
    if hosts.next().is_some() || !is_local(host) {
        return Err(HOST);
    }
    for origin in headers.get_all(header::ORIGIN) {
        let from = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        if from.is_none_or(|from| !from.eq_ignore_ascii_case(host)) {
            return Err(ORIGIN);
        }
    }
    Ok(())
}

/// Whether the connection has to end with this request. A length beside a transfer coding is dropped by the
/// parser, so nobody can tell whether there was one, and whether a proxy before this server went by it: then
/// nothing may follow (RFC 9112, section 6.3).
pub(super) fn is_last(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
}

/// Refuses a transfer coding that would be taken off unread.
pub(super) fn transfer(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = headers.get_all(header::TRANSFER_ENCODING);
    if codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Ok(());
    }
    let detail =
        "the transfer-encoding is none that is read; send chunked alone, and gzip as content-encoding";
    Err(Problem::new(Code::UnsupportedEncoding, detail))
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        check(&headers, &Uri::from_static("/v1/spend")).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.0.0.1", "[::1]:8080", "[::1]"] {
            assert!(allowed(Some(host), None), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:80", "0.0.0.0:8080", "::1", ""]
        {
            assert!(!allowed(Some(host), None), "{host}");
        }
        assert!(!allowed(None, None));
    }

    #[test]
    fn only_its_own_pages_are_origins() {
        let host = Some("localhost:8080");
        assert!(allowed(host, Some("http://localhost:8080")));
        for origin in ["http://evil.example", "null", "https://localhost:8080", "http://localhost:3000"] {
            assert!(!allowed(host, Some(origin)), "{origin}");
        }
    }
}
