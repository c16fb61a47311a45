//! `phalanx token`: signed by one call, judged by another, and the keys of both over a rotation.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, process::Stdio, sync::Arc};

use serde_json::{Value, json};

use crate::support::{
    home::Home,
    phalanx::{Ended, Program, command, run},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// RFC 7515, appendix A.1: a token of 2011, and the key that it was signed with.
const RFC_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const RFC_KEY: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs it with something in standard input.
fn run_with(home: &Arc<Home>, arguments: &[&str], stdin: &str) -> Ended {
    let mut command = command(home, arguments);
    command.stdin(Stdio::piped());
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.stdin(reader);
    let program = Program::start(home, command);
    writer.write_all(stdin.as_bytes()).unwrap();
    drop(writer);
    program.ended()
}

/// Runs it with a secret in its environment.
fn run_with_secret(home: &Arc<Home>, arguments: &[&str], secret: &str) -> Ended {
    let mut command = command(home, arguments);
    command.env("TEST_SECRET", secret);
    Program::start(home, command).ended()
}

#[test]
fn a_token_is_signed_with_each_kind_of_key_and_verified_with_its_public_half() {
    let home = Arc::new(Home::new());
    for algorithm in ["EdDSA", "ES256", "RS256", "PS256", "HS256"] {
        let file = format!("{algorithm}.json");
        let made = run(&home, &["token", "keys", "generate", "--alg", algorithm, "-o", &file]).with_code(0);
        assert_eq!(made.stdout, "");
        let mode = fs::metadata(home.path().join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let signing = ["token", "sign", "--keys", &file, "--subject", "42", "--session", "7", "--epoch", "3"];
        let further =
            ["--role", "user", "--role", "admin", "--issuer", "i", "--audience", "a", "--ttl", "1h"];
        let claims = ["--claims", r#"{"tenant":{"id":5}}"#];
        let signed = run(&home, &[&signing[..], &further, &claims].concat()).with_code(0);
        let token = signed.stdout.trim_end();

        let public = run(&home, &["token", "keys", "public", &file]).with_code(0).stdout;
        let keys =
            if algorithm == "HS256" { home.path().join(&file) } else { home.write("public.json", &public) };
        let keys = keys.to_str().unwrap();
        let verify = |options: &[&str]| {
            run(&home, &[&["token", "verify", "--jwks", keys], options, &[token]].concat())
        };
        let claims =
            json(&verify(&["--issuer", "i", "--audience", "a", "--alg", algorithm]).with_code(0).stdout);
        assert_eq!(
            (&claims["sub"], &claims["sid"], &claims["sv"], &claims["role"], &claims["tenant"]["id"]),
            (&json!("42"), &json!("7"), &json!(3), &json!(["user", "admin"]), &json!(5))
        );
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        verify(&["--issuer", "other"]).with_code(1).complains(&["invalid token", "another issuer"]);
        verify(&["--audience", "other"]).with_code(1).complains(&["invalid token", "another audience"]);
        verify(&["--alg", "ES384"]).with_code(1).complains(&["passed over", "not asked for"]);
        let payload = verify(&["--signature-only"]).with_code(0).stdout;
        assert_eq!(json(&payload), claims);
        assert!(!payload.ends_with('\n'), "{payload:?}");
        let header = json(&run(&home, &["token", "inspect", token]).with_code(0).stdout)["header"].clone();
        assert_eq!((&header["alg"], &header["typ"]), (&json!(algorithm), &json!("at+jwt")));
    }
}

#[test]
fn a_token_that_is_not_valid_is_exit_1_and_told_why() {
    let home = Arc::new(Home::new());
    home.write("key.json", RFC_KEY);
    let verify = |options: &[&str], token: &str| {
        run(&home, &[&["token", "verify", "--jwks", "key.json"], options, &[token]].concat())
    };
    let payload = verify(&["--signature-only"], RFC_TOKEN).with_code(0).stdout;
    assert_eq!(payload, "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
    let bent = RFC_TOKEN.replacen("dBj", "dBk", 1);
    let none = "eyJhbGciOiJub25lIn0.e30.";
    for (options, token, why) in [
        (&[][..], RFC_TOKEN, "the claim `sub` is missing"),
        (&["--signature-only"], &*bent, "its signature is not by any of the keys"),
        (&["--signature-only"], none, "its algorithm is not known"),
        (&["--signature-only"], "", "not three parts"),
        (&["--signature-only"], "-._.-", "not three parts"),
        (&["--signature-only"], "a.b.c.d.e", "not three parts"),
        (
            &["--signature-only", "--alg", "HS512"],
            RFC_TOKEN,
            "its algorithm is not known, or not that of the key",
        ),
        (&["--signature-only", "--alg", "RS256"], RFC_TOKEN, "it is for HS256, which is not asked for"),
    ] {
        let ended = verify(options, token).with_code(1);
        ended.complains(&[why]);
        assert_eq!(ended.stdout, "", "{options:?} {token}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_with_its_reason() {
    let home = Arc::new(Home::new());
    let enc = RFC_KEY.replacen('{', r#"{"use":"enc","#, 1);
    for (key, why) in [
        (
            r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umjw","kid":"short"}"#,
            r#"key "short": the secret has 16 bytes"#,
        ),
        (
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
            "a key: `x` is not base64url of the right length",
        ),
        (&*enc, "do not let it verify"),
        ("{}", "neither a JSON Web Key nor a set"),
        ("not JSON", "neither a JSON Web Key nor a set"),
    ] {
        home.write("key.json", key);
        run(&home, &["token", "verify", "--jwks", "key.json", RFC_TOKEN])
            .with_code(1)
            .complains(&["key.json", why]);
    }
    run(&home, &["token", "verify", "--jwks", "missing.json", RFC_TOKEN])
        .with_code(3)
        .complains(&["missing.json", "No such file"]);
}

#[test]
fn keys_and_tokens_come_from_standard_input_too() {
    let home = Arc::new(Home::new());
    home.write("key.json", RFC_KEY);
    let verify = |keys, token| ["token", "verify", "--signature-only", "--jwks", keys, token];
    run_with(&home, &verify("-", RFC_TOKEN), RFC_KEY).with_code(0);
    for end in ["", "\n", "\r\n"] {
        run_with(&home, &verify("key.json", "-"), &format!("{RFC_TOKEN}{end}")).with_code(0);
    }
    run_with(&home, &verify("key.json", "-"), &format!("{RFC_TOKEN}\n\n")).with_code(1);
    run_with(&home, &verify("-", "-"), RFC_KEY).with_code(3).complains(&["both"]);
}

#[test]
fn a_secret_comes_from_the_environment_and_never_from_the_command_line() {
    let home = Arc::new(Home::new());
    let sign = ["token", "sign", "--secret-env", "TEST_SECRET", "--subject", "cron"];
    let token = run_with_secret(&home, &sign, SECRET).with_code(0).stdout;
    let verify = ["token", "verify", "--secret-env", "TEST_SECRET", token.trim_end()];
    assert_eq!(json(&run_with_secret(&home, &verify, SECRET).with_code(0).stdout)["sub"], "cron");
    run_with_secret(&home, &verify, &SECRET.to_uppercase()).with_code(1).complains(&["signature"]);
    run_with_secret(&home, &verify, "short").with_code(3).complains(&["TEST_SECRET", "has 5 bytes"]);
    run(&home, &verify).with_code(3).complains(&["TEST_SECRET is not set"]);
    run(&home, &["token", "verify", token.trim_end()]).with_code(2).complains(&["--jwks", "--secret-env"]);
}

#[test]
fn claims_that_an_option_says_are_refused() {
    let home = Arc::new(Home::new());
    let sign = |claims: &str, options: &[&str]| {
        let given = ["token", "sign", "--secret-env", "TEST_SECRET", "--subject", "1", "--claims", claims];
        run_with_secret(&home, &[&given[..], options].concat(), SECRET)
    };
    for (claims, options, why) in [
        (r#"{"exp":1}"#, &[][..], "`exp`"),
        (r#"{"sub":"2"}"#, &[], "`sub`"),
        (r#"{"aud":"x"}"#, &["--audience", "y"], "`aud`"),
        (r#"{"roles":["x"]}"#, &["--role", "y"], "`roles`"),
        ("[]", &[], "JSON object"),
        ("{", &[], "JSON object"),
    ] {
        sign(claims, options).with_code(3).complains(&["--claims", why]);
    }
    sign(r#"{"aud":["x","y"]}"#, &[]).with_code(0);
    sign("{}", &["--ttl", "0s"]).with_code(2).complains(&["at least 1s"]);
    sign(&json!({ "x": "x".repeat(5000) }).to_string(), &[]).with_code(3).complains(&["4096"]);
}

#[test]
fn an_inspection_says_loudly_that_nothing_is_proven() {
    let home = Arc::new(Home::new());
    let ended = run(&home, &["token", "inspect", RFC_TOKEN]).with_code(0);
    ended.complains(&["NOT VERIFIED", "expires    Tue, 22 Mar 2011 18:43:00 GMT", " ago)"]);
    let shown = json(&ended.stdout);
    assert_eq!((&shown["header"]["alg"], &shown["payload"]["iss"]), (&json!("HS256"), &json!("joe")));
    run(&home, &["token", "inspect", "nothing"]).with_code(1).complains(&["not three parts"]);
}

#[test]
fn a_rotation_announces_then_promotes_and_no_token_is_lost() {
    let home = Arc::new(Home::new());
    let token = |arguments: &[&str]| run(&home, &[&["token"][..], arguments].concat()).with_code(0).stdout;
    token(&["keys", "generate", "--alg", "EdDSA", "-o", "keys.json"]);
    run(&home, &["token", "keys", "generate", "--alg", "EdDSA", "-o", "keys.json"])
        .with_code(3)
        .complains(&["keys.json", "File exists"]);
    let sign = || token(&["sign", "--keys", "keys.json", "--subject", "1"]);
    let verifies = |jwks: &str, signed: &str| {
        home.write("public.json", jwks);
        run(&home, &["token", "verify", "--jwks", "public.json", signed.trim_end()]).with_code(0);
    };
    let states = || -> Vec<String> {
        let listed = token(&["keys", "list", "keys.json"]);
        listed.lines().skip(1).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    assert_eq!(states(), ["current"]);
    for expected in [
        &["current", "next"][..],
        &["retired", "current", "next"],
        &["retired", "retired", "current", "next"],
    ] {
        let (published, signed) = (token(&["keys", "public", "keys.json"]), sign());
        token(&["keys", "rotate", "keys.json"]);
        assert_eq!(states(), expected);
        verifies(&published, &sign());
        verifies(&token(&["keys", "public", "keys.json"]), &signed);
    }
    let mode = fs::metadata(home.path().join("keys.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut left: Vec<_> =
        fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["keys.json", "public.json"]);
}

#[test]
fn a_key_file_that_is_none_stays_as_it_is() {
    let home = Arc::new(Home::new());
    for (text, why) in [
        ("{}", "neither"),
        (r#"{"keys":[]}"#, "0 keys are current"),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB"}"#, "key 1"),
    ] {
        home.write("keys.json", text);
        run(&home, &["token", "keys", "rotate", "keys.json"]).with_code(3).complains(&["keys.json", why]);
        assert_eq!(fs::read_to_string(home.path().join("keys.json")).unwrap(), text);
    }
}
