//! The token that a command sends to a server: from a file or the environment, never from the command line,
//! which other users of the machine can read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use auth::MAX_TOKEN_BYTES;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::Misuse;

const VARIABLE: &str = "AGENTLEDGER_TOKEN";

/// A token to send.
pub(crate) struct Bearer(Zeroizing<String>);

impl Bearer {
    /// What the file holds, or else the environment.
    pub(super) fn find(file: Option<&Path>) -> anyhow::Result<Option<Self>> {
        match file {
            Some(path) => {
                let mut text = Zeroizing::new(String::new());
                File::open(path)
                    .and_then(|file| file.take(MAX_TOKEN_BYTES as u64 + 2).read_to_string(&mut text))
                    .map_err(|e| Misuse(format!("--token-file {}: {e}", path.display())))?;
                Self::read(&text, &format!("--token-file {}", path.display())).map(Some)
            }
            None => match std::env::var(VARIABLE) {
                Ok(text) if !text.is_empty() => Self::read(&Zeroizing::new(text), VARIABLE).map(Some),
                Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => Self::read("", VARIABLE).map(Some),
            },
        }
    }

    fn read(text: &str, from: &str) -> anyhow::Result<Self> {
        let token = text.trim();
        let visible = token.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !visible {
            let reason = "holds no token; put in what `agentledger token mint` printed, and nothing else";
            return Err(Misuse(format!("{from} {reason}")).into());
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// The header's value, which is not shown in any log.
    pub(super) fn header(&self) -> anyhow::Result<HeaderValue> {
        let text = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        let mut value = HeaderValue::from_str(&text).context("the token is no header value")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Off this machine, plain HTTP shows the token to everybody on the way.
pub(super) fn warn_of_plaintext(base: &str) {
    let Some(authority) = base.strip_prefix("http://") else { return };
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let loopback = host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    if !loopback && !host.eq_ignore_ascii_case("localhost") && host != "[::1]" {
        tracing::warn!(
            host,
            "the token goes over plain HTTP to another machine; use a tunnel, or a TLS proxy"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_token_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let find = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Bearer::find(Some(&file))
        };
        let found = find("a.b.c\n").unwrap().unwrap();
        assert_eq!(found.header().unwrap(), "Bearer a.b.c");
        assert!(found.header().unwrap().is_sensitive());
        for text in ["", "\n", "a.b.c d.e.f", "a\u{7f}", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
            let error = find(text).err().unwrap();
            assert!(error.is::<Misuse>(), "{text:.20}");
            assert!(!error.to_string().contains("a.b.c"), "{error}");
        }
        assert!(Bearer::find(Some(&dir.path().join("none"))).err().unwrap().is::<Misuse>());
    }
}
