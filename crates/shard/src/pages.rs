//! Pages over all shards: each shard gives a sorted page of its rows behind a key, and merged they are one page of the whole.
//!
//! The key orders the rows and is unique over all shards, so it ends in the id. A row that two shards give, as may be while it
//! moves, counts once.
//!
//! Invariant: pages one after another are the whole set in order, without a row twice and without a gap, whatever the sizes of the
//! shards' pages.
//! Elsewhere: the statement, which takes the cursor's key, a limit, and reads one row more or says otherwise how it ended.

mod cursor;

use std::{collections::VecDeque, num::NonZeroUsize};

pub use self::cursor::{Cursor, CursorError, KEY_PARTS_MAX, KEY_TEXT_BYTES_MAX, KeyPart, KeyTooLarge};

/// What one shard gave: rows behind the cursor in ascending order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardPage<T> {
    /// These are all that are left.
    Last(Vec<T>),
    /// There may be others behind these.
    Part(Vec<T>),
}

/// A page of all shards together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// Its rows, in order.
    pub items: Vec<T>,
    /// The key that the next page begins behind; none if there is nothing left.
    pub next: Option<K>,
}

/// Why pages cannot be merged. Each says that a statement is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The rows of a shard do not ascend.
    #[error("the rows of page {page} do not ascend")]
    Unsorted {
        /// Of which page, counted from 0.
        page: usize,
    },
    /// A shard gave no row though there may be others, so that nobody can say where to go on.
    #[error("page {page} is empty and not the last one")]
    Empty {
        /// Which page, counted from 0.
        page: usize,
    },
}

/// The first rows of all `pages` together, at most `limit`. Fewer are no sign of the end: only `next` is.
pub fn merge<T, K: Ord>(
    pages: Vec<ShardPage<T>>,
    limit: NonZeroUsize,
    key: impl Fn(&T) -> K,
) -> Result<Page<T, K>, MergeError> {
    let mut sources = pages
        .into_iter()
        .enumerate()
        .map(|(number, page)| Source::new(number, page, &key))
        .collect::<Result<Vec<_>, _>>()?;
    let mut items = Vec::new();
    let mut last = None;
    while items.len() < limit.get() {
        // Behind the end of a part may be rows that come before all the others have.
        if sources.iter().any(Source::is_cut_off) {
            break;
        }
        let Some((first, item)) = take_least(&mut sources) else { break };
        for source in &mut sources {
            source.pass(&first);
        }
        items.push(item);
        last = Some(first);
    }
    let is_over = sources.iter().all(Source::is_over);
    Ok(Page { items, next: last.filter(|_| !is_over) })
}

/// What is left of one shard's page. There are few shards, so that a scan finds the least row as fast as a heap would.
struct Source<T, K> {
    rows: VecDeque<(K, T)>,
    is_last: bool,
}

impl<T, K: Ord> Source<T, K> {
    fn new(number: usize, page: ShardPage<T>, key: impl Fn(&T) -> K) -> Result<Self, MergeError> {
        let (items, is_last) = match page {
            ShardPage::Last(items) => (items, true),
            ShardPage::Part(items) if items.is_empty() => return Err(MergeError::Empty { page: number }),
            ShardPage::Part(items) => (items, false),
        };
        let rows: Vec<_> = items.into_iter().map(|item| (key(&item), item)).collect();
        if !rows.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(MergeError::Unsorted { page: number });
        }
        Ok(Self { rows: rows.into(), is_last })
    }

    fn is_cut_off(&self) -> bool {
        self.rows.is_empty() && !self.is_last
    }

    fn is_over(&self) -> bool {
        self.rows.is_empty() && self.is_last
    }

    /// Drops the row of this key, which another shard has given.
    fn pass(&mut self, key: &K) {
        self.rows.pop_front_if(|(first, _)| first == key);
    }
}

fn take_least<T, K: Ord>(sources: &mut [Source<T, K>]) -> Option<(K, T)> {
    let begun = sources.iter_mut().filter(|source| !source.rows.is_empty());
    begun.min_by(|one, other| one.rows[0].0.cmp(&other.rows[0].0))?.rows.pop_front()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn merged(pages: Vec<ShardPage<u32>>, limit: usize) -> Result<Page<u32, u32>, MergeError> {
        merge(pages, NonZeroUsize::new(limit).unwrap(), |row| *row)
    }

    fn page(items: &[u32], next: Option<u32>) -> Result<Page<u32, u32>, MergeError> {
        Ok(Page { items: items.to_vec(), next })
    }

    #[test]
    fn pages_are_merged_up_to_the_limit_and_to_where_they_are_known() {
        use ShardPage::{Last, Part};
        for (pages, limit, expected) in [
            (vec![], 3, page(&[], None)),
            (vec![Last(vec![]), Last(vec![])], 3, page(&[], None)),
            (vec![Last(vec![1, 4]), Last(vec![2, 3])], 4, page(&[1, 2, 3, 4], None)),
            (vec![Last(vec![1, 4]), Last(vec![2, 3])], 3, page(&[1, 2, 3], Some(3))),
            // Nobody knows whether the first has a 3.
            (vec![Part(vec![1, 2]), Last(vec![4])], 9, page(&[1, 2], Some(2))),
            (vec![Part(vec![1, 2]), Last(vec![])], 2, page(&[1, 2], Some(2))),
            // One row on two shards.
            (vec![Last(vec![1, 2]), Last(vec![2, 3])], 9, page(&[1, 2, 3], None)),
            (vec![Last(vec![1]), Last(vec![1])], 1, page(&[1], None)),
            (vec![Last(vec![1]), Last(vec![3, 2])], 9, Err(MergeError::Unsorted { page: 1 })),
            (vec![Last(vec![1]), Last(vec![2, 2])], 9, Err(MergeError::Unsorted { page: 1 })),
            (vec![Part(vec![]), Last(vec![2])], 9, Err(MergeError::Empty { page: 0 })),
        ] {
            assert_eq!(merged(pages.clone(), limit), expected, "{pages:?}");
        }
    }

    /// What a shard gives: at most `size` rows behind `after`.
    fn shard_page(rows: &BTreeSet<u32>, after: Option<u32>, size: usize) -> ShardPage<u32> {
        let behind: Vec<_> =
            rows.iter().copied().filter(|row| after.is_none_or(|after| *row > after)).collect();
        if behind.len() <= size { ShardPage::Last(behind) } else { ShardPage::Part(behind[..size].to_vec()) }
    }

    proptest! {
        #[test]
        fn pages_one_after_another_are_the_whole_set(
            shards in prop::collection::vec(prop::collection::btree_set(0_u32..200, 0..40), 1..6),
            limits in prop::collection::vec(1_usize..15, 1..5),
            sizes in prop::collection::vec(1_usize..15, 1..7),
        ) {
            let (mut limits, mut sizes) = (limits.into_iter().cycle(), sizes.into_iter().cycle());
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let pages = shards.iter().map(|rows| shard_page(rows, after, sizes.next().unwrap())).collect();
                let limit = limits.next().unwrap();
                let page = merged(pages, limit).unwrap();
                prop_assert!(page.items.len() <= limit);
                prop_assert!(page.next.is_none() || page.next == page.items.last().copied());
                seen.extend(page.items);
                let Some(next) = page.next else { break };
                after = Some(next);
            }
            let whole: BTreeSet<_> = shards.into_iter().flatten().collect();
            prop_assert_eq!(seen, whole.into_iter().collect::<Vec<_>>());
        }
    }
}
