//! `[[route]]`

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use super::RouteAuth;
use crate::located::{At, ByteRateText, DurationText, PathText, SizeText};

/// Which requests go where. The longest path wins, then the more exact host; a request without a route is answered 404.
///
/// ```toml
/// [[route]]
/// host = "api.example.com"
/// path = "/"
/// methods = ["GET", "POST"]
/// service = "api"
/// timeouts = { connect = "2s", read = "30s" }
/// retry = { attempts = 2 }
/// max_body = "10MiB"
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
    /// Who may come: whoever brings a token that `[auth]` vouches for, or, with `roles`, one that has any of them.
    #[schemars(extend("examples" = [{ "required": true, "roles": ["admin"] }]))]
    pub(crate) auth: Option<At<RouteAuth>>,
    /// How long the gateway waits for the service.
    #[schemars(extend("examples" = [{ "connect": "2s" }]))]
    pub(crate) timeouts: Option<At<Timeouts>>,
    /// When an attempt fails and another is safe: nothing was sent, or the method is idempotent and no answer has begun.
    #[schemars(extend("examples" = [{ "attempts": 2 }]))]
    pub(crate) retry: Option<At<Retry>>,
    /// How long the body of a request may be; a longer one is answered 413.
    #[schemars(extend("default" = "1GiB"))]
    pub(crate) max_body: Option<At<SizeText>>,
    /// What a client must send of a body over any ten seconds, else it is answered 408; `"0B/s"` switches this off.
    #[schemars(extend("default" = "16B/s"))]
    pub(crate) min_body_rate: Option<At<ByteRateText>>,
    /// Whether requests wait or are turned away when the service has too many, as its `limits`, `queue`,
    /// `adaptive_concurrency` and `circuit_breaker` say. `false` is for probes, which must get an answer when nobody
    /// else does.
    #[schemars(extend("default" = true))]
    pub(crate) shed: Option<At<bool>>,
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
    /// While neither side of an upgraded connection, as of a WebSocket, sends anything.
    #[schemars(extend("default" = "1h"))]
    pub(crate) tunnel: Option<At<DurationText>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// Endpoints that get one request at most, the first included; 1 switches retries off.
    #[schemars(range(min = 1, max = 10), extend("default" = 3))]
    pub(crate) attempts: Option<NonZeroU32>,
    /// Retries for each request, over time: 0.2 is one for every five requests. A retry of what was never sent, since no
    /// connection stood, does not count.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = 0.2))]
    pub(crate) budget: Option<f64>,
}
