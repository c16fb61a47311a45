//! Every route of the service, and whom it lets in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{accounts::bearer, client::register, replica::Replica};

/// What is decided: a route that is not here, or is let in by others, fails the test until somebody has decided on it.
const DECISIONS: &[(&str, &str)] = &[
    ("DELETE /api/auth/sessions/{id}", "authenticated"),
    ("DELETE /api/cart", "authenticated"),
    ("GET /.well-known/jwks.json", "public"),
    ("GET /api/auth/sessions", "authenticated"),
    ("GET /api/cart", "authenticated"),
    ("GET /api/catalog", "public"),
    ("GET /api/profile", "authenticated"),
    ("GET /api/stats/users", "public"),
    ("GET /api/users", "admin"),
    ("GET /api/users/{id}", "public"),
    ("GET /docs", "public"),
    ("GET /health", "public"),
    ("GET /livez", "public"),
    ("GET /metrics", "public"),
    ("GET /openapi.json", "public"),
    ("GET /ready", "public"),
    ("GET /readyz", "public"),
    ("GET /ws", "authenticated"),
    ("PATCH /api/cart", "authenticated"),
    ("PATCH /api/profile", "authenticated"),
    ("PATCH /api/users/{id}", "admin"),
    ("POST /api/auth/login", "public"),
    ("POST /api/auth/logout", "authenticated"),
    ("POST /api/auth/logout-all", "authenticated"),
    ("POST /api/auth/refresh", "public"),
    ("POST /api/auth/register", "public"),
    ("PUT /api/cart", "authenticated"),
];

#[tokio::test]
async fn no_route_is_without_a_decision_or_lets_in_whom_it_should_not() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut found = Vec::new();
    for (template, item) in paths(&replica).await {
        for method in item.keys() {
            let route = format!("{} {template}", method.to_uppercase());
            let stranger = replica.exchange(request(&route, None)).await;
            // Some routes end what they are called with.
            let user =
                bearer(&replica.exchange(register(&format!("ada{}@example.com", found.len()))).await.json());
            let caller = replica.exchange(request(&route, Some(&user))).await;
            let access = match (stranger.status, caller.status) {
                (401, 403) => "admin",
                (401, 401) => panic!("{route} is for nobody: {caller:?}"),
                (401, _) => "authenticated",
                (403, _) => panic!("{route} forbids what it has not asked for"),
                _ => "public",
            };
            if access != "public" {
                assert_eq!(stranger.problem().1, "No token provided", "{route}");
                assert_eq!(stranger.header("www-authenticate"), Some("Bearer"), "{route}");
            }
            if access == "admin" {
                assert_eq!(caller.problem().1, "Insufficient permissions", "{route}");
            }
            found.push((route, access));
        }
    }
    found.sort();
    let decided: Vec<_> = DECISIONS.iter().map(|(route, access)| ((*route).to_owned(), *access)).collect();
    assert_eq!(found, decided);
}

#[tokio::test]
async fn each_path_names_its_methods_to_whoever_uses_another() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    for (template, item) in paths(&replica).await {
        let mut known: Vec<_> = item.keys().map(|method| method.to_uppercase()).collect();
        if item.contains_key("get") {
            known.push("HEAD".to_owned());
        }
        known.sort();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW", "get"] {
            if known.iter().any(|known| known == method) {
                continue;
            }
            // A wrong method is wrong for everybody: nobody is asked for a token first.
            let answer = replica.exchange(request(&format!("{method} {template}"), None)).await;
            assert_eq!(answer.problem(), (405, "Method not allowed".to_owned()), "{method} {template}");
            let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
            allowed.sort_unstable();
            assert_eq!(allowed, known, "{method} {template}");
        }
    }
}

#[tokio::test]
async fn the_page_may_load_nothing_but_the_document() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let page = replica.get("/docs").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    for source in
        policy.split("; ").filter_map(|directive| directive.split_once(' ')).map(|(_, source)| source)
    {
        assert!(matches!(source, "'none'" | "'self'") || source.starts_with("'sha256-"), "{policy}");
    }
    for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
}

async fn paths(replica: &Replica) -> BTreeMap<String, Map<String, Value>> {
    let document = replica.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(template, item)| (template.clone(), item.as_object().unwrap().clone())).collect()
}

fn request(route: &str, authorization: Option<&str>) -> String {
    let (method, template) = route.split_once(' ').unwrap();
    let path = template.replace("{id}", "1");
    let field = authorization.map(|value| format!("authorization: {value}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: api\r\n{field}content-length: 0\r\n\r\n")
}
