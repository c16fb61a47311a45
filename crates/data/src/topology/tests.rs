//! Environments and what they come to.

use expect_test::{Expect, expect};

use super::{ShardServers, Topology};

fn check(environment: &[(&str, &str)], expected: &Expect) {
    let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let shown = match Topology::from_environment(variables) {
        Ok(Topology::Embedded) => "embedded".to_owned(),
        Ok(Topology::Servers(servers)) => servers.shards().iter().map(shard).collect::<Vec<_>>().join(" | "),
        Err(error) => error.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    assert!(!shown.contains("secret"), "{shown}");
    expected.assert_eq(&shown);
}

fn shard(shard: &ShardServers) -> String {
    shard.all().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn environments_name_one_server_or_shards_or_nothing() {
    check(&[("PORT", "80"), ("DATABASE_URL", " ")], &expect!["embedded"]);
    check(&[("DATABASE_URL", "postgres://u:secret@db/app")], &expect!["db:5432/app"]);
    check(
        &[
            ("DATABASE_SHARD_2_PRIMARY", "postgresql://u@b:2/x?sslmode=verify-full"),
            ("DATABASE_SHARD_1_REPLICAS", "postgres://u@c/x, postgres://u@[::1]:7/x,"),
            ("DATABASE_SHARD_1_PRIMARY", "postgres://u@a/x"),
        ],
        &expect!["a:5432/x c:5432/x [::1]:7/x | b:2/x"],
    );
}

#[test]
fn faults_name_the_variable_and_the_remedy_and_never_the_password() {
    for (url, expected) in [
        (
            "mysql://u:secret@h/d",
            &expect![
                "`DATABASE_URL` does not begin with `postgres://`: write it as `postgres://user:password@host:5432/database`"
            ],
        ),
        ("postgres://u:secret@h", &expect!["`DATABASE_URL` names no database: append `/` and its name"]),
        (
            "postgres://u:secret@/d",
            &expect![
                "`DATABASE_URL` names no host: write it as `postgres://user:password@host:5432/database`"
            ],
        ),
        (
            "postgres://h/d",
            &expect!["`DATABASE_URL` names no user: write `user@` or `user:password@` before the host"],
        ),
        (
            "postgres://u:secret@a,b/d",
            &expect![
                "`DATABASE_URL` names several hosts: name each server of a shard by itself, the standbys as its replicas"
            ],
        ),
        (
            "postgres://u:sec/ret@h/d",
            &expect![
                "`DATABASE_URL` cannot be read: in a user name or a password write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25"
            ],
        ),
        (
            "postgres://u:se@cret@h/d",
            &expect![
                "`DATABASE_URL` cannot be read: in a user name or a password write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25"
            ],
        ),
        (
            "postgres://u@h:70000/d",
            &expect![
                "`DATABASE_URL` cannot be read: in a user name or a password write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25"
            ],
        ),
    ] {
        check(&[("DATABASE_URL", url)], expected);
    }
}

#[test]
fn every_fault_of_the_shards_is_told_at_once() {
    check(
        &[
            ("DATABASE_SHARD_1_REPLICAS", "postgres://u@b/x,postgres://u:secret@/x"),
            ("DATABASE_SHARD_3_PRIMARY", "postgres://u@b/x"),
            ("DATABASE_SHARD_03_PRIMARY", "postgres://u@c/x"),
            ("DATABASE_SHARD_1_MASTER", "postgres://u@d/x"),
        ],
        &expect![[r#"
            `DATABASE_SHARD_03_PRIMARY` is not known: shards are named by `DATABASE_SHARD_1_PRIMARY`, `DATABASE_SHARD_1_REPLICAS`, `DATABASE_SHARD_2_PRIMARY` and so on
            `DATABASE_SHARD_1_MASTER` is not known: shards are named by `DATABASE_SHARD_1_PRIMARY`, `DATABASE_SHARD_1_REPLICAS`, `DATABASE_SHARD_2_PRIMARY` and so on
            `DATABASE_SHARD_1_PRIMARY` is not set, but shard 3 is: set it, or number the shards from 1 without a gap
            entry 2 of `DATABASE_SHARD_1_REPLICAS` names no host: write it as `postgres://user:password@host:5432/database`
            `DATABASE_SHARD_2_PRIMARY` is not set, but shard 3 is: set it, or number the shards from 1 without a gap
            `b:5432/x` is in `DATABASE_SHARD_1_REPLICAS` and again in `DATABASE_SHARD_3_PRIMARY`: name each server once"#]],
    );
    check(
        &[("DATABASE_URL", "postgres://u@a/x"), ("DATABASE_SHARD_1_PRIMARY", "postgres://u@b/x")],
        &expect![
            "`DATABASE_URL` and `DATABASE_SHARD_1_PRIMARY` are both set: use one database or shards, and unset the other"
        ],
    );
}
