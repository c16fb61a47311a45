//! The logins in the database: each step against the row as it was read.
//!
//! Elsewhere: what a token means ([`super::judge`]); removing rows that are long over ([`super::reaper`]).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use phalanx_data::{
    AccessError, ColumnError, Consistency, Data, FromValue, Ids, Kind, Migration, Position, Row, Statement,
};
use phalanx_shard::Id;
use phalanx_telemetry::clock;

use super::{
    Begun, Device, Ended, EndedAll, Login, LoginError, LoginId, LoginSettings, RefreshError, Refreshed,
    UnixMs,
    judge::{Family, Judgement, Rotations, judge},
    token::{FamilyKeys, Presented, SECRET_BYTES, Secret, SecretHash},
};

const INSERT: Statement = Statement::new(
    "login_insert",
    "INSERT INTO logins (id, account_id, generation, token_hash, salt, tag_key, rotations, created_at, used_at, \
                         valid_until, valid_until_max, label, address) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12)",
);
const FAMILY: Statement = Statement::new(
    "login_family",
    "SELECT id, account_id, generation, token_hash, salt, tag_key, rotations, used_at, valid_until, \
            valid_until_max, ended_at \
     FROM logins WHERE id = $1",
);
/// Against the row as it was read: of those who present one token at once it lets one through, and none once the login has ended.
const ROTATE: Statement = Statement::new(
    "login_rotate",
    "UPDATE logins SET generation = $4, token_hash = $5, rotations = $6, used_at = $7, valid_until = $8 \
     WHERE id = $1 AND generation = $2 AND token_hash = $3 AND ended_at IS NULL",
);
const LIVE: Statement = Statement::new(
    "login_list",
    "SELECT id, created_at, used_at, valid_until, label, address FROM logins \
     WHERE account_id = $1 AND ended_at IS NULL AND valid_until > $2 ORDER BY created_at DESC, id DESC LIMIT $3",
);
const END: Statement = Statement::new(
    "login_end",
    "UPDATE logins SET ended_at = $3, valid_until = CASE WHEN valid_until < $3 THEN valid_until ELSE $3 END \
     WHERE id = $1 AND account_id = $2 AND ended_at IS NULL",
);
const END_OTHERS: Statement = Statement::new(
    "login_end_others",
    "UPDATE logins SET ended_at = $3, valid_until = CASE WHEN valid_until < $3 THEN valid_until ELSE $3 END \
     WHERE account_id = $1 AND id <> $2 AND ended_at IS NULL RETURNING id",
);
const END_SURPLUS: Statement = Statement::new(
    "login_end_surplus",
    "UPDATE logins SET ended_at = $2, valid_until = $2 \
     WHERE account_id = $1 AND id <> $4 AND ended_at IS NULL AND valid_until > $2 AND id NOT IN ( \
         SELECT id FROM logins WHERE account_id = $1 AND id <> $4 AND ended_at IS NULL AND valid_until > $2 \
         ORDER BY used_at DESC, id DESC LIMIT $3) RETURNING id",
);
const IS_OF_ACCOUNT: Statement =
    Statement::new("login_is_of_account", "SELECT id FROM logins WHERE id = $1 AND account_id = $2");

/// A rotation that loses against another is a replay when it looks again. More are lost only to a database that moves or fails over.
const ATTEMPTS_MAX: usize = 5;

/// Of an account in one list. No setting lets more live than this.
const LISTED_MAX: u16 = u16::MAX;

/// Between two looks at the map of buckets for tokens of logins that are not where the map says.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Stores logins and judges their refresh tokens; cheap to clone.
#[derive(Clone)]
pub struct Logins {
    pub(super) data: Data,
    ids: Ids,
    settings: LoginSettings,
    looked_at: Arc<Mutex<Option<Instant>>>,
}

impl Logins {
    /// The table of logins, to be put into the service's list of migrations.
    pub const MIGRATION: Migration = Migration::per_store(
        "logins",
        include_str!("../../migrations/0001_logins.sqlite.sql"),
        include_str!("../../migrations/0001_logins.postgres.sql"),
    );

    /// Logins in `data`, with `ids` of the same topology.
    #[must_use]
    pub fn new(data: Data, ids: Ids, settings: LoginSettings) -> Self {
        Self { data, ids, settings, looked_at: Arc::default() }
    }

    /// Begins a login of an account that has proved who it is. Of several that begin at once one may displace another.
    ///
    /// # Errors
    /// When there is no id for it, or it cannot be stored.
    pub async fn begin(&self, account: Id, device: Device, now: UnixMs) -> Result<Begun, LoginError> {
        let login = LoginId(self.ids.next(account.bucket())?);
        let (family, refresh_token) = Family::begin(login, account, now, &self.settings);
        let position = self.insert(&family, &device, now).await?;
        // After the insert: of those that begin at once, the last one sees them all. And who could not begin has displaced nobody.
        let displaced = self.displace(&family, now).await?;
        Ok(Begun { login, refresh_token, displaced, position })
    }

    /// Answers a refresh token with the one that replaces it.
    ///
    /// # Errors
    /// When the token is worth nothing, or that cannot be found out.
    pub async fn refresh(&self, presented: &str, now: UnixMs) -> Result<Refreshed, RefreshError> {
        let presented = Presented::parse(presented).ok_or(RefreshError::Invalid)?;
        for attempt in 1..=ATTEMPTS_MAX {
            let family = self.family_wherever(presented.login).await?.ok_or(RefreshError::Invalid)?;
            let (login, account) = (family.login, family.account);
            match judge(&family, &presented, now, self.settings.replay_window) {
                Judgement::Rotate(successor) => {
                    if let Some(refreshed) = self.rotate(&family, &successor, now).await? {
                        return Ok(refreshed);
                    }
                }
                Judgement::Replay(newest) => {
                    let refresh_token = family.token(&newest);
                    return Ok(Refreshed { login, account, refresh_token, replayed: true, position: None });
                }
                Judgement::Reuse => {
                    self.end(account, login, now).await?;
                    return Err(RefreshError::Reused { login, account });
                }
                // The token is of ours, so this is no way to keep us busy.
                Judgement::Ahead if attempt < ATTEMPTS_MAX => self.data.refresh_map().await,
                Judgement::Ended => return Err(RefreshError::Ended { login, account }),
                Judgement::Expired => return Err(RefreshError::Expired),
                Judgement::Ahead | Judgement::Unknown => return Err(RefreshError::Invalid),
            }
        }
        Err(RefreshError::Contended)
    }

    /// The logins of an account that are not over, the last begun first: all of them, though they be more than
    /// [`LoginSettings::live_max`] while some begin, or until the next one does after that was lowered.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(
        &self,
        account: Id,
        consistency: &Consistency,
        now: UnixMs,
    ) -> Result<Vec<Login>, AccessError> {
        let values = [account.get().into(), now.value(), LISTED_MAX.into()];
        let rows = self.data.shard_for(account).read(consistency, &LIVE, &values).await?;
        rows.iter().map(login).collect()
    }

    /// Ends a login if it is the account's. Its access tokens are the caller's to revoke, also where it had been ended before: whoever
    /// ended it may have come no further.
    ///
    /// # Errors
    /// When the row cannot be written or read.
    pub async fn end(&self, account: Id, login: LoginId, now: UnixMs) -> Result<Ended, AccessError> {
        let shard = self.data.shard_for(login.id());
        let of_account = [login.value(), account.get().into()];
        let [id, owner] = of_account.clone();
        let ended = shard.write(&END, &[id, owner, now.value()]).await?;
        if ended.count > 0 {
            return Ok(Ended::Now { position: ended.position });
        }
        let rows = shard.read(&Consistency::primary(), &IS_OF_ACCOUNT, &of_account).await?;
        Ok(if rows.is_empty() { Ended::Unknown } else { Ended::Before })
    }

    /// Ends the logins of an account, all of them or all but one. A login whose password was verified before this, and that begins
    /// after, is not among them: who changes a password has to see to that.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub async fn end_all(
        &self,
        account: Id,
        except: Option<LoginId>,
        now: UnixMs,
    ) -> Result<EndedAll, AccessError> {
        // No login has the id 0.
        let except = except.map_or(0.into(), LoginId::value);
        let values = [account.get().into(), except, now.value()];
        let written = self.data.shard_for(account).write(&END_OTHERS, &values).await?;
        let logins = written.rows.iter().map(login_id).collect::<Result<_, _>>()?;
        Ok(EndedAll { logins, position: written.position })
    }

    /// Ends the logins that are too many beside this one.
    async fn displace(
        &self,
        Family { login, account, .. }: &Family,
        now: UnixMs,
    ) -> Result<Vec<LoginId>, AccessError> {
        let others_max = self.settings.live_max.get() - 1;
        let values = [account.get().into(), now.value(), others_max.into(), login.value()];
        let written = self.data.shard_for(*account).write(&END_SURPLUS, &values).await?;
        written.rows.iter().map(login_id).collect()
    }

    async fn insert(
        &self,
        family: &Family,
        device: &Device,
        now: UnixMs,
    ) -> Result<Option<Position>, AccessError> {
        let values = [
            family.login.value(),
            family.account.get().into(),
            family.generation.into(),
            family.secret_hash.as_bytes().into(),
            family.keys.salt[..].into(),
            family.keys.tag_key[..].into(),
            family.rotations.to_bytes().into(),
            now.value(),
            family.valid_until.value(),
            family.valid_until_max.value(),
            device.label().into(),
            device.address().map(|address| address.to_string()).into(),
        ];
        Ok(self.data.shard_for(family.login.id()).write(&INSERT, &values).await?.position)
    }

    /// The family of a login, which may have begun after its bucket moved to where this process does not look yet.
    async fn family_wherever(&self, login: LoginId) -> Result<Option<Family>, AccessError> {
        let looked_for_at = self.data.shard_for(login.id()).id();
        let found = self.family(login).await?;
        if found.is_some() {
            return Ok(found);
        }
        self.look_at_map().await;
        if self.data.shard_for(login.id()).id() == looked_for_at {
            Ok(None)
        } else {
            self.family(login).await
        }
    }

    /// Has the map of buckets looked at, unless it just was: nothing tells a token of ours from an invented one before its login is
    /// found, and those are not to keep the databases busy.
    async fn look_at_map(&self) {
        let now = clock::now();
        let is_due = {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_PERIOD);
            if is_due {
                *looked_at = Some(now);
            }
            is_due
        };
        if is_due {
            self.data.refresh_map().await;
        }
    }

    /// As the primary has it: a replica that lags would take the newest token for one that is yet to come.
    async fn family(&self, login: LoginId) -> Result<Option<Family>, AccessError> {
        let shard = self.data.shard_for(login.id());
        let rows = shard.read(&Consistency::primary(), &FAMILY, &[login.value()]).await?;
        rows.first().map(family).transpose()
    }

    /// Puts the successor in the place of the newest token, unless the row is not as it was read. Where it may have been done, the
    /// row says whether it was.
    async fn rotate(
        &self,
        family: &Family,
        successor: &Secret,
        now: UnixMs,
    ) -> Result<Option<Refreshed>, RefreshError> {
        let next = family.rotated(successor, now, &self.settings).ok_or(RefreshError::Expired)?;
        let values = [
            family.login.value(),
            family.generation.into(),
            family.secret_hash.as_bytes().into(),
            next.generation.into(),
            next.secret_hash.as_bytes().into(),
            next.rotations.to_bytes().into(),
            next.used_at.value(),
            next.valid_until.value(),
        ];
        let written = match self.data.shard_for(family.login.id()).write(&ROTATE, &values).await {
            Ok(written) if written.count > 0 => written,
            Ok(_) => return Ok(None),
            Err(error) if error.verdict().kind == Kind::Unknown => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Refreshed {
            login: next.login,
            account: next.account,
            refresh_token: next.token(successor),
            replayed: false,
            position: written.position,
        }))
    }
}

fn family(row: &Row) -> Result<Family, AccessError> {
    Ok(Family {
        login: login_id(row)?,
        account: read(row, "account_id", |number: i64| Id::try_from(number).ok())?,
        generation: row.get("generation")?,
        secret_hash: SecretHash::of_stored(secret(row, "token_hash")?),
        keys: FamilyKeys { salt: secret(row, "salt")?, tag_key: secret(row, "tag_key")? },
        rotations: read(row, "rotations", |bytes: Vec<u8>| Rotations::of_stored(&bytes))?,
        used_at: time(row, "used_at")?,
        valid_until: time(row, "valid_until")?,
        valid_until_max: time(row, "valid_until_max")?,
        ended_at: row.get::<Option<u64>>("ended_at")?.map(UnixMs::new),
    })
}

fn login(row: &Row) -> Result<Login, AccessError> {
    let address: Option<String> = row.get("address")?;
    Ok(Login {
        id: login_id(row)?,
        created_at: time(row, "created_at")?,
        used_at: time(row, "used_at")?,
        valid_until: time(row, "valid_until")?,
        device: Device::of_stored(row.get("label")?, address.as_deref()),
    })
}

pub(super) fn login_id(row: &Row) -> Result<LoginId, AccessError> {
    read(row, "id", LoginId::of_stored)
}

fn time(row: &Row, column: &str) -> Result<UnixMs, AccessError> {
    Ok(UnixMs::new(row.get(column)?))
}

fn secret(row: &Row, column: &str) -> Result<[u8; SECRET_BYTES], AccessError> {
    read(row, column, |bytes: Vec<u8>| bytes.try_into().ok())
}

/// A column as a type of its own. What the checks of the table let in can be read.
fn read<T: FromValue, U>(row: &Row, column: &str, of: impl Fn(T) -> Option<U>) -> Result<U, AccessError> {
    of(row.get(column)?).ok_or_else(|| ColumnError::Malformed { column: column.to_owned() }.into())
}
