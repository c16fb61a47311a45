//! What is asked of all shards: pages of accounts, and how many there are.

use std::{num::NonZeroUsize, time::Duration};

use phalanx_data::{AccessError, Consistency, Policy, Scatter, ScatterError, ShardFault, ShardId, Statement};
use phalanx_shard::pages::{self, MergeError, ShardPage};

use super::{Accounts, account};
use crate::accounts::{Account, AccountId};

const PAGE: Statement = Statement::new(
    "account_page",
    "SELECT id, email, name, role FROM accounts WHERE id > $1 ORDER BY id LIMIT $2",
);
/// It reads a whole table.
const COUNT: Statement = Statement::new(
    "account_count",
    "SELECT count(*) AS accounts, coalesce(sum(CASE WHEN role = 'admin' THEN 1 ELSE 0 END), 0) AS admins FROM accounts",
)
.exclusive();
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
#[derive(Clone, Copy)]
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
        // One more than a page tells whether there is another.
        let rows_max = i64::try_from(limit.get()).unwrap_or(i64::MAX).saturating_add(1);
        let values = [after.map_or(0.into(), AccountId::value), rows_max.into()];
        let values = &values;
        let gathered = self
            .data
            .scatter(bounds(Policy::All), |shard| async move {
                let rows = shard.read(consistency, &PAGE, values).await?;
                rows.iter().map(account).collect::<Result<Vec<_>, AccessError>>()
            })
            .await?;
        let part = |(_, mut accounts): (ShardId, Vec<Account>)| {
            let has_more = accounts.len() > limit.get();
            accounts.truncate(limit.get());
            if has_more { ShardPage::Part(accounts) } else { ShardPage::Last(accounts) }
        };
        let pages = gathered.answers.into_iter().map(part).collect();
        let page = pages::merge(pages, limit, |account: &Account| account.id.number())?;
        let next = page.next.and_then(AccountId::of_stored);
        Ok(AccountPage { accounts: page.items, next })
    }

    /// How many there are, as far as the shards answer.
    pub(crate) async fn statistics(&self) -> Result<Statistics, ScatterError> {
        let eventual = &Consistency::eventual();
        let gathered = self
            .data
            .scatter(bounds(Policy::Partial), |shard| async move {
                let rows = shard.read(eventual, &COUNT, &[]).await?;
                let row = rows.first().ok_or(AccessError::TransactionLost)?;
                Ok(Counts { accounts: row.get("accounts")?, admins: row.get("admins")? })
            })
            .await?;
        Ok(Statistics { shards: gathered.answers, failed: gathered.failed })
    }
}

fn bounds(policy: Policy) -> Scatter {
    let parallel_max = NonZeroUsize::new(SHARDS_AT_A_TIME_MAX).expect("8 is not zero");
    Scatter { parallel_max, timeout: TIMEOUT, policy }
}
