//! What a statement answers.

use std::sync::Arc;

use crate::{FromValue, Position, Value};

/// The names of a result's columns, shared by its rows and, where the store keeps the statement prepared, by all its results.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns(Arc<[Box<str>]>);

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What an error calls a column.
    pub(crate) fn name(&self, index: usize) -> String {
        self.0.get(index).map_or_else(|| index.to_string(), ToString::to_string)
    }
}

impl<N: Into<Box<str>>> FromIterator<N> for Columns {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// One row of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    columns: Columns,
    values: Vec<Value>,
}

/// Why a column cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// The statement answers no such column.
    #[error("the result has no column `{column}`")]
    Missing {
        /// Its name or number.
        column: String,
    },
    /// It holds something else.
    #[error("the column `{column}` holds {found}, not {wanted}")]
    Mismatch {
        /// Its name or number.
        column: String,
        /// What was asked for.
        wanted: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// Its type has no [`Value`].
    #[error(
        "the column `{column}` has the type `{type_name}`, which is not read: cast it, to text for instance"
    )]
    Unsupported {
        /// Its name.
        column: String,
        /// The store's name of the type.
        type_name: String,
    },
    /// The store sent bytes that are not of the type it named.
    #[error("the column `{column}` is malformed")]
    Malformed {
        /// Its name.
        column: String,
    },
}

/// A column's name, or its number from 0.
pub trait ColumnIndex: Copy + sealed::Index {}

impl ColumnIndex for &str {}
impl ColumnIndex for usize {}

mod sealed {
    pub trait Index: ToString {
        fn of(self, names: &[Box<str>]) -> Option<usize>;
    }

    impl Index for &str {
        fn of(self, names: &[Box<str>]) -> Option<usize> {
            names.iter().position(|name| **name == *self)
        }
    }

    impl Index for usize {
        fn of(self, names: &[Box<str>]) -> Option<usize> {
            (self < names.len()).then_some(self)
        }
    }
}

impl Row {
    /// `values` in the order of `columns`, as many.
    pub(crate) fn new(columns: Columns, values: Vec<Value>) -> Self {
        debug_assert_eq!(columns.len(), values.len(), "a row has a value for each of its columns");
        Self { columns, values }
    }

    /// The column by its name or number.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type; NULL is read as an `Option`.
    pub fn get<T: FromValue>(&self, column: impl ColumnIndex) -> Result<T, ColumnError> {
        let value = column.of(&self.columns.0).and_then(|index| self.values.get(index));
        let value = value.ok_or_else(|| ColumnError::Missing { column: column.to_string() })?;
        T::from_value(value).ok_or_else(|| ColumnError::Mismatch {
            column: column.to_string(),
            wanted: T::KIND,
            found: value.kind(),
        })
    }

    /// How many columns it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has no columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// What a write answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The rows of its `RETURNING`.
    pub rows: Vec<Row>,
    /// How many rows it inserted, changed or deleted.
    pub count: u64,
    /// From here on every reader sees it. `None` where the connection broke between the commit and that question, and no primary
    /// could be asked instead: then only the primary is sure to show it.
    pub position: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let columns = Columns::from_iter(["id", "email", "deleted_at"]);
        Row::new(columns, vec![Value::Int(-7), Value::from("a@b"), Value::Null])
    }

    #[test]
    fn a_column_is_read_by_name_and_by_number() {
        assert_eq!(row().get::<i64>("id").unwrap(), -7);
        assert_eq!(row().get::<String>(1).unwrap(), "a@b");
        assert_eq!(row().get::<Option<String>>("deleted_at").unwrap(), None);
        assert_eq!(row().get::<Option<i64>>("id").unwrap(), Some(-7));
    }

    #[test]
    fn what_a_column_does_not_hold_is_named() {
        let error = |error: ColumnError| error.to_string();
        assert_eq!(error(row().get::<i64>("nam").unwrap_err()), "the result has no column `nam`");
        assert_eq!(error(row().get::<i64>(3).unwrap_err()), "the result has no column `3`");
        assert_eq!(
            error(row().get::<i64>("email").unwrap_err()),
            "the column `email` holds text, not a whole number"
        );
        assert_eq!(
            error(row().get::<String>("deleted_at").unwrap_err()),
            "the column `deleted_at` holds null, not text"
        );
        assert_eq!(
            error(row().get::<u64>("id").unwrap_err()),
            "the column `id` holds a whole number, not a whole number that is not negative"
        );
    }
}
