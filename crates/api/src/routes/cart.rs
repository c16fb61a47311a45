//! `/api/cart`: what the caller is about to buy. It belongs to the account, so every device shows the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State, response::IntoResponse};
use phalanx_auth::{Change, Contents, FieldsError};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{NO_STORE, catalog};
use crate::{
    access::Caller,
    body::{self, JsonObject},
    document::{CartBody, CartChangeBody},
    problem::{FieldFault, Problem},
    service::Service,
};

/// Products in one cart.
pub(crate) const ITEMS_MAX: usize = 100;
pub(crate) const QUANTITY_MAX: u64 = 999;
const ITEMS: &str = "items";

/// A cart.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cart {
    /// Quantities by the ids of products.
    #[schema(example = json!({ "3": 1, "9": 2 }))]
    items: BTreeMap<String, u64>,
    /// Greater after each change.
    #[schema(example = 1_800_000_000_123_u64)]
    version: u64,
}

impl From<Contents> for Cart {
    fn from(Contents { version, fields }: Contents) -> Self {
        let items = fields.into_iter().filter_map(|(id, quantity)| Some((id, quantity.parse().ok()?)));
        Self { items: items.collect(), version }
    }
}

/// The caller's cart.
#[utoipa::path(
    get,
    path = "/api/cart",
    tag = "cart",
    responses((status = 200, description = "The cart; an empty one is a cart too.", body = Cart)),
)]
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let contents = service.carts.get(&owner(&caller)).await?;
    Ok((NO_STORE, Json(Cart::from(contents))))
}

/// Replaces the cart.
#[utoipa::path(
    put,
    path = "/api/cart",
    tag = "cart",
    request_body = CartBody,
    responses((status = 200, description = "The cart as it is after that.", body = Cart)),
)]
pub(crate) async fn replace(
    State(service): State<Arc<Service>>,
    caller: Caller,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let Change { set, .. } = read(body, Removal::Refused)?;
    let contents = service.carts.replace(&owner(&caller), &set).await?;
    Ok((NO_STORE, Json(Cart::from(contents))))
}

/// Changes the quantities of some products, and takes out those of null. Others stay, also those that another device changes at
/// the same time.
#[utoipa::path(
    patch,
    path = "/api/cart",
    tag = "cart",
    request_body = CartChangeBody,
    responses((status = 200, description = "The cart as it is after that.", body = Cart)),
)]
pub(crate) async fn merge(
    State(service): State<Arc<Service>>,
    caller: Caller,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let change = read(body, Removal::Allowed)?;
    let contents = service.carts.merge(&owner(&caller), &change).await?;
    Ok((NO_STORE, Json(Cart::from(contents))))
}

/// Empties the cart.
#[utoipa::path(
    delete,
    path = "/api/cart",
    tag = "cart",
    responses((status = 200, description = "The empty cart.", body = Cart)),
)]
pub(crate) async fn clear(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let contents = service.carts.clear(&owner(&caller)).await?;
    Ok((NO_STORE, Json(Cart::from(contents))))
}

/// Whose fields a cart is.
pub(crate) fn owner(caller: &Caller) -> String {
    format!("cart:{}", caller.account)
}

/// Whether an item may be null.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removal {
    Allowed,
    Refused,
}

fn read(body: JsonObject, removal: Removal) -> Result<Change, Problem> {
    let mut fields = body.fields();
    let items = fields.object(ITEMS);
    let items = fields.finish(items)?;
    let mut change = Change { set: BTreeMap::new(), remove: BTreeSet::new() };
    let mut faults = Vec::new();
    for (id, value) in bounded(items)? {
        match item(&id, &value, removal) {
            Ok(Some(quantity)) => drop(change.set.insert(id, quantity.to_string())),
            Ok(None) => drop(change.remove.insert(id)),
            Err(detail) => faults.push(FieldFault { pointer: body::pointer(&[ITEMS, &id]), detail }),
        }
    }
    if faults.is_empty() { Ok(change) } else { Err(body::invalid(faults)) }
}

fn bounded(items: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    if items.len() <= ITEMS_MAX { Ok(items) } else { Err(too_many()) }
}

/// The quantity, or `None` where the product is to be taken out.
fn item(id: &str, value: &Value, removal: Removal) -> Result<Option<u64>, String> {
    if !catalog::has(id) {
        return Err("is no product".to_owned());
    }
    match value {
        Value::Null if removal == Removal::Allowed => Ok(None),
        value => {
            let quantity = value.as_u64().filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
            quantity.map(Some).ok_or_else(|| format!("must be a whole number from 1 to {QUANTITY_MAX}"))
        }
    }
}

fn too_many() -> Problem {
    let detail = format!("must have at most {ITEMS_MAX} members");
    body::invalid(vec![FieldFault { pointer: body::pointer(&[ITEMS]), detail }])
}

impl From<FieldsError> for Problem {
    fn from(error: FieldsError) -> Self {
        match error {
            FieldsError::TooMany { .. } => too_many(),
            FieldsError::State(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
