//! The verbs, as a person or a script uses them: what they print, and how they exit.

use std::sync::Arc;

use phalanx_admin::state::State;
use serde_json::Value;

use crate::support::{
    home::Home,
    phalanx::{LISTENERS, Phalanx, Program, command, file, puppets, reference_api, run},
};

#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_place() {
    let home = Arc::new(Home::new());
    home.write(
        "phalanx.toml",
        "[gateway]\nhtpp = ['127.0.0.1:0']\nworkers = 'many'\n[[route]]\npath = '/'\nservice = 'apy'\n[service.api]\nendpoints = []\n",
    );
    for verb in ["check", "up"] {
        let ended = run(&home, &[verb]).with_code(3);
        assert_eq!(ended.stdout, "");
        ended.complains(&[
            "phalanx.toml has 4 faults",
            "phalanx.toml:2:1",
            "did you mean `http`?",
            "phalanx.toml:3:11",
            "workers = 'many'",
            "phalanx.toml:6:11",
            "did you mean `api`?",
            "phalanx.toml:8:13",
        ]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let home = Arc::new(Home::new());
    let folder = home.path().display().to_string();
    for arguments in
        [["check", "-c", "missing.toml"], ["up", "-c", "missing.toml"], ["gateway", "-c", "missing.toml"]]
    {
        run(&home, &arguments).with_code(3).complains(&["missing.toml", "No such file"]);
    }
    run(&home, &["check", "-c", &folder]).with_code(3).complains(&[&folder]);
    run(&home, &["check", "-c", "/dev/zero"]).with_code(3).complains(&["/dev/zero", "1048576"]);
}

#[test]
fn a_program_that_does_not_exist_is_told_with_its_place() {
    let home = Arc::new(Home::new());
    for (command, hint) in [
        ("['phalanx-test-no-such-program']", "set PATH"),
        ("['./missing']", "a relative path"),
        ("['node server.js']", r#"command = ["node", "server.js"]"#),
        ("['./phalanx.toml']", "chmod +x"),
    ] {
        home.write("phalanx.toml", &file(&format!("command = {command}\n")));
        for verb in ["check", "up"] {
            run(&home, &[verb]).with_code(3).complains(&[
                "phalanx.toml:9:11",
                "service `api` cannot be started",
                hint,
            ]);
        }
    }
}

#[test]
fn every_program_that_does_not_exist_is_told_at_once() {
    let home = Arc::new(Home::new());
    let missing = "command = ['./missing']\n";
    home.write("phalanx.toml", &format!("{}[service.other]\n{missing}", file(missing)));
    for arguments in [&["check"][..], &["up"], &["gateway", "-c", "phalanx.toml"]] {
        let ended = run(&home, arguments).with_code(3);
        ended.complains(&["has 2 faults", "phalanx.toml:9:11", "phalanx.toml:11:11", "`api`", "`other`"]);
    }
}

#[test]
fn a_sound_file_is_summed_up() {
    let home = Arc::new(Home::new());
    let builtin = run(&home, &["check"]).with_code(0);
    assert!(
        builtin.stdout.contains("built-in topology") && builtin.stdout.contains("3 replicas"),
        "{builtin:#?}"
    );
    home.write("phalanx.toml", &file(&reference_api()));
    let checked = run(&home, &["check"]).with_code(0);
    assert_eq!(
        checked.stdout,
        "phalanx.toml is sound: 1 route, 1 service\n  api: 3 replicas of phalanx api\n"
    );
    home.assert_empty();
}

#[test]
fn a_service_is_told_by_its_source_and_what_it_does_not_leave_to_defaults() {
    let home = Arc::new(Home::new());
    let listeners = "[gateway]\nhttp = ['127.0.0.1:0']\n[[route]]\npath = '/'\nservice = 'a'\n";
    let services = "
[service.a]
endpoints = [{ address = '127.0.0.1:1' }, { address = '127.0.0.1:2' }, { address = '127.0.0.1:3', backup = true }]
balance = 'least_connections'
[service.b]
endpoints = [{ address = '127.0.0.1:1' }]
balance = 'consistent_hash'
hash_key = 'cookie:session'
protocol = 'h2c'
[service.c]
discover = { dns = 'api.internal:3000' }
protocol = 'auto'
[service.d]
discover = { dns = '_http._tcp.api.internal', resolver = '127.0.0.1:53' }
[service.e]
command = ['sh', '-c', 'exit']
balance = 'round_robin'
protocol = 'http1'
";
    home.write("phalanx.toml", &format!("{listeners}{services}"));
    let checked = run(&home, &["check"]).with_code(0);
    assert_eq!(
        checked.stdout,
        "\
phalanx.toml is sound: 1 route, 5 services
  a: 2 endpoints and 1 backup, balance least_connections
  b: 1 endpoint, balance consistent_hash on cookie:session, protocol h2c
  c: endpoints from DNS, api.internal:3000, protocol auto
  d: endpoints from DNS, _http._tcp.api.internal asked of 127.0.0.1:53
  e: 1 replica of sh -c exit
"
    );
}

#[test]
fn the_schema_is_json() {
    let home = Arc::new(Home::new());
    let printed = run(&home, &["check", "--schema"]).with_code(0).stdout;
    let schema: Value = serde_json::from_str(&printed).unwrap();
    assert!(schema["properties"]["gateway"].is_object(), "{printed}");
}

#[test]
fn every_verb_explains_itself() {
    let home = Arc::new(Home::new());
    for (arguments, point) in [
        (&["--help"][..], "Exit codes:"),
        (&["up", "--help"], "three replicas of the"),
        (&["gateway", "--help"], "fixed endpoints"),
        (&["api", "--help"], "DATA_DIR"),
        (&["check", "--help"], "every fault at once"),
        (&["status", "--help"], "--json"),
        (&["scale", "--help"], "scale shop 8"),
        (&["rollout", "--help"], "max_unavailable"),
        (&["drain", "--help"], "--undo"),
        (&["reload", "--help"], "HUP"),
        (&["completions", "--help"], "/etc/bash_completion.d/"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let ended = run(&home, arguments).with_code(0);
        assert!(ended.stdout.contains(point), "no {point:?} in\n{}", ended.stdout);
    }
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let home = Arc::new(Home::new());
    for (arguments, complaint) in [
        (&[][..], "Usage: phalanx"),
        (&["upp"], "'up'"),
        (&["gateway"], "--config <FILE>"),
        (&["status", "--jsn"], "'--json'"),
        (&["api", "--listen", "here"], "--listen"),
    ] {
        run(&home, arguments).with_code(2).complains(&[complaint]);
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    let home = Arc::new(Home::new());
    for (shell, sign) in
        [("bash", "complete -F _phalanx"), ("zsh", "#compdef phalanx"), ("fish", "complete -c phalanx")]
    {
        let printed = run(&home, &["completions", shell]).with_code(0).stdout;
        assert!(printed.contains(sign) && printed.contains("completions"), "{printed}");
    }
}

#[test]
fn status_shows_every_replica_as_a_table_and_as_json() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let home = Arc::new(Home::new());
    // Also without the scheme, as people type it.
    for admin in [format!("http://{}", phalanx.admin), phalanx.admin.to_string()] {
        let table = run(&home, &["status", "--admin", &admin]).with_code(0).stdout;
        assert!(table.contains("api: 2 of 2 replicas serving"), "{table}");
        for replica in phalanx.endpoints() {
            let row = table.lines().find(|line| line.contains(&replica.address)).unwrap();
            for cell in
                ["api", replica.instance.as_deref().unwrap(), "serving", &replica.pid.unwrap().to_string()]
            {
                assert!(row.split_whitespace().any(|word| word == cell), "no {cell} in {row}");
            }
        }
        let json = run(&home, &["status", "--json", "--admin", &admin]).with_code(0).stdout;
        let state: State = serde_json::from_str(&json).unwrap();
        assert_eq!(state.services[0].serving, 2);
        assert_eq!(state.gateway.listeners, [phalanx.gateway.to_string()]);
    }
    phalanx.stop();
}

#[test]
fn status_without_a_phalanx_names_what_it_asked() {
    let home = Arc::new(Home::new());
    // Nobody listens on TCPMUX.
    let ended = run(&home, &["status", "--admin", "http://127.0.0.1:1"]).with_code(5);
    ended.complains(&["http://127.0.0.1:1/", "is `phalanx up` running?", "--admin"]);
    run(&home, &["status", "--admin", "ftp://x"]).with_code(5).complains(&["ftp://x"]);
}

#[test]
fn the_status_command_that_is_printed_works() {
    let phalanx = Phalanx::up(&file(&puppets(1)));
    let told = phalanx.program.stdout.tells("Ctrl-C drains");
    let printed = told.lines().find(|line| line.contains(" status --admin ")).unwrap();
    let [program, arguments @ ..] = &printed.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{printed}")
    };
    assert_eq!(*program, env!("CARGO_BIN_EXE_phalanx"));
    let table = run(&Arc::new(Home::new()), arguments).with_code(0).stdout;
    assert!(table.contains(&phalanx.gateway.to_string()), "{table}");
    phalanx.stop();
}

#[test]
fn a_gateway_alone_runs_no_replicas() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(&puppets(1)));
    let ended = run(&home, &["gateway", "-c", "phalanx.toml"]).with_code(3);
    ended.complains(&["phalanx.toml:10:11", "service `api` has a command", "`endpoints`"]);
    home.write("phalanx.toml", LISTENERS);
    run(&home, &["check"]).with_code(3).complains(&["route"]);
}

#[test]
fn every_wrong_setting_of_the_reference_api_is_told_and_no_secret_shown() {
    let home = Arc::new(Home::new());
    let mut api = command(&home, &["api"]);
    api.env("PORT", "http").env("JWT_SECRET", "hunter2").env("DATABASE_URL", "mysql://u:hunter3@db/x");
    let ended = Program::start(&home, api).ended().with_code(3);
    ended.complains(&[
        "PORT is `http`",
        "JWT_SECRET has 7 bytes",
        "DATABASE_URL does not begin with `postgres://`",
    ]);
    assert!(!ended.stderr.contains("hunter"), "{}", ended.stderr);
}
