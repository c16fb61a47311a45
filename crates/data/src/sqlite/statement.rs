//! A statement on its way to a thread, and its result on the way back.

use rusqlite::{
    Connection, Statement, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    AccessError, ColumnError, ParameterFault, Value,
    backend::Query,
    row::{Columns, Row},
};

/// A statement with its parameters, each of which SQLite can store.
pub(super) struct Bound {
    name: &'static str,
    sql: &'static str,
    values: Vec<Value>,
}

impl Bound {
    pub(super) fn of(query: Query<'_>) -> Result<Self, AccessError> {
        let Query { statement, values } = query;
        if let Some(index) = values.iter().position(Value::has_nul) {
            let (statement, number) = (statement.name(), index + 1);
            return Err(AccessError::Parameter { statement, number, fault: ParameterFault::Nul });
        }
        Ok(Self { name: statement.name(), sql: statement.sql(), values: values.to_vec() })
    }

    /// Answers its rows, and how many it changed or, if it only reads, found.
    pub(super) fn run(&self, connection: &Connection) -> Result<(Vec<Row>, u64), AccessError> {
        let mut statement = connection.prepare_cached(self.sql)?;
        self.bind(&mut statement)?;
        if statement.column_count() == 0 {
            return Ok((Vec::new(), as_count(statement.raw_execute()?)));
        }
        let columns = Columns::from_iter(statement.column_names());
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|index| value(row.get_ref(index)?, index, &columns));
            found.push(Row::new(columns.clone(), values.collect::<Result<_, AccessError>>()?));
        }
        drop(rows);
        let count = if statement.readonly() { found.len() as u64 } else { connection.changes() };
        Ok((found, count))
    }

    fn bind(&self, statement: &mut Statement<'_>) -> Result<(), AccessError> {
        let (wanted, given) = (statement.parameter_count(), self.values.len());
        if wanted != given {
            let fault = ParameterFault::Count { wanted, given };
            return Err(AccessError::Parameter { statement: self.name, number: wanted, fault });
        }
        for (number, value) in (1..).zip(&self.values) {
            // SQLite numbers parameters in the order in which the text names them, which need not be theirs.
            let index = statement.parameter_index(&format!("${number}"))?.ok_or(AccessError::Parameter {
                statement: self.name,
                number,
                fault: ParameterFault::Count { wanted, given },
            })?;
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(())
    }
}

fn as_count(changed: usize) -> u64 {
    u64::try_from(changed).unwrap_or(u64::MAX)
}

fn value(stored: ValueRef<'_>, index: usize, columns: &Columns) -> Result<Value, AccessError> {
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Float(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(ColumnError::Malformed { column: columns.name(index) }.into()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(truth) => ValueRef::Integer(i64::from(*truth)),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Float(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
