//! The fenced tables: which columns say the bucket and the row, and what keeps a table from being moved.

use phalanx_shard::BucketSet;
use tokio_postgres::Row;

use super::{ReshardError, filter, session::Session};

/// A fenced table. Names are as SQL writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// With its schema.
    pub(super) name: String,
    /// The column that says the bucket.
    pub(super) column: String,
    pub(super) modulus: i32,
    /// All columns with their types, by name: servers may hold them in different orders.
    columns: Vec<(String, String)>,
    /// Those of the primary key with their types, in its order.
    key: Vec<(String, String)>,
}

impl Table {
    /// Whether a row is of one of `buckets`, as an expression.
    pub(super) fn filter(&self, buckets: &BucketSet) -> String {
        filter::is_of(&self.column, self.modulus, buckets)
    }

    /// The bucket of a row, as an expression.
    pub(super) fn bucket(&self) -> String {
        format!("{}::int4", filter::bucket_of(&self.column, self.modulus))
    }

    /// A number that differs, as good as always, where two rows do; the order of columns does not matter.
    pub(super) fn fingerprint(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        format!("hashtextextended(ROW({})::text, 0)", columns.join(", "))
    }

    /// The primary key's values as an array of texts.
    pub(super) fn key_texts(&self) -> String {
        let columns: Vec<String> = self.key.iter().map(|(name, _)| format!("{name}::text")).collect();
        format!("ARRAY[{}]", columns.join(", "))
    }

    /// How many columns the primary key has.
    pub(super) fn key_len(&self) -> usize {
        self.key.len()
    }

    /// What joins the rows of the keys whose values, column by column, are the parameters from `$1` on.
    pub(super) fn by_keys(&self) -> String {
        let numbered = || self.key.iter().zip(1..);
        let arrays: Vec<String> =
            numbered().map(|((_, kind), number)| format!("${number}::text[]::{kind}[]")).collect();
        let names: Vec<String> = numbered().map(|(_, number)| format!("phalanx_key_{number}")).collect();
        let equal: Vec<String> =
            numbered().map(|((name, _), number)| format!("{name} = phalanx_key_{number}")).collect();
        format!(
            "{} JOIN unnest({}) AS wanted ({}) ON {}",
            self.name,
            arrays.join(", "),
            names.join(", "),
            equal.join(" AND ")
        )
    }
}

/// By name. Columns that the server makes by itself are compared like the others: both servers make them alike.
const TABLES: &str = "
    SELECT fenced.relation::text, quote_ident(fenced.column_name), fenced.modulus, class.relkind = 'r',
           (SELECT array_agg(quote_ident(attname) ORDER BY attname) FROM pg_attribute
             WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
           (SELECT array_agg(format_type(atttypid, atttypmod) ORDER BY attname) FROM pg_attribute
             WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
           coalesce((SELECT array_agg(quote_ident(attname) ORDER BY place)
              FROM pg_index, unnest(indkey) WITH ORDINALITY AS keys (attnum, place)
              JOIN pg_attribute AS attribute USING (attnum)
             WHERE indrelid = class.oid AND indisprimary AND attribute.attrelid = class.oid), '{}'),
           coalesce((SELECT array_agg(format_type(atttypid, NULL) ORDER BY place)
              FROM pg_index, unnest(indkey) WITH ORDINALITY AS keys (attnum, place)
              JOIN pg_attribute AS attribute USING (attnum)
             WHERE indrelid = class.oid AND indisprimary AND attribute.attrelid = class.oid), '{}')
      FROM phalanx.fenced_tables AS fenced JOIN pg_class AS class ON class.oid = fenced.relation
     ORDER BY 1";

/// The fenced tables of a shard, by name.
pub(super) async fn read(session: &Session) -> Result<Vec<Table>, ReshardError> {
    let rows = session.rows("read the fenced tables", TABLES, &[]).await?;
    let tables: Vec<Table> = rows.iter().map(table).collect();
    for (row, table) in rows.iter().zip(&tables) {
        let fault = match (row.get::<_, bool>(3), table.key.is_empty()) {
            (false, _) => "is partitioned or no ordinary table: its rows cannot be moved",
            (true, true) => "has no primary key, by which a stream finds rows: give it one",
            (true, false) => continue,
        };
        let (server, table) = (session.server.to_string(), table.name.clone());
        return Err(ReshardError::Table { server, table, fault });
    }
    Ok(tables)
}

fn table(row: &Row) -> Table {
    let pairs = |names: usize, types: usize| {
        row.get::<_, Vec<String>>(names).into_iter().zip(row.get::<_, Vec<String>>(types)).collect()
    };
    Table {
        name: row.get(0),
        column: row.get(1),
        modulus: row.get(2),
        columns: pairs(4, 5),
        key: pairs(6, 7),
    }
}
