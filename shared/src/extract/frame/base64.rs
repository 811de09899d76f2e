//! Base64 that comes in pieces.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const GROUP: usize = 4;

/// What is not base64, or does not end as it does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotBase64;

/// A decoder that holds what does not fill a group.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    held: Vec<u8>,
    padded: bool,
    decoded: Vec<u8>,
}

impl Decoder {
    pub(super) fn reset(&mut self) {
        self.held.clear();
        self.padded = false;
    }

    /// Decodes all groups that are complete; `with` gets their bytes. Where a group is wrong, `with` has got what
    /// was before it.
    pub(super) fn push(&mut self, text: &[u8], mut with: impl FnMut(&[u8])) -> Result<(), NotBase64> {
        self.held.extend_from_slice(text);
        let whole = self.held.len() / GROUP * GROUP;
        if whole == 0 {
            return Ok(());
        }
        if self.padded {
            return Err(NotBase64);
        }
        self.decoded.clear();
        let groups = &self.held[..whole];
        if ENGINE.decode_vec(groups, &mut self.decoded).is_ok() {
            self.padded = groups.ends_with(b"=");
            with(&self.decoded);
        } else {
            for group in groups.chunks(GROUP) {
                self.decoded.clear();
                if self.padded || ENGINE.decode_vec(group, &mut self.decoded).is_err() {
                    return Err(NotBase64);
                }
                self.padded = group.ends_with(b"=");
                with(&self.decoded);
            }
        }
        self.held.drain(..whole);
        Ok(())
    }

    /// The text ended: the last group may lack its padding.
    pub(super) fn finish(&mut self, mut with: impl FnMut(&[u8])) -> Result<(), NotBase64> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.decoded.clear();
        if self.padded || ENGINE.decode_vec(&self.held, &mut self.decoded).is_err() {
            return Err(NotBase64);
        }
        with(&self.decoded);
        Ok(())
    }
}
