use super::*;

const NOW: Duration = Duration::from_secs(100_000);

fn log(entries: &[(u32, u64)]) -> Vec<Recommendation> {
    let recommendation = |(replicas, ago): &(u32, u64)| Recommendation {
        replicas: *replicas,
        at: NOW - Duration::from_secs(*ago),
    };
    entries.iter().map(recommendation).collect()
}

fn replicas(log: &[Recommendation]) -> Vec<u32> {
    log.iter().map(|old| old.replicas).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_rules_the_highest_of_the_window_holds_and_its_edge_is_inside() {
    let mut past = log(&[(9, 301), (8, 300), (4, 10)]);
    let stabilized = down_only(&mut past, seconds(300), 3, NOW);
    assert_eq!(stabilized, Stabilized { replicas: 8, held_until: Some(NOW) });
    assert_eq!(replicas(&past), [3, 8, 4], "only what is past the edge is replaced");
}

#[test]
fn with_rules_the_edge_of_a_window_holds_nothing_and_is_not_replaced() {
    let mut past = log(&[(9, 301), (8, 300), (4, 10)]);
    let stabilized = both_ways(&mut past, Windows { up: seconds(0), down: seconds(300) }, 9, 3, NOW);
    assert_eq!(stabilized, Stabilized { replicas: 4, held_until: Some(NOW + seconds(290)) });
    assert_eq!(replicas(&past), [3, 8, 4]);
}

#[test]
fn both_windows_act_at_once() {
    let windows = Windows { up: seconds(300), down: seconds(300) };
    // A short dip and a short peak.
    for (past, current, proposed) in [(log(&[(5, 60)]), 5, 2), (log(&[(5, 60)]), 5, 9)] {
        assert_eq!(both_ways(&mut past.clone(), windows, current, proposed, NOW).replicas, 5);
    }
}

#[test]
fn a_place_is_reused_only_when_it_left_both_windows() {
    let mut past = log(&[(5, 100), (6, 700)]);
    both_ways(&mut past, Windows { up: seconds(600), down: seconds(0) }, 5, 7, NOW);
    assert_eq!(replicas(&past), [5, 7]);
    both_ways(&mut past, Windows { up: seconds(600), down: seconds(0) }, 5, 8, NOW);
    assert_eq!(replicas(&past), [5, 7, 8]);
}

#[test]
fn the_hold_lasts_until_the_last_that_holds_is_over() {
    let mut past = log(&[(6, 200), (5, 100), (2, 50)]);
    let windows = Windows { up: seconds(0), down: seconds(300) };
    // At 5 both the 6 and the 5 hold; the 5 is over last.
    assert_eq!(both_ways(&mut past, windows, 5, 1, NOW).held_until, Some(NOW + seconds(200)));
    let mut past = log(&[(3, 10), (4, 100)]);
    let windows = Windows { up: seconds(300), down: seconds(0) };
    let held = both_ways(&mut past, windows, 2, 9, NOW);
    assert_eq!(held, Stabilized { replicas: 3, held_until: Some(NOW + seconds(290)) });
}

#[test]
fn a_proposal_that_nothing_contradicts_is_followed() {
    for proposed in [1, 5, 9] {
        let windows = Windows { up: seconds(300), down: seconds(300) };
        let stabilized = both_ways(&mut Vec::new(), windows, 5, proposed, NOW);
        assert_eq!(stabilized, Stabilized { replicas: proposed, held_until: None });
        assert_eq!(stabilized.name(proposed), "ReadyForNewScale");
        assert_eq!(down_only(&mut Vec::new(), seconds(300), proposed, NOW).replicas, proposed);
    }
}
