//! What the help says of the environment.

/// The help of `phalanx api`.
pub(crate) const API: &str = "\
Environment:
  PORT               where it listens, unless --listen says otherwise; default 3000, on 127.0.0.1
  DATA_DIR           where its embedded storage is; default ./.phalanx. Several replicas may share it
  REDIS_URL          redis://user:password@host:port/database: what replicas share beside the database (sessions, carts,
                     revocations, attempts at login); default: a file in DATA_DIR, for the replicas of one machine
  TRUSTED_PROXIES    networks, separated by commas, whose X-Forwarded-For or X-Real-IP tells the address of a client, or
                     none; default those of this machine: 127.0.0.0/8,::1
  PHALANX_INSTANCE   its name in X-Phalanx-Instance

Tokens, logins and sessions:
  JWT_SECRET                   signs the tokens (HS256), at least 32 bytes; default: a secret made once in DATA_DIR
  JWT_KEYS                     instead: a JWK set with private keys, or the path of a file with one (phalanx token keys)
  ACCESS_TOKEN_TTL             a token is valid for; default 10m, at most 7d
  REFRESH_TOKEN_TTL            a login that is not refreshed ends after; default 7d. LOGIN_TTL, any login; default 30d
  LOGINS_MAX                   an account may have at once; default 100
  SESSION_IDLE_TIMEOUT         a cookie that is not used ends after; default 24h. SESSION_ABSOLUTE_TIMEOUT, any; default 7d
  REVOCATION_STALE             while it is not known what is revoked: ask (default) the shared state about each token, and let
                               it pass if that does not answer either, or refuse it

Databases, PostgreSQL 14 or later; without any of the first three the data is in DATA_DIR:
  DATABASE_URL                 postgres://user:password@host:port/database: one database
  DATABASE_SHARD_1_PRIMARY     the same of the first shard, DATABASE_SHARD_2_PRIMARY of the second, and so on
  DATABASE_SHARD_1_REPLICAS    its streaming replicas, separated by commas; they answer reads
  DATABASE_MIGRATE             true: bring the schema forward at the start; default false: refuse an older one
  DATABASE_POOLER              transaction: behind PgBouncer in that mode; default none
Options of a URL: sslmode=disable, prefer (default), require or verify-full, which both prove the certificate;
sslrootcert=FILE. A role changes from server to server by itself when one is promoted.

What one replica asks of each server:
  DATABASE_CONNECTIONS                   connections it holds; default 4. A fleet sets it from `database` in its file
  DATABASE_EXCLUSIVE_CONNECTIONS         of these, for transactions; default a quarter. The rest is shared
  DATABASE_STATEMENT_TIMEOUT             a statement may take; default 1s. DATABASE_EXCLUSIVE_STATEMENT_TIMEOUT, where it
                                         has a connection of its own; default 30s
  DATABASE_LOCK_TIMEOUT                  it may wait for a lock; default 5s
  DATABASE_ACQUIRE_TIMEOUT               it may wait for a connection; default 2s
  DATABASE_PRIMARY_WAIT                  it may wait for a primary, while there is none; default 5s. Then 503
  DATABASE_CONNECT_TIMEOUT               default 2s
  DATABASE_MAX_LIFETIME                  a connection is replaced after; default 30m
  DATABASE_IDLE_TIMEOUT                  one for transactions that nobody uses is closed after; default 60s
  DATABASE_PROBE_PERIOD                  each server is asked what it is every; default 1s. DATABASE_PROBE_TIMEOUT: 1s
  DATABASE_REPLICA_LAG_MAX               a replica answers reads while it is behind by no more; default 60s
  DATABASE_REPLICA_LAG_BYTES_MAX         or lacks no more; default 8MiB
  DATABASE_SLOW_STATEMENT                one that takes longer is logged, now and then with its plan; default 200ms
  DATABASE_STALE_READ_DETECTOR           for development: log reads that miss what their session wrote that long ago, as
                                         5s; default off
Durations have a unit (ms, s, m, h, d), sizes too (B, KiB, MiB, GiB).

Exit codes: 3 for a variable, all of them named at once; 4 for the address; 5 for a server that cannot be used as it is.

Example:
  DATABASE_SHARD_1_PRIMARY=postgres://web:secret@db1/shop DATABASE_SHARD_1_REPLICAS=postgres://web:secret@db2/shop \\
    JWT_SECRET=$(openssl rand -hex 32) DATABASE_MIGRATE=true phalanx api";

/// The help of `phalanx data`.
pub(crate) const DATA: &str = "\
The databases are those that the environment names, as for `phalanx api` (`phalanx api --help` lists the variables); without
any, the embedded one in DATA_DIR.";

/// The help of `phalanx data status`.
pub(crate) const DATA_STATUS: &str = "\
Every server is asked once; one that does not answer is shown with its reason, and the rest is told all the same.

STATE  primary      takes writes
       replica      answers reads
       lagging      is too far behind to answer reads that need no position
       straying     follows an older timeline than its shard, since before a failover: make it anew
       superseded   takes writes that nobody sends it, since another was promoted: make it a replica, or take it out
       foreign      is a copy of another database
       unreachable  does not answer, and the reason stands below
       missing      is a file that the first start makes
LAG and AGE are what a replica has yet to replay, and how old what it replayed last is; the latter grows on an idle primary.
CONNECTIONS are those of all clients and the server's limit; KEPT are those of it that superusers alone get.

Exit codes: 0 all servers can be used; 3 a variable is wrong; 5 a server cannot be used.

Examples:
  phalanx data status
  phalanx data status --json | jq '.shards[].servers[] | select(.fault)'";

/// The help of `phalanx data migrate`.
pub(crate) const DATA_MIGRATE: &str = "\
Shards are migrated one after the other, each migration in a transaction of its own. What was applied stays: run it again after
a fault, and it goes on. Several processes may do so at once, since they wait for each other. Nothing is changed before every
primary was reached and no two shards are the same database. There is no way back: take a backup first.

Shards get their number and the map of buckets where they have none.

Exit codes: 0 nothing is missing any more, or with --dry-run it was told; 1 a migration failed; 3 a variable is wrong; 5 a
server cannot be used.

Examples:
  phalanx data migrate --dry-run
  phalanx data migrate";

/// The help of `phalanx data reshard`.
pub(crate) const DATA_RESHARD: &str = "\
Name all shards in the environment, those that are and those that are to be, give the new ones their tables (phalanx data
migrate), and start the replicas of the API anew with the same variables; then:

  phalanx data reshard --to 4 --dry-run     what would move
  phalanx data reshard --to 4               moves it, and says how far it is

It goes through these stages: provision, stream, copy, catch_up, verify, switch_reads, pause, drain, bump_epoch, reverse_stream,
open, soak, clean_up, done. Rows travel by logical replication; writes of the moving buckets wait for as long as the stages from
pause to open take, usually well under a second and never more than about 30 s: then the old state returns.

Until clean_up there is a way back, which loses nothing: --back. What is wrong (a row that differs, a stream that is lost) takes
it by itself. The process may be killed anywhere: run it again with --to or --resume, and it goes on. INT and TERM end it as
soon as no writes wait.

It needs PostgreSQL 15 or newer, wal_level = logical, and URLs with a superuser, which subscriptions want.

Exit codes: 0 the buckets have moved, or are back as was asked; 1 it was not possible, or went back by itself; 3 a variable or N is
wrong; 5 a server cannot be reached; 130 or 143 stopped by a signal.";
