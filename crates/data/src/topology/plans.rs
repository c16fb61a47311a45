//! Plans of slow statements, for the log: a sample, since taking one costs the server a little and an exclusive connection.
//!
//! The plan is the generic one, which knows no values; so the log shows none of anybody's data.

use std::{collections::HashMap, sync::Arc, time::Duration};

use phalanx_telemetry::clock;
use tokio::{sync::mpsc, time};

use super::shared::Shared;
use crate::{AccessError, Isolation, ShardId, Statement, Transaction, Value, backend::Endpoint};

/// Statements that wait to be explained; more are left out.
const WAITING_MAX: usize = 4;

/// How long a plan may take: an exclusive connection is held for it.
const TIMEOUT: Duration = Duration::from_secs(5);

const GENERIC: Statement =
    Statement::new("phalanx_plan_generic", "SET LOCAL plan_cache_mode = force_generic_plan");
const PARAMETERS: Statement = Statement::new(
    "phalanx_plan_parameters",
    "SELECT cardinality(parameter_types)::int AS count FROM pg_prepared_statements WHERE name = 'phalanx_plan'",
);
const FORGET: Statement = Statement::new("phalanx_plan_forget", "DEALLOCATE phalanx_plan");

/// Where slow statements are told.
pub(crate) struct PlanRequests {
    sender: mpsc::Sender<(ShardId, Statement)>,
}

/// Where they are heard.
pub(crate) type Requests = mpsc::Receiver<(ShardId, Statement)>;

impl PlanRequests {
    pub(crate) fn new() -> (Self, Requests) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender }, receiver)
    }

    /// Asks for a plan, unless many have.
    pub(crate) fn ask(&self, shard: ShardId, statement: Statement) {
        // A full queue means that plans are being taken already: this one is not part of the sample.
        let _ = self.sender.try_send((shard, statement));
    }
}

/// Explains slow statements, one in every period.
pub(crate) async fn explain(shared: Arc<Shared>, mut requests: Requests) {
    let mut explainers = HashMap::new();
    loop {
        let (shard, statement) = tokio::select! {
            Some(request) = requests.recv() => request,
            () = shared.closed.cancelled() => return,
        };
        let begun = clock::now();
        let explainer = explainers.entry(statement.name()).or_insert_with(|| Explainer::of(statement));
        match time::timeout(TIMEOUT, plan(&shared, shard, explainer)).await {
            Ok(Ok(Some(plan))) => {
                tracing::warn!(
                    statement = statement.name(),
                    shard = shard.0,
                    plan,
                    "plan of a slow statement"
                );
            }
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(statement = statement.name(), error, "a slow statement cannot be explained");
            }
        }
        tokio::select! {
            () = time::sleep_until((begun + shared.settings.plan_period).into()) => {}
            () = shared.closed.cancelled() => return,
        }
    }
}

/// The statements that explain another. Their texts live as long as the program, so they are made once for a name.
struct Explainer {
    prepare: Statement,
    /// The text of `EXPLAIN` for as many parameters as the statement turned out to have.
    explain: Option<Statement>,
}

impl Explainer {
    fn of(statement: Statement) -> Self {
        Self { prepare: kept(format!("PREPARE phalanx_plan AS {}", statement.sql())), explain: None }
    }

    /// With NULL for every parameter, whose values the plan does not look at.
    fn explain(&mut self, parameters: u16) -> Statement {
        *self.explain.get_or_insert_with(|| {
            let nulls = vec!["NULL"; usize::from(parameters)].join(", ");
            let arguments = if parameters > 0 { format!("({nulls})") } else { String::new() };
            kept(format!("EXPLAIN (FORMAT JSON) EXECUTE phalanx_plan{arguments}"))
        })
    }
}

fn kept(sql: String) -> Statement {
    Statement::new("phalanx_plan", sql.leak())
}

async fn plan(
    shared: &Shared,
    shard: ShardId,
    explainer: &mut Explainer,
) -> Result<Option<String>, AccessError> {
    let primary = shared.shards.load().state(shard).and_then(|state| state.view().primary.clone());
    let Some(primary) = primary else { return Ok(None) };
    // The one writer of a file has better things to do.
    if let Endpoint::Sqlite(_) = primary.endpoint {
        return Ok(None);
    }
    let mut transaction = primary.endpoint.begin(Isolation::ReadCommitted).await?;
    let plan = explained(&mut transaction, explainer).await;
    transaction.rollback().await?;
    plan
}

async fn explained(
    transaction: &mut Transaction,
    explainer: &mut Explainer,
) -> Result<Option<String>, AccessError> {
    transaction.execute(&GENERIC, &[]).await?;
    transaction.execute(&explainer.prepare, &[]).await?;
    let counts = transaction.query(&PARAMETERS, &[]).await?;
    let count: u16 = counts.first().map(|row| row.get("count")).transpose()?.unwrap_or(0);
    let rows = transaction.query(&explainer.explain(count), &[]).await?;
    transaction.execute(&FORGET, &[]).await?;
    let plan = rows.first().map(|row| row.get::<Value>(0)).transpose()?;
    Ok(plan.and_then(|plan| if let Value::Text(plan) = plan { Some(plan) } else { None }))
}
