//! `probes` and `back_off` of a service.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::located::{At, DurationText, PathText};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probes {
    /// Asked until it succeeds once; only then the other probes begin. When it fails, the replica is stopped and started again.
    #[schemars(transform = startup_defaults, extend("examples" = [{ "path": "/started", "failure": 120 }]))]
    pub(crate) startup: Option<Probe>,
    /// Decides whether the replica gets requests. When it fails, it gets none until it succeeds again.
    #[schemars(extend("examples" = [{ "path": "/ready" }]))]
    pub(crate) readiness: Option<Probe>,
    /// Finds out whether the replica hangs. When it fails, the replica leaves the balancer, is stopped and started again; `{}`
    /// asks for a TCP connection. Without it only a replica that ends is started again.
    #[schemars(transform = liveness_defaults, extend("examples" = [{ "path": "/live", "timeout": "5s" }]))]
    pub(crate) liveness: Option<Probe>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// Asks for this path with GET; 200 to 399 is good.
    #[schemars(extend("examples" = ["/ready"]))]
    pub(crate) path: Option<At<PathText>>,
    /// `true` asks for a TCP connection; one that is accepted is good. This is what a probe does without `path`, `exec` and
    /// `grpc`.
    pub(crate) tcp: Option<At<bool>>,
    /// Runs this program, with the environment of the replica; exit code 0 is good. At the timeout it is killed, with all it
    /// has started.
    #[schemars(extend("examples" = [["pg_isready", "--quiet"]]))]
    pub(crate) exec: Option<At<Vec<At<String>>>>,
    /// Asks for the health of this service with `grpc.health.v1.Health/Check`, over HTTP/2 without TLS; `SERVING` is good. `""`
    /// is the program as a whole.
    #[schemars(extend("examples" = [""]))]
    pub(crate) grpc: Option<At<String>>,
    /// Another port than that in `PORT`; not with `exec`.
    #[schemars(range(min = 1, max = 65_535))]
    pub(crate) port: Option<At<u16>>,
    /// Time before the first probe.
    #[schemars(extend("default" = "0s"))]
    pub(crate) initial_delay: Option<At<DurationText>>,
    /// Time between two probes.
    #[schemars(extend("default" = "1s"))]
    pub(crate) period: Option<At<DurationText>>,
    /// Time for one probe.
    #[schemars(extend("default" = "1s"))]
    pub(crate) timeout: Option<At<DurationText>>,
    /// Good probes in a row until it counts as good.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub(crate) success: Option<At<u32>>,
    /// Bad probes in a row until it counts as bad.
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub(crate) failure: Option<u32>,
}

/// The first start after a failed run follows at once, the next ones after pauses that double.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackOff {
    /// The pause after the second failed run in a row.
    #[schemars(extend("default" = "10s"))]
    pub(crate) first: Option<At<DurationText>>,
    /// The longest pause.
    #[schemars(extend("default" = "300s"))]
    pub(crate) longest: Option<At<DurationText>>,
    /// A run that lasts longer than this forgives the failures before it.
    #[schemars(extend("default" = "10m"))]
    pub(crate) forgiven_after: Option<At<DurationText>>,
}

const SUCCESS_IS_ONE: &str = "Can only be 1: one good probe is enough.";

/// A startup probe has the keys of a readiness probe, and other defaults.
fn startup_defaults(schema: &mut Schema) {
    set(schema, "/properties/failure/default", json!(60));
    set(schema, "/properties/success/description", json!(SUCCESS_IS_ONE));
    for (inherited, about) in [
        (
            "tcp",
            "`true` asks for a TCP connection. Without `path`, `tcp`, `exec` and `grpc`: what `readiness` asks for.",
        ),
        ("initial_delay", "Time before the first probe. Without it: that of `readiness`."),
        ("timeout", "Time for one probe. Without it: that of `readiness`."),
    ] {
        set(schema, &format!("/properties/{inherited}/description"), json!(about));
        if let Some(Value::Object(key)) = schema.pointer_mut(&format!("/properties/{inherited}")) {
            key.remove("default");
        }
    }
}

/// A liveness probe is asked less often, as in Kubernetes: what it finds costs a restart.
fn liveness_defaults(schema: &mut Schema) {
    set(schema, "/properties/period/default", json!("10s"));
    set(schema, "/properties/success/description", json!(SUCCESS_IS_ONE));
}

fn set(schema: &mut Schema, pointer: &str, value: Value) {
    *schema.pointer_mut(pointer).expect("a probe has the keys of its struct") = value;
}
