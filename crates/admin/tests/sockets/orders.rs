//! What is ordered, and how it comes out.

use std::{sync::PoisonError, thread, time::Duration};

use phalanx_admin::{
    client::{Client, ClientError},
    control::{DrainOrder, Ending, Order},
    state::Outcome,
};

use crate::running::{PATIENCE, Running, answer};

const SCALE: &str = "/v1/services/api/scale";
const ROLLOUT: &str = "/v1/services/api/rollout";

fn complete() -> Option<Ending> {
    Some(Ending::Complete { told: "8 of 8 replicas are available".to_owned() })
}

fn orders(admin: &Running) -> Vec<Order> {
    let orders = admin.telling.orders.lock().unwrap_or_else(PoisonError::into_inner);
    orders.iter().map(|(_, order)| *order).collect()
}

#[test]
fn an_order_is_accepted_and_nobody_waits() {
    let admin = Running::start();
    let (status, report) = admin.post(SCALE, r#"{"replicas":8}"#);
    assert_eq!((status, &report["outcome"]), (202, &"accepted".into()), "{report}");
    assert_eq!(report["service"]["name"], "api", "{report}");
    for (body, order) in [
        (r#"{"action":"restart"}"#, Order::Restart),
        (r#"{"action":"undo"}"#, Order::Undo { revision: None }),
        (r#"{"action":"undo","revision":3}"#, Order::Undo { revision: Some(3) }),
        (r#"{"action":"pause"}"#, Order::Pause),
        (r#"{"action":"resume"}"#, Order::Resume),
    ] {
        assert_eq!(admin.post(ROLLOUT, body).0, 202, "{body}");
        assert_eq!(orders(&admin).last(), Some(&order), "{body}");
    }
    assert_eq!(orders(&admin).len(), 6);
}

#[test]
fn the_outcome_is_the_answer_to_whoever_waits() {
    let failed = Some(Ending::Failed { reason: "revision 5 stalled: api-4 exits".to_owned() });
    for (ending, status, outcome, detail) in [
        (complete(), 200, "complete", "8 of 8 replicas are available"),
        (failed, 409, "failed", "revision 5 stalled: api-4 exits"),
    ] {
        let admin = Running::start();
        admin.telling.ending.send_replace(ending);
        let (answered, report) = admin.post(SCALE, r#"{"replicas":8,"wait":"30s"}"#);
        assert_eq!(answered, status, "{report}");
        assert_eq!((&report["outcome"], &report["detail"]), (&outcome.into(), &detail.into()), "{report}");
    }
}

#[test]
fn an_order_that_takes_longer_than_the_wait_says_what_it_waits_for() {
    let admin = Running::start();
    let (status, report) = admin.post(SCALE, r#"{"replicas":8,"wait":"1ms"}"#);
    assert_eq!((status, &report["outcome"]), (504, &"under-way".into()), "{report}");
    assert_eq!(report["detail"], "after 1ms it is still under way: waits for api-4");
    assert_eq!(report["service"]["rollout"]["revision"], 4, "{report}");
}

#[test]
fn a_wait_begins_before_its_outcome_is_known() {
    let admin = Running::start();
    let headers = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 29\r\n";
    let waiting = admin.send("POST", SCALE, headers, r#"{"replicas":8,"wait":"3600s"}"#);
    while orders(&admin).is_empty() {
        thread::yield_now();
    }
    admin.telling.ending.send_replace(complete());
    let (head, body) = answer(waiting);
    assert!(head.starts_with("http/1.1 200 "), "{head}: {body}");
}

#[test]
fn a_wait_ends_when_phalanx_stops() {
    let admin = Running::start();
    let headers = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 29\r\n";
    let waiting = admin.send("POST", SCALE, headers, r#"{"replicas":8,"wait":"3600s"}"#);
    while orders(&admin).is_empty() {
        thread::yield_now();
    }
    admin.begin_to_stop();
    let (head, body) = answer(waiting);
    assert!(head.starts_with("http/1.1 503 "), "{head}: {body}");
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    let admin = Running::start();
    for (path, body, status, detail) in [
        (SCALE, r#"{"replicas":1001}"#, 409, "at most 1000 replicas: 2 cores"),
        ("/v1/services/shop/scale", r#"{"replicas":1}"#, 404, "There is no service `shop`; known: api."),
        ("/v1/services/stopping/scale", r#"{"replicas":1}"#, 503, "Phalanx is stopping"),
        (SCALE, "{}", 400, "missing field `replicas`"),
        (SCALE, r#"{"replicas":-1}"#, 400, "`replicas`: "),
        (SCALE, r#"{"replicas":4294967296}"#, 400, "`replicas`: "),
        (SCALE, r#"{"replicas":1,"wait":"soon"}"#, 400, "`wait`: "),
        (SCALE, r#"{"replicas":1,"wait":"2h"}"#, 400, "`wait`: is longer than an hour"),
        (SCALE, r#"{"replicas":1,"wait":9}"#, 400, "`wait`: "),
        (SCALE, r#"{"replica":1}"#, 400, "unknown field `replica`"),
        (SCALE, "replicas=1", 400, "expected value"),
        (ROLLOUT, r#"{"action":"explode"}"#, 400, "`action`: unknown variant `explode`"),
        (ROLLOUT, r#"{"action":"restart","revision":1}"#, 400, "`revision` goes with the action `undo`"),
        ("/v1/endpoints/api-1/drain", "", 400, "`api-1` is no address"),
        ("/v1/endpoints/127.0.0.1:1/drain", r#"{"action":"stop"}"#, 400, "`action`: unknown variant"),
    ] {
        let (answered, problem) = admin.post(path, body);
        assert_eq!(answered, status, "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{path} {body}: {problem}");
        assert_eq!(problem["outcome"], "refused", "{path} {body}: {problem}");
    }
    assert_eq!(orders(&admin), []);
    assert_eq!(*admin.telling.drains.lock().unwrap(), []);
}

/// O17: what a web page can send without being asked for leave, and what it can with.
#[test]
fn a_web_page_orders_nothing() {
    let admin = Running::start();
    let json = "Content-Type: application/json\r\n";
    for (headers, status, error) in [
        ("Host: localhost\r\n".to_owned(), 415, "Not JSON"),
        ("Host: localhost\r\nContent-Type: text/plain\r\n".to_owned(), 415, "Not JSON"),
        (
            "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n".to_owned(),
            415,
            "Not JSON",
        ),
        ("Host: localhost\r\nContent-Type: text/plain; application/json\r\n".to_owned(), 415, "Not JSON"),
        (format!("Host: localhost\r\nOrigin: http://evil.example\r\n{json}"), 403, "Foreign origin"),
        (format!("Host: localhost\r\nOrigin: null\r\n{json}"), 403, "Foreign origin"),
        (format!("Host: evil.example\r\n{json}"), 403, "Foreign host"),
    ] {
        for path in [SCALE, ROLLOUT, "/v1/endpoints/127.0.0.1:3000/drain", "/v1/reload"] {
            let body = if path == SCALE { r#"{"replicas":1}"# } else { r#"{"action":"resume"}"# };
            let (answered, problem) = admin.post_with(path, &headers, body);
            assert_eq!(
                (answered, &problem["error"]),
                (status, &error.into()),
                "{path} {headers:?}: {problem}"
            );
        }
        let without_body = admin.ask("DELETE", "/v1/endpoints/127.0.0.1:3000/drain", &headers);
        assert_eq!(without_body.0.contains(" 403 "), status == 403, "{headers:?}: {}", without_body.0);
    }
    assert_eq!(orders(&admin), []);
    let drains = admin.telling.drains.lock().unwrap();
    assert!(drains.iter().all(|(_, order)| *order == DrainOrder::Resume), "{drains:?}");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let admin = Running::start();
    let padding = " ".repeat(16 * 1024);
    let (status, problem) = admin.post(SCALE, &format!(r#"{{"replicas":1{padding}}}"#));
    assert_eq!((status, &problem["error"]), (413, &"Body too large".into()), "{problem}");
    assert_eq!(orders(&admin), []);
}

#[test]
fn an_endpoint_is_taken_out_and_back() {
    let admin = Running::start();
    admin.telling.ending.send_replace(complete());
    let path = "/v1/endpoints/127.0.0.1:3000/drain";
    assert_eq!(admin.post(path, "").0, 202);
    assert_eq!(admin.post(path, r#"{"wait":"30s"}"#).0, 200);
    assert_eq!(admin.post(path, r#"{"action":"resume"}"#).0, 202);
    assert!(admin.ask("DELETE", path, "Host: localhost\r\n").0.starts_with("http/1.1 202 "));
    let address = "127.0.0.1:3000".parse().unwrap();
    let expected = [DrainOrder::Drain, DrainOrder::Drain, DrainOrder::Resume, DrainOrder::Resume]
        .map(|order| (address, order));
    assert_eq!(*admin.telling.drains.lock().unwrap(), expected);
}

#[test]
fn a_rollout_and_an_output_can_be_read() {
    let admin = Running::start();
    let json = |path: &str| -> serde_json::Value { serde_json::from_str(&admin.get(path).1).unwrap() };
    assert_eq!(json(ROLLOUT)["reason"], "waits for api-4");
    assert_eq!(json("/v1/replicas/api-1/output")["lines"][0], "ready");
    for (path, detail) in [
        ("/v1/services/legacy/rollout", "no service with replicas `legacy`; known: api."),
        ("/v1/replicas/api-9/output", "no replica `api-9`; known: api-1."),
    ] {
        assert!(admin.get(path).0.starts_with("http/1.1 404 "), "{path}");
        assert!(json(path)["detail"].as_str().unwrap().contains(detail), "{path}: {}", json(path));
    }
}

#[test]
fn the_client_gives_orders_and_reads_how_they_come_out() {
    let admin = Running::start();
    let client = Client::new(&admin.address.to_string()).unwrap();
    let report = client.order("api", Order::Undo { revision: Some(3) }, None).unwrap();
    assert_eq!(report.outcome, Outcome::Accepted);
    assert_eq!(orders(&admin), [Order::Undo { revision: Some(3) }]);
    let report = client.order("api", Order::Restart, Some(Duration::from_millis(1))).unwrap();
    assert_eq!(report.outcome, Outcome::UnderWay);
    admin.telling.ending.send_replace(complete());
    let report = client.order("api", Order::Scale { replicas: 8 }, Some(PATIENCE)).unwrap();
    assert_eq!(
        (report.outcome, report.detail.as_str()),
        (Outcome::Complete, "8 of 8 replicas are available")
    );
    assert_eq!(report.service.unwrap().name, "api");
    let report = client.order("shop/../api", Order::Restart, None).unwrap();
    assert_eq!(report.outcome, Outcome::Refused);
    assert!(report.detail.contains("`shop/../api`; known: api"), "{}", report.detail);
    assert_eq!(client.reload(Some(PATIENCE)).unwrap().outcome, Outcome::Complete);
    let report = client.drain("[::1]:3000", DrainOrder::Drain, Some(PATIENCE)).unwrap();
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(admin.telling.drains.lock().unwrap()[0].0, "[::1]:3000".parse().unwrap());
}

#[test]
fn the_client_says_where_nobody_takes_orders() {
    let mut admin = Running::start();
    admin.stop();
    let client = Client::new(&admin.address.to_string()).unwrap();
    let error = client.order("api", Order::Restart, None).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
}
