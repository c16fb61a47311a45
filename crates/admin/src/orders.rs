//! The routes that change something: scale, rollout, drain, reload.
//!
//! An order is answered 202 as soon as it is accepted, or, with `"wait":"600s"` in its body, when it has come out: 200 done, 409
//! not, with the reason, 504 still under way.
//! Elsewhere: who may ask at all (`crate::guard`, `crate::body`); who carries it out (`crate::control`).

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, de};
use tokio::time;

use crate::{
    body::Body,
    control::{DrainOrder, Ending, Order, Placed, Refusal},
    problem::Problem,
    routes::Admin,
    state::{Outcome, Report},
};

/// A wait beyond this is a forgotten one; whoever wants to know asks again.
const WAIT_MAX: Duration = Duration::from_hours(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleBody {
    replicas: u32,
    #[serde(default)]
    wait: Wait,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolloutBody {
    action: RolloutAction,
    revision: Option<u64>,
    #[serde(default)]
    wait: Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RolloutAction {
    Restart,
    Undo,
    Pause,
    Resume,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrainBody {
    #[serde(default)]
    action: DrainAction,
    #[serde(default)]
    wait: Wait,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReloadBody {
    #[serde(default)]
    wait: Wait,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DrainAction {
    #[default]
    Drain,
    Resume,
}

/// How long an answer may wait for the outcome; by default not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wait(Option<Duration>);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match phalanx_config::parse_duration(&text) {
            Ok(wait) if wait <= WAIT_MAX => Ok(Self(Some(wait))),
            Ok(_) => Err(de::Error::custom("is longer than an hour: wait less, and ask again")),
            Err(fault) => Err(de::Error::custom(fault)),
        }
    }
}

/// `POST /v1/services/{name}/scale`
pub(crate) async fn scale(
    State(admin): State<Admin>,
    Path(service): Path<String>,
    Body(ScaleBody { replicas, wait }): Body<ScaleBody>,
) -> Result<Response, Problem> {
    give(&admin, &service, Order::Scale { replicas }, wait).await
}

/// `POST /v1/services/{name}/rollout`
pub(crate) async fn rollout(
    State(admin): State<Admin>,
    Path(service): Path<String>,
    Body(RolloutBody { action, revision, wait }): Body<RolloutBody>,
) -> Result<Response, Problem> {
    if revision.is_some() && action != RolloutAction::Undo {
        let detail = "`revision` goes with the action `undo` only.";
        let problem = Problem::new(StatusCode::BAD_REQUEST, "Invalid body", detail);
        return Err(problem.with_outcome(Outcome::Refused, None));
    }
    let order = match action {
        RolloutAction::Restart => Order::Restart,
        RolloutAction::Undo => Order::Undo { revision },
        RolloutAction::Pause => Order::Pause,
        RolloutAction::Resume => Order::Resume,
    };
    give(&admin, &service, order, wait).await
}

/// `POST /v1/endpoints/{address}/drain`
pub(crate) async fn drain(
    State(admin): State<Admin>,
    Path(address): Path<String>,
    Body(DrainBody { action, wait }): Body<DrainBody>,
) -> Result<Response, Problem> {
    let order = match action {
        DrainAction::Drain => DrainOrder::Drain,
        DrainAction::Resume => DrainOrder::Resume,
    };
    change_endpoint(&admin, &address, order, wait).await
}

/// `DELETE /v1/endpoints/{address}/drain`
pub(crate) async fn resume(
    State(admin): State<Admin>,
    Path(address): Path<String>,
) -> Result<Response, Problem> {
    change_endpoint(&admin, &address, DrainOrder::Resume, Wait::default()).await
}

/// `POST /v1/reload`
pub(crate) async fn reload(
    State(admin): State<Admin>,
    Body(ReloadBody { wait }): Body<ReloadBody>,
) -> Result<Response, Problem> {
    let placed = admin.control.reload().await.map_err(Problem::from)?;
    follow(&admin, None, placed, wait).await
}

async fn give(admin: &Admin, service: &str, order: Order, wait: Wait) -> Result<Response, Problem> {
    let placed = admin.control.order(service, order).await.map_err(Problem::from)?;
    follow(admin, Some(service), placed, wait).await
}

async fn change_endpoint(
    admin: &Admin,
    address: &str,
    order: DrainOrder,
    wait: Wait,
) -> Result<Response, Problem> {
    let address: SocketAddr = address.parse().map_err(|_| {
        let detail = format!("`{address}` is no address: one looks like 127.0.0.1:3000.");
        Problem::new(StatusCode::BAD_REQUEST, "Invalid address", detail).with_outcome(Outcome::Refused, None)
    })?;
    let placed = admin.control.drain(address, order).await.map_err(Problem::from)?;
    follow(admin, None, placed, wait).await
}

/// Answers as the order comes out, or when the wait is over, or when Phalanx stops.
async fn follow(
    admin: &Admin,
    service: Option<&str>,
    Placed { told, ending }: Placed,
    Wait(wait): Wait,
) -> Result<Response, Problem> {
    let Some(wait) = wait else {
        let report = report(admin, service, Outcome::Accepted, told);
        return Ok((StatusCode::ACCEPTED, Json(report)).into_response());
    };
    let ending = tokio::select! {
        ending = time::timeout(wait, ending) => ending,
        () = admin.stop.cancelled() => return Err(Refusal::Stopping.into()),
    };
    match ending {
        Ok(Ending::Complete { told }) => {
            Ok(Json(report(admin, service, Outcome::Complete, told)).into_response())
        }
        Ok(Ending::Failed { reason }) => {
            let problem = Problem::new(StatusCode::CONFLICT, "Not done", reason);
            Err(problem.with_outcome(Outcome::Failed, shown(admin, service)))
        }
        Err(_) => {
            let service = shown(admin, service);
            let rollout = service.as_ref().and_then(|service| service.rollout.as_ref());
            let state = rollout.map_or_else(|| told, |rollout| rollout.reason.clone());
            let detail = format!("after {wait:?} it is still under way: {state}");
            let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT, "Still under way", detail);
            Err(problem.with_outcome(Outcome::UnderWay, service))
        }
    }
}

fn report(admin: &Admin, service: Option<&str>, outcome: Outcome, detail: String) -> Report {
    Report { outcome, detail, service: shown(admin, service) }
}

fn shown(admin: &Admin, service: Option<&str>) -> Option<crate::state::Service> {
    let name = service?;
    admin.source.state().services.into_iter().find(|service| service.name == name)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = match refusal {
            Refusal::Unknown { what, name, known } => unknown(what, &name, &known),
            Refusal::Refused { reason } => Self::new(StatusCode::CONFLICT, "Refused", reason),
            Refusal::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Stopping",
                "Phalanx is stopping, and takes no orders any more.",
            ),
        };
        problem.with_outcome(Outcome::Refused, None)
    }
}

/// A name that nothing has, with those that something has.
pub(crate) fn unknown(what: &'static str, name: &str, known: &[String]) -> Problem {
    let known = match known {
        [] => format!("there is no {what} at all"),
        known => format!("known: {}", known.join(", ")),
    };
    Problem::new(StatusCode::NOT_FOUND, "Not found", format!("There is no {what} `{name}`; {known}."))
}
