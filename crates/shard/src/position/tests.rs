use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn position((shard, timeline, lsn): (u16, u32, u64)) -> Position {
    Position { shard: ShardId::try_from(shard).unwrap(), timeline, lsn: Lsn(lsn) }
}

#[test]
fn places_are_written_as_postgresql_does() {
    for (lsn, text) in [(0, "0/0"), (0x16_B374_D848, "16/B374D848"), (u64::MAX, "FFFFFFFF/FFFFFFFF")] {
        assert_eq!(Lsn(lsn).to_string(), text);
        assert_eq!(text.to_lowercase().parse(), Ok(Lsn(lsn)));
    }
    for text in ["", "/", "1", "1/", "/1", "1/2/3", "+1/2", "1/-2", "1/100000000", "g/0", " 1/2"] {
        assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError(text.to_owned())));
    }
}

#[test]
fn the_furthest_position_stays_and_a_newer_timeline_wins() {
    let mut positions = Positions::default();
    for (added, expected) in [
        ((1, 1, 500), (1, 1, 500)),
        ((1, 1, 400), (1, 1, 500)),
        ((1, 2, 300), (1, 2, 300)),
        ((1, 1, 900), (1, 2, 300)),
        ((1, 2, 301), (1, 2, 301)),
    ] {
        assert_eq!(positions.advance(position(added)), Ok(()));
        assert_eq!(positions.of(ShardId::FIRST), Some(position(expected)));
    }
}

#[test]
fn the_seventeenth_shard_is_refused_and_the_others_go_on() {
    let mut positions = Positions::default();
    for shard in 1..=16 {
        assert_eq!(positions.advance(position((shard, 1, 1))), Ok(()));
    }
    let seventeenth = position((17, 1, 1));
    assert_eq!(positions.advance(seventeenth), Err(TooManyShards(seventeenth.shard)));
    let places = vec![seventeenth, position((18, 1, 1)), position((3, 1, 9))];
    let others = Positions { places, epoch: 4 };
    assert_eq!(positions.merge(&others), Err(TooManyShards(seventeenth.shard)));
    assert_eq!(positions.of(position((3, 1, 9)).shard), Some(position((3, 1, 9))));
    assert_eq!((positions.iter().len(), positions.epoch()), (16, 4));
}

#[test]
fn of_the_epochs_the_greatest_stays() {
    let mut positions = Positions::default();
    for (added, expected) in [(0, 0), (7, 7), (3, 7), (8, 8)] {
        positions.merge(&Positions { places: vec![], epoch: added }).unwrap();
        assert_eq!(positions.epoch(), expected);
    }
    positions.advance_epoch(5);
    assert_eq!((positions.epoch(), positions.is_empty()), (8, true));
}

proptest! {
    #[test]
    fn what_is_kept_is_the_greatest_of_each_shard(
        one in prop::collection::vec((1_u16..9, 0_u32..3, 0_u64..9), 0..30),
        other in prop::collection::vec((1_u16..9, 0_u32..3, 0_u64..9), 0..30),
    ) {
        let positions = |added: &[_]| {
            let mut positions = Positions::default();
            added.iter().for_each(|added| positions.advance(position(*added)).unwrap());
            positions
        };
        let (mut merged, mut naive) = (positions(&one), BTreeMap::new());
        merged.merge(&positions(&other)).unwrap();
        for (shard, timeline, lsn) in one.into_iter().chain(other) {
            let furthest = naive.entry(shard).or_insert((timeline, lsn));
            *furthest = (*furthest).max((timeline, lsn));
        }
        let naive = naive.into_iter().map(|(shard, (timeline, lsn))| position((shard, timeline, lsn)));
        prop_assert!(merged.iter().eq(naive));
    }

    #[test]
    fn places_read_back(lsn in any::<u64>(), text in "[0-9a-fA-F]{0,9}/[0-9a-fA-F]{0,9}|.*") {
        prop_assert_eq!(Lsn(lsn).to_string().parse(), Ok(Lsn(lsn)));
        let _never_panics = text.parse::<Lsn>();
    }
}
