//! Routes that ask for a token, before an endpoint that knows nothing of tokens.

use std::{sync::Arc, time::Duration};

use phalanx_auth::{
    Issuer, KeyRing, Revocation, RevocationSettings, Revocations, SharedState, Subject, Terms, TokenTypes,
};
use phalanx_data::DataDirectory;
use phalanx_telemetry::clock;
use tokio_util::sync::CancellationToken;

use crate::support::{
    edge::{self, Endpoint},
    exposition::Exposition,
    home::Home,
    http::{self, getting_with},
    phalanx::{LISTENERS, run},
    until,
};

pub(crate) const SECRET: &str = "known to the test and the gateway";
const LIFETIME: Duration = Duration::from_hours(1);

fn file(endpoint: &Endpoint) -> String {
    format!(
        "{LISTENERS}[[route]]\npath = '/'\nservice = 'api'\nauth = {{ roles = ['user'] }}\n\
         [service.api]\nendpoints = [{{ address = '{}' }}]\n\
         [auth]\nissuer = 'test'\naudience = 'api'\nsecret = '{SECRET}'\nrevocation = 'sqlite:state'\n",
        endpoint.address
    )
}

/// The field that brings a token of account 7, in this login.
pub(crate) fn bearer(session: &str) -> String {
    bearer_of(&KeyRing::from_secret(SECRET.as_bytes()).unwrap(), session)
}

/// The same, signed with a key of this ring.
pub(crate) fn bearer_of(ring: &KeyRing, session: &str) -> String {
    let (issuer, audience) = (Some("test".to_owned()), Some("api".to_owned()));
    let terms = Terms { issuer, audience, types: TokenTypes::AccessToken };
    let subject = Subject { subject: "7", session: Some(session), epoch: 0, roles: &["user"] };
    let token = Issuer::new(ring.clone(), terms, LIFETIME).issue(&subject, clock::unix_seconds());
    format!("Authorization: Bearer {token}\r\n")
}

/// Ends a login, as a replica of a service does that shares its state in this folder.
fn end_login(home: &Home, session: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = DataDirectory::create(home.path().join("state")).unwrap();
        let (state, upkeep) = SharedState::embedded(directory).await.unwrap();
        let (revocations, _) = Revocations::follow(&state, RevocationSettings::default());
        let stop = CancellationToken::new();
        let ended = Revocation::Session { session: session.to_owned() };
        let revoking = async {
            revocations.revoke(&[ended], LIFETIME).await.unwrap();
            stop.cancel();
        };
        tokio::join!(upkeep.run(stop.clone()), revoking);
    });
}

#[test]
fn a_service_without_code_for_it_has_authentication() {
    let home = Arc::new(Home::new());
    let endpoint = Endpoint::start(&home, "one");
    let phalanx = edge::gateway_of(&home, &file(&endpoint));
    let ask = |fields: &str| phalanx.exchange(&getting_with("/head", fields));

    let refused = ask("X-Auth-Subject: 1\r\n");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{refused:?}");
    assert_eq!(refused.json()["error"], "No token provided");

    let (first, second) = (bearer("login-1"), bearer("login-2"));
    let seen = ask(&format!("X-Auth-Roles: admin\r\n{first}"));
    assert_eq!(seen.status, 200, "{seen:?}");
    for field in ["X-Auth-Subject: 7", "X-Auth-Roles: user", "X-Auth-Session: login-1"] {
        assert_eq!(seen.body.matches(field).count(), 1, "{field} in {}", seen.body);
    }
    assert!(!seen.body.contains("admin"), "{}", seen.body);

    end_login(&home, "login-1");
    until("the gateway hears of it", || ask(&first).status == 401);
    assert_eq!(ask(&second).status, 200);

    let exposition = Exposition::parse(&http::get(phalanx.admin, "/metrics").body);
    for outcome in ["allowed", "no_token", "revoked"] {
        let counted = exposition.sum("phalanx_auth_requests_total", &[("outcome", outcome)]);
        assert!(counted.is_some_and(|count| count >= 1.0), "{outcome}: {counted:?}");
    }
    assert!(exposition.sum("phalanx_revocation_entries", &[]) >= Some(1.0));
    edge::stop(phalanx);
}

#[test]
fn a_state_that_cannot_be_had_ends_the_start() {
    let home = Arc::new(Home::new());
    let endpoint = Endpoint::start(&home, "one");
    home.write("state", "a file stands where the directory should be");
    home.write("phalanx.toml", &file(&endpoint));
    run(&home, &["gateway", "-c", "phalanx.toml"])
        .with_code(3)
        .complains(&["`revocation` of `[auth]`", "state"]);
}
