//! What is stored of a resharding, in one row of `phalanx.reshard` in the first shard.
//!
//! Invariant: a stage is stored before it is acted on, and only over the stage that it follows.

use std::time::Duration;

use phalanx_shard::{
    BucketMap,
    plan::{self, Move, Plan},
    reshard::{Direction, Stage},
};
use tokio_postgres::Row;

use super::{Fault, ReshardError, Status, session::Session};

/// The row.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) stage: Stage,
    pub(super) direction: Direction,
    pub(super) shards_to: u16,
    pub(super) from: BucketMap,
    pub(super) to: BucketMap,
    pub(super) soak: Duration,
    /// The soak is to end at once.
    pub(super) pushed: bool,
    pub(super) fault: Option<String>,
    /// By shard, from 1 on; empty before the streams begin.
    pub(super) timelines: Vec<i32>,
    pub(super) age: Duration,
    pub(super) stage_age: Duration,
    /// How long ago the targets were opened.
    pub(super) moved_age: Option<Duration>,
}

impl Stored {
    pub(super) fn moves(&self) -> Vec<Move> {
        plan::moves(&self.from, &self.to)
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage.following().is_none()
    }

    pub(super) fn status(self) -> Status {
        Status {
            moves: self.moves(),
            is_over: self.is_over(),
            stage: self.stage,
            direction: self.direction,
            shards_to: self.shards_to,
            epoch_from: self.from.epoch(),
            soak: self.soak,
            age: self.age,
            stage_age: self.stage_age,
            fault: self.fault,
        }
    }
}

/// Reads the row; `None` where there has been no resharding, or no migration that could keep one.
pub(super) async fn read(first: &Session) -> Result<Option<Stored>, ReshardError> {
    let action = "read what is stored of the resharding";
    let there = "SELECT to_regclass('phalanx.reshard') IS NOT NULL";
    if !first.one(action, there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let text =
        "SELECT stage, direction, shards_to, epoch_from, map_from, map_to, soak, pushed, fault, timelines,
                       extract(epoch FROM clock_timestamp() - began_at)::float8,
                       extract(epoch FROM clock_timestamp() - stage_at)::float8,
                       extract(epoch FROM clock_timestamp() - moved_at)::float8
                  FROM phalanx.reshard";
    let Some(row) = first.optional(action, text, &[]).await? else { return Ok(None) };
    parsed(&row).map(Some).map_err(|fault| ReshardError::Stored { server: first.server.to_string(), fault })
}

fn parsed(row: &Row) -> Result<Stored, String> {
    let text = |fault: &dyn std::fmt::Display| fault.to_string();
    let stage: Stage = row.get::<_, &str>(0).parse().map_err(|fault| text(&fault))?;
    let direction = if row.get::<_, &str>(1) == "back" { Direction::Back } else { Direction::Onward };
    let epoch = row.get::<_, i64>(3).cast_unsigned();
    Ok(Stored {
        stage,
        direction,
        shards_to: u16::try_from(row.get::<_, i32>(2)).map_err(|fault| text(&fault))?,
        from: BucketMap::parse(epoch, row.get(4)).map_err(|fault| text(&fault))?,
        to: BucketMap::parse(epoch + 1, row.get(5)).map_err(|fault| text(&fault))?,
        soak: Duration::from_millis(row.get::<_, i64>(6).cast_unsigned()),
        pushed: row.get(7),
        fault: row.get(8),
        timelines: row.get::<_, Option<_>>(9).unwrap_or_default(),
        age: seconds(row.get(10)),
        stage_age: seconds(row.get(11)),
        moved_age: row.get::<_, Option<f64>>(12).map(seconds),
    })
}

/// A clock that was set back makes nothing negative.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

/// Stores one that begins, over one that is over.
pub(super) async fn begin(
    first: &Session,
    from: &BucketMap,
    plan: &Plan,
    shards_to: u16,
    soak: Duration,
) -> Result<(), ReshardError> {
    let text = format!(
        "DELETE FROM phalanx.reshard WHERE stage IN ('done', 'aborted');
         INSERT INTO phalanx.reshard (stage, direction, shards_to, epoch_from, map_from, map_to, soak)
         VALUES ('{}', 'onward', {shards_to}, {}, '{from}', '{}', {})",
        Stage::Provision,
        from.epoch(),
        plan.map,
        soak.as_millis(),
    );
    first.execute("store the resharding", &text).await
}

/// A step from one stage to another, as it was decided.
pub(super) struct Passage<'a> {
    pub(super) from: Stage,
    pub(super) to: Stage,
    /// Where it went when that was decided. An operator who has asked for something else meanwhile is heard first.
    pub(super) decided_for: Direction,
    /// Where it goes from here on, if that changes.
    pub(super) direction: Option<Direction>,
    /// What made it, if anything did.
    pub(super) fault: Option<&'a Fault>,
}

/// Stores a stage; answers whether it did, or there is another wish to look at first.
pub(super) async fn enter(first: &Session, passage: &Passage<'_>) -> Result<bool, ReshardError> {
    let Passage { from, to, decided_for, direction, fault } = passage;
    let direction = direction.map(direction_name);
    let fault = fault.map(ToString::to_string);
    // The time of the move is when its writers are about to be let in, wherever they go.
    let text = "UPDATE phalanx.reshard
                   SET stage = $2, stage_at = clock_timestamp(), direction = coalesce($4, direction),
                       fault = coalesce($5, fault), pushed = pushed AND $2 <> 'pause_back',
                       moved_at = CASE WHEN $2 IN ('open', 'resume') THEN clock_timestamp() ELSE moved_at END
                 WHERE stage = $1 AND direction = $3 RETURNING true";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&from.name(), &to.name(), &direction_name(*decided_for), &direction, &fault];
    if first.optional("store the stage", text, &values).await?.is_some() {
        return Ok(true);
    }
    match read(first).await? {
        Some(stored) if stored.stage == *from => Ok(false),
        _ => Err(ReshardError::Superseded { expected: from.to_string() }),
    }
}

/// Stores the timelines of the shards, when the streams begin.
pub(super) async fn keep_timelines(first: &Session, timelines: &[i32]) -> Result<(), ReshardError> {
    let text = "UPDATE phalanx.reshard SET timelines = $1 WHERE timelines IS NULL RETURNING true";
    first.optional("store the timelines", text, &[&timelines]).await.map(drop)
}

/// Stores that the operator wants back; answers the stage that the executor will read it in.
pub(super) async fn ask_back(first: &Session) -> Result<Stage, ReshardError> {
    let stored = read(first).await?.filter(|stored| !stored.is_over()).ok_or(ReshardError::NotUnderWay)?;
    // Only a stage that has not been left takes it: the executor may be about to clean up.
    let text = "UPDATE phalanx.reshard SET direction = 'back'
                 WHERE stage NOT IN ('clean_up', 'done', 'aborted') RETURNING stage";
    match first.optional("ask for the way back", text, &[]).await? {
        Some(row) => row.get::<_, &str>(0).parse().map_err(|fault: phalanx_shard::reshard::NoSuchStage| {
            ReshardError::Stored { server: first.server.to_string(), fault: fault.to_string() }
        }),
        None => Err(ReshardError::TooLate { stage: stored.stage.to_string() }),
    }
}

/// Stores that the soak is to end; answers the stage.
pub(super) async fn finish_soak(first: &Session) -> Result<Stage, ReshardError> {
    let stored = read(first).await?.filter(|stored| !stored.is_over()).ok_or(ReshardError::NotUnderWay)?;
    // In the soak it is what was wanted last; before it, going back may be under way already.
    let text = "UPDATE phalanx.reshard
                   SET pushed = true, direction = CASE WHEN stage = 'soak' THEN 'onward' ELSE direction END
                 WHERE stage = $1 RETURNING true";
    match first.optional("end the soak", text, &[&stored.stage.name()]).await? {
        Some(_) => Ok(stored.stage),
        None => Err(ReshardError::Superseded { expected: stored.stage.to_string() }),
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Onward => "onward",
        Direction::Back => "back",
    }
}

#[cfg(test)]
mod tests {
    use phalanx_shard::{Placement, map::ShardId};
    use phalanx_test_servers::{Postgres, Settings};

    use super::*;
    use crate::{
        MigrateMode, ServerUrl, Servers, ShardServers, migrate,
        reshard::{checks, shards::Shards},
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stage_is_stored_over_the_stage_and_the_wish_that_it_was_decided_for() {
        let server = tokio::task::spawn_blocking(|| Postgres::start(Settings::default())).await.unwrap();
        let primary = ServerUrl::parse(&server.url()).unwrap();
        let servers = Servers::new(vec![ShardServers { primary, replicas: vec![] }]).unwrap();
        let mut settings = crate::Settings::new();
        settings.connections.connect_timeout = Duration::from_secs(30);
        migrate(&servers, &settings, &[], MigrateMode::Apply).await.unwrap();
        let mut shards = Shards::new(servers, settings.connections);
        let map = checks::common_map(&mut shards).await.unwrap();
        let plan = checks::planned(&map, Placement::Hashed, 2, 2).unwrap();
        let first = shards.session(ShardId::FIRST).unwrap();
        begin(first, &map, &plan, 2, Duration::from_millis(1500)).await.unwrap();
        let stored = read(first).await.unwrap().unwrap();
        assert_eq!((stored.from.clone(), stored.to.clone()), (map, plan.map));
        assert_eq!((stored.moves(), stored.soak), (plan.moves, Duration::from_millis(1500)));

        let passage = |from, to, decided_for| Passage { from, to, decided_for, direction: None, fault: None };
        let onward = passage(Stage::Provision, Stage::Stream, Direction::Onward);
        assert_eq!(ask_back(first).await.unwrap(), Stage::Provision);
        assert!(!enter(first, &onward).await.unwrap(), "the wish has changed");
        let back = passage(Stage::Provision, Stage::ReturnReads, Direction::Back);
        assert!(enter(first, &back).await.unwrap());
        let error = enter(first, &back).await.unwrap_err();
        assert!(matches!(error, ReshardError::Superseded { .. }), "another process has gone on: {error}");
    }
}
