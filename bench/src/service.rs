//! The services under load: replicas of the reference API, and what they are compared with.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::{
    cores::{Core, Placement},
    daemon::Daemon,
    origin::free_address,
    programs::{Program, Programs},
    template,
};

const APP: [(&str, &str); 3] = [
    ("package.json", include_str!("../apps/express-sequelize/package.json")),
    ("package-lock.json", include_str!("../apps/express-sequelize/package-lock.json")),
    ("server.js", include_str!("../apps/express-sequelize/server.js")),
];
const HEALTH: &str = "/health";
/// For the length of a comparison.
const JWT_SECRET: &str = "a secret of the comparison alone";

/// What services are started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) directory: &'a Path,
    pub(crate) placement: Placement,
}

/// How the app on Express and Sequelize is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Express<'a> {
    /// Its database.
    pub(crate) url: &'a str,
    /// Those of its pool.
    pub(crate) connections: u32,
    pub(crate) answers: Rows,
    /// Variables with what it verifies tokens with.
    pub(crate) tokens: &'a [(&'static str, String)],
}

/// What Sequelize makes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// An instance of the model.
    Instances,
    /// The row as it is, with `raw: true`.
    Raw,
}

/// A service that answers.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) daemon: Daemon,
}

impl Site<'_> {
    /// A replica of the reference API over these servers, which it migrates.
    pub(crate) fn start_api(
        &self,
        name: &str,
        primary: &str,
        replicas: &[String],
        core: Core,
    ) -> anyhow::Result<Service> {
        let replicas = replicas.join(",");
        let environment = [
            ("DATABASE_SHARD_1_PRIMARY", primary),
            ("DATABASE_SHARD_1_REPLICAS", &replicas),
            ("JWT_SECRET", JWT_SECRET),
        ];
        self.start_api_with(name, &environment, core)
    }

    /// The same with what else it is told. Whatever names servers to this program itself is not for the replica.
    pub(crate) fn start_api_with(
        &self,
        name: &str,
        environment: &[(&str, &str)],
        core: Core,
    ) -> anyhow::Result<Service> {
        let address = free_address()?;
        let listen = address.to_string();
        let nothing = [
            "DATABASE_URL",
            "DATABASE_SHARD_1_PRIMARY",
            "DATABASE_SHARD_1_REPLICAS",
            "REDIS_URL",
            "JWT_KEYS",
        ];
        let nothing = nothing.map(|variable| (variable, OsStr::new("")));
        let told = environment.iter().map(|(variable, value)| (*variable, OsStr::new(*value)));
        let environment: Vec<_> =
            nothing.into_iter().chain([("DATABASE_MIGRATE", OsStr::new("true"))]).chain(told).collect();
        let arguments = [OsStr::new("api"), OsStr::new("--listen"), OsStr::new(&listen)];
        let directory = self.subdirectory(name)?;
        let daemon =
            Daemon::start(self.programs, Program::Phalanx, &arguments, &environment, &directory, core)?;
        Ok(Service { address, daemon })
    }

    /// A gateway in front of `endpoints`, once it answers: `template` with these values, and its own addresses.
    pub(crate) async fn start_gateway(
        &self,
        name: &str,
        template: &str,
        endpoints: &[Service],
        values: &[(&str, &str)],
    ) -> anyhow::Result<Service> {
        let (address, admin) = (free_address()?, free_address()?.to_string());
        let listen = address.to_string();
        let endpoints: Vec<_> =
            endpoints.iter().map(|service| format!("{{ address = \"{}\" }}", service.address)).collect();
        let endpoints = endpoints.join(", ");
        let own: [(&str, &str); 3] = [("LISTEN", &listen), ("ENDPOINTS", &endpoints), ("ADMIN", &admin)];
        let values: Vec<_> = own.into_iter().chain(values.iter().copied()).collect();
        let directory = self.subdirectory(name)?;
        let file = directory.join("config");
        fs::write(&file, template::fill(template, &values))
            .with_context(|| format!("write {}", file.display()))?;
        let arguments = ["gateway".as_ref(), "-c".as_ref(), file.as_os_str()];
        let core = self.placement.proxy;
        let daemon = Daemon::start(self.programs, Program::Phalanx, &arguments, &[], &directory, core)?;
        let mut gateway = Service { address, daemon };
        gateway.until_answers().await.context("start the gateway")?;
        Ok(gateway)
    }

    /// The app on Express and Sequelize, once its libraries are there.
    pub(crate) async fn start_express(&self, app: &Express<'_>) -> anyhow::Result<Service> {
        let directory = self.install().await.context("install the app's libraries")?;
        let address = free_address()?;
        let port = address.port().to_string();
        let connections = app.connections.to_string();
        let raw = if app.answers == Rows::Raw { "true" } else { "false" };
        let fixed = [
            ("DATABASE_URL", app.url),
            ("NODE_ENV", "production"),
            ("POOL_CONNECTIONS", &connections),
            ("PORT", &port),
            ("SEQUELIZE_RAW", raw),
        ];
        let environment: Vec<_> = fixed
            .into_iter()
            .chain(app.tokens.iter().map(|(variable, value)| (*variable, value.as_str())))
            .map(|(variable, value)| (variable, OsStr::new(value)))
            .collect();
        let script = directory.join("server.js");
        let directory = self.subdirectory(&format!("express-{port}"))?;
        let core = self.placement.proxy;
        let daemon = Daemon::start(
            self.programs,
            Program::Node,
            &[script.as_os_str()],
            &environment,
            &directory,
            core,
        )?;
        let mut service = Service { address, daemon };
        service.until_answers().await.context("start Express")?;
        Ok(service)
    }

    /// Beside this program, so that what was fetched once serves the next comparison as well.
    async fn install(&self) -> anyhow::Result<PathBuf> {
        let program = std::env::current_exe().context("find this program")?;
        let directory = program.with_file_name("phalanx-bench-express");
        let installed = directory.join("installed.json");
        let [_, (_, lock), _] = APP;
        let is_there = fs::read_to_string(&installed).is_ok_and(|found| found == lock);
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        for (name, text) in APP {
            fs::write(directory.join(name), text).with_context(|| format!("write {name}"))?;
        }
        if !is_there {
            let mut npm = Command::new(self.programs.path(Program::Npm));
            npm.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
            npm.current_dir(&directory).kill_on_drop(true);
            let output = npm.output().await.context("run npm")?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "npm ci ended with {}: {}", output.status, complaint.trim());
            fs::write(&installed, lock).with_context(|| format!("write {}", installed.display()))?;
        }
        Ok(directory)
    }

    pub(crate) fn subdirectory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        Ok(directory)
    }
}

impl Service {
    /// Waits until it serves.
    pub(crate) async fn until_answers(&mut self) -> anyhow::Result<()> {
        self.daemon.until_answers(self.address, HEALTH).await
    }
}

/// What the libraries of the app are, for the report.
pub(crate) fn express_versions() -> String {
    let package: serde_json::Value = serde_json::from_str(APP[0].1).expect("a file of this package");
    let version = |name: &str| package["dependencies"][name].as_str().unwrap_or("unknown").to_owned();
    let [express, sequelize, pg] = ["express", "sequelize", "pg"].map(version);
    format!("express {express}, sequelize {sequelize}, pg {pg}, jsonwebtoken {}", version("jsonwebtoken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_locked_and_says_nothing_of_the_machine_that_locked_it() {
        let [_, (_, lock), _] = APP;
        for machine in ["resolved", "http:", "https:", "file:", "/root", "/home"] {
            assert!(!lock.contains(machine), "{machine}");
        }
        assert_eq!(express_versions(), "express 5.3.0, sequelize 6.37.8, pg 8.23.1, jsonwebtoken 9.0.3");
    }
}
