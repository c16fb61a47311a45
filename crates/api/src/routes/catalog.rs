//! `GET /api/catalog`: a fixed list of products, the same from every replica, and so the route that a cache can hold.

use std::sync::LazyLock;

use axum::{body::Bytes, http::header, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;

const CACHE_CONTROL: &str = "public, max-age=60";

/// Name and price, in cents. The position is the id, so products are only ever appended.
const PRODUCTS: [(&str, u32); 20] = [
    ("Enamel mug", 1_290),
    ("Linen apron", 3_450),
    ("Cast-iron pan", 5_900),
    ("Bread knife", 4_275),
    ("Oak cutting board", 3_890),
    ("Salt cellar", 1_650),
    ("Pepper mill", 2_980),
    ("Tea strainer", 790),
    ("Coffee dripper", 2_150),
    ("Glass carafe", 2_640),
    ("Cork trivet", 890),
    ("Stoneware bowl", 1_980),
    ("Rolling pin", 1_540),
    ("Balloon whisk", 1_120),
    ("Kitchen scale", 4_490),
    ("Measuring jug", 1_370),
    ("Pie dish", 2_230),
    ("Wooden spoon", 560),
    ("Dish towel", 950),
    ("Storage jar", 1_180),
];

/// Everything that can be bought.
#[derive(Serialize, ToSchema)]
pub(crate) struct Catalog {
    products: Vec<Product>,
}

#[derive(Serialize, ToSchema)]
struct Product {
    #[schema(example = "1")]
    id: String,
    name: &'static str,
    price_cents: u32,
    /// ISO 4217.
    currency: &'static str,
}

/// Whether a product has this id, written as ids are.
pub(super) fn has(id: &str) -> bool {
    let position = id.parse().ok().and_then(|id: usize| id.checked_sub(1));
    position.is_some_and(|position| position < PRODUCTS.len() && (position + 1).to_string() == id)
}

/// Serialized once: it never changes while the process lives.
static CATALOG: LazyLock<Bytes> = LazyLock::new(|| {
    let products = (1_u32..).zip(PRODUCTS).map(|(id, (name, price_cents))| Product {
        id: id.to_string(),
        name,
        price_cents,
        currency: "EUR",
    });
    let catalog = Catalog { products: products.collect() };
    serde_json::to_vec(&catalog).expect("strings and numbers serialize").into()
});

/// The products.
#[utoipa::path(
    get,
    path = "/api/catalog",
    tag = "catalog",
    responses((status = 200, description = "All products; may be cached for a minute.", body = Catalog)),
)]
pub(crate) async fn list() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, CACHE_CONTROL)];
    (headers, CATALOG.clone())
}
