//! Several services in one file: which of them run, in which order, with which variables, and what would run.

use std::{net::TcpListener, sync::Arc};

use rustix::process::Signal;

use crate::support::{
    home::Home,
    http,
    phalanx::{LISTENERS, Phalanx, command, file, puppets, run, shell},
};

/// Three services that Phalanx runs, two of which belong together.
fn three() -> String {
    let route = |path: &str, service: &str| format!("[[route]]\npath = '{path}'\nservice = '{service}'\n");
    let routes = route("/", "web") + &route("/worker", "worker");
    let service = |name: &str, more: &str| format!("[service.{name}]\n{more}{}", puppets(1));
    let services = service("web", "depends_on = ['base']\n") + &service("base", "") + &service("worker", "");
    format!("{LISTENERS}{routes}{services}")
}

#[test]
fn only_the_named_services_run_with_those_they_depend_on() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &three());
    let phalanx = Phalanx::start(&home, command(&home, &["up", "web"]));
    let banner = phalanx.program.stdout.tells("\nReady.\n");
    assert!(banner.contains("1 × base, 1 × web: "), "{banner}");
    assert!(banner.contains("left out: worker"), "{banner}");
    let replicas: Vec<_> = phalanx.state().services.iter().map(|service| service.endpoints.len()).collect();
    assert_eq!(replicas, [1, 1, 0]);
    assert_eq!((phalanx.get("/").status, phalanx.get("/worker").status), (200, 503));
    assert_eq!(http::get(phalanx.admin, "/readyz").status, 200, "what is left out is not missed");
    phalanx.stop();
}

#[test]
fn a_service_that_is_not_there_is_refused_with_a_guess() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &three());
    let refused = run(&home, &["up", "wrker"]).with_code(2);
    refused.complains(&["there is no service `wrker`: did you mean `worker`?"]);
    assert_eq!(refused.stdout, "");
}

#[test]
fn variables_come_from_files_and_the_nearest_wins() {
    let home = Arc::new(Home::new());
    let keys = "env = { NEAR = 'env', EXPANDED = '${BESIDE}' }\nenv_file = ['first.env', 'second.env', 'third.env?']\n";
    home.write("phalanx.toml", &file(&format!("{keys}{}", puppets(1))));
    home.write(".env", "BESIDE='from the file'\nOUTER=beside\n");
    home.write(
        "first.env",
        "# the base\nexport NEAR=first\nFAR=first\nONLY=\"first # of all\"\nOUTER=first\nPORT=1\n",
    );
    home.write("second.env", "NEAR=second\nFAR=second\n");
    let mut up = command(&home, &["up"]);
    up.env("OUTER", "own").env("OWN", "own");
    let phalanx = Phalanx::start(&home, up);
    phalanx.program.stdout.tells("\nReady.\n");
    for (name, value) in [
        ("NEAR", "env"),
        ("FAR", "second"),
        ("ONLY", "first # of all"),
        ("OUTER", "first"),
        ("OWN", "own"),
        ("EXPANDED", "from the file"),
    ] {
        assert_eq!(phalanx.get(&format!("/env?{name}")).body, value, "{name}");
    }
    let address = phalanx.address_of("api-1");
    assert_eq!(http::get(address, "/env?PORT").body, address.port().to_string(), "that is Phalanx's to say");
    phalanx.stop();
}

#[test]
fn files_of_variables_that_cannot_be_read_are_faults_with_their_lines() {
    let home = Arc::new(Home::new());
    let keys = "env_file = ['missing.env', 'faulty.env', 'optional.env?']\n";
    home.write("phalanx.toml", &file(&format!("{keys}{}", puppets(1))));
    home.write("faulty.env", "GOOD=1\nthis is no variable\nKEY=p4ssword again\n");
    for verb in [&["check"][..], &["up"], &["up", "--dry-run"]] {
        let refused = run(&home, verb).with_code(3);
        refused.complains(&[
            "missing.env cannot be read",
            "end its name with `?`",
            "faulty.env:2, faulty.env:3",
        ]);
        assert!(!refused.stderr.contains("p4ssword"), "{}", refused.stderr);
        assert!(refused.stderr.contains("has 2 faults"), "the third may be missing: {}", refused.stderr);
    }

    // Nobody looks into the file beside the configuration before something of it is asked for.
    home.write(".env", "not a variable\n");
    home.write("phalanx.toml", &file(&puppets(1)));
    run(&home, &["check"]).with_code(0);
    home.write("phalanx.toml", &file(&format!("env = {{ A = '${{SECRET}}' }}\n{}", puppets(1))));
    run(&home, &["check"]).with_code(3).complains(&[".env:1 is not `NAME=value`"]);
}

#[test]
fn a_dry_run_says_what_would_run_and_starts_nothing() {
    let home = Arc::new(Home::new());
    home.write(
        "phalanx.toml",
        &three().replace("[service.web]\n", "[service.web]\nenv = { KEY = 'p4ssword' }\n"),
    );
    let ended = run(&home, &["up", "--dry-run"]).with_code(0);
    for wanted in [
        "phalanx.toml can run as it is; nothing was started.",
        "1. base: 1 × ",
        "2. web: 1 × ",
        "starts after base",
        "environment: PORT, PHALANX_INSTANCE, KEY",
        "readiness: GET /ready every 50ms",
        "3. worker: 1 × ",
    ] {
        assert!(ended.stdout.contains(wanted), "no {wanted:?} in\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("p4ssword"), "{}", ended.stdout);
    let ended = run(&home, &["up", "--dry-run", "worker"]).with_code(0);
    assert!(ended.stdout.contains("web is left out"), "{}", ended.stdout);
    home.assert_empty();
}

#[test]
fn a_dry_run_finds_what_up_would_stumble_over() {
    let home = Arc::new(Home::new());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sound = file(&puppets(1));
    home.write("phalanx.toml", &sound.replacen("127.0.0.1:0", &address, 1));
    run(&home, &["up", "--dry-run"]).with_code(4).complains(&["cannot listen on", &address]);
    home.write("phalanx.toml", &file("command = ['no-such-program']\n"));
    run(&home, &["up", "--dry-run"]).with_code(3).complains(&["no-such-program"]);
    home.write("phalanx.toml", &sound);
    run(&home, &["up", "--dry-run"]).with_code(0);
    drop(taken);
}

#[test]
fn a_service_stops_before_those_it_depends_on() {
    let told = |name: &str| shell(&format!("trap 'echo {name} ends; exit 0' TERM; \"$0\" & wait"));
    let route = "[[route]]\npath = '/'\nservice = 'web'\n";
    let services =
        format!("[service.web]\ndepends_on = ['base']\n{}[service.base]\n{}", told("web"), told("base"));
    let phalanx = Phalanx::up(&format!("{LISTENERS}{route}{services}"));
    phalanx.program.signal(Signal::TERM);
    let ended = phalanx.program.ended().with_code(0);
    let place = |text: &str| ended.stdout.find(text).unwrap_or_else(|| panic!("no {text:?}: {ended:#?}"));
    assert!(place("web ends") < place("base ends"), "{}", ended.stdout);
}
