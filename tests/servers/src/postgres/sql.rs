//! Statements from a test, by `psql`: a client that blocks, needs no runtime and keeps no connection.

use std::process::Command;

use super::{DATABASE, PASSWORD, Postgres, USER, programs};
use crate::wait::DEADLINE;

impl Postgres {
    /// Runs statements in the default database.
    pub fn execute(&self, sql: &str) {
        self.execute_in(DATABASE, sql);
    }

    /// Runs statements in a database.
    pub fn execute_in(&self, database: &str, sql: &str) {
        self.expect(database, sql);
    }

    /// The only column of the only row, as text; empty for NULL and without a row.
    #[must_use]
    pub fn query_one_text(&self, sql: &str) -> String {
        self.query_one_text_in(DATABASE, sql)
    }

    /// The same in a database.
    #[must_use]
    pub fn query_one_text_in(&self, database: &str, sql: &str) -> String {
        self.expect(database, sql)
    }

    /// Runs statements that may fail: what they print (tuples only, columns parted by `|`), or what `psql` says of them.
    ///
    /// # Errors
    /// The server refuses the connection or a statement.
    pub fn try_query(&self, database: &str, sql: &str) -> Result<String, String> {
        // A commit that waits for a replica which does not come heeds no `statement_timeout`.
        let mut psql = Command::new("timeout");
        psql.arg("--signal=KILL").arg(DEADLINE.as_secs().to_string()).arg(programs::directory().join("psql"));
        psql.args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1"]);
        psql.args(["--set=VERBOSITY=verbose", "--no-password", "--command", sql, "--dbname"]);
        psql.arg(self.url_for(database)).env("PGCONNECT_TIMEOUT", "30");
        let output = psql.output().expect("psql stands beside the server's programs");
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
        match output.status.code() {
            Some(0) => Ok(text(&output.stdout)),
            Some(_) => Err(text(&output.stderr)),
            // So `timeout` ends itself as well.
            None => Err(format!("no answer within {DEADLINE:?}")),
        }
    }

    /// Creates an empty database.
    pub fn create_database(&self, name: &str) {
        self.execute(&format!("CREATE DATABASE \"{name}\""));
    }

    /// Where clients find the default database, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for(DATABASE)
    }

    /// Where clients find a database.
    #[must_use]
    pub fn url_for(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    fn expect(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql).unwrap_or_else(|error| self.server.fail(&format!("{sql}: {error}")))
    }
}
