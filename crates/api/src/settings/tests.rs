use std::fs;

use phalanx_auth::{Algorithm, StalePolicy};
use phalanx_data::{Detector, Pooler};

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_env(&|name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn an_empty_environment_has_defaults() {
    for variables in
        [&[][..], &[("PORT", ""), ("DATA_DIR", ""), ("DATABASE_URL", ""), ("PHALANX_INSTANCE", "")]]
    {
        let settings = read(variables).unwrap();
        assert_eq!(settings.port, 3000);
        assert_eq!(settings.data_directory, PathBuf::from("./.phalanx"));
        assert_eq!(settings.access_token_lifetime, Duration::from_secs(600));
        assert!(settings.token_keys.is_none() && settings.redis_url.is_none());
        assert!(settings.instance.as_str().starts_with("api-"));
    }
}

#[test]
fn variables_are_read() {
    let settings = read(&[
        ("PORT", "0"),
        ("DATA_DIR", "/srv/data"),
        ("ACCESS_TOKEN_TTL", "90s"),
        ("PHALANX_INSTANCE", "api-7"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ])
    .unwrap();
    assert_eq!((settings.port, settings.instance.as_str()), (0, "api-7"));
    assert_eq!(settings.data_directory, PathBuf::from("/srv/data"));
    assert_eq!(settings.access_token_lifetime, Duration::from_secs(90));
    assert!(settings.token_keys.is_some());
}

#[test]
fn what_tokens_live_by_is_read() {
    let settings = read(&[
        ("ACCESS_TOKEN_TTL", "7d"),
        ("REFRESH_TOKEN_TTL", "90m"),
        ("LOGIN_TTL", "12h"),
        ("LOGINS_MAX", "3"),
        ("SESSION_IDLE_TIMEOUT", "30m"),
        ("SESSION_ABSOLUTE_TIMEOUT", "8h"),
        ("REVOCATION_STALE", "refuse"),
        ("REDIS_URL", "redis://user:hunter2@[::1]:6379/1"),
    ])
    .unwrap();
    let days = |count: u64| Duration::from_secs(count * 86_400);
    assert_eq!(settings.access_token_lifetime, days(7));
    let logins = settings.logins;
    assert_eq!((logins.idle_timeout, logins.absolute_timeout), (days(1) / 16, days(1) / 2));
    assert_eq!(logins.live_max.get(), 3);
    assert_eq!(settings.sessions.idle_timeout, Duration::from_mins(30));
    assert_eq!(settings.sessions.absolute_timeout, Duration::from_hours(8));
    assert_eq!(settings.revocation.stale_policy, StalePolicy::Refuse);
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn keys_are_text_or_a_file_and_not_beside_a_secret() {
    let keys = KeyRing::of(vec![phalanx_auth::generate(Algorithm::EdDSA)]).unwrap().to_private_jwks();
    assert!(read(&[("JWT_KEYS", &keys)]).unwrap().token_keys.is_some());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &keys).unwrap();
    assert!(read(&[("JWT_KEYS", file.path().to_str().unwrap())]).unwrap().token_keys.is_some());
    let error = read(&[("JWT_KEYS", &keys), ("JWT_SECRET", "0123456789abcdef0123456789abcdef")]).unwrap_err();
    assert_eq!(error.faults[0].variable, "JWT_KEYS");
    assert!(!error.to_string().contains("\"d\""), "{error}");
}

#[test]
fn bounds_are_shown_as_they_may_be_written() {
    for (name, bounds) in [
        ("ACCESS_TOKEN_TTL", "from 1s to 7d, as `10m`"),
        ("DATABASE_STATEMENT_TIMEOUT", "from 1ms to 1d, as `1s`"),
    ] {
        let error = read(&[(name, "x")]).unwrap_err();
        assert!(error.to_string().contains(bounds), "{error}");
    }
}

#[test]
fn each_fault_names_its_variable() {
    let long = "x".repeat(INSTANCE_BYTES_MAX + 1);
    let cases = [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("PHALANX_INSTANCE", "two words"),
        ("PHALANX_INSTANCE", "line\r\nbreak"),
        ("PHALANX_INSTANCE", "é"),
        ("PHALANX_INSTANCE", &long),
        ("TRUSTED_PROXIES", "localhost"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;::1"),
        ("JWT_SECRET", ""),
        ("JWT_SECRET", "short"),
        ("JWT_KEYS", "{}"),
        ("DATABASE_URL", "postgres://localhost/x"),
        ("DATABASE_CONNECTIONS", "1"),
        ("DATABASE_CONNECTIONS", "+4"),
        ("DATABASE_CONNECTIONS", "10001"),
        ("DATABASE_EXCLUSIVE_CONNECTIONS", "4"),
        ("DATABASE_EXCLUSIVE_CONNECTIONS", "0"),
        ("DATABASE_MIGRATE", "yes"),
        ("DATABASE_POOLER", "session"),
        ("DATABASE_STATEMENT_TIMEOUT", "0s"),
        ("DATABASE_STATEMENT_TIMEOUT", "500"),
        ("DATABASE_ACQUIRE_TIMEOUT", "2 s"),
        ("DATABASE_MAX_LIFETIME", "10ms"),
        ("DATABASE_PRIMARY_WAIT", "25h"),
        ("DATABASE_REPLICA_LAG_BYTES_MAX", "8MB"),
        ("DATABASE_REPLICA_LAG_BYTES_MAX", "18446744073709551615GiB"),
        ("DATABASE_STALE_READ_DETECTOR", "on"),
        ("DATABASE_STALE_READ_DETECTOR", "0s"),
        ("DATABASE_SHARD_1_PRIMARY", "postgres://localhost/x"),
        ("JWT_KEYS", "{"),
        ("JWT_KEYS", r#"{"keys":[]}"#),
        ("JWT_KEYS", "/nowhere/keys.json"),
        ("JWT_KEYS", "/"),
        ("JWT_KEYS", "/dev/zero"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://:6379"),
        ("REDIS_URL", "rediss://localhost"),
        ("REDIS_URL", "redis://local host"),
        ("REFRESH_TOKEN_TTL", "1s"),
        ("LOGIN_TTL", "10000d"),
        ("LOGINS_MAX", "0"),
        ("SESSION_IDLE_TIMEOUT", "1"),
        ("SESSION_ABSOLUTE_TIMEOUT", "31d"),
        ("REVOCATION_STALE", "pass"),
        ("ACCESS_TOKEN_TTL", "8d"),
        ("ACCESS_TOKEN_TTL", "0s"),
        ("ACCESS_TOKEN_TTL", "10"),
        ("ACCESS_TOKEN_TTL", "s"),
        ("ACCESS_TOKEN_TTL", "+5m"),
        ("ACCESS_TOKEN_TTL", "5µ"),
        ("ACCESS_TOKEN_TTL", "99999999999999999999h"),
        ("ACCESS_TOKEN_TTL", "18446744073709551615h"),
    ];
    for (name, value) in cases {
        let error = read(&[(name, value)]).expect_err(&format!("{name}={value}"));
        let named: Vec<_> = error.faults.iter().map(|fault| &*fault.variable).collect();
        assert_eq!(named, [name], "{name}={value}");
    }
}

#[test]
fn the_bounds_of_servers_are_read() {
    let settings = read(&[
        ("DATABASE_CONNECTIONS", "12"),
        ("DATABASE_POOLER", "transaction"),
        ("DATABASE_STATEMENT_TIMEOUT", "250ms"),
        ("DATABASE_PRIMARY_WAIT", "3s"),
        ("DATABASE_REPLICA_LAG_BYTES_MAX", "16MiB"),
        ("DATABASE_STALE_READ_DETECTOR", "5s"),
        ("DATABASE_MIGRATE", "true"),
    ])
    .unwrap();
    let connections = &settings.data.connections;
    assert_eq!((connections.shared_connections.get(), connections.exclusive_max.get()), (9, 3));
    assert_eq!(connections.pooler, Pooler::Transaction);
    assert_eq!(connections.shared_statement_timeout, Duration::from_millis(250));
    assert_eq!(settings.data.primary_wait_max, Duration::from_secs(3));
    assert_eq!(settings.data.lag_bytes_max, 16 << 20);
    assert_eq!(settings.data.detector, Detector::On { window: Duration::from_secs(5) });
    assert_eq!(settings.migrate, MigrateAtStart::Apply);
    // The fewest leave one for each kind, and what nobody sets is what the data layer has.
    let fewest = read(&[("DATABASE_CONNECTIONS", "2")]).unwrap().data.connections;
    assert_eq!((fewest.shared_connections.get(), fewest.exclusive_max.get()), (1, 1));
    let (unset, defaults) = (read(&[]).unwrap().data, phalanx_data::Settings::new());
    assert_eq!(format!("{unset:?}"), format!("{defaults:?}"));
    assert_eq!(unset.connections.shared_connections, defaults.connections.shared_connections);
    assert_eq!(unset.connections.exclusive_max, defaults.connections.exclusive_max);
}

#[test]
fn variables_that_look_like_those_of_shards_are_not_passed_over() {
    let given = |name: &str| vec![(name.to_owned(), "postgres://web@db/shop".to_owned())];
    for name in ["DATABASE_SHARD_01_PRIMARY", "DATABASE_SHARD_1_REPLICA", "DATABASE_SHARD_PRIMARY"] {
        let error = Settings::from_variables(given(name)).unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
    let error = Settings::from_variables(given("DATABASE_POOLR")).unwrap_err();
    assert!(error.to_string().contains("did you mean `DATABASE_POOLER`"), "{error}");
    // What a platform sets for others is no fault.
    Settings::from_variables(given("DATABASE_HOST")).unwrap();
    Settings::from_variables(given("HOME")).unwrap();
}

#[test]
fn all_faults_are_told_at_once_and_no_secret() {
    let error =
        read(&[("PORT", "x"), ("JWT_SECRET", "hunter2"), ("REDIS_URL", "redis://:hunter2@")]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.faults.len(), 3);
    assert!(text.lines().count() == 3 && !text.contains("hunter2"), "{text}");
}
