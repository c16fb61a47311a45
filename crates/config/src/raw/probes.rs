//! `probes` of a service.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::located::{At, DurationText, PathText};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probes {
    /// Asked until it succeeds once; only then the readiness probe begins. When it fails, the replica is stopped and started
    /// again.
    #[schemars(transform = startup_defaults, extend("examples" = [{ "path": "/started", "failure": 120 }]))]
    pub(crate) startup: Option<Probe>,
    /// Decides whether the replica gets requests. When it fails, it gets none until it succeeds again.
    #[schemars(extend("examples" = [{ "path": "/ready" }]))]
    pub(crate) readiness: Option<Probe>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// What is asked for, with GET; 200 to 399 is good. Without it: a TCP connection that is accepted.
    #[schemars(extend("examples" = ["/ready"]))]
    pub(crate) path: Option<At<PathText>>,
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
    pub(crate) success: Option<u32>,
    /// Bad probes in a row until it counts as bad.
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub(crate) failure: Option<u32>,
}

/// A startup probe has the keys of a readiness probe, and other defaults.
fn startup_defaults(schema: &mut Schema) {
    let set = |schema: &mut Schema, pointer: &str, value: Value| {
        *schema.pointer_mut(pointer).expect("a probe has the keys of its struct") = value;
    };
    set(schema, "/properties/failure/default", json!(60));
    for (inherited, about) in [
        ("path", "What is asked for, with GET; 200 to 399 is good. Without it: what `readiness` asks for."),
        ("initial_delay", "Time before the first probe. Without it: that of `readiness`."),
        ("timeout", "Time for one probe. Without it: that of `readiness`."),
    ] {
        set(schema, &format!("/properties/{inherited}/description"), json!(about));
        if let Some(Value::Object(key)) = schema.pointer_mut(&format!("/properties/{inherited}")) {
            key.remove("default");
        }
    }
}
