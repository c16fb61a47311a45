//! `[auth]`, and `auth` of routes.

use expect_test::expect;

use crate::support::{ROUTE, check_brief, check_route, parse};

const SECRET: &str = "[auth]\nsecret = \"a secret of at least 32 bytes, so\"\n";

#[test]
fn tokens_are_verified_with_a_key_set_or_a_secret() {
    check_brief(
        "[auth]",
        &expect![[r#"
            1:1 there is nothing to verify a signature with
              add `jwks = "http://127.0.0.1:3000/.well-known/jwks.json"` or `secret = "${JWT_SECRET}"`
        "#]],
    );
    check_brief(
        "[auth]\nsecrets = \"x\"",
        &expect![[r#"
            2:1 unknown key `secrets` in `auth`
              did you mean `secret`?
        "#]],
    );
    check_brief(
        &format!("{SECRET}jwks = \"https://id/jwks\""),
        &expect![[r#"
            3:8 `[auth]` has either `jwks` or `secret`
              remove one: `jwks` is for an issuer that publishes its keys, `secret` for one that shares it
        "#]],
    );
    check_brief(
        "[auth]\njwks = \"id.example.com/jwks\"",
        &expect![[r#"
            2:8 "id.example.com/jwks" is no URL of a key set
              write it whole, as "https://id.example.com/.well-known/jwks.json"
        "#]],
    );
    check_brief(
        &format!("{SECRET}issuer = \"\"\naudience = \"\""),
        &expect![[r#"
            3:10 "" is empty
              write what the tokens say, or leave the key out
            4:12 "" is empty
              write what the tokens say, or leave the key out
        "#]],
    );
}

/// `hunter2` stands in the environment.
#[test]
fn a_secret_that_is_too_short_is_not_shown() {
    check_brief(
        "[auth]\nsecret = \"${SECRET}\"",
        &expect![[r#"
            2:10 the secret is shorter than 32 bytes
              a shorter one can be found out by trying; make one with `openssl rand -base64 32`
        "#]],
    );
    check_brief(
        "[auth]\nsecret = \"31 bytes are not quite enough...\"",
        &expect![[r#"
            no fault
        "#]],
    );
}

#[test]
fn revocations_come_from_a_store() {
    check_brief(
        &format!("{SECRET}revocation = \"127.0.0.1:6379\""),
        &expect![[r#"
            3:14 `revocation` names no store
              write "redis://127.0.0.1:6379", "rediss://…" for Redis over TLS, or "sqlite:DIRECTORY"
        "#]],
    );
    check_brief(
        &format!("{SECRET}revocation = \"redis://\"\nrevocation_lag = \"0s\""),
        &expect![[r#"
            3:14 `revocation` names no host
              write it as "redis://127.0.0.1:6379"
            4:18 "0s" leaves no time at all
              write a duration above zero
        "#]],
    );
    check_brief(
        &format!("{SECRET}revocation_lag = \"5s\"\nstale = \"ask\""),
        &expect![[r#"
            3:18 `revocation_lag` has no effect without `revocation`
              remove it, or add `revocation`
            4:9 `stale` has no effect without `revocation`
              remove it, or add `revocation`
        "#]],
    );
    check_brief(
        &format!("{SECRET}revocation = \"redis://a\"\nstale = \"guess\""),
        &expect![[r#"
            4:9 "guess" is no choice for `stale`
              write one of "ask", "refuse"
        "#]],
    );
}

#[test]
fn a_route_that_asks_for_a_token_needs_somebody_who_verifies_it() {
    check_route(
        "auth = {}",
        &expect![[r#"
            4:8 there is no `[auth]` that says how tokens are verified
              add an `[auth]` table with `jwks` or `secret`
        "#]],
    );
    // It is there, though it has a fault of its own.
    check_brief(
        &format!("{ROUTE}auth = {{}}\n[auth]\njwks = 5"),
        &expect![[r#"
            6:8 `jwks` takes text, not a whole number
              for example `jwks = "http://127.0.0.1:3000/.well-known/jwks.json"`
        "#]],
    );
    check_brief(
        &format!("{ROUTE}auth = {{}}\n[auht]\njwks = \"https://id/jwks\""),
        &expect![[r#"
            5:2 unknown key `auht`
              did you mean `auth`?
        "#]],
    );
}

#[test]
fn roles_are_words_that_a_token_can_have() {
    check_brief(
        &format!("{ROUTE}auth = {{ required = false, roles = [\"admin\"] }}\n{SECRET}"),
        &expect![[r#"
            4:36 `roles` cannot be asked of requests without a token
              remove one of the two: who brings no token has no role
        "#]],
    );
    check_brief(
        &format!("{ROUTE}auth = {{ roles = [] }}\n{SECRET}"),
        &expect![[r#"
            4:18 nobody could pass
              name a role, or leave `roles` out
        "#]],
    );
    check_brief(
        &format!(
            "{ROUTE}auth = {{ roles = [\"\", \"a b\", \"a,b\", \"é\", \"admin\", \"admin\"] }}\n{SECRET}"
        ),
        &expect![[r#"
            4:19 "" cannot be a role
              a role is a word of visible ASCII characters without a comma, as "admin"
            4:23 "a b" cannot be a role
              a role is a word of visible ASCII characters without a comma, as "admin"
            4:30 "a,b" cannot be a role
              a role is a word of visible ASCII characters without a comma, as "admin"
            4:37 "é" cannot be a role
              a role is a word of visible ASCII characters without a comma, as "admin"
            4:51 this role stands here twice
              remove one of the two
        "#]],
    );
    let many: String = (0..33).map(|index| format!("\"r{index}\", ")).collect();
    check_brief(
        &format!("{ROUTE}auth = {{ roles = [{many}] }}\n{SECRET}"),
        &expect![[r#"
            4:18 33 roles are too many
              write at most 32
        "#]],
    );
}

#[test]
fn no_secret_shows_in_a_configuration_that_is_printed() {
    let revocation = "revocation = \"redis://ada:swordfish@127.0.0.1:6379\"";
    let config = parse(&format!(
        "{ROUTE}{SECRET}{revocation}\n[service.api]\nendpoints = [{{ address = \"127.0.0.1:3000\" }}]"
    ));
    let shown = format!("{:?}", config.unwrap());
    assert!(shown.contains("Secret(…)"), "{shown}");
    for secret in ["a secret of", "swordfish"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
