//! Where revocations are published, asked for, and followed: a stream in Redis, or a table in the embedded state.
//!
//! Invariant: an entry that was published before a [`Page`] was asked for is in that page or in one before it, once a page is the
//! last for the moment. That holds through reconnections, since a follower knows where it was; it notices a feed that has lost
//! what it had read, by its last entry, which is looked for with every page.
//! Elsewhere: what is done with the pages (`super::upkeep`).

mod embedded;
mod redis;

use self::{
    embedded::{EmbeddedFeed, EmbeddedFollower},
    redis::{RedisFeed, RedisFollower},
};
use super::entry::{Entry, Marks};
use crate::{SharedState, StateError, state::Store};

/// Entries of one page, and of one publication. A thousand of them are about 100 KiB.
pub(super) const BATCH: usize = 1000;

/// The feed of one store.
pub(super) enum Feed {
    Redis(RedisFeed),
    Embedded(EmbeddedFeed),
}

/// Reads a feed from its beginning to its end, and on.
pub(super) enum Follower {
    Redis(RedisFollower),
    Embedded(EmbeddedFollower),
}

/// What one look at a feed showed.
#[derive(Debug)]
pub(super) enum Page {
    /// What follows on the page before.
    Next {
        entries: Vec<Entry>,
        /// What the feed holds that no version of this program wrote, or only a later one.
        unreadable: u64,
        end: PageEnd,
    },
    /// The feed no longer has the last entry that was read: it was lost, or is over and was removed. The next page begins at the
    /// feed's beginning.
    Restarted,
}

/// Whether a page goes as far as the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageEnd {
    /// There was nothing more.
    OfFeed,
    /// There may be more.
    OfPage,
}

impl Feed {
    pub(super) fn of(state: &SharedState) -> Self {
        match &state.store {
            Store::Redis(link) => Self::Redis(RedisFeed::new(link.clone())),
            Store::Embedded(state) => Self::Embedded(EmbeddedFeed::new(state.clone())),
        }
    }

    /// Stores entries, of which there are at most [`BATCH`]; all or none. `now` is in Unix seconds.
    pub(super) async fn publish(&self, entries: &[Entry], now: u64) -> Result<(), StateError> {
        match self {
            Self::Redis(feed) => feed.publish(entries, now).await,
            Self::Embedded(feed) => feed.publish(entries, now).await,
        }
    }

    /// What the store holds about the session and the subject of a token.
    pub(super) async fn ask(&self, marks: &Marks<'_>) -> Result<Vec<Entry>, StateError> {
        match self {
            Self::Redis(feed) => feed.ask(marks).await,
            Self::Embedded(feed) => feed.ask(marks).await,
        }
    }

    /// Another reader, which begins at the beginning.
    pub(super) fn follower(&self) -> Follower {
        match self {
            Self::Redis(feed) => Follower::Redis(feed.follower()),
            Self::Embedded(feed) => Follower::Embedded(feed.follower()),
        }
    }
}

impl Follower {
    /// The next page; where there is nothing to read, after a moment's wait for something. After an error it goes on where it was.
    pub(super) async fn next(&mut self) -> Result<Page, StateError> {
        match self {
            Self::Redis(follower) => follower.next().await,
            Self::Embedded(follower) => follower.next().await,
        }
    }
}

impl PageEnd {
    fn after(rows: usize) -> Self {
        if rows < BATCH { Self::OfFeed } else { Self::OfPage }
    }
}
