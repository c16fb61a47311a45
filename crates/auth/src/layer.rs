//! Tower layers for services: who a request is from, and whether that is enough.
//!
//! Invariant: a request passes [`AuthorizeLayer`] only with an [`Identity`](crate::Identity) that was put into its extensions by
//! [`AuthenticateLayer`], since nothing else makes one; in front of it, everybody is answered 401.
//! Elsewhere: what they decide by (`crate::authenticator`); the answers (`crate::refusal`).

mod authenticate;
mod authorize;

pub use self::{
    authenticate::{Authenticate, AuthenticateLayer},
    authorize::{Authorize, AuthorizeLayer},
};
