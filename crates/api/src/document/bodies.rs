//! The bodies that routes take. They are read by hand (`crate::body`), so that every fault of one is told at once; here they are
//! described.

use serde::Deserialize;
use utoipa::ToSchema;

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
#[expect(dead_code, reason = "it is described, not built")]
pub(crate) struct Credentials {
    #[schema(example = "ada@example.com")]
    email: String,
    #[schema(example = "correct horse battery", max_length = 1024, format = "password")]
    password: String,
}
