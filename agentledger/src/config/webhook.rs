//! `[alerts]`: the webhook. The secret is in a file of its own, so that the configuration can be shown around.

use std::path::PathBuf;
use std::time::Duration;

use ::webhook::{Pace, SecretError, SecretFile, Target, WebhookConfig};
use toml::Table;

use super::{ConfigError, string, whole, wrong};

/// The keys of `[alerts]`.
pub(crate) const ALERT_KEYS: [&str; 3] = ["webhook_url", "webhook_secret_file", "webhook_timeout_seconds"];

/// The longest time-out: an attempt holds up what comes after it.
const MAX_TIMEOUT: u32 = 30;
const DEFAULT_TIMEOUT: u32 = 10;

/// The webhook as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookSettings {
    target: Target,
    secret_file: PathBuf,
    timeout_seconds: u32,
}

impl WebhookSettings {
    /// Reads the secret.
    pub(crate) fn open(&self) -> Result<WebhookConfig, SecretError> {
        Ok(WebhookConfig {
            target: self.target.clone(),
            secrets: SecretFile::open(&self.secret_file)?,
            timeout: Duration::from_secs(self.timeout_seconds.into()),
            pace: Pace::default(),
        })
    }
}

/// Reads `[alerts]`.
pub(super) fn read(path: &str, table: &Table) -> Result<Option<WebhookSettings>, ConfigError> {
    let at = |key: &str| format!("{path}.{key}");
    let [url_key, secret_key, timeout_key] = ALERT_KEYS;
    let url = string(path, table, url_key)?;
    let secret_file = string(path, table, secret_key)?;
    let timeout = whole(path, table, timeout_key, 1..=MAX_TIMEOUT)?;
    let Some(url) = url else {
        let stray = secret_file.map(|_| secret_key).or(timeout.map(|_| timeout_key));
        let missing = |_| wrong(&at(url_key), "is missing; the other settings of [alerts] are for it");
        return stray.map_or(Ok(None), |key| Err(missing(key)));
    };
    let target = Target::parse(&url).map_err(|error| wrong(&at(url_key), &error.to_string()))?;
    let Some(secret_file) = secret_file.map(PathBuf::from) else {
        let reason = "is missing; a receiver tells our alerts from forged ones by their signature";
        return Err(wrong(&at(secret_key), reason));
    };
    let timeout_seconds = timeout.unwrap_or(DEFAULT_TIMEOUT);
    Ok(Some(WebhookSettings { target, secret_file, timeout_seconds }))
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const URL: &str = "webhook_url='https://hooks.example/SECRET'";
    const FILE: &str = "webhook_secret_file='/nowhere/webhook.secret'";

    #[test]
    fn a_webhook_is_read() {
        let webhook = |rest: &str| Config::parse(&format!("[alerts]\n{rest}")).unwrap().webhook;
        assert_eq!(webhook(""), None);
        let read = webhook(&format!("{URL}\n{FILE}")).unwrap();
        assert_eq!((read.target.to_string().as_str(), read.timeout_seconds), ("https://hooks.example", 10));
        let other = webhook(&format!("{URL}\n{FILE}\nwebhook_timeout_seconds=3")).unwrap();
        assert_eq!(other.timeout_seconds, 3);
        let error = read.open().unwrap_err().to_string();
        assert!(error.contains("/nowhere/webhook.secret: cannot be read"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_without_the_address() {
        for (toml, words) in [
            (URL.to_owned(), "`alerts.webhook_secret_file` is missing"),
            (FILE.to_owned(), "`alerts.webhook_url` is missing"),
            ("webhook_timeout_seconds=3".to_owned(), "`alerts.webhook_url` is missing"),
            (format!("{URL}\n{FILE}\nwebhook_timeout_seconds=31"), "is no whole number from 1 to 30"),
            (
                format!("webhook_url='http://hooks.example/SECRET'\n{FILE}"),
                "`alerts.webhook_url` is not https",
            ),
            (format!("webhook_url='https://u:SECRET@hooks.example'\n{FILE}"), "a user name or a password"),
            (format!("webhook_url='https://169.254.169.254/SECRET'\n{FILE}"), "names a link-local address"),
            ("webhok_url='SECRET'".to_owned(), "the nearest known key is `webhook_url`"),
        ] {
            let error = Config::parse(&format!("[alerts]\n{toml}")).unwrap_err().to_string();
            assert!(error.contains(words), "{toml}\n{error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
