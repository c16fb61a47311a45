//! Compares the rows of moving buckets on both sides while they are written to.
//!
//! First by bucket: how many rows, and the sum of their fingerprints, in one pass over a table. A bucket that differs has been
//! written to meanwhile, or is a fault: its rows are compared, and those that differ are looked at again until they agree or are
//! seen to differ at rest (`rows`). Then a sample of rows is read by key, as services read.
//!
//! Memory is bounded: two numbers for a bucket, and the fingerprints of at most so many rows at a time.

mod rows;

use std::collections::HashMap;

use phalanx_shard::{Bucket, BucketSet};

use self::rows::Suspects;
use super::{Fault, ReshardError, report::Verified, session::Session, stream::Stream, tables::Table};

/// Rows whose fingerprints are held at a time, unless one bucket has more.
const ROWS_MAX: u64 = 50_000;
/// Rows of a table that are read by key.
const SAMPLE: u16 = 200;

/// Compares the rows of one table that one stream brings, and counts them. Answers the first fault.
pub(super) async fn table(
    stream: &Stream<'_>,
    table: &Table,
    mut verified: impl FnMut(&dyn Fn(&mut Verified)),
) -> Result<Option<Fault>, ReshardError> {
    let (source, target) = tokio::try_join!(
        sums(stream.publisher, table, stream.buckets),
        sums(stream.subscriber, table, stream.buckets)
    )?;
    let mut differing = Vec::new();
    for bucket in stream.buckets.iter() {
        let (here, there) = (source.get(&bucket), target.get(&bucket));
        if here != there {
            let rows = |sum: Option<&Sum>| sum.map_or(0, |sum| sum.rows);
            differing.push((bucket, rows(here).max(rows(there))));
        }
    }
    for batch in batches(&differing) {
        let (source, target) = tokio::try_join!(
            rows::of_buckets(stream.publisher, table, &batch),
            rows::of_buckets(stream.subscriber, table, &batch)
        )?;
        let suspects = Suspects::between(&source, &target);
        let again = suspects.len();
        verified(&move |verified| verified.rows_again += again);
        match rows::settle(stream, table, suspects).await? {
            Ok(restless) => verified(&move |verified| verified.rows_restless += restless),
            Err(fault) => return Ok(Some(fault)),
        }
    }
    let (buckets, rows) = (stream.buckets.len() as u64, source.values().map(|sum| sum.rows).sum::<u64>());
    verified(&move |verified| {
        verified.buckets += buckets;
        verified.rows += rows;
    });
    read_in_the_dark(stream, table, verified).await
}

/// Reads rows by their keys on both sides.
async fn read_in_the_dark(
    stream: &Stream<'_>,
    table: &Table,
    mut verified: impl FnMut(&dyn Fn(&mut Verified)),
) -> Result<Option<Fault>, ReshardError> {
    let keys = sample(stream.publisher, table, stream.buckets).await?;
    let count = keys.len() as u64;
    match rows::settle(stream, table, Suspects::of_keys(keys)).await? {
        Ok(_) => {
            verified(&move |verified| verified.rows_read += count);
            Ok(None)
        }
        Err(fault) => Ok(Some(fault)),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    rows: u64,
    fingerprints: String,
}

/// By bucket. Buckets without rows are missing.
async fn sums(
    session: &Session,
    table: &Table,
    buckets: &BucketSet,
) -> Result<HashMap<Bucket, Sum>, ReshardError> {
    let text = format!(
        "SELECT {}, count(*), sum({})::text FROM {} WHERE {} GROUP BY 1",
        table.bucket(),
        table.fingerprint(),
        table.name,
        table.filter(buckets)
    );
    let rows = session.rows("sum up the buckets", &text, &[]).await?;
    let sum = |row: &tokio_postgres::Row| {
        let bucket = Bucket::of_low_bits(u64::from(row.get::<_, i32>(0).unsigned_abs()));
        (bucket, Sum { rows: row.get::<_, i64>(1).cast_unsigned(), fingerprints: row.get(2) })
    };
    Ok(rows.iter().map(sum).collect())
}

/// Buckets together as long as their rows are few enough.
fn batches(differing: &[(Bucket, u64)]) -> Vec<BucketSet> {
    let (mut batches, mut batch, mut rows) = (Vec::new(), Vec::new(), 0);
    for (bucket, count) in differing {
        if rows + count > ROWS_MAX && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch).into_iter().collect());
            rows = 0;
        }
        batch.push(*bucket);
        rows += count;
    }
    if !batch.is_empty() {
        batches.push(batch.into_iter().collect());
    }
    batches
}

/// Keys of rows from all over the table.
async fn sample(
    session: &Session,
    table: &Table,
    buckets: &BucketSet,
) -> Result<Vec<Vec<String>>, ReshardError> {
    let action = "take a sample of rows";
    let estimate = "SELECT greatest(reltuples, 0)::float8 FROM pg_class WHERE oid = $1::text::regclass";
    let rows: f64 = session.one(action, estimate, &[&table.name]).await?.get(0);
    // Ten times what is wanted, since the rows of other buckets are in the sample too.
    let percent = (1000.0 * f64::from(SAMPLE) / rows.max(1.0)).clamp(0.01, 100.0);
    let text = format!(
        "SELECT {} FROM {} TABLESAMPLE BERNOULLI ({percent}) WHERE {} LIMIT {SAMPLE}",
        table.key_texts(),
        table.name,
        table.filter(buckets)
    );
    Ok(session.rows(action, &text, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_few_rows_or_one_bucket() {
        let bucket = |number| Bucket::try_from(number).unwrap();
        let differing: Vec<_> = [10, ROWS_MAX, 20, 30, 2 * ROWS_MAX]
            .into_iter()
            .zip(0..)
            .map(|(rows, number)| (bucket(number), rows))
            .collect();
        let texts: Vec<String> = batches(&differing).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["0", "1", "2-3", "4"]);
        assert!(batches(&[]).is_empty());
    }
}
