//! A statement with the name under which it is counted.

/// SQL that a service runs, as a named constant.
///
/// Parameters are `$1` to `$n`. `RETURNING` and `ON CONFLICT` mean the same to PostgreSQL and to SQLite.
///
/// ```
/// use phalanx_data::Statement;
///
/// const ACCOUNT_BY_ID: Statement = Statement::new("account_by_id", "SELECT email FROM accounts WHERE id = $1");
/// const REPORT: Statement = Statement::new("report", "SELECT count(*) AS accounts FROM accounts").exclusive();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    name: &'static str,
    sql: &'static str,
    class: Class,
}

/// Which kind of connection a statement takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// One that carries others' statements at the same time: this one is short.
    Shared,
    /// One of its own.
    Exclusive,
}

impl Statement {
    /// `name` is the label of its statistics and stands in the log when it is slow; one name belongs to one text.
    #[must_use]
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sql, class: Class::Shared }
    }

    /// The hint that it may take long: it gets a connection of its own, so that nobody waits behind it.
    #[must_use]
    pub const fn exclusive(self) -> Self {
        Self { class: Class::Exclusive, ..self }
    }

    /// The label of its statistics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its text.
    #[must_use]
    pub const fn sql(&self) -> &'static str {
        self.sql
    }

    pub(crate) const fn class(&self) -> Class {
        self.class
    }
}
