//! Those that may not pass, row by row, and what becomes of their connections.

use serde_json::{Value, json};

use super::{INVALID, NO_TOKEN, Scene, bearer, open_request, request, token};
use crate::support::{Ending, payload, signed};

fn header() -> Value {
    json!({ "typ": "at+jwt", "alg": "HS256" })
}

#[tokio::test]
async fn a_request_without_a_token_is_told_to_bring_one() {
    let scene = Scene::set().await;
    let (status, error, challenge) = NO_TOKEN;
    for fields in [
        "",
        "Authorization:\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Basic YTpi\r\n",
        "Authorization: DPoP a.b.c\r\n",
        "Cookie: token=a.b.c\r\n",
        "Proxy-Authorization: Bearer a.b.c\r\n",
    ] {
        for line in ["GET /me/", "POST /admin/", "DELETE /me/x", "GET /secret"] {
            scene.check_denied(request(line, fields), status, error, challenge).await;
        }
    }
}

/// Two say nothing definite about whom a request is from: the service could go by the other.
#[tokio::test]
async fn a_request_with_two_tokens_is_refused() {
    let scene = Scene::set().await;
    let (status, error, challenge) = INVALID;
    let (good, basic) = (bearer(&token(&["admin"])), "authorization: Basic YTpi\r\n");
    for fields in [format!("{good}{good}"), format!("{good}{basic}"), format!("{basic}{good}")] {
        scene.check_denied(request("GET /admin/", &fields), status, error, challenge).await;
    }
}

/// A01, A02
#[tokio::test]
async fn a_header_decides_nothing() {
    let scene = Scene::set().await;
    let (status, error, challenge) = INVALID;
    let good = token(&["admin"]);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut tokens = vec![
        format!("{message}."),
        message.to_owned(),
        format!("{message}.{signature}="),
        format!("{message}.{}", &signature[1..]),
        good.to_ascii_uppercase(),
    ];
    for (member, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("")),
        ("alg", json!("RS256")),
        ("alg", json!("HS512")),
        ("alg", json!(["HS256"])),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("kid", json!("k".repeat(6 * 1024))),
    ] {
        let mut header = header();
        header[member] = value;
        tokens.push(signed(&header, &payload()));
    }
    for token in tokens {
        scene.check_denied(request("GET /me/", &bearer(&token)), status, error, challenge).await;
    }
}

/// A02: with a secret there is one key, whatever a token calls it. None is looked for elsewhere.
#[tokio::test]
async fn a_key_is_never_fetched_from_where_a_token_says() {
    let scene = Scene::set().await;
    for (member, value) in [
        ("jku", json!(format!("http://{}/keys", scene.origin.address()))),
        ("x5u", json!(format!("http://{}/keys", scene.origin.address()))),
        ("jwk", json!({ "kty": "oct", "k": "AAAA" })),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
    ] {
        let mut header = header();
        header[member] = value;
        let mut forged = signed(&header, &payload());
        forged.replace_range(forged.len() - 4.., "AAAA");
        let answer = scene.gateway.exchange(request("GET /me/", &bearer(&forged))).await;
        assert_eq!(answer.status(), 401, "{member}");
    }
    assert_eq!(scene.origin.requests(), []);
}

/// A03
#[tokio::test]
async fn a_token_that_says_too_little_or_something_else_is_refused() {
    let scene = Scene::set().await;
    let now = payload()["iat"].as_u64().unwrap();
    let (status, error, challenge) = INVALID;
    for (claim, value) in [
        ("exp", None),
        ("exp", Some(json!((now + 600).to_string()))),
        ("nbf", Some(json!(now + 3600))),
        ("iss", None),
        ("iss", Some(json!("https://other"))),
        ("aud", None),
        ("aud", Some(json!("web"))),
        ("sub", None),
        ("sub", Some(json!(7))),
        ("sub", Some(json!(""))),
    ] {
        let mut payload = payload();
        match value {
            Some(value) => payload[claim] = value,
            None => drop(payload.as_object_mut().unwrap().remove(claim)),
        }
        let sent = request("GET /me/", &bearer(&signed(&header(), &payload)));
        scene.check_denied(sent, status, error, challenge).await;
    }
    let mut payload = payload();
    payload["exp"] = json!(now - 1);
    let sent = request("GET /me/", &bearer(&signed(&header(), &payload)));
    let challenge = "Bearer error=\"invalid_token\", error_description=\"the token expired\"";
    scene.check_denied(sent, 401, "Token expired", challenge).await;
}

/// A04
#[tokio::test]
async fn a_text_that_is_no_token_costs_nothing_but_an_answer() {
    let scene = Scene::set().await;
    let (status, error, challenge) = INVALID;
    let good = token(&[]);
    for text in [
        "a",
        "..",
        "....",
        "a.b.c.d.e",
        &format!("{good}.{good}"),
        &format!("{good} {good}"),
        &format!("{good},"),
        &format!("\"{good}\""),
        &good.replace('.', "%2E"),
        &"a".repeat(12 * 1024),
        &format!("{}.{}.{}", "e".repeat(3000), "e".repeat(3000), "e".repeat(43)),
        "\u{e9}.\u{e9}.\u{e9}",
    ] {
        scene.check_denied(request("GET /me/", &bearer(text)), status, error, challenge).await;
    }
    let mut client = scene.gateway.connect().await;
    // The gateway stops reading, and may have closed before the end.
    let _ = client.try_send(request("GET /me/", &bearer(&"a".repeat(1_000_000)))).await;
    assert_eq!(client.response().await.status(), 431);
}

#[tokio::test]
async fn what_is_turned_away_is_not_read() {
    let scene = Scene::set().await;
    // A client that waits to be asked for its body is not.
    let mut client = scene.gateway.connect().await;
    client.send(request("PUT /me/", "Content-Length: 5\r\nExpect: 100-continue\r\n")).await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.closes()), (401, true));
    // One that sends it anyhow is answered, and a large one is not waited for.
    for (length, closes) in [(5, false), (10 << 20, true)] {
        let mut client = scene.gateway.connect().await;
        client.send(request("PUT /me/", &format!("Content-Length: {length}\r\n")) + "hello").await;
        let answer = client.response().await;
        assert_eq!((answer.status(), answer.closes()), (401, closes), "{length}");
        match closes {
            true => assert_eq!(client.ending_after_all().await, Ending::Closed),
            false => assert_eq!(client.exchange(open_request()).await.status(), 200),
        }
    }
    let mut client = scene.gateway.connect().await;
    client.send(request("HEAD /me/", "")).await;
    assert_eq!(client.head().await.status(), 401);
    assert_eq!(client.exchange(open_request()).await.status(), 200);
}

#[tokio::test]
async fn an_upgrade_needs_a_token_like_everything_else() {
    let scene = Scene::set().await;
    let (status, error, challenge) = NO_TOKEN;
    let sent = request("GET /me/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    scene.check_denied(sent, status, error, challenge).await;
}

#[tokio::test]
async fn every_judgement_is_counted() {
    let scene = Scene::set().await;
    let mut expired = payload();
    expired["exp"] = json!(1);
    for (line, fields) in [
        ("GET /me/", bearer(&token(&[]))),
        ("GET /me/", bearer(&token(&[]))),
        ("GET /feed/", String::new()),
        ("GET /me/", String::new()),
        ("GET /me/", bearer("a.b.c")),
        ("GET /me/", bearer(&signed(&header(), &expired))),
        ("GET /admin/", bearer(&token(&[]))),
        ("OPTIONS /me/", "Origin: https://a\r\nAccess-Control-Request-Method: PUT\r\n".to_owned()),
        // Nobody asks here.
        ("GET /", bearer("a.b.c")),
    ] {
        scene.gateway.exchange(request(line, &fields)).await;
    }
    for (outcome, count) in [
        ("allowed", 2),
        ("anonymous", 1),
        ("no_token", 1),
        ("invalid", 1),
        ("expired", 1),
        ("forbidden", 1),
        ("preflight", 1),
        ("revoked", 0),
        ("unavailable", 0),
    ] {
        let series = format!("phalanx_auth_requests_total{{outcome=\"{outcome}\"}}");
        assert_eq!(scene.gateway.sample(&series), count, "{outcome}");
    }
}
