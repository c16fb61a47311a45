//! What a `phalanx.toml` lays down, as it shows from outside: routes, fixed endpoints, the environment of replicas.

use std::{env, sync::Arc};

use rustix::process::Signal;

use crate::{
    accounts::registering,
    support::{
        edge::{self, Endpoint},
        exposition::Exposition,
        home::Home,
        http::{self, getting},
        phalanx::{LISTENERS, Phalanx, Program, command, file, puppets, reference_api, shell},
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
    let endpoints = ["one", "two"].map(|name| Endpoint::start(&home, name));
    let phalanx = edge::gateway(
        &home,
        &format!(
            "endpoints = [{{ address = '{}', weight = 3 }}, {{ address = '{}' }}]\n",
            endpoints[0].address, endpoints[1].address
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
    edge::stop(phalanx);
}

#[test]
fn an_endpoint_that_is_gone_costs_no_request_and_comes_back() {
    let home = Arc::new(Home::new());
    let (survivor, gone) = (Endpoint::start(&home, "survivor"), Endpoint::start(&home, "gone"));
    let (survivor_address, gone_address) = (survivor.address, gone.address);
    let phalanx = edge::gateway(
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
    gone.kill();
    until("the checks notice", || {
        by("survivor");
        phalanx.state().services[0].serving == 1
    });
    let _back = Endpoint::start_with(&home, "back", &[("PORT", &gone_address.port().to_string())]);
    until("it answers again", || by("back"));
    edge::stop(phalanx);
}

#[test]
fn a_gateway_finds_endpoints_by_name() {
    let home = Arc::new(Home::new());
    let endpoint = Endpoint::start(&home, "one");
    // Nobody is asked for this name (RFC 6761, section 6.3), and nobody listens at its other address, `::1`.
    let dns = format!("localhost:{}", endpoint.address.port());
    let phalanx =
        edge::gateway(&home, &format!("discover = {{ dns = '{dns}', resolver = '127.0.0.1:1' }}\n"));
    until("the endpoints", || phalanx.state().services[0].serving == 2);
    let answer = phalanx.get("/");
    assert_eq!((answer.status, answer.header("x-puppet")), (200, Some("one")));
    let metrics = Exposition::parse(&http::get(phalanx.admin, "/metrics").body);
    assert_eq!(metrics.sum("phalanx_discovery_failures_total", &[("service", "api")]), Some(0.0));
    edge::stop(phalanx);
}

#[test]
fn one_service_can_be_fixed_and_another_be_run() {
    let home = Arc::new(Home::new());
    let fixed = Endpoint::start(&home, "legacy");
    let legacy = format!(
        "[[route]]\npath = '/env'\nservice = 'legacy'\n[service.legacy]\nendpoints = [{{ address = '{}' }}]\n",
        fixed.address
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
