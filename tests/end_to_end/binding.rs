//! Addresses that are taken, or not to be had.

use std::{net::TcpListener, sync::Arc};

use crate::support::{
    home::Home,
    phalanx::{Phalanx, file, puppets, run},
};

#[test]
fn a_taken_port_ends_the_start_before_anything_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ready_to_run = file(&puppets(1));
    for (key, in_file, remedy) in [
        ("http = ['127.0.0.1:0']", format!("http = ['127.0.0.1:0', '{address}']"), "`[gateway] http`"),
        ("listen = '127.0.0.1:0'", format!("listen = '{address}'"), "`[admin] listen`"),
    ] {
        let home = Arc::new(Home::new());
        home.write("phalanx.toml", &ready_to_run.replace(key, &in_file));
        let ended = run(&home, &["up"]).with_code(4);
        let port = format!("sport = :{}", taken.local_addr().unwrap().port());
        ended.complains(&[&address, "another program listens there", &port, remedy]);
        assert_eq!(ended.stdout, "", "nothing is started before every address is bound");
        home.assert_empty();
    }
}

#[test]
fn a_second_phalanx_on_the_same_port_is_refused() {
    let first = Phalanx::up(&file(&puppets(1)));
    let home = Arc::new(Home::new());
    let same = file(&puppets(1)).replacen("127.0.0.1:0", &first.gateway.to_string(), 1);
    home.write("phalanx.toml", &same);
    run(&home, &["up"]).with_code(4).complains(&[&first.gateway.to_string()]);
    // Shared by SO_REUSEPORT, some of these would have gone to the second.
    for _ in 0..20 {
        assert!(first.get("/").body.starts_with("api-1 "));
    }
    first.stop();
}

#[test]
fn a_replica_of_the_reference_api_names_the_address_it_cannot_have() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Arc::new(Home::new());
    run(&home, &["api", "--listen", &address]).with_code(4).complains(&[&address, "--listen"]);
}

#[test]
fn an_address_of_another_machine_is_named() {
    let home = Arc::new(Home::new());
    // TEST-NET-1 (RFC 5737) belongs to nobody.
    home.write("phalanx.toml", &file(&puppets(1)).replacen("127.0.0.1:0", "192.0.2.1:8080", 1));
    run(&home, &["up"]).with_code(4).complains(&["192.0.2.1:8080", "does not have that address"]);
}
