//! Accounts over three replicas and a gateway: what one replica is told holds at all of them, and goes on holding while what they
//! share is killed, emptied or held.

mod carts;
mod guide;
mod logins;
mod openapi;
mod outages;
mod place;
mod rotation;
mod visitor;
