//! The servers themselves: that they start, stream, lag, fail as told, and leave nothing behind.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    panic,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use phalanx_telemetry::clock;
use phalanx_test_servers::{Access, Durability, Postgres, Redis, ReplicaSettings, Settings};

/// Set for the process of a test that is to be killed.
const VICTIM: &str = "PHALANX_TEST_SERVERS_VICTIM";

#[test]
fn a_server_takes_statements_and_has_databases_of_its_own() {
    let began = clock::now();
    let postgres = Postgres::start(Settings::default());
    println!("postgres started in {:?}", clock::now().duration_since(began));
    postgres.create_database("other");
    postgres.execute_in("other", "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    assert_eq!(postgres.query_one_text_in("other", "SELECT n FROM t"), "7");
    assert_eq!(postgres.query_one_text("SELECT to_regclass('t')"), "");
    assert_eq!(postgres.query_one_text("SHOW wal_level"), "logical");
    assert_eq!(postgres.query_one_text("SHOW fsync"), "off");
    let error = postgres.try_query("postgres", "SELECT 1/0").unwrap_err();
    assert!(error.contains("22012"), "{error}");
}

#[test]
fn servers_are_told_apart_by_their_identifier_and_replicas_are_not() {
    let (one, other) = (Postgres::start(Settings::default()), Postgres::start(Settings::default()));
    let identifier =
        |server: &Postgres| server.query_one_text("SELECT system_identifier FROM pg_control_system()");
    assert_ne!(identifier(&one), identifier(&other));
    assert_eq!(identifier(&one), identifier(&one.replica()));
}

#[test]
fn a_wrong_password_is_refused_unless_all_are_trusted() {
    let wrong = |postgres: &Postgres| {
        let url = postgres.url().replace("secret", "wrong");
        psql(&url)
    };
    assert!(!wrong(&Postgres::start(Settings::default())));
    assert!(wrong(&Postgres::start(Settings { access: Access::Trust, ..Settings::default() })));
}

#[test]
fn tls_is_required_where_it_is_asked_for() {
    let settings = Settings { access: Access::Tls, durability: Durability::Disk, ..Settings::default() };
    let postgres = Postgres::start(settings.parameter("work_mem", "1MB"));
    assert_eq!(postgres.query_one_text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t");
    assert!(!psql(&format!("{}?sslmode=disable", postgres.url())));
    assert!(postgres.certificate().contains("BEGIN CERTIFICATE"));
    assert_eq!(postgres.query_one_text("SHOW fsync"), "on");
    assert_eq!(postgres.query_one_text("SHOW work_mem"), "1MB");
}

#[test]
fn a_replica_streams_lags_pauses_and_becomes_a_primary() {
    let primary = Postgres::start(Settings::default());
    let began = clock::now();
    let replica = primary.replica_with(&ReplicaSettings::named("one").with_slot());
    println!("replica started in {:?}", clock::now().duration_since(began));
    primary.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    replica.wait_until_caught_up(&primary);
    let count = || replica.query_one_text("SELECT count(*) FROM t");
    assert_eq!(count(), "1");

    replica.pause_replay();
    primary.execute("INSERT INTO t VALUES (2)");
    assert!(replica.replay_position() < primary.position());
    assert_eq!(count(), "1");
    replica.resume_replay();
    replica.wait_until_caught_up(&primary);
    assert_eq!(count(), "2");

    let delay = Duration::from_secs(2);
    replica.set_apply_delay(delay);
    let began = clock::now();
    primary.execute("INSERT INTO t VALUES (3)");
    replica.wait_until_caught_up(&primary);
    assert!(clock::now().duration_since(began) >= delay);
    replica.set_apply_delay(Duration::ZERO);

    primary.kill();
    replica.promote();
    replica.execute("INSERT INTO t VALUES (4)");
    assert_eq!(count(), "4");
}

#[test]
fn commits_wait_for_a_synchronous_replica_and_others_follow_it_after_a_failover() {
    let primary = Postgres::start(Settings::default());
    let synchronous = primary.replica_with(&ReplicaSettings::named("one").synchronous());
    let other = primary.replica();
    primary.execute("CREATE TABLE t (n int)");
    synchronous.pause();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| primary.execute("INSERT INTO t VALUES (1)"));
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        until(|| primary.query_one_text(waiting) == "1");
        assert!(!blocked.is_finished());
        synchronous.resume();
        blocked.join().unwrap();
    });
    primary.kill();
    synchronous.promote();
    assert_eq!(synchronous.query_one_text("SELECT n FROM t"), "1");
    other.follow(&synchronous);
    synchronous.execute("INSERT INTO t VALUES (3)");
    other.wait_until_caught_up(&synchronous);
    assert_eq!(other.query_one_text("SELECT max(n) FROM t"), "3");
}

#[test]
fn a_killed_server_starts_again_with_its_data_on_its_port() {
    let postgres = Postgres::start(Settings::default());
    postgres.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let url = postgres.url();
    postgres.kill();
    assert!(!postgres.is_ready());
    let began = clock::now();
    postgres.restart();
    println!("restarted after a crash in {:?}", clock::now().duration_since(began));
    assert_eq!(postgres.url(), url);
    assert_eq!(postgres.query_one_text("SELECT n FROM t"), "1");
    postgres.stop_fast();
    assert!(!postgres.is_ready());
    postgres.restart();
    assert_eq!(postgres.query_one_text("SELECT n FROM t"), "1");
}

#[test]
fn backends_are_killed_and_connections_are_cut() {
    let postgres = Postgres::start(Settings::default());
    let backend =
        postgres.query_one_text("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
    postgres.kill_backend(backend.parse().unwrap());
    thread::scope(|scope| {
        // The first statement after the crash may meet the recovery.
        let sleeper = "SELECT pg_sleep(60)";
        let is_sleeping = format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{sleeper}'");
        until(|| postgres.try_query("postgres", "SELECT 1").is_ok());
        let sleeping = scope.spawn(|| postgres.try_query("postgres", sleeper));
        until(|| postgres.query_one_text(&is_sleeping) == "1");
        postgres.terminate_connections();
        let error = sleeping.join().unwrap().unwrap_err();
        assert!(error.contains("57P01"), "{error}");
    });
}

#[test]
fn a_paused_server_answers_when_it_goes_on() {
    let postgres = Postgres::start(Settings::default());
    postgres.pause();
    thread::scope(|scope| {
        let answer = scope.spawn(|| postgres.query_one_text("SELECT 1"));
        // The kernel takes the connection all the same.
        TcpStream::connect(("127.0.0.1", postgres.port())).unwrap();
        assert!(!answer.is_finished());
        postgres.resume();
        assert_eq!(answer.join().unwrap(), "1");
    });
}

#[test]
fn two_servers_start_at_the_same_time() {
    let [one, two] = thread::scope(|scope| {
        [(); 2]
            .map(|()| scope.spawn(|| Postgres::start(Settings::default())))
            .map(|start| start.join().unwrap())
    });
    assert_ne!(one.port(), two.port());
    one.execute("CREATE TABLE t ()");
    assert_eq!(two.query_one_text("SELECT to_regclass('t')"), "");
}

#[test]
fn a_redis_server_answers_stops_sleeps_and_starts_again() {
    let began = clock::now();
    let redis = Redis::start();
    println!("redis started in {:?}", clock::now().duration_since(began));
    redis.execute(&["SET", "key", "value"]);
    assert_eq!(redis.execute(&["GET", "key"]), "value");
    redis.flush_all();
    assert_eq!(redis.execute(&["DBSIZE"]), "0");
    assert!(redis.try_execute(&["NONSENSE"]).is_err());
    let url = redis.url();
    redis.stop();
    assert!(redis.try_execute(&["PING"]).is_err());
    redis.restart();
    assert_eq!(redis.url(), url);
    redis.kill();
    redis.restart();
    redis.debug_sleep(Duration::from_millis(50));
    assert_eq!(redis.execute(&["PING"]), "PONG");
    redis.pause();
    redis.resume();
    assert_eq!(redis.execute(&["PING"]), "PONG");
}

#[test]
fn nothing_stays_behind_after_a_panic() {
    let mut home = String::new();
    let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let postgres = Postgres::start(Settings::default());
        let redis = Redis::start();
        redis.pause();
        postgres.pause();
        home = postgres.directory().display().to_string();
        assert!(working_in(&home) > 3);
        panic!("a test that fails");
    }));
    assert!(panicked.is_err());
    assert!(!Path::new(&home).exists());
    assert_eq!(working_in(&home), 0);
}

#[test]
fn nothing_stays_behind_when_the_test_is_killed() {
    if env::var_os(VICTIM).is_some() {
        let postgres = Postgres::start(Settings::default());
        println!("home {}", postgres.directory().display());
        postgres.pause();
        println!("paused");
        thread::park();
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nothing_stays_behind_when_the_test_is_killed", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    // The name of the test stands before it on the line.
    let home = lines.find_map(|line| line.split_once("home ").map(|(_, home)| home.to_owned())).unwrap();
    lines.find(|line| line == "paused").unwrap();
    assert!(working_in(&home) > 3);
    victim.kill().unwrap();
    victim.wait().unwrap();
    until(|| !Path::new(&home).exists());
    assert_eq!(working_in(&home), 0);
}

fn psql(url: &str) -> bool {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--no-password", "--command", "SELECT 1", "--dbname", url]);
    psql.output().unwrap().status.success()
}

/// How many processes work in a directory.
fn working_in(home: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cwd"));
    processes.filter(|cwd| fs::read_link(cwd).is_ok_and(|directory| directory.starts_with(home))).count()
}

fn until(mut condition: impl FnMut() -> bool) {
    let began = clock::now();
    while !condition() {
        assert!(clock::now().duration_since(began) < Duration::from_mins(1), "it does not come");
        thread::sleep(Duration::from_millis(5));
    }
}
