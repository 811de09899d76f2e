//! Where alerts are sent: an https address, or plain http on this machine.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use crate::address;

/// The address of a receiver. Its path and query can hold a secret of the receiver, so neither is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    shown: String,
}

/// An address that alerts are not sent to. It does not repeat the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an address.
    #[error("is no address such as https://hooks.example.com/agentledger")]
    Syntax,
    /// A user name or a password in it.
    #[error("holds a user name or a password; leave them out, as deliveries are signed")]
    Credentials,
    /// Not encrypted.
    #[error(
        "is not https; plain http is for a receiver on this machine, by its number: http://127.0.0.1:PORT/…"
    )]
    NotHttps,
    /// An address that no receiver of alerts has.
    #[error("names {0}; give the address of the receiver itself")]
    Refused(address::Refused),
}

impl Target {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let uri: Uri = text.parse().map_err(|_| TargetError::Syntax)?;
        let scheme = uri.scheme_str().ok_or(TargetError::Syntax)?.to_owned();
        let authority = uri.authority().ok_or(TargetError::Syntax)?;
        let host = authority.host().to_owned();
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        if host.is_empty() || authority.as_str().ends_with(':') || text.contains('#') {
            return Err(TargetError::Syntax);
        }
        let literal = literal(&host);
        match scheme.as_str() {
            "https" => {}
            // By its number only: a name may lead elsewhere tomorrow.
            "http" if literal.is_some_and(|ip| ip.is_loopback()) => {}
            "http" => return Err(TargetError::NotHttps),
            _ => return Err(TargetError::Syntax),
        }
        if let Some(ip) = literal {
            address::check(ip).map_err(TargetError::Refused)?;
        }
        let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{scheme}://{host}{port}");
        Ok(Self { uri, shown })
    }

    /// The whole of it, to send to.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether it is encrypted.
    pub(crate) fn https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// Scheme, host and port.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.shown)
    }
}

/// A host that is a number, as it is written in a URL.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_plain_http_on_this_machine_are_taken() {
        for (text, shown) in [
            ("https://hooks.example/T0/SECRET?k=1", "https://hooks.example"),
            ("https://hooks.example:8443", "https://hooks.example:8443"),
            ("https://10.0.0.7/x", "https://10.0.0.7"),
            ("http://127.0.0.1:9/x", "http://127.0.0.1:9"),
            ("http://[::1]:9/", "http://[::1]:9"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.to_string(), shown);
            assert!(!format!("{target:?}").contains("SECRET"));
        }
    }

    #[test]
    fn what_is_not_sent_to_says_why_and_does_not_repeat_it() {
        for (text, words) in [
            ("", "is no address"),
            ("hooks.example/SECRET", "is no address"),
            ("ftp://hooks.example/SECRET", "is no address"),
            ("https://hooks.example/#SECRET", "is no address"),
            ("https://SECRET@hooks.example/", "a user name or a password"),
            ("https://a:SECRET@hooks.example/", "a user name or a password"),
            ("http://hooks.example/SECRET", "is not https"),
            ("http://localhost/SECRET", "is not https"),
            ("http://10.0.0.7/SECRET", "is not https"),
            ("https://169.254.169.254/SECRET", "a link-local address"),
            ("https://[fe80::1]/SECRET", "a link-local address"),
            ("https://[fd00:ec2::254]/SECRET", "metadata"),
            ("https://[::ffff:169.254.169.254]/SECRET", "a link-local address"),
            ("https://0.0.0.0/SECRET", "unspecified"),
            ("http://0.0.0.0/SECRET", "is not https"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
