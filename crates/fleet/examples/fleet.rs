//! A fleet without a gateway: runs the replicas of a `phalanx.toml` and prints where they listen.

use std::{env, error::Error, fs, io, net::SocketAddr, sync::Arc, thread, time::Duration};

use phalanx_config::{Config, ServiceName, Source};
use phalanx_fleet::{Balancer, Colours, Fleet, LostLines, Settings, Withdrawal, output_queue, write_lines};
use tokio_util::sync::CancellationToken;

/// Sends nobody any requests.
struct Nobody;

impl Balancer for Nobody {
    async fn admit(&self, _: &ServiceName, instance: &str, address: SocketAddr) {
        println!("{instance} is ready on {address}");
    }

    async fn withdraw(&self, _: &ServiceName, address: SocketAddr, reason: Withdrawal) {
        println!("{address} gets no more requests: {reason:?}");
    }

    async fn drained(&self, _: &ServiceName, _: SocketAddr) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args().nth(1).ok_or("usage: fleet FILE")?;
    let config = Config::parse(&file, &fs::read_to_string(&file)?, &|name| env::var(name).ok())?;
    let services = config.services.into_iter().filter_map(|(name, service)| match service.source {
        Source::Replicas(replicas) => Some((name, replicas)),
        Source::Endpoints { .. } | Source::Discovered { .. } => None,
    });
    let (output, lines) = output_queue();
    let terminal = thread::spawn(|| write_lines(lines, io::stdout(), Colours::Strip, &LostLines::default()));
    let stop = CancellationToken::new();
    let fleet = Fleet::new(services, Settings::new(Duration::from_secs(30)), Arc::new(Nobody), output);
    let (outcome, interrupted) = tokio::join!(fleet.run(stop.clone()), async {
        let interrupted = tokio::signal::ctrl_c().await;
        stop.cancel();
        interrupted
    });
    interrupted?;
    terminal.join().expect("the terminal's thread does not panic");
    println!("{outcome:?}");
    Ok(())
}
