//! Many refreshes of one token at once, round after round: nobody may be logged out by his own parallel requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, ensure};
use phalanx_telemetry::clock;
use serde_json::json;
use tokio::task::JoinSet;

use super::fleet::{self, Fleet, Login};
use crate::{http::Connection, service::Site};

const EMAIL: &str = "refresh@example.com";

/// What came of all rounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) rounds: u32,
    pub(super) at_once: u32,
    /// Answers by status.
    pub(super) answers: BTreeMap<u16, u64>,
    /// Rounds in which all answers had one and the same successor.
    pub(super) rounds_of_one_successor: u32,
    /// Rounds after which the login was over: a new one was needed.
    pub(super) logouts: u32,
    pub(super) elapsed: Duration,
}

/// Measures all rounds: a round goes on with the successor that the last one got.
pub(super) async fn measure(site: Site<'_>, rounds: u32, at_once: u32) -> anyhow::Result<Run> {
    let fleet = Fleet::start(site).await?;
    let mut connections = Vec::new();
    for _ in 0..at_once {
        connections.push(Connection::open(fleet.gateway).await?);
    }
    let mut login = fleet::register(&mut connections[0], EMAIL).await?;
    let mut run = Run {
        rounds,
        at_once,
        answers: BTreeMap::new(),
        rounds_of_one_successor: 0,
        logouts: 0,
        elapsed: Duration::ZERO,
    };
    let begun = clock::now();
    for round in 1..=rounds {
        let mut successors = BTreeSet::new();
        let mut next = None;
        let mut asking = JoinSet::new();
        for connection in connections.drain(..) {
            asking.spawn(refresh(connection, login.refresh.clone()));
        }
        while let Some(asked) = asking.join_next().await {
            let (connection, status, body) = asked.context("a task of the load")??;
            connections.push(connection);
            *run.answers.entry(status).or_default() += 1;
            if status == 200 {
                let refreshed = Login::of(&body)?;
                successors.insert(refreshed.refresh.clone());
                next = Some(refreshed);
            }
        }
        run.rounds_of_one_successor += u32::from(successors.len() == 1);
        // The successor has to be good for something, or all were told of a login that is over.
        login = match next {
            Some(next) if works(&mut connections[0], &next).await? => next,
            _ => {
                run.logouts += 1;
                fleet::log_in(&mut connections[0], EMAIL).await?
            }
        };
        if round % 100 == 0 {
            eprintln!("refresh: round {round} of {rounds}, {} logouts", run.logouts);
        }
    }
    run.elapsed = clock::now() - begun;
    ensure!(
        run.answers.values().sum::<u64>() == u64::from(rounds) * u64::from(at_once),
        "answers are missing"
    );
    Ok(run)
}

async fn refresh(mut connection: Connection, token: String) -> anyhow::Result<(Connection, u16, String)> {
    let body = json!({ "refresh_token": token }).to_string();
    let answer = connection.post("/api/auth/refresh", &body).await?;
    Ok((connection, answer.status, answer.body))
}

async fn works(connection: &mut Connection, login: &Login) -> anyhow::Result<bool> {
    Ok(connection.get_with(fleet::PROFILE, &login.authorization()).await?.status == 200)
}
