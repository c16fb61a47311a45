//! What stands in Redis is not what was stored there: that is told, takes nothing else down, and nothing panics.

use phalanx_auth::{FieldsError, NewSession, StateError};
use phalanx_test_servers::Redis;

use crate::stores::{NAMESPACE, Replica, map, setting};

const BEGUN: u64 = 1_800_000_000;

fn is_unreadable(error: &StateError, at: &str) -> bool {
    assert!(error.is_defect());
    matches!(error, StateError::Unreadable { key } if key == at)
}

#[tokio::test]
async fn a_damaged_session_is_unreadable() {
    let redis = Redis::start();
    let replica = Replica::patient(&redis).await;
    let key = format!("{NAMESPACE}:session:7");
    let damages: &[&[&str]] = &[
        &["SET", &key, "text"],
        &["HSET", &key, "seen", "yesterday"],
        &["HSET", &key, "seen", "-1"],
        &["HSET", &key, "principal", "{}"],
        &["HSET", &key, "principal", "[1"],
        &["HDEL", &key, "principal"],
        &["HDEL", &key, "seen"],
        &["HDEL", &key, "secret"],
    ];
    for damage in damages {
        let new = NewSession { id: "7", subject: "42", epoch: 0, roles: &["user"] };
        let cookie = replica.sessions.begin(new, BEGUN).await.unwrap();
        redis.execute(damage);
        let found = replica.sessions.find(cookie.as_str(), BEGUN).await.unwrap_err();
        assert!(is_unreadable(&found, &key), "{damage:?}: {found:?}");
        replica.sessions.end("7").await.unwrap();
        assert_eq!(replica.sessions.find(cookie.as_str(), BEGUN).await.unwrap(), None);
    }
    redis.execute(&["SET", &key, "text"]);
    let fields = replica.sessions.fields("7").await.unwrap_err();
    assert!(is_unreadable(&fields, &key), "{fields:?}");
    let FieldsError::State(set) = replica.sessions.set_fields("7", &setting([("a", "1")])).await.unwrap_err()
    else {
        panic!("there are not too many")
    };
    assert!(is_unreadable(&set, &key), "{set:?}");
    assert_eq!(replica.state.outages(), 0);
}

#[tokio::test]
async fn damaged_fields_are_unreadable() {
    let redis = Redis::start();
    let replica = Replica::patient(&redis).await;
    let key = format!("{NAMESPACE}:fields:42");
    let no_text = "redis.call('HSET', KEYS[1], 'fa', '\\255')";
    let damages: &[&[&str]] = &[
        &["SET", &key, "text"],
        &["HSET", &key, "v", ""],
        &["HSET", &key, "v", "-1"],
        &["HSET", &key, "v", "1e300"],
        &["HSET", &key, "v", "inf"],
        &["HSET", &key, "v", "12345678901234567890"],
        &["HDEL", &key, "v"],
        &["EVAL", no_text, "1", &key],
    ];
    for damage in damages {
        replica.fields.merge("42", &setting([("a", "1")])).await.unwrap();
        redis.execute(damage);
        let found = replica.fields.get("42").await.unwrap_err();
        assert!(is_unreadable(&found, &key), "{damage:?}: {found:?}");
        let FieldsError::State(merged) =
            replica.fields.merge("42", &setting([("b", "2")])).await.unwrap_err()
        else {
            panic!("there are not too many")
        };
        assert!(is_unreadable(&merged, &key), "{damage:?}: {merged:?}");
        redis.execute(&["DEL", &key]);
    }
    // Entries that nobody here has made are left alone.
    replica.fields.merge("42", &setting([("a", "1")])).await.unwrap();
    redis.execute(&["HSET", &key, "x", "1"]);
    assert_eq!(replica.fields.get("42").await.unwrap().fields, map([("a", "1")]));
    assert_eq!(replica.state.outages(), 0);
}
