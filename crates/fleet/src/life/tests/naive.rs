//! Any answers in any order, against the rules as Kubernetes tells them, which are followed through the whole history anew after
//! each answer.

use proptest::prelude::*;

use super::*;

type History = [(ProbeKind, Option<Answer>)];

/// What the answers to one probe amount to: what the last row of equal ones that was long enough says.
fn published(history: &History, kind: ProbeKind, probe: &Probe) -> Option<Answer> {
    let answers: Vec<_> =
        history.iter().filter(|(of, _)| *of == kind).filter_map(|(_, answer)| *answer).collect();
    (1..=answers.len()).rev().find_map(|end| {
        let last = answers[end - 1];
        let in_a_row = answers[..end].iter().rev().take_while(|answer| **answer == last).count();
        let wanted = if last == Answer::Good { probe.success } else { probe.failure };
        (in_a_row >= wanted as usize).then_some(last)
    })
}

/// The standing of a replica that was answered for like this.
fn expected(history: &History, rules: &Rules) -> &'static str {
    let startup = |end: &usize| published(&history[..*end], ProbeKind::Startup, &rules.startup);
    let Some(end) = (0..=history.len()).find(|end| startup(end).is_some()) else { return "starting" };
    if startup(&end) == Some(Answer::Bad) {
        return "stopping";
    }
    let after = &history[end..];
    let ever = |kind, probe, answer| {
        (0..=after.len()).any(|end| published(&after[..end], kind, probe) == Some(answer))
    };
    if rules.liveness.as_ref().is_some_and(|liveness| ever(ProbeKind::Liveness, liveness, Answer::Bad)) {
        return "stopping";
    }
    let is_ready = published(after, ProbeKind::Readiness, &rules.readiness) == Some(Answer::Good);
    match (is_ready, ever(ProbeKind::Readiness, &rules.readiness, Answer::Good)) {
        (true, _) => "ready",
        (false, true) => "not-ready",
        (false, false) => "starting",
    }
}

fn kinds() -> impl Strategy<Value = ProbeKind> {
    prop_oneof![
        1 => Just(ProbeKind::Startup),
        3 => Just(ProbeKind::Readiness),
        3 => Just(ProbeKind::Liveness),
    ]
}

fn answers() -> impl Strategy<Value = Option<Answer>> {
    prop_oneof![3 => Just(Some(Answer::Good)), 3 => Just(Some(Answer::Bad)), 1 => Just(None)]
}

prop_compose! {
    fn any_rules()(
        startup in 1..4_u32, success in 1..4_u32, failure in 1..4_u32, liveness in prop::option::of(1..4_u32),
    ) -> Rules {
        Rules {
            startup: Probe { failure: startup, ..probe() },
            readiness: Probe { success, failure, ..probe() },
            liveness: liveness.map(|failure| Probe { failure, ..probe() }),
            ..rules()
        }
    }
}

proptest! {
    #[test]
    fn answers_lead_where_the_rules_of_kubernetes_lead(
        rules in any_rules(),
        history in prop::collection::vec((kinds(), answers()), 0..40),
    ) {
        let (mut life, now) = started(rules.clone());
        let mut is_admitted = false;
        for (end, (kind, answer)) in history.iter().enumerate() {
            let stops_before = label(life.standing()) == "stopping";
            let actions = life.on(Event::Probed(*kind, *answer), now);
            prop_assert_eq!(label(life.standing()), expected(&history[..=end], &rules), "after {}", end);

            for action in actions.iter().filter(|action| !matches!(action, Action::Tell(_))) {
                is_admitted = match action {
                    Action::Admit if !is_admitted => true,
                    Action::Withdraw if is_admitted => false,
                    // Never a replica that may get requests, and never twice.
                    Action::Terminate if !is_admitted && !stops_before => false,
                    action => panic!("{action:?} while admitted: {is_admitted}"),
                };
            }
            prop_assert_eq!(is_admitted, label(life.standing()) == "ready");
        }
    }
}
