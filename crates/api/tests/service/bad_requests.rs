//! What is wrong with a request, and the answer that says so.

use serde_json::json;

use crate::{
    client::{Client, post},
    replica::Replica,
};

const REGISTER: &str = "/api/auth/register";

#[tokio::test]
async fn each_wrong_body_has_its_status_and_pointer() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let body = |email: &str, password: &str, name: &str| {
        json!({ "email": email, "password": password, "name": name }).to_string().into_bytes()
    };
    let long = "x".repeat(1025);
    let cases: Vec<(Vec<u8>, u16, Option<&str>)> = vec![
        (body("ada", "correct horse", "Ada"), 422, Some("/email")),
        (body("ada@example.com", "short", "Ada"), 422, Some("/password")),
        (body("ada@example.com", &long, "Ada"), 422, Some("/password")),
        (body("ada@example.com", "password1", "Ada"), 422, Some("/password")),
        (body("ada@example.com", "adaexample", "Ada"), 422, Some("/password")),
        (body("ada@example.com", "Lovelace", "Ada Lovelace"), 422, Some("/password")),
        (body("ada@example.com", "correct horse", " "), 422, Some("/name")),
        (br#"{"email":"ada@example.com","password":"correct horse"}"#.to_vec(), 422, Some("/name")),
        (br#"{"email":1,"password":"correct horse","name":"Ada"}"#.to_vec(), 422, Some("/email")),
        (
            br#"{"email":"ada@example.com","password":"correct horse","name":"Ada","role":"admin"}"#.to_vec(),
            422,
            Some("/role"),
        ),
        (
            br#"{"email":"a@b","email":"ada@example.com","password":"correct horse","name":"Ada"}"#.to_vec(),
            400,
            Some("/email"),
        ),
        (b"[1]".to_vec(), 422, Some("")),
        (b"".to_vec(), 400, None),
        (b"{".to_vec(), 400, None),
        (b"\xef\xbb\xbf{}".to_vec(), 400, None),
        (b"{\"email\":\"\xc3\x28\"}".to_vec(), 400, None),
        (br#"{"email":"\ud800"}"#.to_vec(), 400, None),
        (br#"{"email":1e400}"#.to_vec(), 400, None),
        ("[".repeat(60_000).into_bytes(), 400, None),
        (body("ada@example.com", &"x".repeat(1 << 20), "Ada"), 413, None),
        ("[".repeat(10 << 20).into_bytes(), 413, None),
    ];
    for (body, status, pointer) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let mut client = Client::connect(replica.address).await;
        let request = post(REGISTER, &body);
        // Of the longest, only the beginning is sent: it is refused by its announced length.
        client.send(&request[..request.len().min(2 << 20)]).await;
        let answer = client.receive().await.unwrap_or_else(|| panic!("no answer to {shown}"));
        assert_eq!(answer.problem().0, status, "{shown}: {answer:?}");
        assert_eq!(answer.json()["pointer"].as_str(), pointer, "{shown}: {answer:?}");
    }
}

#[tokio::test]
async fn every_wrong_field_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let answer = replica.exchange(post(REGISTER, r#"{"email":"ada","password":7,"admin":true}"#)).await;
    let body = answer.json();
    let pointers: Vec<_> =
        body["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/email", "/name", "/password", "/admin"]);
}

#[tokio::test]
async fn a_chunked_body_is_refused_at_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut client = Client::connect(replica.address).await;
    let head = "POST /api/auth/register HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\n";
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    client.send(format!("{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert_eq!(client.receive().await.unwrap().problem(), (413, "Body too large".to_owned()));
}

/// A11. Nobody has to send what is near the bound of a database's values for it to be refused.
#[tokio::test]
async fn a_body_of_four_gigabytes_is_refused_by_what_announces_it() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let head = "POST /api/auth/register HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\n";
    for length in ["4294967295", "4294967296", "9223372036854775807"] {
        let mut client = Client::connect(replica.address).await;
        client.send(format!("{head}content-length: {length}\r\n\r\n{{\"email\":\"").as_bytes()).await;
        assert_eq!(client.receive().await.unwrap().problem(), (413, "Body too large".to_owned()), "{length}");
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut client = Client::connect(replica.address).await;
    let head = "POST /api/auth/register HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\n";
    client.send(format!("{head}expect: 100-continue\r\ncontent-length: 100000\r\n\r\n").as_bytes()).await;
    assert_eq!(client.receive().await.unwrap().problem(), (413, "Body too large".to_owned()));
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    for header in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"]
    {
        let request =
            format!("POST {REGISTER} HTTP/1.1\r\nhost: api\r\n{header}content-length: 2\r\n\r\n{{}}");
        assert_eq!(
            replica.exchange(request).await.problem(),
            (415, "Unsupported media type".to_owned()),
            "{header}"
        );
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_problems_too() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    for (method, path, allow) in [
        ("GET", REGISTER, "POST"),
        ("POST", "/api/profile", "GET,HEAD,PATCH"),
        ("BREW", "/health", "GET,HEAD"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\n\r\n");
        let answer = replica.exchange(request).await;
        assert_eq!(answer.problem(), (405, "Method not allowed".to_owned()), "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    for path in ["/", "/api", "/api/profile/", "/api/users/", "//health", "/api/users/1/2"] {
        assert_eq!(replica.get(path).await.problem(), (404, "Not found".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_id_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    for id in [
        "1",
        "0",
        "-1",
        "1e3",
        "0x1",
        "9223372036854775807",
        "9223372036854775808",
        "%ff",
        "%00",
        "1%2F2",
        "%7B0190a1b2-0000-7000-8000-000000000000%7D",
        "{0190a1b2-0000-7000-8000-000000000000}",
        "1'%20OR%201=1",
    ] {
        assert_eq!(replica.get(&format!("/api/users/{id}")).await.problem().0, 404, "{id}");
    }
}
