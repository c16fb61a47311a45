//! What is asked of all shards: pages of accounts, and how many there are.
//!
//! Invariant: an account counts once, at the shard that owned it when the question was asked, though another may have its rows
//! while its bucket moves.

use std::{num::NonZeroUsize, time::Duration};

use phalanx_data::{
    AccessError, Consistency, Ownership, Policy, Row, Scatter, ScatterError, Shard, ShardFault, ShardId,
    Statement,
};
use phalanx_shard::{
    Bucket,
    pages::{self, MergeError, ShardPage},
};

use super::{Accounts, account};
use crate::accounts::{Account, AccountId};

const PAGE: Statement = Statement::new(
    "account_page",
    "SELECT id, email, name, role, epoch, disabled FROM accounts WHERE id > $1 ORDER BY id LIMIT $2",
);
/// By bucket, since a shard may have rows that are not its own. It reads a whole table.
const COUNT: Statement = Statement::new(
    "account_count",
    "SELECT id % $1 AS bucket, count(*) AS accounts, sum(CASE WHEN role = 'admin' THEN 1 ELSE 0 END) AS admins \
     FROM accounts GROUP BY 1",
)
.exclusive();
/// Rows of one statement for a page. More than a page are read where many are not the shard's.
const ROWS_MAX: usize = 1000;
const SHARDS_AT_A_TIME_MAX: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(5);

/// A page of accounts by id.
pub(crate) struct AccountPage {
    pub(crate) accounts: Vec<Account>,
    /// The last id of the page, if there are others behind it.
    pub(crate) next: Option<AccountId>,
}

/// What the shards say of their accounts.
pub(crate) struct Statistics {
    /// Accounts and the admins among them, by shard.
    pub(crate) shards: Vec<(ShardId, Counts)>,
    /// Who has not said.
    pub(crate) failed: Vec<(ShardId, ShardFault)>,
}

/// The accounts of one shard.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) accounts: u64,
    pub(crate) admins: u64,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error(transparent)]
    Shard(#[from] ScatterError),
    #[error("the pages of the shards cannot be merged")]
    Merge(#[from] MergeError),
}

impl Accounts {
    /// At most `limit` accounts behind an id, of all shards together.
    pub(crate) async fn page(
        &self,
        after: Option<AccountId>,
        limit: NonZeroUsize,
        consistency: &Consistency,
    ) -> Result<AccountPage, ListError> {
        let ownership = &self.data.ownership(consistency).await;
        let gathered = self
            .data
            .scatter(bounds(Policy::All), |shard| async move {
                shard_page(&shard, ownership, after, limit, consistency).await
            })
            .await?;
        let pages = gathered.answers.into_iter().map(|(_, page)| page).collect();
        let page = pages::merge(pages, limit, |account: &Account| account.id.number())?;
        let next = page.next.and_then(AccountId::of_stored);
        Ok(AccountPage { accounts: page.items, next })
    }

    /// How many there are, as far as the shards answer. Of those that own nothing nothing is said.
    pub(crate) async fn statistics(&self) -> Result<Statistics, ScatterError> {
        let eventual = &Consistency::eventual();
        let ownership = &self.data.ownership(eventual).await;
        let buckets = &[self.data.placement().buckets().into()];
        let gathered = self
            .data
            .scatter(bounds(Policy::Partial), |shard| async move {
                if !ownership.holds_any(shard.id()) {
                    return Ok(None);
                }
                let rows = shard.read(eventual, &COUNT, buckets).await?;
                counts(&rows, |bucket| ownership.owns(shard.id(), bucket)).map(Some)
            })
            .await?;
        let counted = gathered.answers.into_iter().filter_map(|(shard, counts)| Some((shard, counts?)));
        Ok(Statistics { shards: counted.collect(), failed: gathered.failed })
    }
}

/// The accounts of a shard behind an id: a page of those that it owns.
async fn shard_page(
    shard: &Shard,
    ownership: &Ownership,
    after: Option<AccountId>,
    limit: NonZeroUsize,
    consistency: &Consistency,
) -> Result<ShardPage<Account>, AccessError> {
    let mut owned = Vec::new();
    if !ownership.holds_any(shard.id()) {
        return Ok(ShardPage::Last(owned));
    }
    let mut after = after.map_or(0, AccountId::number);
    // One more than a page tells whether there is another.
    let mut rows_max = limit.get().saturating_add(1);
    loop {
        let limit_value = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let rows = shard.read(consistency, &PAGE, &[after.into(), limit_value.into()]).await?;
        for row in &rows {
            let account = account(row)?;
            after = account.id.number();
            if ownership.owns(shard.id(), account.id.id()) {
                owned.push(account);
            }
        }
        if owned.len() > limit.get() {
            owned.truncate(limit.get());
            return Ok(ShardPage::Part(owned));
        }
        if rows.len() < rows_max {
            return Ok(ShardPage::Last(owned));
        }
        rows_max = rows_max.saturating_mul(2).min(ROWS_MAX);
    }
}

/// The sum over the buckets that count.
fn counts(rows: &[Row], counts: impl Fn(Bucket) -> bool) -> Result<Counts, AccessError> {
    let mut sum = Counts::default();
    for row in rows {
        let bucket = Bucket::try_from(row.get::<u16>("bucket")?);
        if bucket.is_ok_and(&counts) {
            sum.accounts += row.get::<u64>("accounts")?;
            sum.admins += row.get::<u64>("admins")?;
        }
    }
    Ok(sum)
}

fn bounds(policy: Policy) -> Scatter {
    let parallel_max = NonZeroUsize::new(SHARDS_AT_A_TIME_MAX).expect("8 is not zero");
    Scatter { parallel_max, timeout: TIMEOUT, policy }
}
