//! Asks the servers of a topology.

use std::time::Duration;

use futures_util::future::join_all;
use phalanx_balance::health::Policy;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{Inspection, Questions, ServerInspection, ShardInspection, tables};
use crate::{
    ConnectError, MigrateError, ServerSettings, ServerUrl, Servers, Settings, StartError,
    backend::Probe,
    postgres,
    topology::{
        identity::{self, Answer},
        survey::{Fitness, LagBounds, Survey},
    },
};

/// How long a server may take over all questions once it is connected to.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks every server of a topology.
pub async fn inspect(servers: &Servers, settings: &Settings, questions: Questions) -> Inspection {
    let shards = (1..).zip(servers.shards()).map(async |(number, shard)| {
        let asked = join_all(shard.all().map(|url| Asked::of(url, &settings.connections))).await;
        (number, asked)
    });
    let asked = join_all(shards).await;
    let fault = fault(&asked);
    let told = asked.into_iter().map(|(number, asked)| inspected(number, asked, settings, questions));
    Inspection { shards: join_all(told).await, fault }
}

/// A server that was asked what it is.
struct Asked {
    name: String,
    outcome: Result<Known, ConnectError>,
}

/// One that has answered, and can be asked on.
struct Known {
    probe: Probe,
    client: Client,
    driver: postgres::Driver,
}

impl Asked {
    async fn of(url: &ServerUrl, connections: &ServerSettings) -> Self {
        let settings = ServerSettings { url: url.secret().to_owned(), ..connections.clone() };
        let outcome = async {
            let (server, client, mut driver) = postgres::dedicated(&settings).await?;
            let probing = postgres::driven(&mut driver, postgres::probe_by(&client, &server));
            match timeout(ANSWERS_TIMEOUT, probing).await {
                Ok(probe) => Ok(Known { probe: probe?, client, driver }),
                Err(_) => Err(ConnectError::Timeout { server, waited: ANSWERS_TIMEOUT }),
            }
        };
        Self { name: url.name().to_owned(), outcome: outcome.await }
    }

    fn probe(&self) -> Option<&Probe> {
        self.outcome.as_ref().ok().map(|known| &known.probe)
    }
}

/// Why a start would be refused, judged as a start does.
fn fault(shards: &[(u16, Vec<Asked>)]) -> Option<StartError> {
    let mut identities = Vec::new();
    for (number, asked) in shards {
        let answers: Vec<Answer> = asked
            .iter()
            .map(|asked| Answer {
                server: asked.name.as_str().into(),
                outcome: asked.outcome.as_ref().map(|known| known.probe.clone()).map_err(Clone::clone),
            })
            .collect();
        match identity::judge(*number, &answers) {
            Ok((identity, _)) => identities.push(identity),
            Err(error) => return Some(error),
        }
    }
    identity::all_distinct(&identities).err()
}

async fn inspected(
    shard: u16,
    asked: Vec<Asked>,
    settings: &Settings,
    questions: Questions,
) -> ShardInspection {
    let mut survey = survey(asked.len(), settings);
    for (index, asked) in asked.iter().enumerate() {
        match asked.probe() {
            Some(probe) => survey.answered(index, probe.clone(), Duration::ZERO),
            None => survey.failed(index, Duration::ZERO),
        }
    }
    let conclusion = survey.conclusion();
    // Without a primary another tells what it has replayed, which is better than nothing.
    let teller = conclusion.primary.or_else(|| asked.iter().position(|asked| asked.outcome.is_ok()));
    let (mut servers, mut tables) = (Vec::new(), None);
    for (index, (asked, judgement)) in asked.into_iter().zip(&conclusion.servers).enumerate() {
        let version = asked.probe().map(|probe| probe.version);
        let fault = match asked.outcome {
            Ok(known) if teller == Some(index) => {
                tables = Some(known.tables(shard, asked.name.clone(), questions).await);
                None
            }
            Ok(_) => None,
            Err(error) => Some(error.into()),
        };
        servers.push(ServerInspection {
            server: asked.name,
            fitness: Fitness::label(judgement.fitness),
            lag_bytes: judgement.lag_bytes,
            lag_age: judgement.lag_age,
            connections: judgement.connections,
            version,
            fault,
        });
    }
    ShardInspection { shard, servers, tables }
}

/// One answer is enough, and so is one that did not come.
fn survey(count: usize, settings: &Settings) -> Survey {
    let once = std::num::NonZeroU32::MIN;
    let health = Policy { fails_max: None, fail_timeout: Duration::ZERO, rise: once, fall: once };
    let lag = LagBounds { age_max: settings.lag_age_max, bytes_max: settings.lag_bytes_max };
    Survey::new(count, health, lag)
}

impl Known {
    async fn tables(
        mut self,
        shard: u16,
        server: String,
        questions: Questions,
    ) -> Result<super::Tables, MigrateError> {
        let asking = tables::ask(&self.client, shard, &server, questions);
        match timeout(ANSWERS_TIMEOUT, postgres::driven(&mut self.driver, asking)).await {
            Ok(tables) => tables,
            Err(_) => Err(MigrateError::Silent { waited: ANSWERS_TIMEOUT }),
        }
    }
}
