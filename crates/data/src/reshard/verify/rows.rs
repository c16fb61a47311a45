//! Rows one by one: which differ, and whether they still do when nothing is on its way any more.

use std::{collections::HashMap, time::Duration};

use phalanx_shard::BucketSet;
use phalanx_telemetry::clock;
use tokio::time;
use tokio_postgres::{Row, types::ToSql};

use crate::reshard::{
    Fault, ReshardError,
    session::Session,
    stream::{self, Health, Stream},
    tables::Table,
};

/// Rows that are looked at together.
const CHUNK: usize = 1000;
/// Looks at a row that changes each time before it is let go: it is there on both sides, and follows.
const LOOKS_MAX: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a stream may take to bring what is on its way, until somebody looks whether it goes on at all.
const BRING_MAX: Duration = Duration::from_secs(60);

/// The values of a primary key.
pub(super) type Key = Vec<String>;
/// What rows look like, by key.
pub(super) type Fingerprints = HashMap<Key, i64>;

/// Keys of rows that may differ.
#[derive(Debug, Default)]
pub(super) struct Suspects(Vec<Key>);

impl Suspects {
    /// Those that are not the same in both.
    pub(super) fn between(source: &Fingerprints, target: &Fingerprints) -> Self {
        let differing = source.iter().filter(|(key, print)| target.get(*key) != Some(print));
        let missing = target.keys().filter(|key| !source.contains_key(*key));
        Self(differing.map(|(key, _)| key).chain(missing).cloned().collect())
    }

    pub(super) fn of_keys(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// The rows of some buckets.
pub(super) async fn of_buckets(
    session: &Session,
    table: &Table,
    buckets: &BucketSet,
) -> Result<Fingerprints, ReshardError> {
    let (key, print) = (table.key_texts(), table.fingerprint());
    let text = format!("SELECT {key}, {print} FROM {} WHERE {}", table.name, table.filter(buckets));
    let rows = session.rows("compare rows", &text, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A row as one server holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    fingerprint: i64,
    /// The transaction that made this version: a row that was changed and changed back is another one.
    version: String,
}

/// What one look at a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Agrees,
    Differs,
    /// It changed meanwhile.
    Changes,
}

/// The row on the source, then on the target when everything is there that the source had by then, then on the source again; and on
/// the target at the look before, if there was one.
///
/// A version that the source has both times was not changed between, so the target has it, or differs. A row that the source
/// has at neither time may have come and gone between. But what the target had at the look before is gone from the source since
/// before this one, so it must be gone from the target too.
fn judge(
    before: Option<&Seen>,
    there: Option<&Seen>,
    after: Option<&Seen>,
    earlier: Option<&Seen>,
) -> Verdict {
    let print = |seen: Option<&Seen>| seen.map(|seen| seen.fingerprint);
    if print(there) == print(before) || print(there) == print(after) {
        return Verdict::Agrees;
    }
    match (before, after) {
        (Some(before), Some(after)) if before == after => Verdict::Differs,
        (None, None) if there == earlier => Verdict::Differs,
        _ => Verdict::Changes,
    }
}

/// Looks at rows until each has been seen to agree; answers how many never rested, or the first that differs.
pub(super) async fn settle(
    stream: &Stream<'_>,
    table: &Table,
    suspects: Suspects,
) -> Result<Result<u64, Fault>, ReshardError> {
    let mut restless = 0;
    for chunk in suspects.0.chunks(CHUNK) {
        let (mut open, mut earlier) = (chunk.to_vec(), HashMap::new());
        for _ in 0..LOOKS_MAX {
            if open.is_empty() {
                break;
            }
            let (verdicts, there) = look(stream, table, &open, &earlier).await?;
            if let Some(place) = verdicts.iter().position(|verdict| *verdict == Verdict::Differs) {
                let (source, target) = (stream.publisher.shard, stream.subscriber.shard);
                let (table, key) = (table.name.clone(), open.swap_remove(place));
                return Ok(Err(Fault::RowDiffers { table, key, source, target }));
            }
            let changing = open.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Changes);
            open = changing.map(|(key, _)| key).collect();
            earlier = there;
        }
        restless += open.len() as u64;
    }
    Ok(Ok(restless))
}

/// The verdict on each key, and what the target has.
async fn look(
    stream: &Stream<'_>,
    table: &Table,
    keys: &[Key],
    earlier: &HashMap<Key, Seen>,
) -> Result<(Vec<Verdict>, HashMap<Key, Seen>), ReshardError> {
    let before = by_keys(stream.publisher, table, keys).await?;
    brought(stream, stream::mark(stream.publisher).await?).await?;
    let there = by_keys(stream.subscriber, table, keys).await?;
    let after = by_keys(stream.publisher, table, keys).await?;
    let verdicts = keys
        .iter()
        .map(|key| judge(before.get(key), there.get(key), after.get(key), earlier.get(key)))
        .collect();
    Ok((verdicts, there))
}

/// Waits until the stream has brought everything up to a position.
pub(in crate::reshard) async fn brought(stream: &Stream<'_>, position: u64) -> Result<(), ReshardError> {
    let begun = clock::now();
    while begun.elapsed() < BRING_MAX {
        match stream.health().await? {
            Health::Whole { confirmed, .. } if confirmed >= position => return Ok(()),
            Health::Whole { .. } => time::sleep(LOOK_AGAIN).await,
            Health::Lost(_) => break,
        }
    }
    Err(ReshardError::Stalled { action: "wait for the stream", server: stream.subscriber.server.to_string() })
}

async fn by_keys(session: &Session, table: &Table, keys: &[Key]) -> Result<HashMap<Key, Seen>, ReshardError> {
    let columns: Vec<Vec<&str>> =
        (0..table.key_len()).map(|column| keys.iter().map(|key| key[column].as_str()).collect()).collect();
    let values: Vec<&(dyn ToSql + Sync)> =
        columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
    let (key, print) = (table.key_texts(), table.fingerprint());
    // The column that names the version is the table's own, whatever is joined to it.
    let text = format!("SELECT {key}, {print}, {}.xmin::text FROM {}", table.name, table.by_keys());
    let seen = |row: &Row| (row.get(0), Seen { fingerprint: row.get(1), version: row.get(2) });
    Ok(session.rows("compare rows", &text, &values).await?.iter().map(seen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(rows: &[(&str, i64)]) -> Fingerprints {
        rows.iter().map(|(key, print)| (vec![(*key).to_owned()], *print)).collect()
    }

    #[test]
    fn rows_that_differ_or_are_on_one_side_are_suspect() {
        let (source, target) =
            (prints(&[("a", 1), ("b", 2), ("c", 3)]), prints(&[("a", 1), ("b", 9), ("d", 4)]));
        let mut keys = Suspects::between(&source, &target).0;
        keys.sort();
        assert_eq!(keys, [["b"], ["c"], ["d"]]);
    }

    #[test]
    fn a_row_differs_only_where_nothing_explains_it() {
        let seen = |fingerprint, version: &str| Seen { fingerprint, version: version.to_owned() };
        let (one, again, two, there) = (seen(1, "a"), seen(1, "b"), seen(2, "c"), seen(2, "x"));
        let other = seen(2, "y");
        for (before, target, after, earlier, expected) in [
            (Some(&one), Some(&one), Some(&one), None, Verdict::Agrees),
            (Some(&one), Some(&there), Some(&two), None, Verdict::Agrees),
            (None, None, None, None, Verdict::Agrees),
            (Some(&one), Some(&there), Some(&one), None, Verdict::Differs),
            (Some(&one), None, Some(&one), None, Verdict::Differs),
            // Changed and changed back; the target may have the version between.
            (Some(&one), Some(&there), Some(&again), None, Verdict::Changes),
            (Some(&one), None, Some(&again), None, Verdict::Changes),
            // Inserted and deleted between, for all that one look tells.
            (None, Some(&there), None, None, Verdict::Changes),
            (None, Some(&there), None, Some(&other), Verdict::Changes),
            (None, Some(&there), None, Some(&there), Verdict::Differs),
        ] {
            let verdict = judge(before, target, after, earlier);
            assert_eq!(verdict, expected, "{before:?} {target:?} {after:?} {earlier:?}");
        }
    }
}
