//! A page in a browser must not reach the server under a name that was made to point here, nor from another
//! origin. Without authentication only programs of this machine may ask; with it, `Host` may also be a name
//! that the operator gave.

use auth::Access;
use edge::{Code, Problem};
use http::{HeaderMap, Uri, header};

/// Refuses a foreign `Host` or `Origin`, saying why.
pub(super) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    access: &Access,
    hosts: &[String],
) -> Result<(), &'static str> {
    const OPEN: &str = "the Host header must be localhost, 127.0.0.1 or [::1]: without authentication this \
                        server answers programs of its own machine only";
    const NAMED: &str = "the Host header must be localhost, 127.0.0.1, [::1] or a name in [auth] hosts of the \
                         server's configuration";
    const ORIGIN: &str = "the Origin header names another site: this server answers its own pages only";
    let refused = if access.verifier().is_some() { NAMED } else { OPEN };
    let mut sent = headers.get_all(header::HOST).iter();
    let host = match (sent.next(), uri.authority()) {
        (Some(host), _) => host.to_str().map_err(|_| refused)?,
        (None, Some(authority)) => authority.as_str(),
        (None, None) => return Err(refused),
    };
    let name = without_port(host);
    let local = is_local(name);
    if sent.next().is_some() || !(local || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        return Err(refused);
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        // Under a name of its own the server may be behind a proxy that speaks TLS.
        let secure = origin.strip_prefix("https://").filter(|_| !local);
        let from = origin.strip_prefix("http://").or(secure);
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

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_local(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: Option<&str>, origin: Option<&str>) -> bool {
        allowed_as(&[], host, origin)
    }

    fn allowed_as(names: &[&str], host: Option<&str>, origin: Option<&str>) -> bool {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        check(&headers, &Uri::from_static("/v1/spend"), &Access::open(), &names).is_ok()
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

    #[test]
    fn names_that_the_operator_gave_are_hosts_too() {
        let names = ["ledger.example", "[2001:db8::1]"];
        for (host, origin) in [
            ("ledger.example", None),
            ("LEDGER.example:8080", None),
            ("[2001:db8::1]:8080", None),
            ("localhost:8080", Some("http://localhost:8080")),
            ("ledger.example", Some("https://ledger.example")),
            ("ledger.example:8080", Some("http://ledger.example:8080")),
        ] {
            assert!(allowed_as(&names, Some(host), origin), "{host} {origin:?}");
        }
        for (host, origin) in [
            ("evil.example", None),
            ("x.ledger.example", None),
            ("ledger.example.evil.example", None),
            ("[2001:db8::2]", None),
            ("ledger.example", Some("https://evil.example")),
            ("ledger.example", Some("https://ledger.example:444")),
            ("ledger.example", Some("null")),
            ("localhost:8080", Some("https://localhost:8080")),
        ] {
            assert!(!allowed_as(&names, Some(host), origin), "{host} {origin:?}");
        }
    }
}
