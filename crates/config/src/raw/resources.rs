//! `resources` of a service, and the part of its `limits` that says the same of what a replica may use.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::located::{At, CoresText, SizeText};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Amounts {
    /// CPU time: cores, as `1` or `0.5`, or thousandths of one.
    #[schemars(extend("examples" = ["500m"]))]
    pub(crate) cpu: Option<At<CoresText>>,
    /// Memory.
    #[schemars(extend("examples" = ["512MiB"]))]
    pub(crate) memory: Option<At<SizeText>>,
}
