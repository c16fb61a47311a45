//! What `docs/fleet.md` shows as the first steps works as it stands there.

use std::sync::Arc;

use crate::support::{
    fenced,
    home::Home,
    phalanx::{Phalanx, script},
    until,
};

const GUIDE: &str = include_str!("../../../docs/fleet.md");

/// The first fenced block in this language.
fn first(language: &str) -> &'static str {
    fenced(GUIDE, language)[0]
}

#[test]
fn its_first_steps_lead_to_a_service_that_is_scaled_and_restarted() {
    let home = Arc::new(Home::new());
    home.write("server.js", first("js"));
    let file = first("toml").replace("0.0.0.0:8080", "127.0.0.1:0");
    home.write("phalanx.toml", &format!("{file}[admin]\nlisten = '127.0.0.1:0'\n"));
    let phalanx = Phalanx::up_in(&home);

    let with_admin = |line: &str| match line {
        order if order.starts_with("phalanx ") => format!("{order} --admin {}", phalanx.admin),
        other => other.replace("http://127.0.0.1:8080", &format!("http://{}", phalanx.gateway)),
    };
    let lines: Vec<_> = first("sh").lines().map(with_admin).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    let output = script(&home, &lines.join("\n")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("hello from shop-") && told.contains("shop: 3 of 3 replicas serving"), "{told}");

    until("five replicas", || {
        let service = phalanx.state().services.swap_remove(0);
        (service.desired, service.serving) == (Some(5), 5)
    });
    let ended = phalanx.stop();
    assert!(!ended.stderr.contains("was killed"), "each has ended by itself: {}", ended.stderr);
}
