use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::health::Cause;

/// An endpoint by its letter, in upper case a primary and in lower case a backup: `S`erving, on `T`rial, `E`jected, `F`ailing,
/// `D`raining.
fn member(letter: char) -> Member {
    let role = if letter.is_ascii_uppercase() { Role::Primary } else { Role::Backup };
    let standing = match letter.to_ascii_uppercase() {
        'S' => Standing::Serving,
        'T' => Standing::Trial,
        'E' => Standing::Ejected { until: Duration::ZERO, cause: Cause::Attempts },
        'F' => Standing::Failing,
        'D' => Standing::Draining,
        _ => panic!("{letter} is no standing"),
    };
    Member { role, standing }
}

fn choose(members: &str, panic_threshold: f64) -> (String, Mode) {
    let all: Vec<Member> = members.chars().map(member).collect();
    let Selection { indices, mode } = select(&all, panic_threshold);
    (indices.iter().map(|index| members.chars().nth(*index).unwrap()).collect(), mode)
}

#[track_caller]
fn check(members: &str, panic_threshold: f64, chosen: &str, mode: Mode) {
    assert_eq!(choose(members, panic_threshold), (chosen.to_owned(), mode), "{members} {panic_threshold}");
}

#[test]
fn primaries_that_serve_or_are_on_trial_are_chosen() {
    check("STEFDsf", 0.5, "ST", Mode::Normal);
    check("SSS", 0.5, "SSS", Mode::Normal);
}

#[test]
fn checks_that_most_primaries_fail_are_disbelieved() {
    check("SFFE", 0.5, "S", Mode::Normal);
    check("SFFEF", 0.5, "SFFF", Mode::Panic);
    check("SFFFsf", 0.5, "SFFF", Mode::Panic);
    check("FFEf", 0.5, "FF", Mode::Panic);
    check("FFT", 0.5, "FFT", Mode::Panic);
    // Those that drain are not counted, nor are backups.
    check("SFDDD", 0.4, "SF", Mode::Panic);
    check("SSFfff", 0.4, "SS", Mode::Normal);
}

#[test]
fn without_a_primary_that_serves_backups_do() {
    check("EFs", 0.5, "s", Mode::Backup);
    check("Ds", 0.5, "s", Mode::Backup);
    // Their passing checks say that checking works.
    check("FFsf", 0.5, "s", Mode::Backup);
    // Trials go on.
    check("TEste", 0.5, "Tst", Mode::Backup);
}

#[test]
fn the_last_resort_is_everyone_who_was_not_asked_to_leave() {
    check("EEDF", 0.5, "EEF", Mode::Panic);
    check("Tee", 0.5, "T", Mode::Panic);
    check("Def", 0.5, "ef", Mode::Panic);
    check("ft", 0.5, "ft", Mode::Panic);
}

#[test]
fn with_a_threshold_of_one_checks_are_believed() {
    check("SFFF", 1.0, "S", Mode::Normal);
    check("FFFf", 1.0, "", Mode::Normal);
    check("FFE", 1.0, "E", Mode::Panic);
    check("FFfe", 1.0, "e", Mode::Panic);
}

#[test]
fn nobody_but_who_drains_is_nobody() {
    check("DDd", 0.5, "", Mode::Normal);
    check("", 0.5, "", Mode::Normal);
}

/// The rules as a list: of the first line that has somebody in it who can carry the service, everyone in it is chosen.
fn naive(members: &str, panic_threshold: f64) -> String {
    let count = |letters: &str| members.chars().filter(|member| letters.contains(*member)).count();
    let share = count("F") as f64 / (count("STEF") as f64).max(1.0);
    let lines = [
        ("S", if share > panic_threshold { "STF" } else { "ST" }),
        ("s", "Tst"),
        (if share > panic_threshold { "F" } else { "" }, "TF"),
        if panic_threshold < 1.0 { ("TEF", "TEF") } else { ("TE", "TE") },
        if panic_threshold < 1.0 { ("tef", "tef") } else { ("te", "te") },
    ];
    let line = lines.iter().find(|(carrying, _)| count(carrying) > 0).map_or("", |(_, chosen)| chosen);
    members.chars().filter(|member| line.contains(*member)).collect()
}

proptest! {
    #[test]
    fn it_is_as_the_list_says(members in "[STEFDstefd]{0,8}", percent in 0_u32..=100) {
        let panic_threshold = f64::from(percent) / 100.0;
        let (chosen, mode) = choose(&members, panic_threshold);
        prop_assert_eq!(&chosen, &naive(&members, panic_threshold));
        let has = |letters: &str| chosen.contains(|member| letters.contains(member));

        prop_assert!(!has("Dd"), "nobody who drains");
        prop_assert!(mode == Mode::Panic || !has("EeFf"), "nobody who is out, unless in panic");
        prop_assert!(!has("stef") || !members.contains('S'), "no backup beside a primary that serves");
        prop_assert!(mode == Mode::Backup || !has("stef") || !members.contains(['T', 'E']), "nor instead of one in panic");
        let somebody_is_left = members.contains(|member| "STEFstef".contains(member));
        prop_assert!(!chosen.is_empty() || percent == 100 || !somebody_is_left, "somebody");
    }
}
