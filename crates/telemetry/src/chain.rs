//! An error with everything that led to it, for whoever consumes it: a log line, the state of a replica.

use std::{error::Error, fmt, iter};

/// Shows an error and its causes, the outermost first: `connect to 10.0.0.1:5432: connection refused`. By the rules of this
/// house a message does not repeat its source, so nothing is said twice.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    fmt::from_fn(move |formatter| {
        write!(formatter, "{error}")?;
        let mut causes = iter::successors(error.source(), |cause| (*cause).source());
        causes.try_for_each(|cause| write!(formatter, ": {cause}"))
    })
}
