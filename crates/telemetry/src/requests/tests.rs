use std::{sync::Barrier, thread};

use proptest::prelude::*;

use super::*;
use crate::exposition::Exposition;

/// A request that ended: which writer counted it, its method, its status and that status's label, its time.
#[derive(Clone, Debug)]
struct Ended {
    writer: usize,
    method: MethodLabel,
    status: (u16, &'static str),
    nanos: u64,
}

const STATUSES: [(u16, &str); 6] =
    [(200, "200"), (226, "2xx"), (404, "404"), (418, "4xx"), (503, "503"), (0, "500")];
const WRITERS: usize = 3;

fn ended() -> impl Strategy<Value = Ended> {
    let nanos = prop_oneof![0..20_000_000_000u64, Just(500_000), Just(500_001), Just(10_000_000_000)];
    let method = prop::sample::select(&MethodLabel::ALL[..]);
    (0..WRITERS, method, prop::sample::select(&STATUSES[..]), nanos)
        .prop_map(|(writer, method, status, nanos)| Ended { writer, method, status, nanos })
}

proptest! {
    #[test]
    fn exposition_is_what_counting_by_hand_gives(requests in prop::collection::vec(ended(), 0..60)) {
        let family = RequestFamily::new();
        let writers: [_; WRITERS] = std::array::from_fn(|_| family.series("api", "/users/{id}"));
        for request in &requests {
            let series = &writers[request.writer];
            series.begun();
            series.ended(request.method, request.status.0, Duration::from_nanos(request.nanos));
        }
        let exposition = Exposition::of(family.collector());

        let mut counted = 0.0;
        for (labels, total) in exposition.named("http_requests_total") {
            let nanos = || requests.iter().filter(|request| {
                request.method.as_str() == labels["method"] && request.status.1 == labels["status"]
            }).map(|request| request.nanos);
            prop_assert_eq!(total, nanos().count() as f64);
            prop_assert!(total > 0.0, "a cell without requests: {:?}", labels);
            prop_assert_eq!((&*labels["service"], &*labels["route"]), ("api", "/users/{id}"));
            counted += total;

            let seconds = exposition.named("http_request_duration_seconds_sum").find(|(of, _)| *of == labels);
            let (_, seconds) = seconds.expect("each counter has a histogram");
            prop_assert!((seconds - nanos().sum::<u64>() as f64 / 1e9).abs() < 1e-6);
            for (bucket, cumulated) in exposition.named("http_request_duration_seconds_bucket") {
                let mut of = bucket.clone();
                let bound = of.remove("le").expect("a bound").parse::<f64>().expect("a number") * 1e9;
                if of == *labels {
                    prop_assert_eq!(cumulated, nanos().filter(|nanos| *nanos as f64 <= bound).count() as f64);
                }
            }
        }
        prop_assert_eq!(counted, requests.len() as f64);
    }
}

#[test]
fn every_scrape_agrees_with_itself_while_writers_count() {
    const REQUESTS: u32 = 20_000;
    let family = RequestFamily::new();
    let start = Barrier::new(WRITERS + 1);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let series = family.series("api", "/");
                start.wait();
                for request in 0..REQUESTS {
                    series.begun();
                    series.ended(MethodLabel::Get, 200, Duration::from_micros(u64::from(request)));
                }
            });
        }
        start.wait();
        let mut before = 0.0;
        while before < f64::from(REQUESTS) * WRITERS as f64 {
            let total = agreed_total(&Exposition::of(family.collector()));
            assert!(total >= before, "a counter fell from {before} to {total}");
            before = total;
        }
        assert_eq!(before, f64::from(REQUESTS) * WRITERS as f64);
    });
}

/// The one number that counter, histogram count and last bucket all show.
fn agreed_total(exposition: &Exposition) -> f64 {
    let only = |name| exposition.named(name).map(|(_, value)| value).sum::<f64>();
    let total = only("http_requests_total");
    assert_eq!(total, only("http_request_duration_seconds_count"));
    let above = exposition
        .named("http_request_duration_seconds_bucket")
        .filter(|(labels, _)| labels["le"] == "+Inf")
        .map(|(_, value)| value)
        .sum::<f64>();
    assert_eq!(total, above);
    total
}

#[test]
fn requests_are_in_flight_from_begin_to_end() {
    let family = RequestFamily::new();
    let labels = [("service", "api"), ("route", "/")];
    let in_flight = || Exposition::of(family.collector()).value("http_requests_in_flight", &labels);
    assert_eq!(in_flight(), None);

    let (one, other) = (family.series("api", "/"), family.series("api", "/"));
    one.begun();
    other.begun();
    assert_eq!(in_flight(), Some(2.0));
    one.ended(MethodLabel::Get, 200, Duration::ZERO);
    assert_eq!(in_flight(), Some(1.0));
}

#[test]
fn what_began_is_told_by_service() {
    let family = RequestFamily::new();
    let (one, other, elsewhere) =
        (family.series("api", "/"), family.series("api", "/users"), family.series("web", "/"));
    one.begun();
    other.begun();
    elsewhere.begun();
    one.ended(MethodLabel::Get, 200, Duration::ZERO);
    assert_eq!((family.begun("api"), family.begun("web"), family.begun("none")), (2, 1, 0));
}

#[test]
fn statuses_without_a_series_count_under_their_class() {
    let family = RequestFamily::new();
    let series = family.series("api", "/");
    for (status, label) in
        [(100, "100"), (102, "1xx"), (299, "2xx"), (399, "3xx"), (499, "499"), (599, "5xx"), (600, "500")]
    {
        series.begun();
        series.ended(MethodLabel::of(b"BREW"), status, Duration::ZERO);
        let labels = [("service", "api"), ("route", "/"), ("method", "other"), ("status", label)];
        let total = Exposition::of(family.collector()).value("http_requests_total", &labels);
        assert_eq!(total, Some(1.0), "{status}");
    }
}

#[test]
fn every_method_has_its_own_label() {
    for method in MethodLabel::ALL {
        assert_eq!(MethodLabel::of(method.as_str().as_bytes()), method);
    }
    // Methods are case-sensitive: RFC 9110, section 9.1.
    assert_eq!(MethodLabel::of(b"get"), MethodLabel::Other);
}

#[test]
fn label_values_are_quoted() {
    let family = RequestFamily::new();
    let route = "/a\"b\\c\nd";
    family.series("api", route).begun();
    let labels = [("service", "api"), ("route", route)];
    assert_eq!(Exposition::of(family.collector()).value("http_requests_in_flight", &labels), Some(1.0));
}
