//! The bodies that routes take. They are read by hand (`crate::body`), so that every fault of one is told at once; here they are
//! described.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type, schema::SchemaType},
};

use crate::routes::cart::QUANTITY_MAX;

/// Somebody who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct RegistrationBody {
    #[schema(example = "ada@example.com", max_length = 254, format = "email")]
    email: String,
    /// Bytes of UTF-8 count.
    #[schema(example = "correct horse battery", min_length = 8, max_length = 1024, format = "password")]
    password: String,
    #[schema(example = "Ada", min_length = 1, max_length = 100)]
    name: String,
}

/// What proves whose an account is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Credentials)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct LoginBody {
    #[schema(example = "ada@example.com")]
    email: String,
    #[schema(example = "correct horse battery", max_length = 1024, format = "password")]
    password: String,
}

/// What prolongs a login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Refresh)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct RefreshBody {
    /// That of the last login or refresh.
    #[schema(max_length = 1024)]
    refresh_token: String,
}

/// What is to be different about the caller's account: one of both at least.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProfileChange)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct ProfileChangeBody {
    #[schema(example = "Ada", min_length = 1, max_length = 100, nullable = false)]
    name: Option<String>,
    /// Another password; with `current_password` only.
    #[schema(
        example = "battery horse correct",
        min_length = 8,
        max_length = 1024,
        format = "password",
        nullable = false
    )]
    password: Option<String>,
    #[schema(example = "correct horse battery", max_length = 1024, format = "password", nullable = false)]
    current_password: Option<String>,
}

/// What is to be different about somebody's account: one of both at least.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct AccountChangeBody {
    #[schema(example = "admin", pattern = "^(user|admin)$", nullable = false)]
    role: Option<String>,
    /// Whether nobody may log in to it.
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// A cart as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCart)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct CartBody {
    /// Quantities by the ids of products, at most 100.
    #[schema(example = json!({ "3": 1, "9": 2 }))]
    items: BTreeMap<String, Quantity>,
}

/// What is to be different about a cart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CartChange)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct CartChangeBody {
    /// Quantities by the ids of products, at most 100; null takes a product out.
    #[schema(example = json!({ "3": 4, "9": null }))]
    items: BTreeMap<String, QuantityOrNull>,
}

/// How many of a product.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct Quantity(u16);

/// How many of a product, or none.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct QuantityOrNull(Option<u16>);

impl PartialSchema for Quantity {
    fn schema() -> RefOr<Schema> {
        quantity(Type::Integer.into())
    }
}

impl PartialSchema for QuantityOrNull {
    fn schema() -> RefOr<Schema> {
        quantity(SchemaType::from_iter([Type::Integer, Type::Null]))
    }
}

impl ToSchema for Quantity {}
impl ToSchema for QuantityOrNull {}

fn quantity(of: SchemaType) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(of).minimum(Some(1)).maximum(Some(QUANTITY_MAX)).build().into()
}
