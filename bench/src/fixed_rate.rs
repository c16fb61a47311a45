//! Load at a fixed rate over keep-alive connections: the open loop that wrk is not.
//!
//! Every request has a moment at which it is due, whatever became of those before it. Its latency counts from that moment
//! to the last byte of its answer, so a proxy that stands still is charged for every request that it kept from being sent.
//! Invariant: a connection carries one request at a time. A due request waits for an idle connection, the one that has been
//! idle for longest, and the wait counts.
//! Elsewhere: what is measured with it (`crate::half_rate`).
//! What goes wrong with a request is counted by kind and is no latency. A connection that broke is not opened again, since
//! whoever measures has to look at the fault first.

mod connection;
mod response;
mod timer;
mod timetable;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io, mem,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use phalanx_telemetry::clock;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use self::{connection::Connection, timer::Timer, timetable::Timetable};

pub(crate) use self::response::Fault;

/// Longer ones are recorded as this long.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Finer than any two runs agree.
const LATENCY_DIGITS: u8 = 3;

/// What is asked for, and what has to come back.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// Further header lines, each with its end.
    pub(crate) fields: String,
    /// Every answer is 200 with a body of this length.
    pub(crate) body_bytes: u64,
    /// After the last request was due, until those without an answer are given up.
    pub(crate) patience: Duration,
}

/// Open connections to a target, ready for load.
#[derive(Debug)]
pub(crate) struct FixedRate {
    connections: Vec<Connection>,
    patience: Duration,
}

/// What became of the requests of one run.
#[derive(Debug)]
pub(crate) struct Offered {
    /// In nanoseconds, of those that were answered as expected.
    pub(crate) latency: Histogram<u64>,
    /// How late, in nanoseconds, requests were let go by this program itself: what of the latencies is not the target's.
    pub(crate) lateness: Histogram<u64>,
    /// How many requests failed, and how.
    pub(crate) faults: BTreeMap<Fault, u64>,
}

impl FixedRate {
    /// Opens all connections.
    pub(crate) async fn connect(target: &Target, connections: u32) -> io::Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(target).await?);
        }
        Ok(Self { connections: opened, patience: target.patience })
    }

    /// Offers requests at a constant rate for `length`, and waits for the answers. The connections stay open, so that a
    /// warm-up is a run whose outcome is dropped.
    pub(crate) async fn offer(
        &mut self,
        requests_per_second: NonZeroU32,
        length: Duration,
    ) -> io::Result<Offered> {
        let timetable = Timetable::new(clock::now(), requests_per_second, length);
        let run = Arc::new(Run::new(timetable));
        let mut under_way = JoinSet::new();
        for connection in mem::take(&mut self.connections) {
            under_way.spawn(serve(connection, Arc::clone(&run)));
        }
        let lateness = release(&run, under_way.len()).await?;
        let all_ended = async {
            while let Some(ended) = under_way.join_next().await {
                self.connections.extend(ended?);
            }
            io::Result::Ok(())
        };
        // Whoever is still without an answer then is aborted with the set, and missing in the sum.
        if let Ok(ended) = timeout(self.patience, all_ended).await {
            ended?;
        }
        let Tally { latency, mut faults } = mem::replace(&mut *run.tally(), Tally::empty());
        let unanswered = timetable.requests - latency.len() - faults.values().sum::<u64>();
        if unanswered > 0 {
            faults.insert(Fault::Unanswered, unanswered);
        }
        Ok(Offered { latency, lateness, faults })
    }
}

/// What the connections of one run share.
#[derive(Debug)]
struct Run {
    timetable: Timetable,
    /// One permit for each request that is due and not taken. First come, first served: that is the order of idleness.
    due: Semaphore,
    /// Requests that a connection has taken, which also is the index of the next.
    taken: AtomicU64,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Tally {
    latency: Histogram<u64>,
    faults: BTreeMap<Fault, u64>,
}

impl Run {
    fn new(timetable: Timetable) -> Self {
        let (due, taken, tally) = (Semaphore::new(0), AtomicU64::new(0), Mutex::new(Tally::empty()));
        Self { timetable, due, taken, tally }
    }

    /// The index of the request that has been due for longest, once there is one; `None` when the last was taken.
    async fn next(&self) -> Option<u64> {
        self.due.acquire().await.ok()?.forget();
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        (index < self.timetable.requests).then_some(index)
    }

    /// A tally is whole between any two statements, so that of a task that panicked is good too.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn empty() -> Self {
        Self { latency: histogram(), faults: BTreeMap::new() }
    }
}

/// Lets every request go when it is due; returns how late that was.
async fn release(run: &Run, connections: usize) -> io::Result<Histogram<u64>> {
    let timetable = run.timetable;
    let timer = Timer::new()?;
    let mut lateness = histogram();
    let mut released = 0;
    loop {
        let now = clock::now();
        let due = timetable.due_by(now);
        for index in released..due {
            lateness.saturating_record(nanoseconds(now - timetable.due(index)));
            run.due.add_permits(1);
        }
        released = due;
        if released == timetable.requests {
            break;
        }
        timer.wait(timetable.due(released).saturating_duration_since(clock::now())).await?;
    }
    // One more for each connection, which thereby learns that no request is left.
    run.due.add_permits(connections);
    Ok(lateness)
}

/// Takes requests until none is left; the connection comes back if it can be used again.
async fn serve(mut connection: Connection, run: Arc<Run>) -> Option<Connection> {
    while let Some(index) = run.next().await {
        let outcome = connection.exchange().await;
        let latency = clock::now() - run.timetable.due(index);
        match outcome {
            Ok(()) => run.tally().latency.saturating_record(nanoseconds(latency)),
            Err(fault) => {
                *run.tally().faults.entry(fault).or_default() += 1;
                if fault.ends_connection() {
                    return None;
                }
            }
        }
    }
    Some(connection)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(nanoseconds(LATENCY_MAX), LATENCY_DIGITS)
        .expect("the bounds are constants that HdrHistogram accepts")
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
