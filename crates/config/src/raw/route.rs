//! `[[route]]`

use schemars::JsonSchema;
use serde::Deserialize;

use crate::located::{At, DurationText, PathText};

/// Which requests go where. The longest path wins, then the more exact host; a request without a route is answered 404.
///
/// ```toml
/// [[route]]
/// host = "api.example.com"
/// path = "/"
/// methods = ["GET", "POST"]
/// service = "api"
/// timeouts = { connect = "2s", read = "30s" }
///
/// [[route]]
/// path_exact = "/health"
/// respond = { status = 200, body = "healthy\n" }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// The host asked for, without a port. `*.example.com` stands for every name below example.com. Without it: every
    /// host.
    #[schemars(extend("examples" = ["api.example.com"]))]
    pub(crate) host: Option<At<String>>,
    /// Every path that begins so, at the border of a segment: `/api` holds `/api/x`, not `/apix`.
    #[schemars(extend("examples" = ["/api/"]))]
    pub(crate) path: Option<At<PathText>>,
    /// This path alone. A route has either `path` or `path_exact`.
    #[schemars(extend("examples" = ["/health"]))]
    pub(crate) path_exact: Option<At<PathText>>,
    /// Methods that are let through. Without it: those of RFC 9110, and PATCH.
    #[schemars(extend("examples" = [["GET", "POST"]]))]
    pub(crate) methods: Option<At<Vec<At<String>>>>,
    /// Percent-encoded characters that may stand in the path although they can hide a separator.
    #[schemars(extend("default" = [], "examples" = [["%2F"]]))]
    pub(crate) allow_encoded: Option<At<Vec<At<String>>>>,
    /// The `[service.NAME]` that answers.
    #[schemars(extend("examples" = ["api"]))]
    pub(crate) service: Option<At<String>>,
    /// The gateway answers by itself. A route has either `service` or `respond`.
    #[schemars(extend("examples" = [{ "status": 200, "body": "healthy\n" }]))]
    pub(crate) respond: Option<At<Respond>>,
    /// How long the gateway waits for the service.
    #[schemars(extend("examples" = [{ "connect": "2s" }]))]
    pub(crate) timeouts: Option<At<Timeouts>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Respond {
    /// The status.
    #[schemars(range(min = 200, max = 599), extend("default" = 200))]
    pub(crate) status: Option<u16>,
    /// The body, as text/plain; at most 64 KiB.
    #[schemars(extend("default" = ""))]
    pub(crate) body: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// Until a connection to an endpoint stands.
    #[schemars(extend("default" = "5s"))]
    pub(crate) connect: Option<At<DurationText>>,
    /// While sending makes no progress.
    #[schemars(extend("default" = "60s"))]
    pub(crate) send: Option<At<DurationText>>,
    /// While the endpoint sends nothing.
    #[schemars(extend("default" = "60s"))]
    pub(crate) read: Option<At<DurationText>>,
}
