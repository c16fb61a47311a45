//! Servers over which no replica starts: each exits with 5, the server's name and what to do.

use std::net::TcpListener;

use phalanx_test_servers::{Access, PASSWORD, Postgres, Settings as Server};

use super::run;
use crate::support::phalanx::Ended;

const WRONG: &str = "hunter2";

fn api(variables: &[(&str, &str)]) -> Ended {
    let ended = run(&["api"], variables);
    for password in [PASSWORD, WRONG] {
        assert!(!ended.stderr.contains(password) && !ended.stdout.contains(password), "{ended:#?}");
    }
    ended
}

/// As errors name the server.
fn name(server: &Postgres) -> String {
    format!("127.0.0.1:{}/postgres", server.port())
}

#[test]
fn what_is_wrong_with_one_database_is_named_with_its_remedy() {
    let server = Postgres::start(Server::default());
    let url = server.url();
    let refused = |from: &str, to: &str, complaints: &[&str]| {
        let url = url.replacen(from, to, 1);
        api(&[("DATABASE_URL", &url)]).with_code(5).complains(complaints);
    };
    let name = name(&server);
    refused(PASSWORD, WRONG, &[&name, "refuses the password", "correct the URL"]);
    refused("phalanx:", "nobody:", &[&name, "`nobody`", "correct the URL"]);
    refused(
        "/postgres",
        "/nowhere",
        &[&name.replace("/postgres", "/nowhere"), "no such database", "create it"],
    );
    refused("/postgres", "/postgres?sslmode=require", &[&name, "has no TLS", "sslmode=disable"]);
    refused("/postgres", "/postgres", &[&name, "migrations: run `phalanx data migrate`", "DATABASE_MIGRATE"]);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = format!("127.0.0.1:{nobody}");
    refused(
        &format!("127.0.0.1:{}", server.port()),
        &gone,
        &[&gone, "cannot be reached", "is PostgreSQL running"],
    );
    // Without a server there is nothing to ask, and none is needed to know that a file is missing.
    let untrusting = format!("{url}?sslmode=verify-full&sslrootcert=/nowhere.pem");
    api(&[("DATABASE_URL", &untrusting)]).with_code(3).complains(&["/nowhere.pem"]);
}

#[test]
fn a_server_that_wants_tls_says_so_and_gets_it() {
    let server = Postgres::start(Server { access: Access::Tls, ..Server::default() });
    let clear = format!("{}?sslmode=disable", server.url());
    let complaints = [&*name(&server), "takes only connections with TLS", "sslmode=require"];
    api(&[("DATABASE_URL", &clear)]).with_code(5).complains(&complaints);
    let distrusting = format!("{}?sslmode=verify-full", server.url());
    api(&[("DATABASE_URL", &distrusting)]).with_code(5).complains(&["not trusted", "sslrootcert"]);
    // What is left is that it has no schema yet.
    api(&[("DATABASE_URL", &server.url())])
        .with_code(5)
        .complains(&["migrations: run `phalanx data migrate`"]);
}

#[test]
fn servers_that_do_not_belong_together_are_named() {
    let (first, other) = (Postgres::start(Server::default()), Postgres::start(Server::default()));
    let standby = first.replica();
    let (primary, foreign) = (first.url(), other.url());
    let stranger = [("DATABASE_SHARD_1_PRIMARY", &*primary), ("DATABASE_SHARD_1_REPLICAS", &*foreign)];
    let complaints = [&*name(&other), "is no replica of", &*name(&first), "pg_basebackup"];
    api(&stranger).with_code(5).complains(&complaints);

    let again = primary.replacen("127.0.0.1", "localhost", 1);
    let same = [("DATABASE_SHARD_1_PRIMARY", &*primary), ("DATABASE_SHARD_2_PRIMARY", &*again)];
    for arguments in [&["api"][..], &["data", "migrate"]] {
        let ended = run(arguments, &[&same[..], &[("DATABASE_MIGRATE", "true")]].concat()).with_code(5);
        ended.complains(&["shards 1 and 2 are the same database", &name(&first), "correct one of them"]);
        let schema = first.query_one_text("SELECT to_regclass('phalanx.meta') IS NOT NULL");
        assert_eq!(schema, "f", "nothing was written before that was known");
    }
    let alone = standby.url();
    let complaints = [&*name(&standby), "has no primary", "promote one of them"];
    api(&[("DATABASE_URL", &alone)]).with_code(5).complains(&complaints);
}

#[test]
fn every_variable_that_is_wrong_is_told_at_once() {
    let variables = [
        ("DATABASE_URL", "mysql://web:hunter2@db/shop"),
        ("DATABASE_SHARD_2_PRIMARY", "postgres://web:hunter2@db/shop"),
        ("DATABASE_SHARD_01_REPLICAS", "postgres://web:hunter2@db/shop"),
        ("DATABASE_CONNECTIONS", "many"),
        ("DATABASE_POOLER", "session"),
        ("DATABASE_STATEMENT_TIMEOUT", "1"),
        ("DATABASE_MIGRATE", "yes"),
        ("DATABASE_POLER", "transaction"),
    ];
    for arguments in [&["api"][..], &["data", "status"], &["data", "migrate", "--dry-run"]] {
        let ended = run(arguments, &variables).with_code(3);
        assert!(!ended.stderr.contains(WRONG), "{ended:#?}");
        ended.complains(&[
            "DATABASE_SHARD_2_PRIMARY",
            "DATABASE_SHARD_01_REPLICAS",
            "DATABASE_CONNECTIONS is `many`: give a number from 2 to 10000",
            "DATABASE_POOLER is `session`: give `none` or `transaction`",
            "DATABASE_STATEMENT_TIMEOUT is `1`",
            "DATABASE_MIGRATE is `yes`: give `false` or `true`",
            "DATABASE_POLER is not known: did you mean `DATABASE_POOLER`?",
        ]);
    }
}
