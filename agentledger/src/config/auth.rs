//! `[auth]`: who mints tokens, for which audience, and the names of this server.

use std::path::PathBuf;

use auth::{AUDIENCE, MAX_AUDIENCE_LEN};
use toml::{Table, Value};

use super::{ConfigError, string, wrong};

/// The keys of the table.
pub(super) const KEYS: &[&str] = &["public_keys", "audience", "hosts"];
/// The most names of a server.
const MAX_HOSTS: usize = 16;

/// How callers are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthConfig {
    /// A file, or a directory, of PEM public keys.
    pub(crate) public_keys: PathBuf,
    /// What tokens have to be for.
    pub(crate) audience: String,
    /// What `Host` may say, beside the names of this machine.
    pub(crate) hosts: Vec<String>,
}

/// Reads `[auth]`; an empty table turns nothing on.
pub(super) fn read(table: &Table) -> Result<Option<AuthConfig>, ConfigError> {
    let audience = string("auth", table, "audience")?;
    let visible = |text: &str| text.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if audience.as_ref().is_some_and(|a| a.is_empty() || a.len() > MAX_AUDIENCE_LEN || !visible(a)) {
        return Err(wrong("auth.audience", &format!("has 1 to {MAX_AUDIENCE_LEN} visible ASCII characters")));
    }
    let hosts = hosts(table)?;
    let Some(public_keys) = string("auth", table, "public_keys")? else {
        return match KEYS.iter().find(|key| table.contains_key(**key)) {
            // Otherwise a server would be open whose operator believes that it is not.
            Some(key) => Err(wrong(
                &format!("auth.{key}"),
                "does nothing without `auth.public_keys`, which turns authentication on",
            )),
            None => Ok(None),
        };
    };
    if public_keys.is_empty() {
        return Err(wrong("auth.public_keys", "is empty; name a file or a directory of PEM public keys"));
    }
    let audience = audience.unwrap_or_else(|| AUDIENCE.to_owned());
    Ok(Some(AuthConfig { public_keys: public_keys.into(), audience, hosts }))
}

fn hosts(table: &Table) -> Result<Vec<String>, ConfigError> {
    let path = "auth.hosts";
    let values = match table.get("hosts") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) if values.len() <= MAX_HOSTS => values,
        Some(Value::Array(_)) => return Err(wrong(path, &format!("names more than {MAX_HOSTS} hosts"))),
        Some(_) => return Err(wrong(path, "is no list such as [\"ledger.example\"]")),
    };
    let host = |value: &Value| match value.as_str() {
        Some(host) if is_host(host) => Ok(host.to_ascii_lowercase()),
        _ => {
            Err(wrong(path, "holds something else than names such as \"ledger.example\", without port or *"))
        }
    };
    values.iter().map(host).collect()
}

/// A name or an address as `Host` spells it, without a port.
fn is_host(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&text.len()) && text.bytes().all(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn authentication_is_on_where_keys_are_named() {
        let read = |toml: &str| Config::parse(toml).unwrap().auth;
        assert_eq!(read(""), None);
        assert_eq!(read("[auth]"), None);
        let auth = read("[auth]\npublic_keys='keys'").unwrap();
        assert_eq!((auth.audience.as_str(), auth.hosts.len()), ("agentledger", 0));
        let all = "[auth]\npublic_keys='k'\naudience='prod'\nhosts=['Ledger.example','[2001:db8::1]']";
        let auth = read(all).unwrap();
        assert_eq!(
            (auth.audience.as_str(), &*auth.hosts),
            ("prod", &["ledger.example".to_owned(), "[2001:db8::1]".to_owned()][..])
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (toml, words) in [
            ("audience='x'", "`auth.audience` does nothing without `auth.public_keys`"),
            ("hosts=['a']", "`auth.hosts` does nothing without `auth.public_keys`"),
            ("public_keys=''", "`auth.public_keys` is empty"),
            ("public_keys=['a']", "`auth.public_keys` is no string but array"),
            ("public_keys='k'\naudience=''", "`auth.audience` has 1 to 128"),
            ("public_keys='k'\nhosts='a'", "`auth.hosts` is no list"),
            ("public_keys='k'\nhosts=['a:80']", "without port"),
            ("public_keys='k'\nhosts=['*']", "without port or *"),
            ("public_keys='k'\nhosts=['https://a']", "without port"),
            ("public_keys='k'\nhosts=['']", "without port"),
            ("public_key='k'", "`auth.public_key` is not known; the nearest known key is `public_keys`"),
        ] {
            let error = Config::parse(&format!("[auth]\n{toml}")).unwrap_err().to_string();
            assert!(error.contains(words), "{toml}\n{error}");
        }
    }
}
