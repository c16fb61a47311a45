//! Which buckets move when shards come or go: as few as possible, until every shard holds as many as any other, give or take one.
//!
//! Invariant: a bucket moves only away from a shard that goes or that holds more than its part, and at most once.
//! Elsewhere: the way there (`crate::reshard`). Buckets that stay empty in an adopted database are no load: they move only
//! when their shard goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    bucket::{Bucket, BucketSet},
    map::{BucketMap, Placement, ShardId},
};

/// Buckets that go from one shard to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The shard that holds them.
    pub source: ShardId,
    /// The shard that will.
    pub target: ShardId,
    /// Which; never empty.
    pub buckets: BucketSet,
}

/// What a resharding does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// By source and target, each pair once. None if everything is where it should be.
    pub moves: Vec<Move>,
    /// The map when it is done, of the next epoch.
    pub map: BucketMap,
}

/// Why nothing can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There would be no shard left.
    #[error("no shard would be left")]
    NoShards,
    /// More shards than buckets that can hold rows.
    #[error("{shards} shards cannot share {buckets} buckets")]
    TooManyShards {
        /// How many are asked for.
        shards: usize,
        /// How many buckets can hold rows.
        buckets: u16,
    },
}

/// The way from `map` to one in which `shards` hold everything evenly.
pub fn plan(map: &BucketMap, placement: Placement, shards: &BTreeSet<ShardId>) -> Result<Plan, PlanError> {
    let first = *shards.first().ok_or(PlanError::NoShards)?;
    if shards.len() > usize::from(placement.buckets()) {
        return Err(PlanError::TooManyShards { shards: shards.len(), buckets: placement.buckets() });
    }
    let (populated, empty): (Vec<_>, Vec<_>) =
        Bucket::all().partition(|bucket| bucket.get() < placement.buckets());
    let mut owners = even_owners(map, &populated, shards);
    let stays = |bucket: &Bucket| Some(map.owner(*bucket)).filter(|owner| shards.contains(owner));
    owners.extend(empty.iter().map(|bucket| (*bucket, stays(bucket).unwrap_or(first))));
    let planned = BucketMap::from_owner(map.epoch() + 1, |bucket| owners[&bucket]);
    Ok(Plan { moves: moves(map, &planned), map: planned })
}

/// Who holds each populated bucket in the end.
fn even_owners(
    map: &BucketMap,
    populated: &[Bucket],
    shards: &BTreeSet<ShardId>,
) -> BTreeMap<Bucket, ShardId> {
    let mut held: BTreeMap<ShardId, Vec<Bucket>> = shards.iter().map(|shard| (*shard, Vec::new())).collect();
    let mut moving = Vec::new();
    for bucket in populated {
        match held.get_mut(&map.owner(*bucket)) {
            Some(buckets) => buckets.push(*bucket),
            None => moving.push(*bucket),
        }
    }
    let parts = parts(&held, populated.len());
    for (shard, buckets) in &mut held {
        // The last ones go, so that what stays is one range where it was one.
        moving.extend(buckets.drain(parts[shard].min(buckets.len())..));
    }
    // By source, so that few pairs of shards have anything to do with one another.
    moving.sort_unstable_by_key(|bucket| (map.owner(*bucket), *bucket));
    let mut moving = moving.into_iter();
    for (shard, buckets) in &mut held {
        let missing = parts[shard] - buckets.len();
        buckets.extend(moving.by_ref().take(missing));
    }
    held.into_iter()
        .flat_map(|(shard, buckets)| buckets.into_iter().map(move |bucket| (bucket, shard)))
        .collect()
}

/// How many buckets each shard gets. What does not divide evenly goes to those that hold the most: there it need not move.
fn parts(held: &BTreeMap<ShardId, Vec<Bucket>>, buckets: usize) -> BTreeMap<ShardId, usize> {
    let (part, over) = (buckets / held.len(), buckets % held.len());
    let mut by_size: Vec<_> = held.iter().map(|(shard, buckets)| (*shard, buckets.len())).collect();
    by_size.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let part_of = |rank| part + usize::from(rank < over);
    by_size.into_iter().enumerate().map(|(rank, (shard, _))| (shard, part_of(rank))).collect()
}

/// What has to move between two maps, by source and target, each pair once: the same as when it was planned.
#[must_use]
pub fn moves(map: &BucketMap, planned: &BucketMap) -> Vec<Move> {
    let mut pairs = BTreeMap::<_, Vec<_>>::new();
    for bucket in Bucket::all().filter(|bucket| map.owner(*bucket) != planned.owner(*bucket)) {
        pairs.entry((map.owner(bucket), planned.owner(bucket))).or_default().push(bucket);
    }
    let one = |((source, target), buckets): (_, Vec<_>)| Move {
        source,
        target,
        buckets: buckets.into_iter().collect(),
    };
    pairs.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::map::Modulus;

    fn shards(numbers: impl IntoIterator<Item = u16>) -> BTreeSet<ShardId> {
        numbers.into_iter().map(|number| ShardId::try_from(number).unwrap()).collect()
    }

    fn text(plan: &Plan) -> String {
        let text = |step: &Move| format!("{}→{} {}", step.source, step.target, step.buckets);
        plan.moves.iter().map(text).collect::<Vec<_>>().join(" · ")
    }

    #[test]
    fn shards_come_and_go() {
        for (before, after, expected) in [
            (1, vec![1], ""),
            (1, vec![1, 2], "1→2 2048-4095"),
            (2, vec![1, 2, 3, 4], "1→3 1024-2047 · 2→4 3072-4095"),
            (2, vec![1, 2, 3], "1→3 1366-2047 · 2→3 3413-4095"),
            (4, vec![1, 3], "2→1 1024-2047 · 4→3 3072-4095"),
            (2, vec![3, 4], "1→3 0-2047 · 2→4 2048-4095"),
        ] {
            let map = BucketMap::evenly(7, before).unwrap();
            let plan = plan(&map, Placement::Hashed, &shards(after)).unwrap();
            assert_eq!(text(&plan), expected);
            assert_eq!(plan.map.epoch(), 8);
        }
    }

    #[test]
    fn an_adopted_database_grows() {
        let placement = Placement::Modulo(Modulus::try_from(2).unwrap());
        let map = placement.adopted_map().unwrap();
        let plan = plan(&map, placement, &shards([1, 2, 3, 4])).unwrap();
        assert_eq!(text(&plan), "1→3 2048-4094/2 · 2→4 2049-4095/2");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let map = BucketMap::evenly(1, 1).unwrap();
        assert_eq!(plan(&map, Placement::Hashed, &shards([])), Err(PlanError::NoShards));
        let modulo = Placement::Modulo(Modulus::try_from(2049).unwrap());
        let refused = plan(&map, modulo, &shards(1..=2050));
        assert_eq!(refused, Err(PlanError::TooManyShards { shards: 2050, buckets: 2049 }));
    }

    /// The fewest buckets that can move: what goes, and what is over the greatest parts dealt out in the best order.
    fn fewest(sizes: &[usize], gone: usize, populated: usize) -> usize {
        let (part, over) = (populated / sizes.len(), populated % sizes.len());
        let excess: usize = sizes.iter().map(|size| size.saturating_sub(part)).sum();
        let spared = sizes.iter().filter(|size| **size > part).count().min(over);
        gone + excess - spared
    }

    fn placement() -> impl Strategy<Value = Placement> {
        let modulo = (1_u16..60).prop_map(|shards| Placement::Modulo(Modulus::try_from(shards).unwrap()));
        prop_oneof![Just(Placement::Hashed), modulo]
    }

    proptest! {
        // Each case looks at all buckets several times.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_end_is_even_and_as_little_as_possible_moves(
            lengths in prop::collection::vec((1_u16..700, 1_u16..20), 1..60),
            after in prop::collection::btree_set(1_u16..40, 1..20),
            placement in placement(),
        ) {
            let mut owners = lengths.iter().flat_map(|(length, owner)| (0..*length).map(move |_| *owner)).cycle();
            let map = BucketMap::from_owner(4, |_| ShardId::try_from(owners.next().unwrap()).unwrap());
            let shards = shards(after);
            let plan = plan(&map, placement, &shards).unwrap();

            let populated: Vec<_> = Bucket::all().filter(|bucket| bucket.get() < placement.buckets()).collect();
            let sizes = |map: &BucketMap| -> Vec<usize> {
                shards.iter().map(|shard| populated.iter().filter(|bucket| map.owner(**bucket) == *shard).count()).collect()
            };
            let (before, after) = (sizes(&map), sizes(&plan.map));
            prop_assert!(after.iter().max().unwrap() - after.iter().min().unwrap() <= 1, "{:?}", after);
            prop_assert!(plan.map.shards().is_subset(&shards));

            let gone = populated.len() - before.iter().sum::<usize>();
            let moved = populated.iter().filter(|bucket| map.owner(**bucket) != plan.map.owner(**bucket)).count();
            prop_assert_eq!(moved, fewest(&before, gone, populated.len()));

            // The moves are the difference between the maps, and nothing else.
            let mut owners: Vec<_> = Bucket::all().map(|bucket| map.owner(bucket)).collect();
            for step in &plan.moves {
                prop_assert!(!step.buckets.is_empty());
                for bucket in step.buckets.iter() {
                    prop_assert_eq!(owners[bucket.index()], step.source);
                    owners[bucket.index()] = step.target;
                }
            }
            prop_assert_eq!(&BucketMap::from_owner(5, |bucket| owners[bucket.index()]), &plan.map);
        }
    }
}
