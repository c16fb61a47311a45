//! `phalanx-bench data-client`: one client under load in a process of its own, so that its CPU time is nobody else's.
//!
//! Many tasks ask for a row by its key, each for the next as soon as it has one, on one thread: what a replica of the
//! reference API has. Every tick a line says how far they are.
//! Elsewhere: who starts it (`super::load`), and what the lines mean (`super::timeline`).

mod asking;

use std::{
    env, fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use phalanx_telemetry::clock;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use self::asking::Ask;
use super::timeline::{Reading, TICK};

/// After a failure: a client that is refused at once would otherwise do nothing but ask.
const PAUSE: Duration = Duration::from_millis(10);
/// Where the client finds its target: not in the arguments, which everybody on the machine can read.
pub(super) const TARGET: &str = "PHALANX_BENCH_TARGET";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// sqlx with a pool of 16, everything else as it is by default.
    Sqlx,
    /// The same without a question to the server before each query whether the connection stands.
    SqlxUntested,
    /// `phalanx-data` as it is by default.
    Phalanx,
    /// `GET /api/users/{id}` over HTTP, a connection for each task.
    Http,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Sqlx => "sqlx",
            Self::SqlxUntested => "sqlx, `test_before_acquire(false)`",
            Self::Phalanx => "phalanx-data",
            Self::Http => "reference API",
        })
    }
}

/// The options of the client.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    kind: Kind,
    #[arg(long)]
    tasks: u32,
    /// Keys are from 1 to this
    #[arg(long)]
    rows: u32,
    #[arg(long)]
    milliseconds: u32,
}

/// What all tasks have done.
#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
    fault: Mutex<Option<String>>,
}

/// Asks until the time is over.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let target = env::var(TARGET).with_context(|| format!("read {TARGET}"))?;
    match options.kind {
        Kind::Sqlx => {
            load(&options, asking::Sqlx::connect(&target, asking::Test::BeforeAcquire).await?).await
        }
        Kind::SqlxUntested => {
            load(&options, asking::Sqlx::connect(&target, asking::Test::Never).await?).await
        }
        Kind::Phalanx => {
            let (asking, upkeep) = asking::Phalanx::connect(&target).await?;
            let mut upkeeping = JoinSet::new();
            upkeeping.spawn(upkeep.run());
            load(&options, asking).await
        }
        Kind::Http => load(&options, asking::Http::new(target.parse().context("parse the address")?)).await,
    }
}

async fn load(options: &Options, asking: impl Ask) -> anyhow::Result<()> {
    let counts = Arc::new(Counts::default());
    let mut tasks = JoinSet::new();
    for _ in 0..options.tasks {
        tasks.spawn(ask(asking.clone(), options.rows, Arc::clone(&counts)));
    }
    let end = clock::now() + Duration::from_millis(options.milliseconds.into());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while clock::now() < end {
        ticks.tick().await;
        println!("{}", serde_json::to_string(&counts.read())?);
    }
    // The rest ends with the set.
    Ok(())
}

async fn ask(mut asking: impl Ask, rows: u32, counts: Arc<Counts>) {
    loop {
        match asking.ask(i64::from(fastrand::u32(1..=rows))).await {
            Ok(()) => drop(counts.done.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                *counts.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Counts {
    fn read(&self) -> Reading {
        Reading {
            at_us: micros(clock_gettime(ClockId::Monotonic)),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cpu_us: micros(clock_gettime(ClockId::ProcessCPUTime)),
            fault: self.fault.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }
}

/// The moment on the clock that the readings are by.
pub(super) fn monotonic_us() -> u64 {
    micros(clock_gettime(ClockId::Monotonic))
}

fn micros(time: Timespec) -> u64 {
    let micros = time.tv_sec * 1_000_000 + time.tv_nsec / 1_000;
    u64::try_from(micros).expect("these clocks start at zero")
}
