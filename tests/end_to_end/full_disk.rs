//! A disk without room (O12): what is to be stored is refused, what is read is answered, lines are lost and counted, and all of it
//! ends without a restart once there is room.
//!
//! The disk is full for the processes of the test alone: no file of theirs may grow or be written, which is what a quota that is
//! used up does. What SQLite makes of a device that is full is shown where it is embedded (`phalanx-data`).

use std::{fs, fs::File, sync::Arc};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::{
    accounts::{logging_in, registering},
    support::{
        eventually,
        exposition::Exposition,
        home::{Home, send},
        http::{self, getting_with},
        phalanx::{addresses, file, reference_api, script},
        until,
    },
};

/// Lets no process of this folder write to a file, or lets them again.
fn fill_disk(home: &Home, is_full: bool) {
    for pid in home.processes() {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        let current = is_full.then_some(0);
        prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_heals() {
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(&reference_api()));
    // The kernel tells of a limit by a signal as well, which by default ends the process; a disk has none.
    let mut up = script(&home, "trap '' XFSZ; exec phalanx up");
    let log = |name: &str| File::create(home.path().join(name)).unwrap();
    let mut child = up.stdout(log("stdout")).stderr(log("stderr")).spawn().unwrap();
    let told = || fs::read_to_string(home.path().join("stdout")).unwrap();
    until("Phalanx serves", || told().contains("\nReady.\n"));
    let (gateway, admin) = addresses(told().lines().next().unwrap());
    let metric = |name: &str| Exposition::parse(&http::get(admin, "/metrics").body).sum(name, &[]).unwrap();
    let processes = home.processes();

    assert_eq!(http::exchange(gateway, &registering("ada@example.com")).status, 201);
    let login = http::exchange(gateway, &logging_in("ada@example.com")).json();
    let Value::String(token) = &login["token"] else { panic!("{login}") };
    let profile = || {
        let bearer = format!("Authorization: Bearer {token}\r\n");
        http::exchange(gateway, &getting_with("/api/profile", &bearer)).status
    };
    assert_eq!(profile(), 200);

    fill_disk(&home, true);
    // Every replica meets it, and none is left out for it.
    for number in 0..12 {
        let refused = http::exchange(gateway, &registering(&format!("{number}@example.com")));
        assert_eq!((refused.status, refused.problem().as_str()), (503, "Storage full"), "{refused:?}");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert_eq!(profile(), 200);
        assert_eq!(http::get(gateway, "/health").status, 200);
    }
    assert_eq!(http::get(admin, "/livez").status, 200);
    // A signal that nothing follows but a line in the log.
    send(child.id(), Signal::USR1);
    until("lost lines of the log are counted", || metric("phalanx_log_lost_lines_total") > 0.0);
    until("those of replicas are, too", || metric("phalanx_output_lost_lines_total") > 0.0);

    fill_disk(&home, false);
    for number in 0..12 {
        let accepted = http::exchange(gateway, &registering(&format!("{number}@example.com")));
        assert_eq!(accepted.status, 201, "{accepted:?}");
    }
    assert_eq!(home.processes(), processes, "nobody was started anew");
    send(child.id(), Signal::TERM);
    let status = eventually("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{status}");
    home.assert_empty();
    assert!(told().contains(" lines were dropped: "), "{}", told());
    let logged = fs::read_to_string(home.path().join("stderr")).unwrap();
    assert!(!told().contains("panicked at") && !logged.contains("panicked at"), "{}{logged}", told());
}
