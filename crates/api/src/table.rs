//! Every route of the service: method, template, who is let in, handler.
//!
//! The OpenAPI document (`crate::document`) takes from here what it says about access, so that it cannot say anything else.

use std::sync::Arc;

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use phalanx_auth::Role;

use crate::{
    access::{
        Access::{self, Authenticated, Public, Roles, Socket},
        Guarded,
    },
    router::Service,
    routes::{account, accounts, catalog, documentation, operations, session, socket},
};

const ADMINS: Access = Roles(&[Role::Admin]);

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
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    vec![
        Route::new(POST, "/api/auth/login", Public, session::login),
        Route::new(POST, "/api/auth/register", Public, session::register),
        Route::new(GET, "/api/catalog", Public, catalog::list),
        Route::new(GET, "/api/profile", Authenticated, account::profile),
        Route::new(GET, "/api/stats/users", Public, accounts::totals),
        Route::new(GET, "/api/users", ADMINS, accounts::list),
        Route::new(GET, "/api/users/{id}", Public, account::user),
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
