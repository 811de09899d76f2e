//! What is kept of a document while it is scanned: everything else is passed over, whatever its size.

/// What to keep of a JSON value.
///
/// Null is kept as null, whatever is asked for. A number that is whole, not negative and within 64 bits is kept as
/// a number; any other (`0.00123`, `1e-05`, `-1`) as a *string* of its text, so that money that a provider states
/// stays exact.
///
/// Of what is passed over only the end is looked for: it need not be sound JSON.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// A number, a boolean, or a string of at most [`MAX_TEXT`] bytes. A longer string, an object and a list are
    /// left out.
    Scalar,
    /// That it is there, as `true`.
    Presence,
    /// All of it, as far as it is no larger than [`MAX_KEPT`] with all else that is kept of the document: the
    /// document counts as broken otherwise.
    All,
    /// These members of an object, by name; an object without any of them is kept as an empty one. A list is
    /// looked through: it gives the list of what is kept of each of its elements, without the empty objects, and
    /// no more than [`MAX_ELEMENTS`]. What is neither is kept as by [`Keep::Scalar`], a string too long as `true`.
    Members(&'static [(&'static str, Keep)]),
}

impl Keep {
    /// Whether all that is asked for can be found: names of at most [`MAX_NAME`] bytes, at most [`MAX_MEMBERS`] of an
    /// object, and none twice.
    pub fn is_sound(&self) -> bool {
        let Self::Members(members) = self else { return true };
        members.len() <= MAX_MEMBERS
            && members.iter().enumerate().all(|(index, (name, keep))| {
                let twice = members[..index].iter().any(|(other, _)| other == name);
                name.len() <= MAX_NAME && !twice && keep.is_sound()
            })
    }
}

/// The longest string that is kept, in bytes as it stands in the document: ids and names are shorter.
pub const MAX_TEXT: usize = 1024;
/// The most that is kept of one document: the bytes of its texts and names, and what they cost besides
/// ([`VALUE_COST`], [`CONTAINER_COST`]), as an object takes hundreds of bytes, however small it is.
pub const MAX_KEPT: usize = 64 * 1024;
/// The most elements that are kept of a list that is looked through. A list of so many may have had more: whoever
/// counts its elements cannot know.
pub const MAX_ELEMENTS: usize = 128;
/// The longest name of a member that can be asked for, in bytes.
pub const MAX_NAME: usize = 64;
/// The most members of one object that can be asked for.
pub const MAX_MEMBERS: usize = 128;
/// The deepest nesting within what is kept. What is passed over may nest as it likes.
pub const MAX_DEPTH: usize = 128;
/// What each kept value counts for besides its text.
pub const VALUE_COST: usize = 16;
/// What each kept object or list counts for besides what it holds.
pub const CONTAINER_COST: usize = 96;

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::{Keep, MAX_ELEMENTS, MAX_MEMBERS, MAX_NAME, MAX_TEXT};

    #[test]
    fn what_could_never_be_found_is_not_asked_for() {
        assert!(Keep::Members(&[("a", Keep::All), ("b", Keep::Members(&[("a", Keep::All)]))]).is_sound());
        assert!(!Keep::Members(&[("a", Keep::All), ("b", Keep::All), ("a", Keep::Scalar)]).is_sound());
        let name: &'static str = "n".repeat(MAX_NAME + 1).leak();
        let long: &'static [_] = vec![(name, Keep::All)].leak();
        assert!(!Keep::Members(vec![("a", Keep::Members(long))].leak()).is_sound());
        let many = (0..=MAX_MEMBERS).map(|n| (&*n.to_string().leak(), Keep::All)).collect::<Vec<_>>();
        assert!(!Keep::Members(many.leak()).is_sound());
    }

    /// What `keep` keeps of a value, told plainly; none where that is nothing. Without the bound on all of it.
    pub(in crate::extract) fn filter(keep: &Keep, value: &Value) -> Option<Value> {
        match (keep, value) {
            (_, Value::Null) => Some(Value::Null),
            (Keep::Presence, _) => Some(Value::Bool(true)),
            (Keep::Scalar, Value::Object(_) | Value::Array(_)) => None,
            (Keep::Scalar, Value::String(text)) if text.len() > MAX_TEXT => None,
            (Keep::Members(_), Value::String(text)) if text.len() > MAX_TEXT => Some(Value::Bool(true)),
            (_, Value::Number(n)) if !n.is_u64() => Some(Value::String(n.to_string())),
            (Keep::All, Value::Array(items)) => {
                Some(items.iter().filter_map(|item| filter(keep, item)).collect())
            }
            (Keep::All, Value::Object(members)) => Some(Value::Object(
                members
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), filter(keep, value)?)))
                    .collect(),
            )),
            (Keep::Members(_), Value::Array(items)) => {
                let kept = items.iter().filter_map(|item| filter(keep, item));
                let kept = kept.filter(|item| item.as_object().is_none_or(|object| !object.is_empty()));
                Some(kept.take(MAX_ELEMENTS).collect())
            }
            (Keep::Members(wanted), Value::Object(members)) => Some(Value::Object(
                wanted
                    .iter()
                    .filter_map(|(name, keep)| Some(((*name).to_owned(), filter(keep, members.get(*name)?)?)))
                    .collect(),
            )),
            (_, scalar) => Some(scalar.clone()),
        }
    }
}
