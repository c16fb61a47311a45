//! Somebody with an account, and what one of his devices was given when it logged in.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::http::{Answer, exchange, getting_with, sending};

/// Not that of the examples in the OpenAPI document, with which schemathesis changes passwords.
const PASSWORD: &str = "seven green bottles hang";
const COOKIE: &str = "__Host-phalanx_session";

#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) email: String,
    pub(super) id: String,
    password: String,
    pub(super) token: String,
    pub(super) refresh_token: String,
    /// A pair of name and value; none if he got none.
    pub(super) cookie: Option<String>,
}

impl Visitor {
    pub(super) fn registers(address: SocketAddr, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "name": name, "password": PASSWORD });
        let answer = exchange(address, &sending("POST", "/api/auth/register", "", body.to_string()));
        assert_eq!(answer.status, 201, "{answer:?}");
        let visitor = Self::of(&answer, &email, PASSWORD);
        assert!(visitor.cookie.is_some(), "{answer:?}");
        visitor
    }

    /// The same account on another device.
    pub(super) fn logs_in(&self, address: SocketAddr) -> Self {
        let answer = self.tries_to_log_in(address);
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::of(&answer, &self.email, &self.password)
    }

    pub(super) fn tries_to_log_in(&self, address: SocketAddr) -> Answer {
        let body = json!({ "email": self.email, "password": self.password });
        exchange(address, &sending("POST", "/api/auth/login", "", body.to_string()))
    }

    /// Changes his password; the device with what it was given for it.
    pub(super) fn changes_password(&self, address: SocketAddr, password: &str) -> Self {
        let body = json!({ "current_password": self.password, "password": password });
        let answer = self.sends(address, "PATCH", "/api/profile", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::of(&answer, &self.email, password)
    }

    pub(super) fn refreshes(&self, address: SocketAddr) -> Answer {
        let body = json!({ "refresh_token": self.refresh_token });
        exchange(address, &sending("POST", "/api/auth/refresh", "", body.to_string()))
    }

    /// The device after a refresh.
    pub(super) fn refreshed(&self, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let document = answer.json();
        Self {
            token: text(&document["token"]),
            refresh_token: text(&document["refresh_token"]),
            ..self.clone()
        }
    }

    /// Asks with the token.
    pub(super) fn gets(&self, address: SocketAddr, target: &str) -> Answer {
        exchange(address, &getting_with(target, &self.bearer()))
    }

    /// Asks with the cookie alone.
    pub(super) fn gets_by_cookie(&self, address: SocketAddr, target: &str) -> Answer {
        exchange(address, &getting_with(target, &self.cookie_field()))
    }

    /// Sends a document with the token.
    pub(super) fn sends(&self, address: SocketAddr, method: &str, target: &str, body: &Value) -> Answer {
        exchange(address, &sending(method, target, &self.bearer(), body.to_string()))
    }

    /// Sends a document with the cookie alone, as a page of this place does.
    pub(super) fn sends_by_cookie(
        &self,
        address: SocketAddr,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Answer {
        let fields = format!("{}Sec-Fetch-Site: same-origin\r\n", self.cookie_field());
        exchange(address, &sending(method, target, &fields, body.to_string()))
    }

    pub(super) fn logs_out(&self, address: SocketAddr) {
        let answer = self.sends(address, "POST", "/api/auth/logout", &json!({}));
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// A line of a head.
    pub(super) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    /// The id of his login, which his cookie names.
    pub(super) fn login(&self) -> &str {
        let cookie = self.cookie.as_deref().unwrap();
        cookie.split_once('=').unwrap().1.split_once('.').unwrap().0
    }

    /// The same with the cookie.
    pub(super) fn cookie_field(&self) -> String {
        format!("Cookie: {}\r\n", self.cookie.as_deref().unwrap())
    }

    fn of(answer: &Answer, email: &str, password: &str) -> Self {
        let document = answer.json();
        // A change of the profile answers with the account itself.
        let account = document.get("user").unwrap_or(&document);
        let set = answer.headers("set-cookie").find(|cookie| cookie.starts_with(COOKIE));
        Self {
            email: email.to_owned(),
            id: text(&account["id"]),
            password: password.to_owned(),
            token: text(&document["token"]),
            refresh_token: text(&document["refresh_token"]),
            cookie: set.map(|cookie| cookie.split(';').next().unwrap().to_owned()),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}
