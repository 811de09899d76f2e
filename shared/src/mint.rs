//! The mint port: ids for events that come without one, so that tests can say which.

use uuid::Uuid;

use crate::id::OwnId;

/// Makes ids that were never made before.
pub trait Mint: Send + Sync {
    /// The next id.
    fn mint(&self) -> OwnId;
}

/// Version 7 UUIDs: unique without asking anybody, and in the order of their making.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidMint;

impl Mint for UuidMint {
    fn mint(&self) -> OwnId {
        let mut buffer = Uuid::encode_buffer();
        let text: &str = Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
        match OwnId::parse(text) {
            Ok(id) => id,
            // A UUID is 36 visible ASCII characters without a '#'.
            Err(_) => unreachable!("a UUID is an id"),
        }
    }
}
