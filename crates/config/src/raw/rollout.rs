//! `rollout` of a service.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::located::{Amount, At, DeadlineText, DurationText};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollout {
    /// Replicas that may be there above those that should be, also those that are about to end. Of a percentage a part of a replica
    /// counts as one.
    #[schemars(extend("default" = "25%"))]
    pub(crate) max_surge: Option<At<Amount>>,
    /// Replicas that may be missing while others take their places. Of a percentage a part of a replica counts for nothing.
    #[schemars(extend("default" = 0))]
    pub(crate) max_unavailable: Option<At<Amount>>,
    /// How long a replica must have been ready to be counted on.
    #[schemars(extend("default" = "0s"))]
    pub(crate) min_ready: Option<At<DurationText>>,
    /// How long nothing may have come further until it is a stall; longer than `min_ready`.
    #[schemars(extend("default" = "600s"))]
    pub(crate) deadline: Option<At<DeadlineText>>,
    /// What a stall leads to: `hold` says so and goes on as soon as it can, `roll_back` goes back to what was complete last.
    #[schemars(extend("default" = "hold"))]
    pub(crate) on_stall: Option<OnStall>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnStall {
    Hold,
    RollBack,
}
