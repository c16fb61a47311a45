//! What `docs/auth.md` shows works as it stands there: its file, its service in Node, its service in Python, its commands.

use std::{process::Command, sync::Arc};

use phalanx_test_servers::Redis;
use serde_json::{Value, json};

use super::{
    place::{Place, SECRET},
    visitor::Visitor,
};
use crate::support::{
    fenced,
    home::Home,
    http::{Answer, get, getting_with},
    phalanx::{LISTENERS, Phalanx, command, run, script},
    until,
};

const GUIDE: &str = include_str!("../../../docs/auth.md");

/// What a client may claim to be.
const FORGED: &str = "X-Auth-Subject: 1\r\nX-Auth-Roles: admin\r\nX-Auth-Session: 1\r\nX_Auth_Subject: 1\r\n\
                      X_Auth_Roles: admin\r\nConnection: X-Auth-Subject, X-Auth-Roles\r\n";

/// The one fenced block in this language that has this in it.
fn block(language: &str, mark: &str) -> &'static str {
    let found: Vec<_> = fenced(GUIDE, language).into_iter().filter(|block| block.contains(mark)).collect();
    let [block] = found[..] else { panic!("{} blocks in {language} have {mark:?}", found.len()) };
    block
}

/// What stands between backticks in the tables of a chapter.
fn named(chapter: &str) -> impl Iterator<Item = &'static str> {
    let rest = GUIDE.split_once(&format!("\n## {chapter}\n")).unwrap().1;
    let rows = rest.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
}

/// Fails where a program of the guide's is missing.
fn needs(program: &str) {
    let found = Command::new(program).arg("--version").output();
    assert!(found.is_ok(), "{program} is not installed: scripts/needs {program} does it");
}

/// The shop of the guide: the reference API, orders in Node and reports in Python behind a gateway.
struct Shop {
    phalanx: Phalanx,
    /// It has to outlive them.
    _redis: Redis,
}

impl Shop {
    fn opens() -> Self {
        ["node", "python3"].into_iter().for_each(needs);
        let (home, redis) = (Arc::new(Home::new()), Redis::start());
        let file = block("toml", "[service.orders]")
            .replace("0.0.0.0:8080", "127.0.0.1:0")
            .replace("redis://127.0.0.1:6379", &redis.url());
        home.write("phalanx.toml", &format!("{file}[admin]\nlisten = '127.0.0.1:0'\n"));
        home.write("server.js", block("js", "createServer"));
        home.write("server.py", block("python", "http.server"));
        let mut up = command(&home, &["up"]);
        up.env("JWT_SECRET", SECRET);
        let phalanx = Phalanx::start(&home, up);
        phalanx.program.stdout.tells("\nReady.\n");
        Self { phalanx, _redis: redis }
    }

    fn asks(&self, target: &str, fields: &str) -> Answer {
        self.phalanx.exchange(&getting_with(target, fields))
    }

    fn is_told(&self, target: &str, fields: &str, expected: &Value) {
        let answer = self.asks(target, fields);
        assert_eq!((answer.status, &answer.json()), (200, expected), "{target} {fields}");
    }

    fn is_refused(&self, target: &str, fields: &str, status: u16, error: &str) {
        let answer = self.asks(target, fields);
        assert_eq!((answer.status, answer.problem()), (status, error.to_owned()), "{target} {fields}");
    }
}

#[test]
fn services_in_node_and_python_know_whom_a_request_is_from() {
    let shop = Shop::opens();
    let visitor = Visitor::registers(shop.phalanx.gateway, "ada");
    let bearer = visitor.bearer();
    let order = json!({ "account": visitor.id, "is_admin": false, "login": visitor.login() });
    let report = json!({ "account": visitor.id, "is_admin": false });
    let nobodys = json!({ "account": null, "is_admin": false });
    for claim in ["", FORGED] {
        shop.is_refused("/orders/1", claim, 401, "No token provided");
        shop.is_refused(
            "/orders/1",
            &format!("Authorization: Bearer x.y.z\r\n{claim}"),
            401,
            "Invalid token",
        );
        shop.is_refused("/orders/all", &format!("{bearer}{claim}"), 403, "Insufficient permissions");
        shop.is_told("/orders/1", &format!("{bearer}{claim}"), &order);
        shop.is_told("/reports/1", &format!("{bearer}{claim}"), &report);
        shop.is_told("/reports/1", claim, &nobodys);
        shop.is_refused(
            "/reports/1",
            &format!("Authorization: Bearer x.y.z\r\n{claim}"),
            401,
            "Invalid token",
        );
    }
    visitor.logs_out(shop.phalanx.gateway);
    until("a gateway that knows of the logout", || shop.asks("/orders/1", &bearer).status == 401);
    shop.is_refused("/reports/1", &bearer, 401, "Invalid token");
    shop.phalanx.stop();
}

#[test]
fn its_commands_make_keys_that_replicas_sign_with() {
    let home = Arc::new(Home::new());
    let output = script(&home, block("sh", "token keys")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for state in ["current", "next"] {
        assert!(told.contains(state), "{told}");
    }
    let redis = Redis::start();
    let file = block("toml", "JWT_KEYS").replace("redis://127.0.0.1:6379", &redis.url());
    home.write("phalanx.toml", &format!("{LISTENERS}{file}"));
    let phalanx = Phalanx::up_in(&home);
    let visitor = Visitor::registers(phalanx.gateway, "ada");
    home.write("jwks.json", &get(phalanx.gateway, "/.well-known/jwks.json").body);
    let verify = [
        "token",
        "verify",
        "--jwks",
        "jwks.json",
        "--issuer",
        "phalanx",
        "--audience",
        "api",
        &visitor.token,
    ];
    let claims: Value = serde_json::from_str(&run(&home, &verify).with_code(0).stdout).unwrap();
    assert_eq!(
        (&claims["sub"], &claims["role"], &claims["sv"]),
        (&json!(visitor.id), &json!("user"), &json!(0))
    );
    assert_eq!(claims["sid"], visitor.login());
    phalanx.stop();
}

#[test]
fn its_series_and_variables_exist() {
    let home = Arc::new(Home::new());
    run(&home, &["token", "keys", "generate", "--alg", "ES256", "-o", "keys.json"]).with_code(0);
    let place = Place::with_keys(&home, "keys.json");
    let exposed = place.metrics();
    let series: Vec<_> = named("What to watch").filter(|name| name.starts_with("phalanx_")).collect();
    assert!(series.len() > 9, "{series:?}");
    for name in series {
        let name = name.split('{').next().unwrap();
        assert!(exposed.contains(&format!("\n{name}")), "{name} in {exposed}");
    }
    let help = run(&home, &["api", "--help"]).with_code(0).stdout;
    let is_variable = |name: &&str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let variables: Vec<_> = named("Settings").filter(is_variable).collect();
    assert!(variables.len() > 9, "{variables:?}");
    for name in variables {
        assert!(help.contains(name), "{name} in {help}");
    }
    place.closes();
}
