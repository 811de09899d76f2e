//! What is kept of a document while it is scanned: everything else is passed over, whatever its size.

/// What to keep of a JSON value. A list is looked through: what holds for a value holds for each of its
/// elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    /// A number, a boolean, null, or a string of at most [`MAX_TEXT`] bytes. A longer string, an object and a
    /// list are left out.
    Scalar,
    /// That it is there, as `true`; null as null.
    Presence,
    /// All of it, as far as it is no larger than [`MAX_KEPT`] with all else that is kept of the document.
    All,
    /// These members of an object, by name.
    Members(&'static [(&'static str, Keep)]),
}

/// The longest string that is kept, in bytes as it stands in the document: ids and names are shorter.
pub(super) const MAX_TEXT: usize = 1024;
/// The most that is kept of one document, in bytes as they stand in it.
pub(super) const MAX_KEPT: usize = 64 * 1024;
