//! What goes in comes out, and what cannot is named.

use super::*;
use crate::{ColumnError, Kind, ParameterFault, Pooler};

fn both_modes(postgres: &Postgres) -> [Client; 2] {
    let plain = ServerSettings::new(postgres.url());
    let pooled = ServerSettings { pooler: Pooler::Transaction, ..plain.clone() };
    [Client::of(plain), Client::of(pooled)]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_value_comes_back_as_it_went() {
    const ECHO: Statement = Statement::new(
        "echo",
        "SELECT $1::bool AS truth, $2::int8 AS number, $3::float8 AS fraction, $4::text AS text, $5::bytea AS bytes,
                $6::int4 AS nothing",
    );
    let postgres = database();
    for client in both_modes(&postgres) {
        let values = [
            true.into(),
            i64::MIN.into(),
            0.5.into(),
            "grüß".into(),
            Value::Bytes(vec![0, 255]),
            Value::Null,
        ];
        let rows = client.read(&ECHO, &values).await.unwrap();
        let row = &rows[0];
        assert!(row.get::<bool>("truth").unwrap());
        assert_eq!(row.get::<i64>("number").unwrap(), i64::MIN);
        assert_eq!(row.get::<f64>("fraction").unwrap(), 0.5);
        assert_eq!(row.get::<String>("text").unwrap(), "grüß");
        assert_eq!(row.get::<Vec<u8>>("bytes").unwrap(), [0, 255]);
        assert_eq!(row.get::<Option<i64>>("nothing").unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_numbers_go_into_columns_of_other_types() {
    const CAST: Statement = Statement::new(
        "cast",
        "SELECT ($1::uuid)::text AS id, ($2::timestamptz AT TIME ZONE 'UTC')::text AS at, ($3::numeric * 2)::text AS sum",
    );
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    let values = ["6f9619ff-8b86-d011-b42d-00c04fc964ff".into(), "2026-01-01T00:00:00Z".into(), 21.into()];
    let rows = client.read(&CAST, &values).await.unwrap();
    assert_eq!(rows[0].get::<String>("id").unwrap(), "6f9619ff-8b86-d011-b42d-00c04fc964ff");
    assert_eq!(rows[0].get::<String>("at").unwrap(), "2026-01-01 00:00:00");
    assert_eq!(rows[0].get::<String>("sum").unwrap(), "42");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_cannot_be_stored_is_named_and_nothing_is_written() {
    let postgres = database();
    for client in both_modes(&postgres) {
        let refused = client.write(&ADD, &[1.into(), "a\0b".into()]).await.unwrap_err();
        let AccessError::Parameter { statement: "add_note", number: 2, fault: ParameterFault::Nul } =
            &refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!(refused.verdict().kind, Kind::Invalid);
    }
    let client = Client::of(ServerSettings::new(postgres.url()));
    const SMALL: Statement = Statement::new("small", "UPDATE notes SET small = $1");
    let refused = client.write(&SMALL, &[40_000.into()]).await.unwrap_err();
    assert_eq!(refused.to_string(), "parameter $1 of `small` is outside of the range of `int2`");
    let refused = client.write(&SMALL, &[true.into()]).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "parameter $1 of `small` is a truth value, which does not go into `int2`"
    );
    let refused = client.write(&SMALL, &[]).await.unwrap_err();
    assert_eq!(refused.to_string(), "parameter $1 of `small` is the last of 1, and 0 were given");
    let refused = client.write(&SMALL, &["no number".into()]).await.unwrap_err();
    assert!(matches!(refused, AccessError::Value { .. }), "{refused:?}");
    assert_eq!(postgres.query_one_text("SELECT count(*) FROM notes"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_a_type_without_a_value_is_refused_before_the_statement_runs() {
    const INSERT: Statement =
        Statement::new("insert", "INSERT INTO notes (id, text) VALUES (1, 'x') RETURNING now() AS at");
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    let refused = client.write(&INSERT, &[]).await.unwrap_err();
    assert!(
        matches!(&refused, AccessError::Column(ColumnError::Unsupported { column, .. }) if column == "at")
    );
    assert_eq!(postgres.query_one_text("SELECT count(*) FROM notes"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_says_gets_its_name() {
    const FENCED: Statement = Statement::new(
        "fenced",
        "DO $$ BEGIN RAISE EXCEPTION 'bucket 7 is elsewhere' USING ERRCODE = 'PX001'; END $$",
    );
    const LONG: Statement = Statement::new("long", "SELECT 1 FROM notes WHERE id = 1 / (id - id)");
    let postgres = database();
    let settings = ServerSettings {
        shared_statement_timeout: Duration::from_millis(200),
        ..ServerSettings::new(postgres.url())
    };
    let client = Client::of(settings);
    client.add(1).await.unwrap();
    let error = client.add(1).await.unwrap_err();
    assert!(matches!(&error, AccessError::UniqueViolation { constraint } if constraint == "notes_pkey"));
    let error = client.write(&ADD, &[2.into(), Value::Null]).await.unwrap_err();
    assert!(
        matches!(&error, AccessError::ConstraintViolation { constraint } if constraint == "text"),
        "{error:?}"
    );
    let error = client.write(&FENCED, &[]).await.unwrap_err();
    assert!(
        matches!(&error, AccessError::Moved { message } if message == "bucket 7 is elsewhere"),
        "{error:?}"
    );
    let error = client.read(&LONG, &[]).await.unwrap_err();
    assert!(matches!(&error, AccessError::Value { .. }), "{error:?}");
    let error = client.read(&SLEEP, &[1.0.into()]).await.unwrap_err();
    assert!(matches!(&error, AccessError::StatementTimeout { statement: "sleep" }), "{error:?}");
    assert_eq!(error.verdict().kind, Kind::Timeout);
    let error = client.read(&Statement::new("nonsense", "SELECT nonsense"), &[]).await.unwrap_err();
    assert!(matches!(&error, AccessError::Postgres { statement: "nonsense", .. }), "{error:?}");
    client.read(&ONE, &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_outlives_a_change_of_its_table() {
    const ALL: Statement = Statement::new("all", "SELECT * FROM notes");
    let postgres = database();
    let client = Client::of(ServerSettings::new(postgres.url()));
    client.add(1).await.unwrap();
    for _ in 0..8 {
        assert_eq!(client.read(&ALL, &[]).await.unwrap()[0].len(), 3);
    }
    postgres.execute("ALTER TABLE notes ADD COLUMN colour text");
    for _ in 0..8 {
        assert_eq!(client.read(&ALL, &[]).await.unwrap()[0].len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_nothing_is_prepared_or_set() {
    const PREPARED: Statement =
        Statement::new("prepared", "SELECT count(*) AS named FROM pg_prepared_statements");
    const TIMEOUT: Statement =
        Statement::new("timeout", "SELECT current_setting('statement_timeout') AS timeout");
    let postgres = database();
    let [plain, pooled] = both_modes(&postgres);
    for id in 0..8 {
        pooled.add(id).await.unwrap();
    }
    let named =
        async |client: &Client| client.read(&PREPARED, &[]).await.unwrap()[0].get::<i64>("named").unwrap();
    assert_eq!(named(&pooled).await, 0);
    assert!(named(&plain).await > 0);
    let timeout = async |client: &Client| {
        client.read(&TIMEOUT, &[]).await.unwrap()[0].get::<String>("timeout").unwrap()
    };
    assert_eq!(timeout(&pooled).await, "0");
    assert_eq!(timeout(&plain).await, "1s");
}
