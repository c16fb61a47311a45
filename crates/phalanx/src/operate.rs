//! `phalanx scale`, `rollout`, `drain` and `reload`: orders to a running Phalanx, whose outcome is the exit code.
//!
//! Elsewhere: what an order does (`phalanx-fleet`, `phalanx-gateway`), who takes it (`phalanx-admin`).

mod progress;

use std::{thread, time::Duration};

use phalanx_admin::{
    client::{Client, ClientError},
    control::{DrainOrder, Order},
    state::{Outcome, Report, Service},
    table,
};
use phalanx_telemetry::{clock, escape::escaped};

use self::progress::Progress;
use crate::{
    cli::{DrainArguments, OrderArguments, RolloutOperation, ScaleArguments, ServiceArguments},
    exit::Failure,
    terminal,
};

/// How often a rollout that nobody ordered here is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// `phalanx scale`
pub(crate) fn scale(arguments: &ScaleArguments) -> Result<(), Failure> {
    give(&arguments.service, Order::Scale { replicas: arguments.replicas }, &arguments.order)
}

/// `phalanx rollout`
pub(crate) fn rollout(operation: &RolloutOperation) -> Result<(), Failure> {
    let (ServiceArguments { service, order: options }, order) = match operation {
        RolloutOperation::Status(ServiceArguments { service, order }) => return status(service, order),
        RolloutOperation::Restart(service) => (service, Order::Restart),
        RolloutOperation::Undo { service, to_revision } => (service, Order::Undo { revision: *to_revision }),
        RolloutOperation::Pause(service) => (service, Order::Pause),
        RolloutOperation::Resume(service) => (service, Order::Resume),
    };
    give(service, order, options)
}

/// `phalanx drain`
pub(crate) fn drain(arguments: &DrainArguments) -> Result<(), Failure> {
    let client = client(&arguments.order)?;
    let address = match arguments.endpoint.contains(':') {
        true => arguments.endpoint.clone(),
        false => address_of(&client, &arguments.endpoint)?,
    };
    let order = if arguments.undo { DrainOrder::Resume } else { DrainOrder::Drain };
    let report = client.drain(&address, order, arguments.order.wait()).map_err(unreachable)?;
    conclude(&report, &arguments.order)
}

/// Where the replica of this name listens.
fn address_of(client: &Client, instance: &str) -> Result<String, Failure> {
    let state = client.state().map_err(unreachable)?;
    let endpoints = || state.services.iter().flat_map(|service| &service.endpoints);
    let found = endpoints().find(|endpoint| endpoint.instance.as_deref() == Some(instance));
    match found {
        Some(endpoint) if endpoint.address.is_empty() => {
            Err(Failure::Runtime(anyhow::anyhow!("{instance} has no process: nothing is sent there")))
        }
        Some(endpoint) => Ok(endpoint.address.clone()),
        None => {
            let known: Vec<_> = endpoints().filter_map(|endpoint| endpoint.instance.as_deref()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(Failure::Runtime(anyhow::anyhow!("there is no replica `{instance}`; known: {known}")))
        }
    }
}

/// `phalanx reload`
pub(crate) fn reload(options: &OrderArguments) -> Result<(), Failure> {
    let report = client(options)?.reload(options.wait()).map_err(unreachable)?;
    conclude(&report, options)
}

fn give(service: &str, order: Order, options: &OrderArguments) -> Result<(), Failure> {
    let client = client(options)?;
    // Before the order, so that nothing it leads to is missed.
    let progress = options.wait().and_then(|_| Progress::begin(&client, service));
    let report = client.order(service, order, options.wait()).map_err(unreachable)?;
    if let Some(progress) = progress {
        progress.end();
    }
    conclude(&report, options)
}

/// `phalanx rollout status`
fn status(service: &str, options: &OrderArguments) -> Result<(), Failure> {
    let client = client(options)?;
    let began = clock::now();
    let progress = options.wait().and_then(|_| Progress::begin(&client, service));
    let found = loop {
        let found = find(&client, service)?;
        let is_over = options.wait().is_none_or(|wait| clock::now().duration_since(began) >= wait);
        if is_over || is_settled(&found) {
            break found;
        }
        thread::sleep(LOOK_PERIOD);
    };
    if let Some(progress) = progress {
        progress.end();
    }
    if options.json {
        terminal::say_json(&found.rollout)?;
    } else {
        terminal::say(table::rollout(&found, terminal::columns()).trim_end());
    }
    let rollout = found.rollout.as_ref().expect("a service that was found has one");
    match rollout.status.as_str() {
        "complete" => Ok(()),
        // Without a wait, what goes on is no failure.
        status if options.no_wait && status != "stalled" => Ok(()),
        status => Err(Failure::Runtime(anyhow::anyhow!("{service} is {status}: {}", rollout.reason))),
    }
}

/// Whether nothing more comes of it by itself.
fn is_settled(service: &Service) -> bool {
    let status = service.rollout.as_ref().map(|rollout| rollout.status.as_str());
    matches!(status, Some("complete" | "stalled" | "paused"))
}

fn find(client: &Client, name: &str) -> Result<Service, Failure> {
    let services = client.state().map_err(unreachable)?.services;
    let run = || services.iter().filter(|service| service.rollout.is_some());
    run().find(|service| service.name == name).cloned().ok_or_else(|| {
        let known: Vec<_> = run().map(|service| service.name.as_str()).collect();
        Failure::Runtime(anyhow::anyhow!(
            "there is no service with replicas `{name}`; known: {}",
            known.join(", ")
        ))
    })
}

fn client(options: &OrderArguments) -> Result<Client, Failure> {
    Client::new(&options.admin).map_err(unreachable)
}

fn unreachable(error: ClientError) -> Failure {
    Failure::Unreachable(error.into())
}

fn conclude(report: &Report, options: &OrderArguments) -> Result<(), Failure> {
    if options.json {
        terminal::say_json(report)?;
    }
    match report.outcome {
        Outcome::Accepted | Outcome::Complete => {
            if !options.json {
                terminal::say(&escaped(&report.detail).to_string());
            }
            Ok(())
        }
        Outcome::UnderWay | Outcome::Failed | Outcome::Refused => {
            Err(Failure::Runtime(anyhow::anyhow!("{}", escaped(&report.detail))))
        }
    }
}
