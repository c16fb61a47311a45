//! Rolling updates as a Kubernetes Deployment makes them.

mod amount;
mod fenceposts;
mod policy;

pub use self::{
    amount::{IntOrPercent, NoAmount},
    fenceposts::{Fenceposts, fenceposts},
    policy::{Ceiling, NoPatience, OnStall, Pace, PaceError, Patience, Policy},
};
