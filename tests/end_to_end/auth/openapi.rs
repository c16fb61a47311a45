//! What `/openapi.json` says is true: schemathesis asks for all that it describes, soundly and not, and judges every answer.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use super::{place::Place, visitor::Visitor};
use crate::support::{home::Home, phalanx::PROGRAM};

const NAME: &str = "schemathesis";

/// Bounded, the same each time, and patient with a machine that is busy.
const CONFIGURATION: &str = r#"
seed = 1
color = false
request-timeout = 60
suppress-health-check = ["too_slow"]

[generation]
max-examples = 10
database = "none"

# No schema can say which password is common, which address taken, and that nobody may disable himself.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "426", "429"]
"#;

/// What ends the very login that asks. Ids of logins are found in their list, and used.
const FAREWELLS: &str = "^/api/auth/(logout|logout-all|sessions/.*)$";

/// Where `scripts/needs` has put it, beside what Cargo builds, or else in the path.
fn program() -> PathBuf {
    let folders = Path::new(PROGRAM).ancestors();
    let mut candidates = folders.map(|folder| folder.join("tools").join(NAME).join("bin").join(NAME));
    candidates.find(|candidate| candidate.exists()).unwrap_or_else(|| NAME.into())
}

/// Asks for what `selection` leaves, with this token; fails with all that was found.
fn judge(home: &Home, replica: SocketAddr, visitor: &Visitor, selection: [&str; 2]) {
    let configuration = home.write("schemathesis.toml", CONFIGURATION);
    let mut command = Command::new(program());
    command.current_dir(home.path()).arg("--config-file").arg(configuration);
    command.args(["run", &format!("http://{replica}/openapi.json"), "--checks", "all"]);
    command.args(["--header", visitor.bearer().trim_end()]).args(selection);
    let judged = command.output().unwrap_or_else(|error| {
        panic!("{NAME} is not installed: scripts/needs {NAME} does it ({error})");
    });
    let told = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{told}{}", String::from_utf8_lossy(&judged.stderr));
}

#[test]
fn every_answer_is_one_that_the_document_foresees() {
    let (place, home) = (Place::with_servers(), Arc::new(Home::new()));
    // One after the other: of the accounts that there are by then, an admin changes what they may.
    for (registers, name) in [(Place::registers_admin as fn(&_, &_) -> _, "root"), (Place::registers, "user")]
    {
        let visitor = registers(&place, name);
        judge(&home, place.replicas[0], &visitor, ["--exclude-path-regex", FAREWELLS]);
        // Otherwise nearly all of it was about tokens that are none.
        place.is_welcome_everywhere(&visitor.token);
        judge(&home, place.replicas[1], &visitor, ["--include-path-regex", FAREWELLS]);
    }
    place.closes();
}
