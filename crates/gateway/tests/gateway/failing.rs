//! Endpoints that fail: what the client is told, who gets the request instead, and who gets no more.

mod active_checks;
mod attempts;
mod budget;
mod idle_connections;
mod outliers;
mod passive_health;
mod slow_start;
mod timeouts;

/// A request whose body is there with its head.
fn request(method: &str, body: &str) -> String {
    let fields = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}
