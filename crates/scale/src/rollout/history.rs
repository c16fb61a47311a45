//! The versions that were rolled out, and the way back to them.
//!
//! Invariant: one version is the current one, and no two entries are of the same version.

use std::{fmt, num::NonZeroU64};

/// How many earlier versions are kept, as Kubernetes does unless it is told otherwise. Those of which replicas are left are kept
/// on top of that, since more of their kind may be needed.
pub const EARLIER_MAX: usize = 10;

/// What a replica runs. A version that is rolled out again stays the same one, so that replicas left of it are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(NonZeroU64);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{}", self.0)
    }
}

/// The number of a roll-out: the highest is the current one, and a version that is rolled out again gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(NonZeroU64);

impl Revision {
    /// The number, from 1.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl From<NonZeroU64> for Revision {
    fn from(number: NonZeroU64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A version in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// The number of its last roll-out.
    pub revision: Revision,
    /// Which version.
    pub version: Version,
    /// What is started for it.
    pub template: T,
    /// Whether it was ever complete: every desired replica was of it, and available.
    pub record: Record,
}

/// What is known of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It was never complete.
    Unproven,
    /// It was complete, so it can be gone back to without anybody looking.
    Proven,
}

/// Where to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the one before the current one.
    Previous,
    /// To this one.
    Revision(Revision),
}

/// Why there is no way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// There was only one.
    #[error("there is no earlier revision")]
    NoEarlier,
    /// It is not in the history.
    #[error("there is no revision {revision} in the history")]
    Unknown {
        /// The one that was asked for.
        revision: Revision,
    },
    /// It is there.
    #[error("revision {revision} is the current one")]
    Current {
        /// The one that was asked for.
        revision: Revision,
    },
    /// Nothing is rolled out for the time being.
    #[error("the rollout is paused: resume it first")]
    Paused,
}

/// The current version and those before it.
#[derive(Clone, Debug)]
pub(super) struct History<T> {
    current: Entry<T>,
    /// By revision.
    earlier: Vec<Entry<T>>,
    next_version: Version,
}

impl<T> History<T> {
    pub(super) fn new(template: T) -> Self {
        let version = Version(NonZeroU64::MIN);
        let revision = Revision(NonZeroU64::MIN);
        let current = Entry { revision, version, template, record: Record::Unproven };
        Self { current, earlier: Vec::new(), next_version: Version(version.0.saturating_add(1)) }
    }

    pub(super) fn current(&self) -> &Entry<T> {
        &self.current
    }

    /// By revision, the current one last.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.earlier.iter().chain([&self.current])
    }

    /// Makes another version the current one.
    pub(super) fn add(&mut self, template: T) {
        let version = self.next_version;
        self.next_version = Version(version.0.saturating_add(1));
        let (revision, record) = (self.next_revision(), Record::Unproven);
        self.push(Entry { revision, version, template, record });
    }

    /// Makes the latest earlier version with this template the current one, if there is any.
    pub(super) fn readopt(&mut self, template: &T) -> Option<Revision>
    where
        T: PartialEq,
    {
        let at = self.earlier.iter().rposition(|entry| entry.template == *template)?;
        Some(self.return_to(at))
    }

    /// Makes an earlier version the current one.
    pub(super) fn undo(&mut self, target: Target) -> Result<Revision, UndoError> {
        let at = match target {
            Target::Previous => self.earlier.len().checked_sub(1).ok_or(UndoError::NoEarlier)?,
            Target::Revision(revision) if revision == self.current.revision => {
                return Err(UndoError::Current { revision });
            }
            Target::Revision(revision) => self
                .earlier
                .iter()
                .position(|entry| entry.revision == revision)
                .ok_or(UndoError::Unknown { revision })?,
        };
        Ok(self.return_to(at))
    }

    /// Makes the latest earlier version that was complete the current one, if there is any.
    pub(super) fn undo_to_proven(&mut self) -> Option<Revision> {
        let at = self.earlier.iter().rposition(|entry| entry.record == Record::Proven)?;
        Some(self.return_to(at))
    }

    /// Notes that the current version is complete.
    pub(super) fn prove(&mut self) {
        self.current.record = Record::Proven;
    }

    /// Forgets the earliest versions above [`EARLIER_MAX`] that nothing runs of.
    pub(super) fn prune(&mut self, runs: impl Fn(Version) -> bool) {
        let mut idle = self.earlier.iter().filter(|entry| !runs(entry.version)).count();
        self.earlier.retain(|entry| {
            let forgotten = idle > EARLIER_MAX && !runs(entry.version);
            idle -= usize::from(forgotten);
            !forgotten
        });
    }

    fn return_to(&mut self, at: usize) -> Revision {
        let revision = self.next_revision();
        let entry = self.earlier.remove(at);
        self.push(Entry { revision, ..entry });
        revision
    }

    fn push(&mut self, entry: Entry<T>) {
        self.earlier.push(std::mem::replace(&mut self.current, entry));
    }

    fn next_revision(&self) -> Revision {
        Revision(self.current.revision.0.saturating_add(1))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::rollout) fn version(number: u64) -> Version {
        Version(NonZeroU64::new(number).unwrap())
    }

    fn revision(number: u64) -> Revision {
        Revision(NonZeroU64::new(number).unwrap())
    }

    fn shown(history: &History<char>) -> String {
        let entries: Vec<_> = history
            .entries()
            .map(|entry| format!("{}:{}{}", entry.revision, entry.template, entry.version))
            .collect();
        entries.join(" ")
    }

    fn history(templates: &str) -> History<char> {
        let mut templates = templates.chars();
        let mut history = History::new(templates.next().unwrap());
        templates.for_each(|template| history.add(template));
        history
    }

    #[test]
    fn a_version_that_is_rolled_out_again_is_the_same_under_another_revision() {
        let mut history = history("abc");
        assert_eq!(history.undo(Target::Previous), Ok(revision(4)));
        assert_eq!(shown(&history), "1:av1 3:cv3 4:bv2");
        assert_eq!(history.undo(Target::Previous), Ok(revision(5)));
        assert_eq!(shown(&history), "1:av1 4:bv2 5:cv3");
        assert_eq!(history.undo(Target::Revision(revision(1))), Ok(revision(6)));
        assert_eq!(shown(&history), "4:bv2 5:cv3 6:av1");
        history.add('d');
        assert_eq!(shown(&history), "4:bv2 5:cv3 6:av1 7:dv4");
    }

    #[test]
    fn a_template_is_found_again_in_its_latest_version() {
        let mut history = history("aab");
        assert_eq!(history.readopt(&'x'), None);
        assert_eq!(history.readopt(&'a'), Some(revision(4)));
        assert_eq!(shown(&history), "1:av1 3:bv3 4:av2");
    }

    #[test]
    fn there_is_no_way_back_to_what_is_not_there() {
        let mut only = history("a");
        assert_eq!(only.undo(Target::Previous), Err(UndoError::NoEarlier));
        assert_eq!(
            only.undo(Target::Revision(revision(1))),
            Err(UndoError::Current { revision: revision(1) })
        );
        assert_eq!(
            only.undo(Target::Revision(revision(2))),
            Err(UndoError::Unknown { revision: revision(2) })
        );
        assert_eq!(only.undo_to_proven(), None);
    }

    #[test]
    fn without_anybody_looking_only_a_proven_version_is_gone_back_to() {
        let mut history = history("a");
        history.prove();
        history.add('b');
        history.add('c');
        assert_eq!(history.undo_to_proven(), Some(revision(4)));
        assert_eq!(history.current().template, 'a');
        assert_eq!(history.undo_to_proven(), None);
    }

    #[test]
    fn ten_earlier_versions_are_kept_and_those_with_replicas() {
        let mut history = history("abcdefghijklmnop");
        history.prune(|kept| kept == version(2));
        let kept: String = history.entries().map(|entry| entry.template).collect();
        assert_eq!(kept, "bfghijklmnop");
        history.prune(|_| false);
        let kept: String = history.entries().map(|entry| entry.template).collect();
        assert_eq!(kept, "fghijklmnop");
    }
}
