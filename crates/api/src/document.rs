//! The OpenAPI document: what the handlers say of themselves, and what the table of routes and this service's ways say of all.
//!
//! Invariant: whom a route lets in is written in the table alone; a handler's attribute says nothing of it.
//! Elsewhere: what each operation takes and answers (`#[utoipa::path]` above its handler); the page (`page`).

mod bodies;
mod page;

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Response,
        Type,
        path::Operation,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};

pub(crate) use self::{
    bodies::{
        AccountChangeBody, CartBody, CartChangeBody, LoginBody, ProfileChangeBody, RefreshBody,
        RegistrationBody,
    },
    page::PAGE,
};
use crate::{
    access::{Access, COOKIE},
    problem::ProblemBody,
    routes::{
        account, accounts, cart, catalog, documentation, keys, login, operations, profile, refresh,
        registration, sessions, socket,
    },
    table::{Route, table},
};

#[cfg(test)]
mod tests;

const BEARER: &str = "bearer";
const COOKIE_SCHEME: &str = "cookie";
/// Their routes ask no database.
const STATELESS_TAGS: [&str; 3] = ["catalog", "keys", "operations"];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Phalanx reference API",
        description = "Accounts, logins, profiles and carts, served by any number of equal replicas.\n\n\
            Every error is `application/problem+json` (RFC 9457) with a short text in `error`. Every answer names its replica \
            in `X-Phalanx-Instance`. An answer to a write carries `Phalanx-Position` and the cookie `phalanx_position`; a \
            request that brings either back sees that write, at whichever replica.",
    ),
    paths(
        account::change,
        account::show,
        accounts::list,
        accounts::totals,
        cart::clear,
        cart::merge,
        cart::replace,
        cart::show,
        catalog::list,
        documentation::openapi,
        documentation::page,
        keys::show,
        login::login,
        login::logout,
        operations::alive,
        operations::health,
        operations::metrics,
        operations::ready,
        operations::readyz,
        profile::change,
        profile::profile,
        refresh::refresh,
        registration::register,
        sessions::end,
        sessions::end_all,
        sessions::list,
        socket::open,
    ),
    components(schemas(ProblemBody<'_>)),
    tags(
        (name = "authentication", description = "Getting tokens, and giving them back."),
        (name = "profile", description = "The caller's own account."),
        (name = "cart", description = "What the caller is about to buy."),
        (name = "catalog", description = "What there is."),
        (name = "accounts", description = "Everybody's accounts."),
        (name = "keys", description = "For those who verify tokens."),
        (name = "operations", description = "For those who run the service."),
    ),
)]
struct Described;

/// The document, made once: it never changes while the process lives.
pub(crate) fn json() -> Bytes {
    static JSON: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&document(&table())).expect("the document serializes").into());
    JSON.clone()
}

fn document(routes: &[Route]) -> OpenApi {
    let mut document = Described::openapi();
    add_security_schemes(document.components.get_or_insert_with(Components::new));
    for Route { method, template, access, .. } in routes {
        let item = document.paths.paths.get_mut(*template);
        if let Some(operation) = item.and_then(|item| operation(item, method)) {
            operation.operation_id = Some(operation_id(method, template));
            operation.security = Some(security(*access));
            add_problems(operation, *access);
        }
    }
    document
}

fn add_security_schemes(components: &mut Components) {
    let mut bearer: Http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    bearer.description = Some("The `token` of a login.".to_owned());
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description(
        COOKIE.name(),
        "The cookie of a login. Requests that change something have to come from this service's own pages.",
    );
    components.add_security_scheme(COOKIE_SCHEME, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
}

/// Any one of these lets somebody in.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let schemes: &[&str] = match access {
        Access::Public => &[],
        Access::Token(_) | Access::Roles(..) => &[BEARER],
        Access::TokenOrCookie(_) | Access::Socket => &[BEARER, COOKIE_SCHEME],
    };
    schemes.iter().map(|scheme| SecurityRequirement::new::<_, [&str; 0], _>(*scheme, [])).collect()
}

/// Adds what may go wrong whatever the handler does, and gives every problem its form.
fn add_problems(operation: &mut Operation, access: Access) {
    let keeps_nothing = operation.tags.iter().flatten().any(|tag| STATELESS_TAGS.contains(&tag.as_str()));
    let of_access: &[_] = match access {
        Access::Public => &[],
        Access::Token(_) => &[401],
        Access::Roles(..) | Access::TokenOrCookie(_) | Access::Socket => &[401, 403],
    };
    let of_body: &[_] = if operation.request_body.is_some() { &[400, 408, 413, 415, 422] } else { &[] };
    let of_databases: &[_] = if keeps_nothing { &[] } else { &[503, 504] };
    let responses = &mut operation.responses.responses;
    for status in [of_access, of_body, of_databases, &[500]].concat() {
        let described = || RefOr::T(Response::new(description(status)));
        responses.entry(status.to_string()).or_insert_with(described);
    }
    for (status, response) in responses.iter_mut() {
        let status = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        let (Some(status), RefOr::T(response)) = (status, response) else { continue };
        if status.is_client_error() || status.is_server_error() {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            response.content.insert("application/problem+json".to_owned(), content);
        }
        if let Some((name, description)) = header(status) {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let header = HeaderBuilder::new().schema(text).description(Some(description)).build();
            response.headers.insert(name.to_owned(), header);
        }
    }
}

fn description(status: u16) -> &'static str {
    match status {
        400 => "`Malformed JSON`, or a body that ends early.",
        401 => "`No token provided`, `Invalid token` or `Token expired`.",
        403 => "`Insufficient permissions`, or a cookie on a request of another site's page.",
        408 => "The body did not arrive in time.",
        413 => "The body is longer than 64 KiB.",
        415 => "The body is no `application/json`.",
        422 => "`Invalid fields`; `errors` names each.",
        500 => "The request failed through no fault of the client's.",
        503 => "Overloaded, stopping, or without its database or shared state; try again.",
        504 => "The database took too long.",
        _ => "A problem.",
    }
}

/// The header that a problem brings.
fn header(status: StatusCode) -> Option<(&'static str, &'static str)> {
    match status {
        StatusCode::UNAUTHORIZED => {
            Some(("WWW-Authenticate", "`Bearer`, and what is wrong with a token that was sent."))
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Some(("Retry-After", "Seconds after which it is worth trying again."))
        }
        _ => None,
    }
}

fn operation<'i>(item: &'i mut PathItem, method: &Method) -> Option<&'i mut Operation> {
    let operation = match *method {
        Method::GET => &mut item.get,
        Method::PUT => &mut item.put,
        Method::POST => &mut item.post,
        Method::PATCH => &mut item.patch,
        Method::DELETE => &mut item.delete,
        _ => return None,
    };
    operation.as_mut()
}

/// `get_api_users_id` for `GET /api/users/{id}`.
fn operation_id(method: &Method, template: &str) -> String {
    let words = template.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.fold(method.as_str().to_lowercase(), |id, word| id + "_" + word)
}
