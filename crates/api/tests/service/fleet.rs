//! Two replicas that share their state, in a file or in a Redis, and a user of both.

use phalanx_api::Settings;
use phalanx_test_servers::Redis;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    client::{Answer, PATIENCE, login, register, request},
    replica::{Replica, SECRET},
};

pub(crate) const EMAIL: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const COOKIE: &str = "__Host-phalanx_session";

pub(crate) struct Fleet {
    pub(crate) first: Replica,
    pub(crate) second: Replica,
    pub(crate) redis: Option<Redis>,
    _directory: TempDir,
}

impl Fleet {
    /// One of each kind.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::with(None, &[]).await, Self::over_redis().await]
    }

    pub(crate) async fn over_redis() -> Self {
        Self::with(Some(Redis::start()), &[]).await
    }

    pub(crate) async fn over_files(variables: &[(&str, &str)]) -> Self {
        Self::with(None, variables).await
    }

    async fn with(redis: Option<Redis>, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = redis.as_ref().map(Redis::url).unwrap_or_default();
        let settings = |instance| {
            let path = directory.path().to_str().unwrap();
            let own = [
                ("DATA_DIR", path),
                ("JWT_SECRET", SECRET),
                ("PHALANX_INSTANCE", instance),
                ("REDIS_URL", &*url),
            ];
            let all = own.iter().chain(variables);
            Settings::from_variables(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
                .unwrap()
        };
        let (first, second) =
            (Replica::start(settings("api-1")).await, Replica::start(settings("api-2")).await);
        for replica in [&first, &second] {
            assert_eq!(replica.get("/ready").await.status, 200);
        }
        Self { first, second, redis, _directory: directory }
    }

    /// Registers the user with the first replica.
    pub(crate) async fn registered(&self) -> User {
        User::of(&self.first.exchange(register(EMAIL)).await, 201)
    }

    /// Logs the user in with the second.
    pub(crate) async fn logged_in(&self) -> User {
        User::of(&self.second.exchange(login(EMAIL, PASSWORD)).await, 200)
    }
}

/// What somebody has who is logged in.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) authorization: String,
    pub(crate) refresh_token: String,
    pub(crate) cookie: Option<String>,
}

impl User {
    pub(crate) fn of(answer: &Answer, status: u16) -> Self {
        assert_eq!(answer.status, status, "{answer:?}");
        let body = answer.json();
        let set = answer.headers("set-cookie").into_iter().find(|set| set.starts_with(COOKIE));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            id: text(body.get("user").map_or(&body["id"], |user| &user["id"])),
            authorization: format!("Bearer {}", text(&body["token"])),
            refresh_token: text(&body["refresh_token"]),
            cookie: set.map(|set| set.split(';').next().unwrap().to_owned()),
        }
    }

    /// Asks with the token.
    pub(crate) async fn ask(
        &self,
        replica: &Replica,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        replica.exchange(request(method, path, &[("authorization", &self.authorization)], body)).await
    }

    pub(crate) async fn get(&self, replica: &Replica, path: &str) -> Answer {
        self.ask(replica, "GET", path, None).await
    }

    pub(crate) async fn post(&self, replica: &Replica, path: &str) -> Answer {
        self.ask(replica, "POST", path, None).await
    }

    /// Asks with the cookie, as a page of the service's own.
    pub(crate) async fn browse(&self, replica: &Replica, method: &str, path: &str) -> Answer {
        let cookie = self.cookie.as_deref().unwrap();
        replica
            .exchange(request(method, path, &[("cookie", cookie), ("sec-fetch-site", "same-origin")], None))
            .await
    }

    pub(crate) async fn refresh(&self, replica: &Replica) -> Answer {
        refresh(replica, &self.refresh_token).await
    }

    /// Waits until the replica refuses the token.
    pub(crate) async fn is_refused(&self, replica: &Replica) {
        let refused = async {
            loop {
                let answer = self.get(replica, "/api/profile").await;
                if answer.status != 200 {
                    return answer.problem();
                }
            }
        };
        assert_eq!(timeout(PATIENCE, refused).await.expect("the token holds"), invalid_token());
    }
}

pub(crate) async fn refresh(replica: &Replica, token: &str) -> Answer {
    replica
        .exchange(request("POST", "/api/auth/refresh", &[], Some(&json!({ "refresh_token": token }))))
        .await
}

pub(crate) fn invalid_token() -> (u16, String) {
    (401, "Invalid token".to_owned())
}

/// Asks until the answer is as it should be.
pub(crate) async fn eventually(mut ask: impl AsyncFnMut() -> bool) {
    let asking = async { while !ask().await {} };
    timeout(PATIENCE, asking).await.expect("it never came to be");
}
