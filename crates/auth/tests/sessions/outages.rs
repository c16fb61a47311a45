//! Redis is away, stalled, full, a replica, or emptied: what needs it is refused until it is back, and nothing hangs.

use phalanx_auth::{FieldsError, NewSession, SessionCookie, StateError};
use phalanx_test_servers::Redis;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};

use crate::stores::{Replica, eventually, map, setting, within_patience};

const BEGUN: u64 = 1_800_000_000;
const SESSION: NewSession<'_> = NewSession { id: "7", subject: "42", epoch: 0, roles: &[] };

/// What happens to Redis, and whether it answers questions and has its data after it.
struct Outage {
    what: &'static str,
    begin: fn(&Redis),
    end: fn(&Redis),
    reads: Reads,
    data: Data,
}

#[derive(PartialEq)]
enum Reads {
    GoOn,
    Fail,
}

#[derive(PartialEq)]
enum Data {
    Stays,
    IsLost,
}

fn execute(redis: &Redis, arguments: &[&str]) {
    redis.execute(arguments);
}

const OUTAGES: &[Outage] = &[
    Outage {
        what: "stopped",
        begin: Redis::stop,
        end: Redis::restart,
        reads: Reads::Fail,
        data: Data::IsLost,
    },
    Outage {
        what: "killed",
        begin: Redis::kill,
        end: Redis::restart,
        reads: Reads::Fail,
        data: Data::IsLost,
    },
    Outage {
        what: "stalled",
        begin: Redis::pause,
        end: Redis::resume,
        reads: Reads::Fail,
        data: Data::Stays,
    },
    Outage {
        what: "full",
        begin: |redis| execute(redis, &["CONFIG", "SET", "maxmemory", "1"]),
        end: |redis| execute(redis, &["CONFIG", "SET", "maxmemory", "0"]),
        reads: Reads::GoOn,
        data: Data::Stays,
    },
    Outage {
        what: "a replica",
        begin: |redis| execute(redis, &["REPLICAOF", "127.0.0.1", "1"]),
        end: |redis| execute(redis, &["REPLICAOF", "NO", "ONE"]),
        // Where a write has failed, the connection is made anew, and a question meanwhile fails.
        reads: Reads::Fail,
        data: Data::Stays,
    },
    Outage {
        what: "a replica without its primary",
        begin: |redis| {
            execute(redis, &["CONFIG", "SET", "replica-serve-stale-data", "no"]);
            execute(redis, &["REPLICAOF", "127.0.0.1", "1"]);
        },
        end: |redis| {
            execute(redis, &["REPLICAOF", "NO", "ONE"]);
            execute(redis, &["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
        },
        reads: Reads::Fail,
        data: Data::Stays,
    },
];

#[tokio::test]
async fn what_needs_redis_is_refused_until_it_is_back() {
    for outage in OUTAGES {
        let redis = Redis::start();
        let replica = Replica::impatient(&redis).await;
        let cookie = begun(&replica).await;
        let stored = merged(&replica, "before").await;

        (outage.begin)(&redis);
        within_patience(outage.what, async {
            for refused in writes(&replica, outage.what).await {
                assert!(matches!(refused, StateError::Unavailable(_)), "{}: {refused:?}", outage.what);
                assert!(!refused.is_defect(), "{}: {refused:?}", outage.what);
            }
            if outage.reads == Reads::GoOn {
                assert!(found(&replica, &cookie).await);
                let seen = eventually(outage.what, async || replica.fields.get("42").await.ok()).await;
                assert_eq!(seen, stored);
            }
            // Without a question to the store.
            assert_eq!(replica.sessions.find("7.not-a-secret", BEGUN).await.unwrap(), None);
        })
        .await;

        (outage.end)(&redis);
        assert_eq!(found(&replica, &cookie).await, outage.data == Data::Stays, "{}", outage.what);
        let after = merged(&replica, "after").await;
        assert!(after.version > stored.version, "{}", outage.what);
        let expected = match outage.data {
            Data::Stays => map([("before", "1"), ("after", "1")]),
            Data::IsLost => map([("after", "1")]),
        };
        assert_eq!(after.fields, expected, "{}", outage.what);
        begun(&replica).await;
    }
}

async fn begun(replica: &Replica) -> SessionCookie {
    eventually("a session begins", async || replica.sessions.begin(SESSION, BEGUN).await.ok()).await
}

/// Whether the session goes on, once Redis says so.
async fn found(replica: &Replica, cookie: &SessionCookie) -> bool {
    let find = async || replica.sessions.find(cookie.as_str(), BEGUN).await.ok();
    eventually("a session is looked for", find).await.is_some()
}

async fn merged(replica: &Replica, name: &str) -> phalanx_auth::Contents {
    let change = setting([(name, "1")]);
    eventually("fields are merged", async || replica.fields.merge("42", &change).await.ok()).await
}

/// How each write is refused. A stalled Redis does them when it goes on, so they are of others than the test looks at.
async fn writes(replica: &Replica, what: &str) -> Vec<StateError> {
    let in_state = |error| match error {
        FieldsError::State(error) => error,
        other => panic!("{what}: {other}"),
    };
    let change = setting([("a", "1")]);
    let other = NewSession { id: "8", ..SESSION };
    vec![
        replica.sessions.begin(other, BEGUN).await.unwrap_err(),
        in_state(replica.sessions.set_fields("7", &change).await.unwrap_err()),
        in_state(replica.fields.merge("43", &change).await.unwrap_err()),
        in_state(replica.fields.replace("43", &map([("a", "1")])).await.unwrap_err()),
    ]
}

#[tokio::test]
async fn a_redis_that_was_emptied_has_no_sessions_and_goes_on() {
    let redis = Redis::start();
    let replica = Replica::patient(&redis).await;
    let cookie = begun(&replica).await;
    let before = merged(&replica, "before").await;
    redis.flush_all();
    redis.execute(&["SCRIPT", "FLUSH"]);
    assert_eq!(replica.sessions.find(cookie.as_str(), BEGUN).await.unwrap(), None);
    assert_eq!(replica.sessions.fields("7").await.unwrap(), None);
    let nothing = replica.fields.get("42").await.unwrap();
    assert_eq!(nothing.fields, map([]));
    assert!(nothing.version >= before.version);
    let after = merged(&replica, "after").await;
    assert!(after.version > nothing.version);
    assert_eq!(after.fields, map([("after", "1")]));
    assert_eq!(replica.state.outages(), 0);
}

#[tokio::test]
async fn a_redis_that_was_never_there_is_waited_for_by_nobody() {
    let redis = Redis::start();
    redis.stop();
    let replica = Replica::impatient(&redis).await;
    let _watch = replica.fields.watch("42").unwrap();
    let refused = within_patience("a refusal", replica.sessions.begin(SESSION, BEGUN)).await.unwrap_err();
    assert!(matches!(refused, StateError::Unavailable(_)), "{refused:?}");
    redis.restart();
    let cookie = begun(&replica).await;
    assert!(found(&replica, &cookie).await);
}

/// Answers every command alike: that all is well, or that it loads its data.
async fn serve_loading(listener: TcpListener, loads: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let loads = loads.clone();
        connections.spawn(async move {
            let (commands, mut answers) = connection.split();
            let mut lines = BufReader::new(commands).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let answer: &[u8] = if *loads.borrow() { b"-LOADING not yet\r\n" } else { b"+PONG\r\n" };
                // Each command is an array, and nothing in these begins a line with an asterisk.
                if line.starts_with(b"*") && answers.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_out_of_use_until_it_has() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (loads, loading) = watch::channel(false);
    let mut server = JoinSet::new();
    server.spawn(serve_loading(listener, loading));
    let replica = Replica::at(&url).await;
    eventually("it is in use", async || replica.state.is_up().then_some(())).await;
    loads.send_replace(true);
    let refused = within_patience("a refusal", replica.fields.merge("42", &setting([("a", "1")]))).await;
    let Err(FieldsError::State(StateError::Unavailable(_))) = refused else { panic!("{refused:?}") };
    eventually("it is out of use", async || (!replica.state.is_up()).then_some(())).await;
    loads.send_replace(false);
    eventually("it is in use", async || replica.state.is_up().then_some(())).await;
    assert_eq!(replica.state.outages(), 1);
}
