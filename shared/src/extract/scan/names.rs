//! Finding a member by its name among the many that are asked for at the top of a document.

use std::sync::{Arc, OnceLock};

use crate::extract::keep::{Keep, MAX_MEMBERS};

type Members = &'static [(&'static str, Keep)];

const BUCKETS: usize = 64;

/// The members at the top, in buckets: of other objects few members are asked for.
#[derive(Debug)]
pub(super) struct Names {
    top: Members,
    /// A bit for each member whose name falls there.
    buckets: Box<[u128; BUCKETS]>,
}

/// The first tree that is asked for, which mostly is the only one of a process.
static FIRST: OnceLock<(&'static Keep, Arc<Names>)> = OnceLock::new();

impl Names {
    /// Those of a tree. They are made once for all responses.
    pub(super) fn of(keep: &'static Keep) -> Arc<Self> {
        let (known, names) = FIRST.get_or_init(|| (keep, Arc::new(Self::new(keep))));
        if std::ptr::eq(*known, keep) { Arc::clone(names) } else { Arc::new(Self::new(keep)) }
    }

    fn new(keep: &Keep) -> Self {
        let top: Members = if let Keep::Members(members) = keep { members } else { &[] };
        let mut buckets = Box::new([0; BUCKETS]);
        // More than there are bits for are looked through one by one.
        let top = if top.len() > MAX_MEMBERS { &[] } else { top };
        for (index, (name, _)) in top.iter().enumerate() {
            buckets[bucket(name.as_bytes())] |= 1 << index;
        }
        Self { top, buckets }
    }

    /// Which of the members has this name.
    pub(super) fn find(&self, members: Members, name: &[u8]) -> Option<usize> {
        if !std::ptr::eq(members, self.top) {
            return members.iter().position(|(wanted, _)| wanted.as_bytes() == name);
        }
        let mut left = self.buckets[bucket(name)];
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            if members[index].0.as_bytes() == name {
                return Some(index);
            }
            left &= left - 1;
        }
        None
    }
}

fn bucket(name: &[u8]) -> usize {
    let byte = |at: Option<&u8>| at.map_or(0, |byte| usize::from(*byte));
    (name.len() * 7 + byte(name.first()) * 3 + byte(name.last())) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEEP: Keep = Keep::Members(&[
        ("usage", Keep::All),
        ("", Keep::All),
        ("model", Keep::Members(&[("usage", Keep::All)])),
        ("ugage", Keep::All),
    ]);

    #[test]
    fn names_of_one_bucket_are_told_apart() {
        let names = Names::new(&KEEP);
        let Keep::Members(top) = KEEP else { unreachable!() };
        for (index, (name, _)) in top.iter().enumerate() {
            assert_eq!(names.find(names.top, name.as_bytes()), Some(index), "{name}");
        }
        assert_eq!(bucket(b"usage"), bucket(b"ugage"));
        assert_eq!(names.find(names.top, b"umage"), None);
        let Keep::Members(inner) = top[2].1 else { unreachable!() };
        assert_eq!((names.find(inner, b"usage"), names.find(inner, b"model")), (Some(0), None));
    }
}
