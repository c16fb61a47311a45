//! Counters in the file that the replicas of one machine share. A judgement is one transaction of the file's only writer.

use std::time::Duration;

use phalanx_data::{AccessError, Isolation, Shard, Statement, Transaction, Value};

use super::{
    Ending, Judgement,
    keys::{Keys, Name},
    policy::{Acquaintance, AttemptPolicy, Counter, Counters, Ladder, Verdict, judge},
};
use crate::{StateError, saturating};

const FIND: Statement =
    Statement::new("attempts_find", "SELECT attempts, last FROM attempts WHERE name = $1 AND expires > $2");
const STORE: Statement = Statement::new(
    "attempts_store",
    "INSERT INTO attempts (name, attempts, last, expires) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (name) DO UPDATE SET attempts = excluded.attempts, last = excluded.last, expires = excluded.expires",
);
const TAKE_BACK: Statement = Statement::new(
    "attempts_take_back",
    "UPDATE attempts SET attempts = attempts - 1 WHERE name = $1 AND attempts > 1 RETURNING name",
);
const FORGET: Statement = Statement::new("attempts_forget", "DELETE FROM attempts WHERE name = $1");
/// More than an attempt makes, so the old ones do not pile up.
const SWEEP: Statement = Statement::new(
    "attempts_sweep",
    "DELETE FROM attempts WHERE name IN (SELECT name FROM attempts WHERE expires <= $1 LIMIT 16)",
);

pub(super) struct EmbeddedCounters {
    shard: Shard,
}

impl EmbeddedCounters {
    pub(super) fn new(shard: Shard) -> Self {
        Self { shard }
    }

    pub(super) async fn judge(
        &self,
        policy: &AttemptPolicy,
        keys: &Keys,
        now: u64,
    ) -> Result<Judgement, StateError> {
        let (policy, keys) = (*policy, *keys);
        let judging = async move |transaction: &mut Transaction| {
            transaction.execute(&SWEEP, &[number(now)]).await?;
            let counters = Counters {
                pair: counter(transaction, &keys.pair, now).await?,
                account: counter(transaction, &keys.account, now).await?,
                address: counter(transaction, &keys.address, now).await?,
            };
            let known = transaction.query(&FIND, &[mark(&keys.pair), number(now)]).await?;
            let acquaintance = if known.is_empty() { Acquaintance::Unknown } else { Acquaintance::Known };
            let counted = match judge(&policy, &counters, acquaintance, now) {
                Verdict::Admitted(counted) => counted,
                Verdict::Refused { retry_after, counters: kept } => {
                    keep(transaction, &keys.pair, (counters.pair, kept.pair), &policy.pair).await?;
                    if acquaintance == Acquaintance::Unknown {
                        let account = (counters.account, kept.account);
                        keep(transaction, &keys.account, account, &policy.account).await?;
                        let address = (counters.address, kept.address);
                        keep(transaction, &keys.address, address, &policy.address).await?;
                    }
                    return Ok(Judgement::Refused { retry_after });
                }
            };
            store(transaction, &keys.pair, counted.pair, &policy.pair).await?;
            if acquaintance == Acquaintance::Unknown {
                store(transaction, &keys.account, counted.account, &policy.account).await?;
                store(transaction, &keys.address, counted.address, &policy.address).await?;
            }
            Ok::<_, AccessError>(Judgement::Admitted(acquaintance))
        };
        Ok(self.shard.transaction(Isolation::default(), judging).await?.0)
    }

    pub(super) async fn settle(
        &self,
        policy: &AttemptPolicy,
        keys: &Keys,
        acquaintance: Acquaintance,
        ending: Ending,
        now: u64,
    ) -> Result<(), StateError> {
        let (policy, keys) = (*policy, *keys);
        let settling = async move |transaction: &mut Transaction| {
            match ending {
                Ending::Success => {
                    transaction.execute(&FORGET, &[name(&keys.pair)]).await?;
                    let expires = end(now, policy.known_for);
                    let values = [mark(&keys.pair), number(0), number(now), expires];
                    transaction.execute(&STORE, &values).await?;
                }
                Ending::Withdrawal => take_back(transaction, &keys.pair).await?,
            }
            if acquaintance == Acquaintance::Unknown {
                take_back(transaction, &keys.account).await?;
                take_back(transaction, &keys.address).await?;
            }
            Ok::<_, AccessError>(())
        };
        self.shard.transaction(Isolation::default(), settling).await?;
        Ok(())
    }
}

async fn counter(transaction: &mut Transaction, of: &Name, now: u64) -> Result<Counter, AccessError> {
    let rows = transaction.query(&FIND, &[name(of), number(now)]).await?;
    let Some(row) = rows.first() else { return Ok(Counter::default()) };
    let (attempts, last): (i64, i64) = (row.get("attempts")?, row.get("last")?);
    Ok(Counter {
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        last: u64::try_from(last).unwrap_or(0),
    })
}

async fn store(
    transaction: &mut Transaction,
    of: &Name,
    counter: Counter,
    ladder: &Ladder,
) -> Result<(), AccessError> {
    let expires = end(counter.last, ladder.memory);
    let values = [name(of), counter.attempts.into(), number(counter.last), expires];
    transaction.execute(&STORE, &values).await.map(drop)
}

/// Stores a counter that a refusal has changed.
async fn keep(
    transaction: &mut Transaction,
    of: &Name,
    (before, kept): (Counter, Counter),
    ladder: &Ladder,
) -> Result<(), AccessError> {
    if kept != before {
        store(transaction, of, kept, ladder).await?;
    }
    Ok(())
}

/// Takes one attempt from a counter. One that comes to nothing is removed: attempts that are none leave nothing.
async fn take_back(transaction: &mut Transaction, of: &Name) -> Result<(), AccessError> {
    if transaction.query(&TAKE_BACK, &[name(of)]).await?.is_empty() {
        transaction.execute(&FORGET, &[name(of)]).await?;
    }
    Ok(())
}

fn name(name: &Name) -> Value {
    name.to_string().into()
}

/// The name of the row that says that a pair is known.
fn mark(pair: &Name) -> Value {
    format!("known:{pair}").into()
}

fn end(from: u64, life: Duration) -> Value {
    number(from.saturating_add(saturating::milliseconds(life)))
}

fn number(number: u64) -> Value {
    saturating::integer(number).into()
}
