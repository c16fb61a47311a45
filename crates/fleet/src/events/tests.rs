use phalanx_config::{Config, ServiceName};

use super::*;

fn service() -> ServiceName {
    let file = "[[route]]\npath = '/'\nservice = 'api'\n[service.api]\ncommand = ['a']";
    Config::parse("phalanx.toml", file, &|_| None).unwrap().services.into_keys().next().unwrap()
}

fn log_of(count: usize) -> EventLog {
    let log = EventLog::new();
    for _ in 0..count {
        log.record(&service(), None, EventKind::Scaled, "because");
    }
    log
}

fn ids(events: &[FleetEvent]) -> Vec<u64> {
    events.iter().map(|event| event.id).collect()
}

#[test]
fn the_last_thousand_are_kept_and_a_gap_shows_in_the_numbers() {
    let log = log_of(EVENTS_KEPT_MAX + 5);
    let (past, _) = log.after(0);
    assert_eq!((past.len(), past[0].id), (EVENTS_KEPT_MAX, 6));
    assert_eq!(ids(&log.after(1003).0), [1004, 1005]);
    assert!(log.after(1005).0.is_empty());
    assert!(log.after(u64::MAX).0.is_empty());
}

#[tokio::test]
async fn what_is_to_come_follows_what_is_past_without_a_gap() {
    let log = log_of(2);
    let (past, mut stream) = log.after(1);
    log.record(&service(), Some(&"api-1".into()), EventKind::Ready, "after 1s");
    log.close();
    log.record(&service(), None, EventKind::Scaled, "too late");
    let next = stream.next().await.unwrap().unwrap();
    assert_eq!((ids(&past), next.id, next.instance.as_deref()), (vec![2], 3, Some("api-1")));
    assert_eq!(stream.next().await, None);
    // What is past can be read of a fleet that has ended.
    let (past, mut stream) = log.after(3);
    assert_eq!((ids(&past), stream.next().await), (vec![4], None));
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_what_was_missed() {
    let log = EventLog::new();
    let (_, mut stream) = log.after(0);
    for _ in 0..EVENTS_KEPT_MAX + 100 {
        log.record(&service(), None, EventKind::Scaled, "because");
    }
    let Some(Err(Missed { count })) = stream.next().await else { panic!("nothing was missed") };
    let next = stream.next().await.unwrap().unwrap();
    // The channel rounds its length up; what it says is exact all the same.
    assert_eq!(next.id, count + 1);
}
