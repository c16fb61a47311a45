//! Those that may pass: in whose name, and that nobody else can speak in it.

use super::{FORBIDDEN, ROUTES, Scene, bearer, introduced, request, token};
use crate::support::{AUTH, IDS, Message, Origin, Setup, StreamOrigin, forwarded, payload, signed};
use serde_json::json;

const IDENTITY: &str = "X-Auth-Subject: 7\r\nX-Auth-Session: 9\r\n";

#[tokio::test]
async fn an_origin_is_told_whom_a_token_belongs_to() {
    let scene = Scene::set().await;
    for (line, roles, identity) in [
        ("GET /me/", &[][..], IDENTITY),
        ("POST /me/orders", &["user"], "X-Auth-Subject: 7\r\nX-Auth-Roles: user\r\nX-Auth-Session: 9\r\n"),
        (
            "GET /admin/x?y",
            &["user", "auditor"],
            "X-Auth-Subject: 7\r\nX-Auth-Roles: user,auditor\r\nX-Auth-Session: 9\r\n",
        ),
        // A token is welcome where none is needed, and says nothing where nobody asks.
        ("GET /feed/", &["user"], "X-Auth-Subject: 7\r\nX-Auth-Roles: user\r\nX-Auth-Session: 9\r\n"),
        ("GET /", &["user"], ""),
    ] {
        let bearer = bearer(&token(roles));
        scene.check_passed(request(line, &bearer), introduced(line, &bearer, identity)).await;
    }
}

/// H11, H13, H14: what a client says of itself never arrives, and what is said of it cannot be taken away.
#[tokio::test]
async fn nobody_else_can_speak_in_the_name_of_the_gateway() {
    let scene = Scene::set().await;
    let bearer = bearer(&token(&[]));
    for (line, identity) in [("GET /me/", IDENTITY), ("GET /feed/", IDENTITY), ("GET /", "")] {
        for said in [
            "X-Auth-Subject: 1\r\nX-Auth-Roles: admin\r\nX-Auth-Session: 2\r\n",
            "x-auth-subject: 1\r\nX-AUTH-ROLES: admin\r\nX-Auth-Subject: 2\r\n",
            "X_Auth_Subject: 1\r\nX-Auth_Roles: admin\r\nx_auth-session: 2\r\n",
            "Connection: X-Auth-Subject, X-Auth-Roles, X-Auth-Session, Authorization\r\nX-Auth-Subject: 1\r\n",
            "Connection: x-auth-subject\r\nConnection: x-auth-session\r\n",
        ] {
            for fields in [format!("{said}{bearer}"), format!("{bearer}{said}")] {
                scene.check_passed(request(line, &fields), introduced(line, &bearer, identity)).await;
            }
        }
    }
    // Nor where nobody is known to say it of.
    let said = "X-Auth-Subject: 1\r\nX-Auth-Roles: admin\r\nX_Auth_Session: 2\r\n";
    scene.check_passed(request("GET /feed/", said), introduced("GET /feed/", "", "")).await;
}

/// F22
#[tokio::test]
async fn trailers_say_nothing_of_whom_a_request_is_from() {
    let scene = Scene::set().await;
    let bearer = bearer(&token(&[]));
    let body = "5\r\nhello\r\n0\r\nX-Auth-Subject: 1\r\nX-Sum: 1\r\nx-auth-roles: admin\r\nX_Auth_Session: 2\r\n\
        Authorization: Bearer x\r\n\r\n";
    let sent = request("POST /me/", &format!("{bearer}Transfer-Encoding: chunked\r\n")) + body;
    let framing = format!("Transfer-Encoding: chunked\r\n{IDENTITY}");
    let expected = Message::new(forwarded("POST /me/", "a", &bearer, &framing), "hello");
    scene.check_passed(sent, expected.with_trailers("X-Sum: 1\r\n")).await;
}

#[tokio::test]
async fn one_of_the_roles_is_enough_and_none_is_not() {
    let scene = Scene::set().await;
    for (roles, passes) in [
        (&["admin"][..], true),
        (&["auditor", "user"], true),
        (&["user"], false),
        (&[], false),
        (&["Admin"], false),
        (&["administrator"], false),
    ] {
        let sent = request("GET /admin/", &bearer(&token(roles)));
        if passes {
            assert_eq!(scene.gateway.exchange(&sent).await.status(), 200, "{roles:?}");
            assert_eq!(scene.origin.take_requests().len(), 1);
        } else {
            let (status, error, challenge) = FORBIDDEN;
            scene.check_denied(&sent, status, error, challenge).await;
        }
    }
}

#[tokio::test]
async fn an_answer_of_the_gateway_itself_is_for_those_who_may_have_it() {
    let scene = Scene::set().await;
    let answer = scene.gateway.exchange(request("GET /secret", &bearer(&token(&[])))).await;
    assert_eq!((answer.status(), answer.text()), (200, "hidden"));
    assert_eq!(scene.origin.requests(), []);
}

/// F21: each request on a connection is judged by itself.
#[tokio::test]
async fn a_token_speaks_for_its_own_request_alone() {
    let scene = Scene::set().await;
    let mut client = scene.gateway.connect().await;
    let good = request("GET /me/", &bearer(&token(&[])));
    client.send(format!("{good}{}{good}", request("GET /me/", ""))).await;
    for status in [200, 401, 200] {
        assert_eq!(client.response().await.status(), status);
    }
    assert_eq!(scene.origin.requests().len(), 2);
}

#[tokio::test]
async fn an_endpoint_that_speaks_http_2_is_told_the_same() {
    let origin = StreamOrigin::listen().await;
    let setup = Setup::fronting(&[origin.address()]).service("protocol = \"h2c\"");
    let gateway = setup.tables(&format!("{ROUTES}{AUTH}")).start();
    let mut client = gateway.connect().await;
    let bearer = bearer(&token(&["user"]));
    let said = "X-Auth-Subject: 1\r\nX_Auth_Roles: admin\r\nConnection: X-Auth-Subject\r\nTE: trailers\r\n";
    client.send(request("GET /me/", &format!("{said}{bearer}"))).await;
    let (_connection, mut seen) = origin.accept_request().await;
    let ids = IDS.replace("\r\n", "\n").to_ascii_lowercase();
    let expected = format!(
        "GET http://a/me/\n{}x-forwarded-for: 127.0.0.1\nx-real-ip: 127.0.0.1\nx-forwarded-proto: http\n\
         x-forwarded-host: a\n{ids}te: trailers\nx-auth-subject: 7\nx-auth-roles: user\nx-auth-session: 9\n",
        bearer.replace("\r\n", "\n").replace("Authorization", "authorization")
    );
    assert_eq!(seen.shown(), expected);
    seen.answer("hello");
    assert_eq!(client.response().await.text(), "hello");
}

/// The handshake brings the token, and what follows is bytes.
#[tokio::test]
async fn an_upgrade_is_passed_on_in_the_name_of_its_client() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).tables(&format!("{ROUTES}{AUTH}")).start();
    let mut client = gateway.connect().await;
    let bearer = bearer(&token(&[]));
    client
        .send(request(
            "GET /me/ws",
            &format!("{bearer}Connection: Upgrade, X-Auth-Subject\r\nUpgrade: websocket\r\n"),
        ))
        .await;
    let (mut upstream, seen) = origin.accept_request().await;
    let framing = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{IDENTITY}");
    assert_eq!(seen.head, forwarded("GET /me/ws", "a", &bearer, &framing));
    upstream
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    assert_eq!(client.head().await.status(), 101);
    client.send("bytes").await;
    assert_eq!(upstream.bytes(5).await, b"bytes");
}

/// An issuer may let people choose their names; what would not arrive as it is has none.
#[tokio::test]
async fn a_name_that_no_field_can_hold_is_nobodys() {
    let scene = Scene::set().await;
    let (status, error, challenge) = super::INVALID;
    for (claim, text) in
        [("sub", "ad\u{e1}"), ("sub", " 7"), ("sid", "9 "), ("sub", "7\r\nX-Auth-Roles: admin")]
    {
        let mut payload = payload();
        payload[claim] = json!(text);
        let token = signed(&json!({ "typ": "at+jwt", "alg": "HS256" }), &payload);
        scene.check_denied(request("GET /me/", &bearer(&token)), status, error, challenge).await;
    }
}
