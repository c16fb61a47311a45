//! The autoscaler of a running Phalanx, under requests.

use crate::support::{
    exposition::Exposition,
    http::{self, getting},
    phalanx::{Phalanx, file, shell},
    until,
};

/// How many replicas of the one service there should be, and how many serve.
fn replicas(phalanx: &Phalanx) -> (Option<u32>, u32) {
    let state = phalanx.state();
    (state.services[0].desired, state.services[0].serving)
}

#[test]
fn requests_in_flight_bring_replicas_and_are_shown() {
    let autoscale = "autoscale = { max = 3, interval = '1s', metrics = [{ in_flight = 2 }] }\n";
    let phalanx = Phalanx::up(&file(&format!("{autoscale}{}", shell("exec \"$0\""))));
    assert_eq!(replicas(&phalanx), (Some(1), 1));
    let first = phalanx.address_of("api-1");
    let mut slow: Vec<_> = (0..6).map(|_| phalanx.connection()).collect();
    for connection in &mut slow {
        connection.send(&getting("/slow")).unwrap();
    }
    until("three replicas serve", || replicas(&phalanx) == (Some(3), 3));
    phalanx.program.stderr.tells("in_flight 6 > 2 asks 3");
    let metrics = Exposition::parse(&http::get(phalanx.admin, "/metrics").body);
    let of_service = [("service", "api")];
    assert_eq!(metrics.sum("phalanx_autoscale_desired", &of_service), Some(3.0));
    assert_eq!(metrics.sum("phalanx_replicas", &[("service", "api"), ("state", "serving")]), Some(3.0));
    let metric = metrics.sum("phalanx_autoscale_metric", &[("service", "api"), ("metric", "in_flight")]);
    assert!(metric.is_some_and(|in_flight| in_flight >= 2.0), "{metric:?}");
    assert_eq!(http::get(first, "/release").status, 200);
    for connection in &mut slow {
        assert_eq!(connection.receive().unwrap().status, 200);
    }
    phalanx.stop();
}

#[test]
fn a_service_nobody_asks_for_ends_and_the_next_request_brings_it_back() {
    let autoscale = "autoscale = { min = 0, max = 2, mode = 'fast', interval = '1s', stable_window = '6s', \
                     panic_window = '1s', scale_to_zero_after = '6s' }\n";
    let phalanx = Phalanx::up(&file(&format!("{autoscale}{}", shell("exec \"$0\""))));
    assert_eq!(phalanx.get("/").status, 200);
    until("the last replica has ended", || {
        replicas(&phalanx) == (Some(0), 0) && phalanx.endpoints().is_empty()
    });
    // As it should be, so nobody has to be called.
    assert_eq!(http::get(phalanx.admin, "/readyz").status, 200);
    let answer = phalanx.get("/");
    assert!(answer.status == 200 && answer.body.starts_with("api-1 "), "{answer:?}");
    assert_eq!(replicas(&phalanx), (Some(1), 1));
    phalanx.program.stderr.tells("1 → 0: in_flight 0/100 asks 0");
    phalanx.program.stderr.tells("0 → 1: in_flight ");
    phalanx.stop();
}
