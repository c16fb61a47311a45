//! Every route of the service: method, template, who is let in, handler.
//!
//! The OpenAPI document (`crate::document`) takes from here what it says about access, so that it cannot say anything else.

use std::sync::Arc;

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use phalanx_auth::{Freshness, Role};

use crate::{
    access::{
        Access::{self, Public, Roles, Socket, Token, TokenOrCookie},
        Guarded,
    },
    routes::{
        account, accounts, cart, catalog, documentation, keys, login, operations, profile, refresh,
        registration, sessions, socket,
    },
    service::Service,
};

const ADMINS: &[Role] = &[Role::Admin];
/// What the feed has brought is recent enough.
const FEED: Freshness = Freshness::Feed;
/// For what ends or changes somebody's access: whoever has lost his own must not be in time to do that.
const STORE: Freshness = Freshness::Store;

/// One row of the table.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) template: &'static str,
    pub(crate) access: Access,
    /// Behind its access already.
    pub(crate) handler: MethodRouter<Arc<Service>>,
}

impl Route {
    fn new<T: 'static>(
        method: Method,
        template: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<Service>>,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("the methods below have filters");
        Self { method, template, access, handler: on(filter, Guarded::new(access, handler)) }
    }
}

/// All rows, by path.
pub(crate) fn table() -> Vec<Route> {
    const DELETE: Method = Method::DELETE;
    const GET: Method = Method::GET;
    const PATCH: Method = Method::PATCH;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    vec![
        Route::new(GET, "/.well-known/jwks.json", Public, keys::show),
        Route::new(POST, "/api/auth/login", Public, login::login),
        Route::new(POST, "/api/auth/logout", TokenOrCookie(FEED), login::logout),
        Route::new(POST, "/api/auth/logout-all", TokenOrCookie(STORE), sessions::end_all),
        Route::new(POST, "/api/auth/refresh", Public, refresh::refresh),
        Route::new(POST, "/api/auth/register", Public, registration::register),
        Route::new(GET, "/api/auth/sessions", TokenOrCookie(STORE), sessions::list),
        Route::new(DELETE, "/api/auth/sessions/{id}", TokenOrCookie(STORE), sessions::end),
        Route::new(DELETE, "/api/cart", TokenOrCookie(FEED), cart::clear),
        Route::new(GET, "/api/cart", TokenOrCookie(FEED), cart::show),
        Route::new(PATCH, "/api/cart", TokenOrCookie(FEED), cart::merge),
        Route::new(PUT, "/api/cart", TokenOrCookie(FEED), cart::replace),
        Route::new(GET, "/api/catalog", Public, catalog::list),
        Route::new(GET, "/api/profile", Token(FEED), profile::profile),
        // It asks the store where a password is concerned.
        Route::new(PATCH, "/api/profile", Token(FEED), profile::change),
        Route::new(GET, "/api/stats/users", Public, accounts::totals),
        Route::new(GET, "/api/users", Roles(ADMINS, FEED), accounts::list),
        Route::new(GET, "/api/users/{id}", Public, account::show),
        Route::new(PATCH, "/api/users/{id}", Roles(ADMINS, STORE), account::change),
        Route::new(GET, "/docs", Public, documentation::page),
        Route::new(GET, "/health", Public, operations::health),
        Route::new(GET, "/livez", Public, operations::alive),
        Route::new(GET, "/metrics", Public, operations::metrics),
        Route::new(GET, "/openapi.json", Public, documentation::openapi),
        Route::new(GET, "/ready", Public, operations::ready),
        Route::new(GET, "/readyz", Public, operations::readyz),
        Route::new(GET, "/ws", Socket, socket::open),
    ]
}
