//! The fleet under requests: whatever happens to its replicas, nobody who asks notices more than he has to.

mod crashing;
mod guide;
mod load;
mod place;
mod rolling;
