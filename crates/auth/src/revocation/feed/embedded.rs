//! The feed as a table of the embedded state, which is looked at ten times a second.

use std::time::Duration;

use phalanx_data::{AccessError, Consistency, Row, Statement};

use super::{BATCH, Page, PageEnd};
use crate::{
    StateError,
    revocation::{
        CLOCK_LEEWAY,
        entry::{Entry, Extent, Kind, Marks, Target},
    },
    state::EmbeddedState,
};

#[cfg(test)]
mod tests;

/// One look is one search in an index.
const POLL_PERIOD: Duration = Duration::from_millis(100);

/// One statement for all entries, which come as a JSON array: all or none.
const INSERT: Statement = Statement::new(
    "revocation_insert",
    "INSERT INTO revocations (kind, id, epoch, expires) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1)",
);
const DELETE_OVER: Statement =
    Statement::new("revocation_delete_over", "DELETE FROM revocations WHERE expires <= $1");
const OF_TARGETS: Statement = Statement::new(
    "revocation_of_targets",
    "SELECT kind, id, epoch, expires FROM revocations WHERE (kind, id) IN (VALUES ($1, $2), ($3, $4))",
);
/// The last row that was read comes first, if it is still there.
const PAGE: Statement = Statement::new(
    "revocation_page",
    "SELECT kind, id, epoch, expires, number FROM revocations WHERE number >= $1 ORDER BY number LIMIT $2",
);

pub(in crate::revocation) struct EmbeddedFeed {
    state: EmbeddedState,
}

impl EmbeddedFeed {
    pub(super) fn new(state: EmbeddedState) -> Self {
        Self { state }
    }

    pub(super) async fn publish(&self, entries: &[Entry], now: u64) -> Result<(), StateError> {
        let rows: Vec<_> = entries.iter().map(row).collect();
        let rows = serde_json::to_string(&rows).expect("texts and numbers");
        self.state.shard().write(&INSERT, &[rows.into()]).await?;
        // What is over stays for the leeway, as it does in Redis.
        let over = now.saturating_sub(CLOCK_LEEWAY.as_secs());
        self.state.shard().write(&DELETE_OVER, &[integer(over).into()]).await?;
        Ok(())
    }

    pub(super) async fn ask(&self, marks: &Marks<'_>) -> Result<Vec<Entry>, StateError> {
        // No session has an empty id.
        let values = [
            Kind::Session.name().into(),
            marks.session.unwrap_or_default().into(),
            Kind::Subject.name().into(),
            marks.subject.into(),
        ];
        let rows = self.state.shard().read(&Consistency::primary(), &OF_TARGETS, &values).await?;
        rows.iter()
            .map(|row| entry(row)?.ok_or_else(|| StateError::Unreadable { key: "revocations".to_owned() }))
            .collect()
    }

    pub(super) fn follower(&self) -> EmbeddedFollower {
        EmbeddedFollower { state: self.state.clone(), last: None, end: PageEnd::OfPage }
    }
}

pub(in crate::revocation) struct EmbeddedFollower {
    state: EmbeddedState,
    /// The number of the last row that was read.
    last: Option<i64>,
    /// Only from the end of the feed on there is something to wait for.
    end: PageEnd,
}

impl EmbeddedFollower {
    pub(super) async fn next(&mut self) -> Result<Page, StateError> {
        if self.end == PageEnd::OfFeed {
            tokio::time::sleep(POLL_PERIOD).await;
        }
        let values = [self.last.unwrap_or_default().into(), integer(BATCH as u64).into()];
        let mut rows = self.state.shard().read(&Consistency::primary(), &PAGE, &values).await?;
        let end = PageEnd::after(rows.len());
        if let Some(last) = self.last {
            let first =
                rows.first().map(|row| row.get::<i64>("number").map_err(AccessError::from)).transpose()?;
            if first != Some(last) {
                *self = Self { state: self.state.clone(), last: None, end: PageEnd::OfPage };
                return Ok(Page::Restarted);
            }
            rows.remove(0);
        }
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.extend(entry(row)?);
        }
        if let Some(newest) = rows.last() {
            self.last = Some(newest.get("number").map_err(AccessError::from)?);
        }
        self.end = end;
        let unreadable = (rows.len() - entries.len()) as u64;
        Ok(Page::Next { entries, unreadable, end })
    }
}

fn entry(row: &Row) -> Result<Option<Entry>, AccessError> {
    let kind = Kind::of_name(&row.get::<String>("kind")?);
    let extent = Extent { epoch: row.get("epoch")?, until: row.get("expires")? };
    let id = row.get("id")?;
    Ok(kind.map(|kind| Entry { target: Target { kind, id }, extent }))
}

fn row(Entry { target, extent }: &Entry) -> (&str, &str, i64, i64) {
    (target.kind.name(), &target.id, integer(extent.epoch), integer(extent.until))
}

/// SQLite's integers are signed; what is beyond them is as good as without end.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
