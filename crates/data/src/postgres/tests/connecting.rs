//! What is in the way of a connection is named, with a remedy and without the password.

use std::io::Write as _;

use phalanx_test_servers::{Access, PASSWORD, USER};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::ConnectError;

async fn fault(url: &str) -> ConnectError {
    let settings = ServerSettings { connect_timeout: Duration::from_millis(500), ..ServerSettings::new(url) };
    let (server, _) = match Server::new(ShardId(0), settings) {
        Ok(made) => made,
        Err(error) => return error,
    };
    server.check().await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_user_or_database_is_named() {
    let postgres = Postgres::start(Settings { access: Access::Password, ..Settings::default() });
    let port = postgres.port();
    let error = fault(&format!("postgres://{USER}:hunter2@127.0.0.1:{port}/postgres")).await;
    assert!(matches!(&error, ConnectError::Password { user, .. } if user == USER), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    let error = fault(&format!("postgres://{USER}@127.0.0.1:{port}/postgres")).await;
    assert!(matches!(&error, ConnectError::Password { .. }), "{error:?}");
    let error = fault(&format!("postgres://nobody:{PASSWORD}@127.0.0.1:{port}/postgres")).await;
    assert!(matches!(&error, ConnectError::Password { user, .. } if user == "nobody"), "{error:?}");
    let error = fault(&postgres.url_for("nowhere")).await;
    let expected = format!("127.0.0.1:{port}/nowhere has no such database: create it, or correct the URL");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_named_where_the_url_demands_it() {
    let postgres = database();
    let error = fault(&format!("{}?sslmode=verify-full", without_options(&postgres.url()))).await;
    assert!(matches!(&error, ConnectError::NoTls { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_demanded_proven_and_used() {
    const ENCRYPTED: Statement =
        Statement::new("encrypted", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let postgres = Postgres::start(Settings { access: Access::Tls, ..Settings::default() });
    let url = without_options(&postgres.url());
    let error = fault(&format!("{url}?sslmode=disable")).await;
    assert!(matches!(&error, ConnectError::TlsRequired { .. }), "{error:?}");
    let error = fault(&format!("{url}?sslmode=verify-full")).await;
    assert!(matches!(&error, ConnectError::Untrusted { .. }), "{error:?}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(postgres.certificate().as_bytes()).unwrap();
    for options in
        [format!("sslmode=verify-full&sslrootcert={}", file.path().display()), "sslmode=prefer".into()]
    {
        let client = Client::of(ServerSettings::new(format!("{url}?{options}")));
        let rows = client.read(&ENCRYPTED, &[]).await.unwrap();
        assert!(rows[0].get::<bool>("ssl").unwrap(), "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_and_nobody_answering_are_two_things() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = fault(&format!("postgres://web@127.0.0.1:{port}/shop?sslmode=disable")).await;
    assert!(matches!(&error, ConnectError::Timeout { .. }), "{error:?}");
    drop(silent);
    let error = fault(&format!("postgres://web@127.0.0.1:{port}/shop")).await;
    assert!(matches!(&error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_is_named() {
    let settings = Settings::default().parameter("max_connections", "4");
    let postgres = Postgres::start(settings.parameter("superuser_reserved_connections", "3"));
    postgres.execute("CREATE ROLE web LOGIN PASSWORD 'secret'");
    let url = postgres.url().replace(&format!("{USER}:"), "web:");
    let settings = ServerSettings { acquire_timeout: Duration::from_millis(400), ..ServerSettings::new(url) };
    let client = Client::of(settings);
    client.read(&ONE, &[]).await.unwrap();
    let waited = client.read(&SLEEP.exclusive(), &[0.0.into()]).await.unwrap_err();
    let AccessError::CannotConnect { source, .. } = &waited else { panic!("{waited:?}") };
    assert!(matches!(**source, ConnectError::TooManyConnections { .. }), "{source:?}");
}

/// Answers any start with what a server of that version would.
async fn puppet(version: &str, answer: &'static [u8]) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut greeting = b"R\0\0\0\x08\0\0\0\0".to_vec();
    let parameter = format!("server_version\0{version}\0");
    greeting.push(b'S');
    greeting.extend_from_slice(&u32::try_from(parameter.len() + 4).unwrap().to_be_bytes());
    greeting.extend_from_slice(parameter.as_bytes());
    greeting.extend_from_slice(b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x01Z\0\0\0\x05I");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut received = [0; 4096];
            let _ = stream.read(&mut received).await;
            let _ = stream.write_all(&greeting).await;
            if !answer.is_empty() {
                let _ = stream.read(&mut received).await;
                let _ = stream.write_all(answer).await;
            }
            open.push(stream);
        }
    });
    (port, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_named() {
    let (port, _puppet) = puppet("13.22", b"").await;
    let error = fault(&format!("postgres://web@127.0.0.1:{port}/shop?sslmode=disable")).await;
    let expected =
        format!("127.0.0.1:{port}/shop runs PostgreSQL 13.22, and at least version 14 is needed: upgrade it");
    assert_eq!(error.to_string(), expected);
}

/// Parsed, bound and described as one column of `int4`, as the client of a pooler gets it.
const DESCRIBED: &[u8] = b"1\0\0\0\x042\0\0\0\x04t\0\0\0\x06\0\0\
    T\0\0\0\x1c\0\x01one\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
const ENDED: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

async fn read_from_puppet(answer: &[&[u8]]) -> Result<Vec<Row>, AccessError> {
    let (port, _puppet) = puppet("15.0", answer.concat().leak()).await;
    let settings = ServerSettings {
        pooler: crate::Pooler::Transaction,
        ..ServerSettings::new(format!("postgres://web@127.0.0.1:{port}/shop?sslmode=disable"))
    };
    Client::of(settings).read(&ONE, &[]).await
}

/// Versions of the library before 0.7.18 panicked at the first (RUSTSEC-2026-0178).
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_row_is_an_error() {
    let row = b"D\0\0\0\x0e\0\x01\0\0\0\x04\0\0\0\x07";
    let rows = read_from_puppet(&[DESCRIBED, row, ENDED]).await.unwrap();
    assert_eq!(rows[0].get::<i64>("one").unwrap(), 7, "the puppet speaks the protocol");
    let rows: [&[u8]; 4] = [
        b"D\0\0\0\x06\0\0",                                           // No column.
        b"D\0\0\0\x16\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x01", // Two columns.
        b"D\0\0\0\x0e\0\x01\0\0\0\x40\0\0\0\x07",                     // A length past the end.
        b"D\0\0\0\x0d\0\x01\0\0\0\x03\0\0\x07",                       // Three bytes of an `int4`.
    ];
    for row in rows {
        let error = read_from_puppet(&[DESCRIBED, row, ENDED]).await.unwrap_err();
        assert!(matches!(error, AccessError::Malformed { .. }), "{row:?}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_protocol_is_an_error() {
    let answers: [&[u8]; 3] = [b"D\0\0\0\x02\0\0", b"?\0\0\0\x04", b"1\0\0\0\x04T\0\0\0\x08\xff\xff\0\0"];
    for answer in answers {
        let error = read_from_puppet(&[answer]).await.unwrap_err();
        assert!(
            matches!(error, AccessError::Malformed { .. } | AccessError::ConnectionLost { .. }),
            "{answer:?}: {error:?}"
        );
    }
}

fn without_options(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}
