//! Clients that leave, send slowly, read slowly, send too much, or are too many (S01 to S07, S12 and U06).

mod bodies;
mod crowds;
mod leaving;
mod readers;

use crate::support::{Peer, Recorder, Reply, Setup, TestGateway};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A clock that goes with the gateway's own, however busy the machine is: an endpoint that never answers, and a route to it whose
/// 504 comes when so much time has passed.
struct Clock {
    silent: Recorder,
    milliseconds: u32,
}

impl Clock {
    async fn of(milliseconds: u32) -> Self {
        Self { silent: Recorder::answering(|_| Reply::Silence).await, milliseconds }
    }

    fn with(&self, setup: Setup) -> Setup {
        setup.tables(&format!(
            "[[route]]\npath_exact = \"/clock\"\nservice = \"clock\"\ntimeouts = {{ read = \"{}ms\" }}\n\
             [service.clock]\nendpoints = [{{ address = \"{}\" }}]\npassive_health = {{ max_fails = 0 }}",
            self.milliseconds,
            self.silent.address()
        ))
    }

    /// Begins to measure.
    async fn start(&self, gateway: &TestGateway) -> Running {
        let before = self.silent.request_count();
        let mut client = gateway.connect().await;
        client.send("GET /clock HTTP/1.1\r\nHost: a\r\n\r\n").await;
        crate::support::eventually("the start of the clock", || self.silent.request_count() > before).await;
        Running { client }
    }

    /// Lets the time pass.
    async fn pass(&self, gateway: &TestGateway) {
        self.start(gateway).await.passed().await;
    }
}

/// A clock that has been started.
struct Running {
    client: Peer,
}

impl Running {
    /// Returns when the time has passed.
    async fn passed(mut self) {
        assert_eq!(self.client.response().await.status(), 504);
    }

    /// The output of `future`, which must come before the time has passed.
    async fn before<T>(self, what: &str, future: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            output = future => output,
            () = self.passed() => panic!("too late: {what}"),
        }
    }
}
