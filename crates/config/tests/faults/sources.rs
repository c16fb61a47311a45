//! Where the endpoints of a service come from: `endpoints`, `discover`, `command`.

use expect_test::expect;

use crate::support::check_brief;

#[test]
fn replicas() {
    check_brief(
        "[service.api]\ncommand = []",
        &expect![[r#"
            2:11 the command is empty
              write the program and its arguments: ["node", "server.js"]
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = \"node server.js\"",
        &expect![[r#"
            2:11 `command` takes a list, not text
              for example `command = ["node", "server.js"]`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"\", 3, \"\\u0000\"]",
        &expect![[r#"
            2:12 the program has no name
              write its name or its path first
            2:16 `command` takes text, not a whole number
              for example `command = ["node", "server.js"]`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 1001\nactive_health = { path = \"/\" }",
        &expect![[r#"
            3:12 1001 is out of range for `replicas`
              write a number from 0 to 1000
            4:17 `active_health` has no effect beside `command`
              remove it: replicas have `probes`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nenv = { PORT = \"1\", \"A=B\" = \"1\", C = 1 }",
        &expect![[r#"
            3:9 `PORT` is set by Phalanx, to another value for each replica
              remove it, and read it in the program
            3:21 `A=B` cannot be the name of an environment variable
              write a name without `=`
            3:38 `C` takes text, not a whole number
              put it in quotes: `C = "1"`
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.readyness = {}",
        &expect![[r#"
            3:8 unknown key `readyness` in `service.api.probes`
              did you mean `readiness`?
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.startup = { path = \"ready\", period = \"0s\" }",
        &expect![[r#"
            3:27 "ready" does not begin with `/`
              write it from the root, as "/api"
            3:45 "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
}

#[test]
fn probes_and_their_consequences() {
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.startup = { success = 2 }\nprobes.readiness = { success = 2 }\nprobes.liveness = { success = 3 }",
        &expect![[r#"
            3:30 `success` of a startup probe cannot be 2
              remove it: one good answer is enough for this probe
            5:31 `success` of a liveness probe cannot be 3
              remove it: one good answer is enough for this probe
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.readiness = { grpc = \"\", path = \"/ready\", exec = [\"b\"], tcp = true }",
        &expect![[r#"
            3:40 a probe asks in one way: `path`, `tcp`, `exec` or `grpc`
              keep one of them
            3:57 a probe asks in one way: `path`, `tcp`, `exec` or `grpc`
              keep one of them
            3:70 a probe asks in one way: `path`, `tcp`, `exec` or `grpc`
              keep one of them
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.liveness = { exec = [], port = 80 }\nprobes.readiness = { exec = [\"\"] }\nprobes.startup = { port = 80 }",
        &expect![[r#"
            3:28 the command of this probe is empty
              write the program and its arguments: ["node", "server.js"]
            3:39 `port` has no effect with `exec`
              remove it: the program finds the port of its replica in PORT
            4:30 the program has no name
              write its name or its path first
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nprobes.readiness = { exec = [\"b\"] }\nprobes.startup = { port = 80 }\nprobes.liveness = { tcp = false, port = 0 }",
        &expect![[r#"
            4:27 `port` has no effect with `exec`
              remove it: the program finds the port of its replica in PORT
            5:27 `tcp = false` asks nothing
              remove it, or write what is to be asked
            5:41 0 is out of range for `port`
              write a number from 1 to 65535
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nback_off = { first = \"0s\", longest = \"0s\", forgiven_after = \"0s\" }",
        &expect![[r#"
            3:22 "0s" leaves no time at all
              write a duration above zero
            3:38 "0s" leaves no time at all
              write a duration above zero
            3:61 "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nback_off = { first = \"10m\" }",
        &expect![[r#"
            3:22 `first`, which is 600s, is above `longest`, which is 300s
              lower `first`, or raise `longest`
        "#]],
    );
}

#[test]
fn sources() {
    check_brief(
        "[service.api]\nendpoints = []\ndiscover = {}\ncommand = []",
        &expect![[r#"
        3:12 a service has either `endpoints`, `discover` or a `command`
          keep one: `endpoints` are servers that run already, `discover` asks DNS for them, `command` is run by Phalanx
        4:11 a service has either `endpoints`, `discover` or a `command`
          keep one: `endpoints` are servers that run already, `discover` asks DNS for them, `command` is run by Phalanx
    "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\ndiscover = { dns = \"api:1\" }",
        &expect![[r#"
        3:12 a service has either `endpoints`, `discover` or a `command`
          keep one: `endpoints` are servers that run already, `discover` asks DNS for them, `command` is run by Phalanx
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = \"api.internal:3000\"",
        &expect![[r#"
        2:12 `discover` takes a table, not text
          for example `discover = { dns = "api.internal:3000" }`
    "#]],
    );
}

#[test]
fn backups() {
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\", backup = true }, { address = \"10.0.0.2:80\", backup = true }]",
        &expect![[r#"
            2:13 every endpoint is a backup, and there is none that they stand in for
              remove `backup` from those that should serve while they can
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\", backup = true }, { address = \"10.0.0.2:80\" }]",
        &expect![[r#"
            no fault
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\", backup = true }, 3]",
        &expect![[r#"
        2:58 `endpoints` takes a table, not a whole number
          for example `endpoints = [{ address = "10.0.1.10:3000" }]`
    "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"10.0.0.1:80\", backup = 1 }]",
        &expect![[r#"
        2:50 `backup` takes true or false, not a whole number
          for example `backup = false`
    "#]],
    );
}

#[test]
fn discovery() {
    check_brief(
        "[service.api]\ndiscover = {}",
        &expect![[r#"
        2:12 `discover` has no name
          add `dns = "api.internal:3000"`
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { name = \"api:1\" }",
        &expect![[r#"
        2:14 unknown key `name` in `service.api.discover`
          keys that can stand here: `dns`, `resolver`
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"10.0.1.10:3000\" }",
        &expect![[r#"
        2:20 "10.0.1.10:3000" is an IP address, for which nobody asks DNS
          write `endpoints = [{ address = "10.0.1.10:3000" }]` instead of `discover`
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"[::1]:3000\" }",
        &expect![[r#"
        2:20 "[::1]:3000" is an IP address, for which nobody asks DNS
          write `endpoints = [{ address = "10.0.1.10:3000" }]` instead of `discover`
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"http://api.internal:3000\" }",
        &expect![[r#"
        2:20 "http://api.internal:3000" is a URL
          write name and port alone, as "api.internal:3000"
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api.internal\" }",
        &expect![[r#"
        2:20 "api.internal" has no port
          write both, as "api.internal:3000"; only the name of an SRV record, as "_http._tcp.api.internal", has none
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api.internal:http\" }",
        &expect![[r#"
        2:20 "api.internal:http" does not end with a port
          a port is a number, as in "api.internal:3000"
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api.internal:0\" }",
        &expect![[r#"
        2:20 "api.internal:0" has an impossible port
          ports go from 1 to 65535
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"_http.api.internal\" }",
        &expect![[r#"
        2:20 "_http.api.internal" is not the name of an SRV record
          write it as "_http._tcp.api.internal", or a port behind the name of a host
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"bücher.example:80\" }",
        &expect![[r#"
        2:20 "bücher.example:80" is not ASCII
          write the name as DNS has it, as "xn--bcher-kva.example:3000"
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api..internal:80\" }",
        &expect![[r#"
        2:20 "api..internal:80" is not a DNS name
          labels of 1 to 63 letters, digits, `-` and `_` are separated by dots; all together have at most 253
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api:80\", resolver = \"ns.internal:53\" }",
        &expect![[r#"
            2:41 "ns.internal:53" names a host
              only IP addresses, and "localhost", are known in this version: write the address itself, as "10.0.1.10:3000"
        "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api:80\", resolver = \"10.0.0.2\" }",
        &expect![[r#"
        2:41 "10.0.0.2" has no port
          write both, as "127.0.0.1:3000"
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"api:80\", resolver = \"10.0.0.2:0\" }",
        &expect![[r#"
        2:41 "10.0.0.2:0" has port 0
          nothing can be reached there; ports go from 1 to 65535
    "#]],
    );
    check_brief(
        "[service.api]\ndiscover = { dns = \"_http._tcp.api.internal\" }\npassive_health = {}\nactive_health = {}\nreplicas = 2\nenv = {}\nprobes = {}\nback_off = {}\nshutdown_grace = \"1s\"",
        &expect![[r#"
            5:12 `replicas` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            6:7 `env` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            7:10 `probes` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            8:12 `back_off` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            9:18 `shutdown_grace` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
}

#[test]
fn connections_that_a_database_does_not_take() {
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 12\ndatabase = {}",
        &expect![[r#"
            4:12 12 replicas, and 3 more while they are replaced, with 8 connections each are 120, and the database has 90 for them: `max_connections` 100, `reserve` 10
              lower `connections` to 6, or `replicas`, or `rollout.max_surge`, or raise `max_connections` here and in PostgreSQL
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 40\ndatabase = { connections = 4, max_connections = 210 }",
        &expect![[r#"
            no fault
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 41\ndatabase = { connections = 4, max_connections = 210 }",
        &expect![[r#"
            4:12 41 replicas, and 11 more while they are replaced, with 4 connections each are 208, and the database has 200 for them: `max_connections` 210, `reserve` 10
              lower `connections` to 3, or `replicas`, or `rollout.max_surge`, or raise `max_connections` here and in PostgreSQL
        "#]],
    );
    let none_on_top = "rollout = { max_surge = 0, max_unavailable = 1 }";
    for (replicas, faults) in [
        (50, expect![["no fault\n"]]),
        (
            51,
            expect![[r#"
        4:12 51 replicas with 4 connections each are 204, and the database has 200 for them: `max_connections` 210, `reserve` 10
          lower `connections` to 3, or `replicas`, or raise `max_connections` here and in PostgreSQL
    "#]],
        ),
    ] {
        let keys = format!("replicas = {replicas}\ndatabase = {{ connections = 4, max_connections = 210 }}");
        check_brief(&format!("[service.api]\ncommand = [\"a\"]\n{keys}\n{none_on_top}"), &faults);
    }
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 51\ndatabase = { max_connections = 40, reserve = 50 }",
        &expect![[r#"
            4:12 51 replicas, and 13 more while they are replaced, with 8 connections each are 512, and the database has 0 for them: `max_connections` 40, `reserve` 50
              lower `replicas`, or `rollout.max_surge`, or raise `max_connections` here and in PostgreSQL
        "#]],
    );
    check_brief(
        "[service.api]\ncommand = [\"a\"]\nreplicas = 51\ndatabase = { max_connections = \"many\" }",
        &expect![[r#"
            4:32 `max_connections` takes a whole number, not text
              for example `max_connections = 100`
        "#]],
    );
    check_brief(
        "[service.api]\nendpoints = [{ address = \"127.0.0.1:3000\" }]\ndatabase = {}",
        &expect![[r#"
            3:12 `database` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
}
