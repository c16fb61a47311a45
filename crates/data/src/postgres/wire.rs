//! Parameters and columns between [`Value`] and PostgreSQL's types.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::{AccessError, ColumnError, ParameterFault, Row, Value, backend::Query, row::Columns};

/// A parameter, checked against its type before it is encoded.
#[derive(Debug)]
pub(super) struct Parameter<'a>(pub(super) &'a Value);

/// Refuses what PostgreSQL could not take: nothing has been sent then.
pub(super) fn check(query: Query<'_>, types: &[Type]) -> Result<(), AccessError> {
    let statement = query.statement.name();
    let (given, wanted) = (query.values.len(), types.len());
    if given != wanted {
        let fault = ParameterFault::Count { wanted, given };
        return Err(AccessError::Parameter { statement, number: wanted, fault });
    }
    let faults = query.values.iter().zip(types).enumerate();
    for (index, (value, wanted)) in faults {
        check_one(value, wanted).map_err(|fault| AccessError::Parameter {
            statement,
            number: index + 1,
            fault,
        })?;
    }
    Ok(())
}

/// The same where the server is not asked for the types first: what can be known without it.
pub(super) fn check_typed(query: Query<'_>) -> Result<(), AccessError> {
    let statement = query.statement.name();
    match query.values.iter().position(Value::has_nul) {
        Some(index) => {
            Err(AccessError::Parameter { statement, number: index + 1, fault: ParameterFault::Nul })
        }
        None => Ok(()),
    }
}

fn check_one(value: &Value, wanted: &Type) -> Result<(), ParameterFault> {
    let fits = match value {
        Value::Text(_) if value.has_nul() => return Err(ParameterFault::Nul),
        Value::Null | Value::Text(_) => true,
        Value::Int(number) => match *wanted {
            Type::INT2 => i16::try_from(*number).is_ok(),
            Type::INT4 => i32::try_from(*number).is_ok(),
            Type::OID => u32::try_from(*number).is_ok(),
            _ => return mismatch_unless(value, wanted, is_numeric(wanted)),
        },
        Value::Float(_) => return mismatch_unless(value, wanted, is_fractional(wanted)),
        Value::Bool(_) => return mismatch_unless(value, wanted, *wanted == Type::BOOL),
        Value::Bytes(_) => return mismatch_unless(value, wanted, *wanted == Type::BYTEA),
    };
    if fits { Ok(()) } else { Err(ParameterFault::OutOfRange { type_name: wanted.name().to_owned() }) }
}

fn mismatch_unless(value: &Value, wanted: &Type, fits: bool) -> Result<(), ParameterFault> {
    if fits {
        return Ok(());
    }
    Err(ParameterFault::Mismatch { kind: value.kind(), type_name: wanted.name().to_owned() })
}

fn is_numeric(wanted: &Type) -> bool {
    *wanted == Type::INT8 || is_fractional(wanted)
}

fn is_fractional(wanted: &Type) -> bool {
    matches!(*wanted, Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC)
}

/// The types of parameters that are sent with a statement that is not prepared. Text and NULL leave theirs to the server, as
/// in a prepared one.
pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Null | Value::Text(_) => Type::UNKNOWN,
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) => Type::INT8,
        Value::Float(_) => Type::FLOAT8,
        Value::Bytes(_) => Type::BYTEA,
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, wanted) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Bool(truth), _) => out.extend_from_slice(&[u8::from(*truth)]),
            (Value::Int(number), &Type::INT2) => {
                out.extend_from_slice(&i16::try_from(*number)?.to_be_bytes());
            }
            (Value::Int(number), &Type::INT4) => {
                out.extend_from_slice(&i32::try_from(*number)?.to_be_bytes());
            }
            (Value::Int(number), &Type::OID) => out.extend_from_slice(&u32::try_from(*number)?.to_be_bytes()),
            (Value::Int(number), &Type::INT8) => out.extend_from_slice(&number.to_be_bytes()),
            (Value::Int(number), _) => out.extend_from_slice(number.to_string().as_bytes()),
            (Value::Float(number), &Type::FLOAT8) => out.extend_from_slice(&number.to_be_bytes()),
            (Value::Float(number), _) => out.extend_from_slice(number.to_string().as_bytes()),
            (Value::Text(text), _) => out.extend_from_slice(text.as_bytes()),
            (Value::Bytes(bytes), _) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_wanted: &Type) -> bool {
        true // `check` is the judge, because it names the statement and the number.
    }

    /// As text PostgreSQL reads a value into whatever type the place has: `numeric`, `json`, `uuid`, `timestamptz`.
    fn encode_format(&self, wanted: &Type) -> Format {
        let is_whole = matches!(*wanted, Type::INT2 | Type::INT4 | Type::INT8 | Type::OID);
        match self.0 {
            Value::Text(_) => Format::Text,
            Value::Int(_) if !is_whole => Format::Text,
            Value::Float(_) if *wanted != Type::FLOAT8 => Format::Text,
            _ => Format::Binary,
        }
    }

    to_sql_checked!();
}

/// A column as it came.
struct Column(Value);

impl<'a> FromSql<'a> for Column {
    fn from_sql(found: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *found {
            Type::BOOL => Value::Bool(raw.first().ok_or("empty")? != &0),
            Type::INT2 => Value::Int(i16::from_be_bytes(raw.try_into()?).into()),
            Type::INT4 => Value::Int(i32::from_be_bytes(raw.try_into()?).into()),
            Type::OID => Value::Int(u32::from_be_bytes(raw.try_into()?).into()),
            Type::INT8 | Type::PG_LSN => Value::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::FLOAT4 => Value::Float(f32::from_be_bytes(raw.try_into()?).into()),
            Type::FLOAT8 => Value::Float(f64::from_be_bytes(raw.try_into()?)),
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            _ => Value::Text(std::str::from_utf8(raw)?.to_owned()),
        }))
    }

    fn from_sql_null(_found: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_found: &Type) -> bool {
        true // `columns` is the judge.
    }
}

/// The names of a result's columns; the first that cannot be read is refused here, before the statement is sent.
pub(super) fn columns(found: &[tokio_postgres::Column]) -> Result<Columns, ColumnError> {
    for column in found {
        if !is_read(column.type_()) {
            let type_name = column.type_().name().to_owned();
            return Err(ColumnError::Unsupported { column: column.name().to_owned(), type_name });
        }
    }
    Ok(found.iter().map(tokio_postgres::Column::name).collect())
}

fn is_read(found: &Type) -> bool {
    let number =
        matches!(*found, Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::FLOAT4 | Type::FLOAT8);
    // `void` is what functions answer that are called for what they do; it comes as empty text.
    let text = matches!(
        *found,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON | Type::VOID
    );
    number || text || matches!(*found, Type::BOOL | Type::BYTEA | Type::PG_LSN)
}

/// A row of the server's, read.
pub(super) fn row(columns: &Columns, found: &tokio_postgres::Row) -> Result<Row, ColumnError> {
    let values = (0..found.len())
        .map(|index| match found.try_get::<_, Column>(index) {
            Ok(Column(value)) => Ok(value),
            Err(_) => Err(ColumnError::Malformed { column: found.columns()[index].name().to_owned() }),
        })
        .collect::<Result<_, _>>()?;
    Ok(Row::new(columns.clone(), values))
}
