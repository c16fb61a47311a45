//! Stories of a shard with three servers: what each says, and what it is good for then.

use std::{num::NonZeroU32, time::Duration};

use expect_test::{Expect, expect};

use super::*;

fn survey() -> Survey {
    let once = NonZeroU32::MIN;
    let health =
        Policy { fails_max: None, fail_timeout: Duration::ZERO, rise: once, fall: once.saturating_add(1) };
    Survey::new(3, health, LagBounds { age_max: Duration::from_secs(60), bytes_max: 1000 })
}

fn probe(role: Role, timeline: u32, lsn: u64) -> Probe {
    Probe {
        role,
        timeline,
        lsn,
        system_identifier: 7,
        database: "app".to_owned(),
        version: 150_000,
        connections: None,
    }
}

fn standby(age_seconds: u64) -> Role {
    Role::Standby { replay_age: Some(Duration::from_secs(age_seconds)), received_lsn: None, heard_ago: None }
}

/// One letter of the server, then `P` or `R` with timeline and position, `-` for no answer, `!` for a refused write; the age of
/// what a replica replayed comes after a comma.
fn check(story: &str, expected: &Expect) {
    let mut survey = survey();
    for event in story.split_whitespace() {
        let (server, event) = event.split_at(1);
        let index = usize::from(server.as_bytes()[0] - b'a');
        let (event, age) = event.split_once(',').unwrap_or((event, "0"));
        let (kind, at) = event.split_at(1);
        let place =
            || at.split_once('/').map(|(timeline, lsn)| (timeline.parse().unwrap(), lsn.parse().unwrap()));
        match kind {
            "-" => survey.failed(index, Duration::ZERO),
            "!" => survey.refused_writes(index),
            _ => {
                let role = if kind == "P" { Role::Primary } else { standby(age.parse().unwrap()) };
                let (timeline, lsn) = place().unwrap();
                survey.answered(index, probe(role, timeline, lsn), Duration::ZERO);
            }
        }
    }
    let conclusion = survey.conclusion();
    let servers: Vec<&str> = conclusion.servers.iter().map(|server| server.fitness.label()).collect();
    let primary = conclusion.primary.map_or("none".to_owned(), |index| index.to_string());
    expected.assert_eq(&format!("{} | primary {primary} on {}", servers.join(" "), conclusion.timeline));
}

#[test]
fn roles_are_what_the_servers_say() {
    check("", &expect!["unknown unknown unknown | primary none on 0"]);
    check("aP1/50 bR1/50 cR1/40", &expect!["primary replica replica | primary 0 on 1"]);
    check("bP1/50 aR1/50", &expect!["replica primary unknown | primary 1 on 1"]);
}

#[test]
fn one_failed_probe_is_none_and_two_are() {
    check("aP1/50 bR1/50 a- b-", &expect!["primary replica unknown | primary 0 on 1"]);
    check("aP1/50 bR1/50 a- a- b- b-", &expect!["unreachable unreachable unknown | primary none on 1"]);
    check("aP1/50 a- a- aP1/51", &expect!["primary unknown unknown | primary 0 on 1"]);
}

#[test]
fn lag_counts_only_if_it_is_both_old_and_long() {
    check("aP1/5000 bR1/1,10 cR1/1,61", &expect!["primary replica lagging | primary 0 on 1"]);
    check("aP1/5000 bR1/4000,9999 cR1/3999,61", &expect!["primary replica lagging | primary 0 on 1"]);
    check("aP1/50 bR1/0", &expect!["primary unknown unknown | primary 0 on 1"]);
}

#[test]
fn a_promoted_server_is_the_primary_and_the_old_one_never_again() {
    check("aP1/50 bR1/50 a- a- bP2/51", &expect!["unreachable primary unknown | primary 1 on 2"]);
    check("aP1/50 bR1/50 bP2/51 aP1/70", &expect!["superseded primary unknown | primary 1 on 2"]);
    // Not even when the one that was promoted is out of reach, or only known by who follows it.
    check("aP1/50 bP2/51 b- b- aP1/99", &expect!["superseded unreachable unknown | primary none on 2"]);
    check("aP1/50 cR2/60", &expect!["superseded unknown replica | primary none on 2"]);
    check("aP1/50 bP2/51 cR1/50", &expect!["superseded primary straying | primary 1 on 2"]);
    check("aP1/50 bP2/51 aR2/51", &expect!["replica primary unknown | primary 1 on 2"]);
}

#[test]
fn a_refused_write_ends_the_role_until_the_next_answer() {
    check("aP1/50 bR1/50 a!", &expect!["unknown replica unknown | primary none on 1"]);
    check("aP1/50 bR1/50 a! aP1/50", &expect!["primary replica unknown | primary 0 on 1"]);
}

#[test]
fn of_two_that_claim_one_timeline_the_known_one_stays_and_otherwise_none_is_taken() {
    check("aP1/50 bP1/60", &expect!["primary superseded unknown | primary 0 on 1"]);
    check("aP1/50 bP1/60 a! aP1/50", &expect!["superseded primary unknown | primary 1 on 1"]);
}

#[test]
fn a_copy_of_another_cluster_is_never_used() {
    let mut survey = survey();
    survey.answered(0, probe(Role::Primary, 1, 50), Duration::ZERO);
    let foreign = Probe { system_identifier: 8, ..probe(standby(0), 9, 50) };
    survey.answered(1, foreign, Duration::ZERO);
    let conclusion = survey.conclusion();
    assert_eq!((conclusion.primary, conclusion.timeline), (Some(0), 1));
    assert_eq!(conclusion.servers[1].fitness, Fitness::Foreign);
}
