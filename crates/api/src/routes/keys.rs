//! `GET /.well-known/jwks.json`: the keys that others verify this service's tokens with.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};

use crate::service::Service;

/// Long enough that nobody asks for each token, short enough that a key can be shown before it signs.
const CACHE_CONTROL: &str = "public, max-age=300";

/// The public keys (RFC 7517). Where tokens are signed with a secret there are none.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "keys",
    responses((status = 200, description = "A JWK set; may be cached for five minutes.", body = Object,
        content_type = "application/jwk-set+json")),
)]
pub(crate) async fn show(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, CACHE_CONTROL)];
    (headers, service.public_keys.clone())
}
