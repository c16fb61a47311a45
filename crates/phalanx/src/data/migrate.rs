//! `phalanx data migrate`.

use std::num::NonZeroU16;

use anyhow::Context as _;
use phalanx_api::Settings;
use phalanx_data::{
    Data, DataDirectory, InspectFault, MigrateMode, MigrateStep, PendingMigration, Servers, ShardMigrations,
    Topology, TopologyMigrateError, migrate_told,
};

use super::{report::MigrationReport, status};
use crate::{cli::DataMigrateArguments, exit::Failure, terminal};

/// Migrates what the environment names, or says what it lacks.
pub(crate) async fn run(settings: &Settings, arguments: &DataMigrateArguments) -> Result<(), Failure> {
    let mode = if arguments.dry_run { MigrateMode::DryRun } else { MigrateMode::Apply };
    let shards = match &settings.topology {
        Topology::Servers(servers) => of_servers(settings, servers, mode).await?,
        Topology::Embedded => of_files(settings, mode).await?,
    };
    if arguments.json {
        return terminal::say_json(&MigrationReport::of(mode, &shards));
    }
    for shard in &shards {
        terminal::say(&line(mode, shard));
    }
    Ok(())
}

async fn of_servers(
    settings: &Settings,
    servers: &Servers,
    mode: MigrateMode,
) -> Result<Vec<ShardMigrations>, Failure> {
    // Before anything is written: two shards that are one database would be given one number, and one map, twice.
    if let Some(fault) = status::look(settings).await.fault {
        return Err(super::refused(fault));
    }
    let migrations = phalanx_api::questions().migrations;
    let mut place = String::new();
    let mut told = |step: MigrateStep<'_>| match step {
        MigrateStep::Begun { shard, server } => {
            place = format!("shard {shard} ({server})");
            if mode == MigrateMode::Apply {
                terminal::progress(&format!("{place}: waiting for its turn to migrate"));
            }
        }
        MigrateStep::Applying(migration) => {
            terminal::progress(&format!("{place}: applying {}", named(migration)));
        }
        MigrateStep::Ended(_) => {}
    };
    let migrating = migrate_told(servers, &settings.data, migrations, mode, &mut told);
    migrating.await.map_err(|error| match error {
        TopologyMigrateError::Connect { .. } => Failure::Unreachable(error.into()),
        _ => Failure::Runtime(error.into()),
    })
}

/// Opening a file migrates it, so what it lacked is looked at before.
async fn of_files(settings: &Settings, mode: MigrateMode) -> Result<Vec<ShardMigrations>, Failure> {
    let mut shards = Vec::new();
    for shard in status::look(settings).await.shards {
        let fault = shard.servers.into_iter().find_map(|server| server.fault);
        if let Some(InspectFault::Open(error)) = fault {
            return Err(Failure::Runtime(error.into()));
        }
        let tables = shard.tables.transpose().map_err(|error| Failure::Runtime(error.into()))?;
        if let Some(tables) = tables {
            let migrations = tables.lacking.map_err(|error| Failure::Runtime(error.into()))?;
            shards.push(ShardMigrations { shard: shard.shard, server: tables.server, migrations });
        }
    }
    if mode == MigrateMode::Apply {
        migrate_files(settings).await.map_err(Failure::Runtime)?;
    }
    Ok(shards)
}

async fn migrate_files(settings: &Settings) -> anyhow::Result<()> {
    let path = settings.data_directory.clone();
    let directory =
        tokio::task::spawn_blocking(move || DataDirectory::create(path)).await?.context("use DATA_DIR")?;
    let migrations = phalanx_api::questions().migrations;
    let (bounds, one) = (settings.data.clone(), NonZeroU16::MIN);
    let (data, upkeep) = Data::open_embedded(&directory, one, migrations, settings.database, bounds)
        .await
        .context("migrate")?;
    data.close();
    upkeep.run().await;
    Ok(())
}

fn line(mode: MigrateMode, shard: &ShardMigrations) -> String {
    let names = shard.migrations.iter().map(named).collect::<Vec<_>>().join(", ");
    let what = match (names.is_empty(), mode) {
        (true, _) => "nothing is missing".to_owned(),
        (false, MigrateMode::Apply) => format!("applied {names}"),
        (false, MigrateMode::DryRun) => format!("lacks {names}"),
    };
    format!("shard {} ({}): {what}", shard.shard, shard.server)
}

/// `service 2 (account emails)`.
fn named(migration: &PendingMigration) -> String {
    format!("{} {} ({})", migration.list, migration.number, migration.name)
}
