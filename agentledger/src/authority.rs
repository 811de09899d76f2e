//! What tokens are held to while the server runs: the public keys on disk and the revocations in the ledger,
//! both looked at every ten seconds, so that neither a rotation nor a revocation needs a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::{Access, KeyFileError, Verifier, read_public_keys};
use local::ledger::SqliteLedger;
use shared::clock::SystemClock;
use shared::ledger::LedgerError;

use crate::config::AuthConfig;

/// How often: a revocation by another process acts within this, and so does a key that was taken away.
const EVERY: Duration = Duration::from_secs(10);

/// Keeps a verifier up to date.
#[derive(Clone)]
pub(crate) struct Authority {
    keys: PathBuf,
    verifier: Arc<Verifier>,
}

impl Authority {
    /// Reads the keys. Without any, nobody could ask, so that is an error.
    pub(crate) fn open(config: &AuthConfig) -> Result<Self, KeyFileError> {
        let keys = read_public_keys(&config.public_keys)?;
        let verifier = Arc::new(Verifier::new(keys, config.audience.clone(), Arc::new(SystemClock)));
        tracing::info!(keys = names(&verifier), audience = config.audience, "tokens are asked for");
        Ok(Self { keys: config.public_keys.clone(), verifier })
    }

    /// For the handlers.
    pub(crate) fn access(&self) -> Access {
        Access::tokens(Arc::clone(&self.verifier))
    }

    /// Takes in the revocations of the ledger.
    pub(crate) async fn refresh(&self, ledger: &SqliteLedger) -> Result<(), LedgerError> {
        self.verifier.refresh(ledger).await
    }

    /// Looks again and again, for as long as it is polled.
    pub(crate) async fn keep(self, ledger: Arc<SqliteLedger>) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            let (authority, ledger) = (self.clone(), Arc::clone(&ledger));
            let runtime = tokio::runtime::Handle::current();
            // Files and SQLite block where they are asked.
            let round = tokio::task::spawn_blocking(move || {
                authority.read_keys();
                if let Err(error) = runtime.block_on(authority.refresh(&ledger)) {
                    tracing::error!(%error, "the revocations cannot be read; those known still hold");
                }
            });
            if let Err(error) = round.await {
                tracing::error!(%error, "keys and revocations were not looked at; they will be in ten seconds");
            }
        }
    }

    fn read_keys(&self) {
        match read_public_keys(&self.keys) {
            Ok(keys) => {
                let before = self.verifier.key_ids();
                self.verifier.set_keys(keys);
                if self.verifier.key_ids() != before {
                    tracing::info!(keys = names(&self.verifier), "the public keys have changed");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the public keys cannot be read; those read last still hold");
            }
        }
    }
}

fn names(verifier: &Verifier) -> String {
    verifier.key_ids().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
