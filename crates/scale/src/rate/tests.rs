use super::*;

const NOW: Duration = Duration::from_secs(100_000);

fn rules(select: Select, rates: &[(Amount, u64)]) -> Rules {
    let rate =
        |(amount, period): &(Amount, u64)| Rate { amount: *amount, period: Duration::from_secs(*period) };
    Rules { window: Duration::ZERO, select, rates: rates.iter().map(rate).collect(), tolerance: None }
}

fn reach_of(amount: Amount, direction: Direction, current: u32) -> i64 {
    limit(&rules(Select::Max, &[(amount, 60)]), direction, current, &Changes::default(), NOW).replicas
}

#[test]
fn percentages_are_computed_in_floats_in_the_order_of_kubernetes() {
    let up = |percent, current| reach_of(Amount::Percent(percent), Direction::Up, current);
    assert_eq!([up(10, 30), up(10, 50), up(10, 90), up(10, 100)], [33, 56, 100, 111]);
    assert_eq!([up(100, 0), up(100, 1), up(1, 1), up(200, 7)], [0, 2, 2, 21]);
    let down = |percent, current| reach_of(Amount::Percent(percent), Direction::Down, current);
    assert_eq!([down(90, 100), down(80, 5), down(25, 7), down(10, 100)], [9, 0, 5, 90]);
    // More than all is all, and no fraction of a replica comes back from below zero.
    assert_eq!([down(100, 9), down(150, 9), down(105, 9)], [0, -4, 0]);
}

#[test]
fn numbers_that_do_not_fit_saturate() {
    assert_eq!(reach_of(Amount::Replicas(u32::MAX), Direction::Up, u32::MAX), 2 * i64::from(u32::MAX));
    assert_eq!(reach_of(Amount::Replicas(u32::MAX), Direction::Down, 0), -i64::from(u32::MAX));
    assert!(reach_of(Amount::Percent(u32::MAX), Direction::Up, u32::MAX) > i64::from(u32::MAX));
    assert_eq!(doubling(u32::MAX), number::REPLICAS_MAX);
    assert_eq!([doubling(0), doubling(1), doubling(2), doubling(3)], [4, 4, 4, 6]);
}

#[test]
fn the_select_says_which_rate_decides() {
    let rates = [(Amount::Replicas(2), 60), (Amount::Percent(50), 30)];
    let decided = |select, direction| {
        let limit = limit(&rules(select, &rates), direction, 10, &Changes::default(), NOW);
        (limit.replicas, limit.rate.map(|rate| rate.to_string()))
    };
    let by = |replicas, rate: &str| (replicas, Some(rate.to_owned()));
    assert_eq!(decided(Select::Max, Direction::Up), by(15, "50%/30s"));
    assert_eq!(decided(Select::Min, Direction::Up), by(12, "2/60s"));
    assert_eq!(decided(Select::Max, Direction::Down), by(5, "50%/30s"));
    assert_eq!(decided(Select::Min, Direction::Down), by(8, "2/60s"));
    assert_eq!(decided(Select::Disabled, Direction::Up), (10, None));
    assert_eq!(decided(Select::Disabled, Direction::Down), (10, None));
}

#[test]
fn a_period_begins_with_what_there_was_in_both_directions() {
    let ago = |seconds| NOW - Duration::from_secs(seconds);
    let changes =
        Changes { up: EventLog::of([(4, ago(59)), (7, ago(60))]), down: EventLog::of([(2, ago(10))]) };
    let rules = rules(Select::Max, &[(Amount::Replicas(5), 60)]);
    // Ten today, four added and two removed since: eight when the period began.
    assert_eq!(limit(&rules, Direction::Up, 10, &changes, NOW).replicas, 13);
    assert_eq!(limit(&rules, Direction::Down, 10, &changes, NOW).replicas, 3);
}

#[test]
fn without_a_rate_nothing_moves() {
    for select in [Select::Max, Select::Min] {
        for direction in [Direction::Up, Direction::Down] {
            let limit = limit(&rules(select, &[]), direction, 3, &Changes::default(), NOW);
            assert_eq!(limit, RateLimit { replicas: 3, rate: None });
        }
    }
}
