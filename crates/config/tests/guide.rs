//! The examples of the guides in `docs/` are files that work.

use phalanx_config::{BackOff, Config, Source};

const GUIDE: &str = include_str!("../../../docs/gateway.md");
const FLEET_GUIDE: &str = include_str!("../../../docs/fleet.md");
const DATA_GUIDE: &str = include_str!("../../../docs/data.md");
const ROUTE: &str = "\n[[route]]\npath = \"/\"\nservice = \"api\"\n";
const SERVICE: &str = "\n[service.api]\nendpoints = [{ address = \"10.0.1.10:3000\" }]\n";

/// The examples, each with what it leaves out: a route, or the service it names.
fn examples(guide: &'static str) -> impl Iterator<Item = String> {
    guide.split("```toml\n").skip(1).map(|rest| {
        let (example, _) = rest.split_once("```").expect("a block that ends");
        let route = if example.contains("[[route]]") { "" } else { ROUTE };
        let service = if example.contains("[service.api]") { "" } else { SERVICE };
        format!("{example}{route}{service}")
    })
}

#[test]
fn every_example_is_a_sound_file() {
    let mut count = 0;
    for example in [GUIDE, FLEET_GUIDE, DATA_GUIDE].into_iter().flat_map(examples) {
        count += 1;
        if let Err(faults) = Config::parse("guide.md", &example, &|name| Some(name.to_owned())) {
            panic!("{faults}\n{faults:#?}\n{example}");
        }
    }
    assert!(count >= 17, "{count} examples were found");
}

/// Where the guide writes out a table and calls its values the defaults, they are.
#[test]
fn values_that_the_guide_calls_defaults_are() {
    let says = ["has the values above", "has these values", "the defaults"];
    let shows_defaults = |example: &String| says.iter().any(|words| example.contains(words));
    let shown: Vec<_> = examples(GUIDE).filter(shows_defaults).collect();
    assert_eq!(shown.len(), 5, "{shown:#?}");
    for example in shown {
        let written = Config::parse("gateway.md", &example, &|_| None).expect("a sound file");
        let emptied = emptied(&example);
        let default = Config::parse("gateway.md", &emptied, &|_| None).expect("a sound file");
        assert_eq!(format!("{:#?}", written.services), format!("{:#?}", default.services), "{emptied}");
        assert_eq!(format!("{:#?}", written.routes), format!("{:#?}", default.routes), "{emptied}");
    }
}

#[test]
fn the_back_off_that_the_guide_calls_the_default_is() {
    let mut shown = examples(FLEET_GUIDE).filter(|example| example.contains("back_off"));
    let (example, None) = (shown.next().expect("an example"), shown.next()) else {
        panic!("several examples of it")
    };
    let config = Config::parse("fleet.md", &example, &|_| None).expect("a sound file");
    match &config.services.values().next().expect("a service").source {
        Source::Replicas(replicas) => assert_eq!(replicas.back_off, BackOff::default()),
        Source::Endpoints { .. } | Source::Discovered { .. } => panic!("a command makes replicas"),
    }
}

/// The example with nothing in the table that it shows.
fn emptied(example: &str) -> String {
    let shown = ["timeouts", "outlier_ejection", "circuit_breaker", "queue", "hold", "adaptive_concurrency"];
    let line = |line: &str| match shown.iter().find(|key| line.starts_with(**key)) {
        Some(key) => format!("{key} = {{}}"),
        None => line.to_owned(),
    };
    example.lines().map(line).collect::<Vec<_>>().join("\n")
}
