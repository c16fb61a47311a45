use super::*;
use crate::{
    behavior::{Amount, Rate},
    metric::{Resource, Scope},
};

fn wanted() -> Wanted {
    let target = Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent: 80 };
    Wanted {
        min: 1,
        max: 10,
        metrics: vec![Metric { name: "cpu".to_owned(), target }],
        tolerance: Tolerance::default(),
        startup: Startup::default(),
        downscale_window: DOWNSCALE_WINDOW_DEFAULT,
        behavior: Some(Behavior {
            up: Rules::up_default(),
            down: Rules::down_default(DOWNSCALE_WINDOW_DEFAULT),
        }),
    }
}

fn faults(change: impl FnOnce(&mut Wanted)) -> String {
    let mut wanted = wanted();
    change(&mut wanted);
    Policy::try_from(wanted).map_or_else(|faults| faults.to_string(), |_| String::new())
}

fn rules(change: impl FnOnce(&mut Rules)) -> String {
    faults(|wanted| change(&mut wanted.behavior.as_mut().unwrap().up))
}

#[test]
fn what_kubernetes_fills_in_is_sound() {
    assert_eq!(faults(|_| ()), "");
    assert_eq!(faults(|wanted| wanted.behavior = None), "");
    assert_eq!(faults(|wanted| wanted.min = 0), "");
}

#[test]
fn every_fault_is_told() {
    assert_eq!(
        faults(|wanted| wanted.max = 0),
        "max must be from 1 to 2147483647; max must not be below min"
    );
    assert_eq!(faults(|wanted| wanted.max = u32::MAX), "max must be from 1 to 2147483647");
    assert_eq!(faults(|wanted| wanted.metrics.clear()), "at least one metric is needed");
    let aimless = |target| faults(|wanted| wanted.metrics[0].target = target);
    let percent = Target::Utilization { resource: Resource::Cpu, scope: Scope::Pod, percent: 0 };
    for target in [percent, Target::PodsAverage { milli: 0 }, Target::PodsAverage { milli: -1 }] {
        assert_eq!(aimless(target), "the target of metric `cpu` must be positive");
    }
    for tolerance in [-0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(faults(|wanted| wanted.tolerance.up = tolerance), "a tolerance must be zero or more");
        assert_eq!(rules(|rules| rules.tolerance = Some(tolerance)), "a tolerance must be zero or more");
    }
    let long = WINDOW_MAX + Duration::from_nanos(1);
    assert_eq!(rules(|rules| rules.window = long), "a stabilization window must be at most 3600s");
    assert_eq!(
        faults(|wanted| wanted.downscale_window = long),
        "a stabilization window must be at most 3600s"
    );
    assert_eq!(rules(|rules| rules.rates.clear()), "scaling up needs at least one policy");
    assert_eq!(rules(|rules| (rules.select, rules.rates) = (Select::Disabled, Vec::new())), "");
    let rate = |amount, period| rules(|rules| rules.rates = vec![Rate { amount, period }]);
    let second = Duration::from_secs(1);
    assert_eq!(rate(Amount::Percent(0), second), "a policy for scaling up must allow more than nothing");
    for period in [Duration::ZERO, PERIOD_MAX + second] {
        assert_eq!(
            rate(Amount::Replicas(1), period),
            "the period of a policy for scaling up must be from 1s to 1800s"
        );
    }
}

#[test]
fn rules_say_how_far_is_near_for_their_direction() {
    let mut wanted = wanted();
    wanted.behavior.as_mut().unwrap().up.tolerance = Some(0.0);
    let tolerance = Policy::try_from(wanted).unwrap().tolerance();
    assert_eq!(tolerance, Tolerance { down: 0.1, up: 0.0 });
}
