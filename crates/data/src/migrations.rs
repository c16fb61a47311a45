//! Forward-only schema changes, applied by whichever process comes first.
//!
//! Invariants: a migration is applied once, whole or not at all, in the order of its list; what was applied is recorded with a
//! checksum of its text, so that an edit is told and not passed over.
//! Elsewhere: how each store applies them under its lock (`sqlite`, `postgres`); what the service's tables mean (the service).
//! How it fails: [`HistoryError`] where the schema is not one that this binary can bring forward.

pub(crate) mod map;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use twox_hash::XxHash64;

/// One schema change. Its number is its position in the service's list, from 1: numbers cannot be missing or repeated.
///
/// ```
/// use phalanx_data::Migration;
///
/// const MIGRATIONS: &[Migration] = &[
///     Migration::new("notes", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)"),
///     Migration::per_store(
///         "notes by text",
///         "CREATE INDEX notes_by_text ON notes (text)",
///         "CREATE INDEX notes_by_text ON notes USING hash (text)",
///     ),
/// ];
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    /// `name` says what it does, in a few words, and is recorded beside its number; `sql` are its statements, for every store. An
    /// applied migration is never edited: another is added.
    #[must_use]
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sqlite: sql, postgres: sql }
    }

    /// The same where the dialects differ. Without statements it does nothing in that store.
    #[must_use]
    pub const fn per_store(name: &'static str, sqlite: &'static str, postgres: &'static str) -> Self {
        Self { name, sqlite, postgres }
    }

    const fn sql(&self, store: Store) -> &'static str {
        match store {
            Store::Sqlite => self.sqlite,
            Store::Postgres => self.postgres,
        }
    }
}

/// Whose dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
}

/// What the data layer keeps for itself, before all that a service wants.
pub(crate) const OWN: &[Migration] = &[Migration::per_store(
    "phalanx",
    include_str!("../migrations/0001_phalanx.sqlite.sql"),
    include_str!("../migrations/0001_phalanx.postgres.sql"),
)];

/// A migration that a database does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingMigration {
    /// `phalanx` for what the data layer keeps for itself, else `service`.
    pub list: &'static str,
    /// Its position in its list, from 1.
    pub number: u16,
    /// What it does.
    pub name: &'static str,
    /// Its statements in this store's dialect.
    pub sql: &'static str,
}

/// What a database says it has of one list, from number 1 on. A checksum is missing where a version that knew none applied it.
pub(crate) type History = Vec<Option<i64>>;

/// Why a schema cannot be brought forward.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A later version of Phalanx has been here.
    #[error("it has schema {found}, and this version knows schemas up to {known}: run a newer version")]
    Newer {
        /// The last migration applied.
        found: u16,
        /// The last migration of this binary.
        known: usize,
    },
    /// A migration that was applied reads otherwise in this binary.
    #[error(
        "migration {number} ({name}) was edited after it had been applied: restore its text, and add the change as another"
    )]
    Edited {
        /// Its number.
        number: u16,
        /// Its name.
        name: &'static str,
    },
}

/// What is left to be done, in order.
pub(crate) fn pending(
    list: &'static str,
    known: &'static [Migration],
    history: &[Option<i64>],
    store: Store,
) -> Result<Vec<PendingMigration>, HistoryError> {
    let numbered = (1_u16..).zip(known);
    for ((number, migration), applied) in numbered.clone().zip(history) {
        if applied.is_some_and(|applied| applied != checksum(migration.sql(store))) {
            return Err(HistoryError::Edited { number, name: migration.name });
        }
    }
    if history.len() > known.len() {
        let found = u16::try_from(history.len()).unwrap_or(u16::MAX);
        return Err(HistoryError::Newer { found, known: known.len() });
    }
    let missing = numbered.skip(history.len()).map(|(number, migration)| PendingMigration {
        list,
        number,
        name: migration.name,
        sql: migration.sql(store),
    });
    Ok(missing.collect())
}

/// Tells an edit, not an attack.
pub(crate) fn checksum(sql: &str) -> i64 {
    XxHash64::oneshot(0, sql.as_bytes()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration::new("one", "CREATE TABLE one (a INTEGER)"),
        Migration::per_store("two", "SELECT 2", "SELECT 22"),
    ];

    fn numbers(history: &[Option<i64>], store: Store) -> Result<Vec<u16>, HistoryError> {
        Ok(pending("service", KNOWN, history, store)?.iter().map(|migration| migration.number).collect())
    }

    #[test]
    fn what_is_missing_is_pending_and_what_differs_is_told() {
        let (one, two) = (checksum(KNOWN[0].sqlite), checksum(KNOWN[1].sqlite));
        let edited = |number, name| Err(HistoryError::Edited { number, name });
        let newer = Err(HistoryError::Newer { found: 3, known: 2 });
        for (history, store, expected) in [
            (&[][..], Store::Sqlite, Ok(vec![1, 2])),
            (&[Some(one)], Store::Sqlite, Ok(vec![2])),
            (&[None, None], Store::Sqlite, Ok(vec![])),
            (&[Some(one), Some(two)], Store::Sqlite, Ok(vec![])),
            (&[Some(one), Some(two)], Store::Postgres, edited(2, "two")),
            (&[Some(one + 1)], Store::Sqlite, edited(1, "one")),
            (&[Some(one), Some(two), Some(7)], Store::Sqlite, newer),
        ] {
            assert_eq!(numbers(history, store), expected, "{history:?} {store:?}");
        }
    }
}
