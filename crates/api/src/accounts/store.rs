//! The accounts in the database.

use phalanx_auth::{PasswordHash, Role};
use phalanx_data::{AccessError, Database, Migration};
use rusqlite::{
    Connection, OptionalExtension, Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::{Account, AccountId, Email, Name};

const INSERT: &str =
    "INSERT INTO accounts (id, email, name, role, password_hash) VALUES (?1, ?2, ?3, ?4, ?5)";
const BY_ID: &str = "SELECT id, email, name, role, password_hash FROM accounts WHERE id = ?1";
const BY_EMAIL: &str = "SELECT id, email, name, role, password_hash FROM accounts WHERE email = ?1";

/// Stores and finds accounts.
pub(crate) struct Accounts {
    database: Database,
}

/// What it takes to create an account.
pub(crate) struct NewAccount {
    pub(crate) email: Email,
    pub(crate) name: Name,
    pub(crate) password_hash: PasswordHash,
}

/// An account with the hash that its password must match.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) account: Account,
    pub(crate) password_hash: PasswordHash,
}

/// Why an account was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the email is taken")]
    EmailTaken,
    #[error("cannot store the account")]
    Access(#[source] AccessError),
}

impl Accounts {
    /// The schema that [`Accounts`] needs.
    pub(crate) const MIGRATIONS: &'static [Migration] =
        &[Migration { name: "accounts", sql: include_str!("../../migrations/0001_accounts.sql") }];

    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Creates an account with an id of its own and the role of a user.
    pub(crate) async fn register(&self, new: NewAccount) -> Result<Account, RegisterError> {
        let NewAccount { email, name, password_hash } = new;
        let account = Account { id: AccountId::generate(), email, name, role: Role::User };
        let stored = account.clone();
        let insert = move |connection: &Connection| insert(connection, &stored, &password_hash);
        // No look beforehand: only the unique column decides between two that come at once.
        match self.database.write(insert).await {
            Ok(()) => Ok(account),
            Err(AccessError::UniqueViolation { columns }) if columns == "accounts.email" => {
                Err(RegisterError::EmailTaken)
            }
            Err(error) => Err(RegisterError::Access(error)),
        }
    }

    pub(crate) async fn by_email(&self, email: Email) -> Result<Option<Credentials>, AccessError> {
        self.find(BY_EMAIL, email).await
    }

    pub(crate) async fn by_id(&self, id: AccountId) -> Result<Option<Account>, AccessError> {
        Ok(self.find(BY_ID, id).await?.map(|found| found.account))
    }

    /// Whether the database answers. A full queue is an answer: taking a busy replica out of the balancer would only move
    /// its load to the others.
    pub(crate) async fn answers(&self) -> bool {
        let asked = self.database.read(|connection| connection.query_one("SELECT 1", [], |_| Ok(()))).await;
        matches!(asked, Ok(()) | Err(AccessError::QueueFull))
    }

    async fn find<K>(&self, sql: &'static str, key: K) -> Result<Option<Credentials>, AccessError>
    where
        K: ToSql + Send + 'static,
    {
        let find = move |connection: &Connection| {
            connection.prepare_cached(sql)?.query_row([key], credentials).optional()
        };
        self.database.read(find).await
    }
}

fn insert(connection: &Connection, account: &Account, password_hash: &PasswordHash) -> rusqlite::Result<()> {
    let Account { id, email, name, role } = account;
    let row = (id, email, name.as_str(), role.as_str(), password_hash.as_str());
    connection.prepare_cached(INSERT)?.execute(row).map(|_| ())
}

fn credentials(row: &Row<'_>) -> rusqlite::Result<Credentials> {
    let Stored(role) = row.get("role")?;
    let account =
        Account { id: row.get("id")?, email: Email(row.get("email")?), name: Name(row.get("name")?), role };
    Ok(Credentials { account, password_hash: PasswordHash::from_stored(row.get("password_hash")?) })
}

impl ToSql for AccountId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.get().cast_signed()))
    }
}

impl FromSql for AccountId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).ok().and_then(Self::of).ok_or(FromSqlError::OutOfRange(number))
    }
}

impl ToSql for Email {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

/// A value of another crate, as a column holds it.
struct Stored<T>(T);

impl FromSql for Stored<Role> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Role::of(value.as_str()?).map(Self).ok_or(FromSqlError::InvalidType)
    }
}
