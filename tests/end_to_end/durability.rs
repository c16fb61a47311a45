//! Accounts whose creation was acknowledged are there after `kill -9` of everything.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use crate::{
    accounts::{logging_in, registering},
    support::{
        home::Home,
        phalanx::{Phalanx, file, reference_api},
    },
};

const ROUNDS: usize = 3;
const CLIENTS: usize = 8;
const ACKNOWLEDGED_MAX: usize = 40;

#[test]
fn acknowledged_accounts_survive_a_kill_of_everything() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(&reference_api()));
    let mut accounts = Vec::new();
    for round in 0..ROUNDS {
        let phalanx = Phalanx::up_in(&home);
        accounts.extend(register_until_killed(&phalanx, round, random.usize(1..=ACKNOWLEDGED_MAX)));
        drop(phalanx);
        home.becomes_empty();
    }
    let phalanx = Phalanx::up_in(&home);
    let mut client = phalanx.connection();
    for email in &accounts {
        let login = client.exchange(&logging_in(email)).unwrap();
        assert_eq!(login.status, 200, "{email} of {}: {login:?}", accounts.len());
    }
    phalanx.stop();
}

/// Registers accounts from many clients at once, kills everything at a moment in between, and returns those that were
/// acknowledged.
fn register_until_killed(phalanx: &Phalanx, round: usize, acknowledged: usize) -> Vec<String> {
    let (sender, receiver) = mpsc::sync_channel(ACKNOWLEDGED_MAX);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (sender, mut connection) = (sender.clone(), phalanx.connection());
            thread::spawn(move || -> io::Result<()> {
                for account in 0.. {
                    let email = format!("ada{round}.{client}.{account}@example.com");
                    let answer = connection.exchange(&registering(&email))?;
                    assert_eq!(answer.status, 201, "{answer:?}");
                    sender.send(email).unwrap();
                }
                Ok(())
            })
        })
        .collect();
    drop(sender);
    let mut accounts: Vec<String> = receiver.iter().take(acknowledged).collect();
    phalanx.home.kill_all();
    // What was acknowledged while the signals were on their way counts too.
    accounts.extend(receiver);
    for client in clients {
        assert!(client.join().unwrap().is_err(), "nobody is left to answer");
    }
    accounts
}
