//! What a `phalanx.toml` lays down, as it shows from outside: routes, fixed endpoints, the environment of replicas.

use std::{env, net::SocketAddr, process::Command, sync::Arc};

use rustix::process::Signal;

use crate::{
    accounts::registering,
    support::{
        home::Home,
        http::{self, getting},
        phalanx::{LISTENERS, Phalanx, Program, command, file, puppet, puppets, reference_api, shell},
        until,
    },
};

#[test]
fn a_replica_learns_its_port_and_its_name() {
    let greeting = "env = { GREETING = '${NAME:-world} $$HOME' }\nreplicas = 2\n";
    let phalanx = Phalanx::up(&file(&format!("{greeting}{}", shell("exec \"$0\""))));
    for instance in ["api-1", "api-2"] {
        let address = phalanx.address_of(instance);
        let variable = |name: &str| http::get(address, &format!("/env?{name}")).body;
        assert_eq!(variable("PORT"), address.port().to_string());
        assert_eq!(variable("PHALANX_INSTANCE"), instance);
        assert_eq!(variable("GREETING"), "world $HOME");
        assert_eq!(variable("PATH"), env::var("PATH").unwrap(), "the rest is that of phalanx");
    }
    phalanx.stop();
}

#[test]
fn an_endpoint_is_told_whom_a_request_is_from() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    let spoofed =
        "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nConnection: X-Secret\r\nX-Secret: 1\r\n";
    let head = phalanx.exchange(&http::getting_with("/head?a=%20b", spoofed)).body.to_lowercase();
    for line in [
        "get /head?a=%20b http/1.1\r\n",
        "\r\nhost: localhost\r\n",
        "\r\nx-real-ip: 127.0.0.1\r\n",
        "\r\nx-forwarded-proto: http\r\n",
        "\r\nx-forwarded-host: localhost\r\n",
        "\r\nx-request-id: ",
    ] {
        assert!(head.contains(line), "no {line:?} in\n{head}");
    }
    assert!(head.contains("x-forwarded-for: 127.0.0.1\r\n") && !head.contains("203.0.113.9"), "{head}");
    assert!(!head.contains("x-secret"), "{head}");
    phalanx.stop();
}

#[test]
fn requests_are_routed_by_host_and_path() {
    let services = format!("[service.web]\n{}[service.app]\n{}", puppets(1), puppets(1));
    let routes = "
[[route]]
path = '/'
service = 'web'
[[route]]
host = '*.example.com'
path = '/'
service = 'app'
[[route]]
path = '/app/'
methods = ['GET']
service = 'app'
[[route]]
path_exact = '/hello'
respond = { status = 203, body = \"hello\\n\" }
[[route]]
host = 'closed.example.com'
path = '/'
respond = { status = 403 }
";
    let phalanx = Phalanx::up(&format!("{LISTENERS}{routes}{services}"));
    let mut client = phalanx.connection();
    let mut ask = |method: &str, host: &str, target: &str| {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        client.exchange(request.as_bytes()).unwrap()
    };
    for (host, target, status, by) in [
        ("any", "/", 200, Some("web-1")),
        ("any:8080", "/?query", 200, Some("web-1")),
        ("api.example.com", "/", 200, Some("app-1")),
        ("API.Example.COM:80", "/", 200, Some("app-1")),
        ("example.com", "/", 200, Some("web-1")),
        ("any", "/app/", 404, Some("app-1")),
        ("any", "/apple", 404, Some("web-1")),
        ("any", "/hello", 203, None),
        ("any", "/hello/", 404, Some("web-1")),
        ("closed.example.com", "/", 403, None),
    ] {
        let answer = ask("GET", host, target);
        assert_eq!((answer.status, answer.header("x-puppet")), (status, by), "{host} {target}: {answer:?}");
    }
    let hello = ask("GET", "any", "/hello");
    assert_eq!(
        (hello.body.as_str(), hello.header("content-type")),
        ("hello\n", Some("text/plain; charset=utf-8"))
    );
    let refused = ask("POST", "any", "/app/");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET")));
    refused.problem();
    phalanx.stop();
}

#[test]
fn without_a_route_the_answer_is_a_problem() {
    let phalanx = Phalanx::up(&file(&puppets(1)).replace("path = '/'\nservice", "path = '/api/'\nservice"));
    let answer = phalanx.get("/elsewhere");
    assert_eq!((answer.status, answer.problem()), (404, "Not Found".to_owned()));
    phalanx.stop();
}

#[test]
fn a_gateway_spreads_requests_over_fixed_endpoints_by_weight() {
    let home = Arc::new(Home::new());
    let endpoints: Vec<_> = ["one", "two"].map(|name| fixed_endpoint(&home, name)).into();
    let phalanx = gateway(
        &home,
        &format!(
            "endpoints = [{{ address = '{}', weight = 3 }}, {{ address = '{}' }}]\n",
            endpoints[0].1, endpoints[1].1
        ),
    );
    let mut client = phalanx.connection();
    let answers: Vec<_> = (0..40).map(|_| client.exchange(&getting("/")).unwrap()).collect();
    let by_one = answers.iter().filter(|answer| answer.header("x-puppet") == Some("one")).count();
    assert_eq!(by_one, 30);
    let states = phalanx.endpoints();
    assert!(
        states.iter().all(|endpoint| endpoint.instance.is_none() && endpoint.pid.is_none()),
        "{states:?}"
    );
    assert_eq!(states.iter().map(|endpoint| endpoint.requests).sum::<u64>(), 40);
    stop_gateway(phalanx);
}

#[test]
fn an_endpoint_that_is_gone_costs_no_request_and_comes_back() {
    let home = Arc::new(Home::new());
    let (_survivor, survivor_address) = fixed_endpoint(&home, "survivor");
    let (gone, gone_address) = fixed_endpoint(&home, "gone");
    let phalanx = gateway(
        &home,
        &format!(
            "endpoints = [{{ address = '{survivor_address}' }}, {{ address = '{gone_address}' }}]\n\
             passive_health = {{ max_fails = 0 }}\n\
             active_health = {{ path = '/ready', interval = '50ms', timeout = '50ms', unhealthy = 2 }}\n"
        ),
    );
    let mut client = phalanx.connection();
    let mut by = |wanted: &str| {
        let answer = client.exchange(&getting("/")).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-puppet") == Some(wanted)
    };
    until("both answer", || by("gone"));
    gone.signal(Signal::KILL);
    gone.ended();
    until("the checks notice", || {
        by("survivor");
        phalanx.state().services[0].serving == 1
    });
    let (_back, _) = endpoint_on(&home, "back", gone_address.port());
    until("it answers again", || by("back"));
    stop_gateway(phalanx);
}

#[test]
fn one_service_can_be_fixed_and_another_be_run() {
    let home = Arc::new(Home::new());
    let (_fixed, address) = fixed_endpoint(&home, "legacy");
    let legacy = format!(
        "[[route]]\npath = '/env'\nservice = 'legacy'\n[service.legacy]\nendpoints = [{{ address = '{address}' }}]\n"
    );
    home.write("phalanx.toml", &format!("{}{legacy}", file(&reference_api())));
    let phalanx = Phalanx::up_in(&home);
    assert_eq!(phalanx.get("/env?PHALANX_INSTANCE").body, "legacy");
    assert_eq!(phalanx.get("/health").json()["status"], "ok");
    assert_eq!(phalanx.state().services.len(), 2);
    phalanx.program.signal(Signal::TERM);
    phalanx.program.ended().with_code(0);
}

#[test]
fn a_replica_of_the_reference_api_runs_alone() {
    let home = Arc::new(Home::new());
    let program = Program::start(&home, command(&home, &["api", "--listen", "127.0.0.1:0"]));
    let log = program.stderr.tells("the reference API serves");
    let address = log.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(http::exchange(address, &registering("ada@example.com")).status, 201);
    assert!(home.path().join(".phalanx").is_dir(), "that is where it stores, unless DATA_DIR says otherwise");
    program.signal(Signal::TERM);
    program.ended().with_code(0);
}

/// A puppet that no Phalanx runs.
fn fixed_endpoint(home: &Arc<Home>, name: &str) -> (Program, SocketAddr) {
    endpoint_on(home, name, 0)
}

fn endpoint_on(home: &Arc<Home>, name: &str, port: u16) -> (Program, SocketAddr) {
    let mut command = Command::new(puppet());
    command.current_dir(home.path()).env("PHALANX_INSTANCE", name).env("PORT", port.to_string());
    let program = Program::start(home, command);
    let first_line = program.stdout.first_line();
    let address = first_line.strip_prefix("listening on ").unwrap().parse().unwrap();
    (program, address)
}

fn gateway(home: &Arc<Home>, service: &str) -> Phalanx {
    home.write("edge.toml", &file(service));
    Phalanx::start(home, command(home, &["gateway", "-c", "edge.toml"]))
}

/// The endpoints run on: they are not Phalanx's.
fn stop_gateway(phalanx: Phalanx) {
    phalanx.program.signal(Signal::TERM);
    let ended = phalanx.program.ended().with_code(0);
    assert!(!ended.stderr.contains(" ERROR "), "{}", ended.stderr);
}
