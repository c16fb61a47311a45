//! Limits of CPU time and memory, with whatever cgroups this machine has.

use std::fs;

use phalanx_fleet::LimitsState;

use crate::harness::{Setup, shell};

#[tokio::test]
async fn limits_are_enforced_or_it_is_said_why_not() {
    let limits = "limits = { cpu = '1', memory = '256MiB' }\nresources = { cpu = '100m' }\n";
    let running = Setup::new(shell(r#"exec "$0""#) + limits).run();
    let (_, process) = running.ready().await;
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).unwrap();
    let is_in_its_group = groups.lines().any(|group| group.starts_with("0::") && group.ends_with("/api-1"));
    match &running.handle.state()[0].limits {
        LimitsState::Enforced => {
            assert!(is_in_its_group, "{groups}");
            assert!(!running.log.text().contains("limits"), "{}", running.log.text());
        }
        LimitsState::NotEnforced { cause } => {
            assert!(!is_in_its_group, "{groups}");
            running.log.tells(&["WARN", "limits are not enforced", "service=api", cause, "hint="]);
            assert_eq!(running.log.text().matches("limits are not enforced").count(), 1);
        }
        LimitsState::None => panic!("the service has limits"),
    }
    running.stop().await;
}

#[tokio::test]
async fn a_service_without_limits_is_told_nothing() {
    let running = Setup::new(shell(r#"exec "$0""#) + "resources = { cpu = 1 }\n").run();
    running.ready().await;
    assert_eq!(running.handle.state()[0].limits, LimitsState::None);
    assert!(!running.log.text().contains("limits"), "{}", running.log.text());
    running.stop().await;
}
