//! The rules of the house that no compiler knows: which way dependencies point, what a pure crate keeps away from, where
//! `unsafe` may stand, and what no source may say. Cycles are not looked for, since Cargo refuses them.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const BINARIES: [&str; 2] = ["phalanx", "phalanx-bench"];
/// What only tests need, and comparisons.
const DEVELOPMENT: [&str; 1] = ["phalanx-test-servers"];
/// Never part of what is delivered, so the one package with a normal dependency on those.
const COMPARISONS: &str = "phalanx-bench";
/// Those of ARCHITECTURE.md; what is neither pure nor a binary does input and output.
const PURE: [&str; 8] = [
    "phalanx-admission",
    "phalanx-balance",
    "phalanx-cache",
    "phalanx-capacity",
    "phalanx-config",
    "phalanx-http1",
    "phalanx-scale",
    "phalanx-shard",
];
/// Packages that touch sockets, files, clocks, threads or the kernel, also at the far end of a chain of dependencies.
const WORLDLY: [&str; 24] = [
    "async-io",
    "async-std",
    "axum",
    "crossbeam-channel",
    "futures-executor",
    "getrandom",
    "h2",
    "hyper",
    "hyper-util",
    "libc",
    "mio",
    "nix",
    "parking_lot",
    "procfs",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
    "tracing",
    "ureq",
];
/// The same in code, above all of the standard library. Addresses and durations are mere values, and so is a seed.
const WORLDLY_CODE: [&str; 10] = [
    "std::fs",
    "std::process",
    "std::thread",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "Instant::now",
    "SystemTime",
    "env::var",
    "Rng::new(",
];
/// The one module of system calls.
const UNSAFE_MODULE: &str = "crates/fleet/src/process/sys.rs";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Pure,
    Io,
    Binary,
}

fn layer(package: &str) -> Layer {
    match package {
        package if BINARIES.contains(&package) => Layer::Binary,
        package if PURE.contains(&package) => Layer::Pure,
        _ => Layer::Io,
    }
}

#[test]
fn dependencies_point_from_the_binary_to_io_to_pure() {
    let workspace = workspace();
    assert!(workspace["phalanx"].contains("phalanx-gateway"), "{workspace:?}");
    for (package, dependencies) in &workspace {
        for dependency in dependencies.iter().filter(|dependency| workspace.contains_key(*dependency)) {
            assert!(
                layer(dependency) <= layer(package),
                "{package} depends on {dependency}, which is above it"
            );
            assert_ne!(layer(dependency), Layer::Binary, "{package} depends on the binary {dependency}");
        }
    }
}

#[test]
fn nothing_that_is_delivered_depends_on_what_only_tests_need() {
    let workspace = workspace();
    for development in DEVELOPMENT {
        assert!(workspace.contains_key(development), "{development} is gone");
        let dependents = workspace.iter().filter(|(_, dependencies)| dependencies.contains(development));
        for (package, _) in dependents {
            assert_eq!(package, COMPARISONS, "{package} depends on {development}");
        }
    }
}

#[test]
fn pure_crates_depend_on_nothing_that_touches_the_world() {
    for package in pure_crates() {
        // Resolved for this package alone: in the workspace as a whole others switch features of its dependencies on.
        let tree = cargo(&[
            "tree",
            "--package",
            &package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{lib}",
        ]);
        let dependencies: BTreeSet<_> = tree.split_whitespace().collect();
        assert!(dependencies.contains(package.replace('-', "_").as_str()), "{tree}");
        for worldly in WORLDLY {
            assert!(
                !dependencies.contains(worldly.replace('-', "_").as_str()),
                "{package} depends on {worldly}"
            );
        }
    }
}

#[test]
fn pure_crates_do_not_touch_the_world_by_themselves() {
    for package in pure_crates() {
        let folder = package.strip_prefix("phalanx-").unwrap();
        for (file, line, code) in code_below(&format!("crates/{folder}/src")) {
            for worldly in WORLDLY_CODE {
                assert!(!code.contains(worldly), "{}:{line}: {code}", file.display());
            }
        }
    }
}

#[test]
fn unsafe_stands_in_one_module_and_gives_its_reasons() {
    for (file, line, code) in code_below("crates") {
        if words(&code).any(|word| word == "unsafe") {
            assert!(file.ends_with(UNSAFE_MODULE), "{}:{line}: {code}", file.display());
        }
    }
    let module = fs::read_to_string(root().join(UNSAFE_MODULE)).unwrap();
    let blocks = module.matches("unsafe {").count();
    assert!(blocks > 0);
    assert_eq!(module.matches("// SAFETY: ").count(), blocks);
}

#[test]
fn nothing_is_left_open_and_no_test_is_passed_over() {
    // In two parts, or this file would be the first to break its own rule.
    let forbidden = [
        ["#[ign", "ore"].concat(),
        ["#![all", "ow("].concat(),
        ["#[all", "ow("].concat(),
        ["todo", "!("].concat(),
        ["unimplem", "ented!("].concat(),
    ];
    for folder in ["crates", "bench", "fuzz", "tests"] {
        for (file, line, code) in code_below(folder) {
            for forbidden in &forbidden {
                assert!(!code.contains(forbidden), "{}:{line}: {code}", file.display());
            }
        }
    }
}

#[test]
fn a_panic_unwinds_in_every_profile() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[profile.release]") && manifest.contains("panic = \"unwind\""), "{manifest}");
    for file in files_below(&root().join("crates"), "toml").into_iter().chain([root().join("Cargo.toml")]) {
        let text = fs::read_to_string(&file).unwrap();
        let aborts = text.lines().any(|line| line.replace(' ', "").starts_with("panic=\"abort\""));
        assert!(!aborts, "{}: one bad request must not take every connection with it", file.display());
    }
}

/// Every package of this workspace, and what it needs outside of its tests.
fn workspace() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let needed = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (text(&package["name"]), needed(package))).collect()
}

fn pure_crates() -> Vec<String> {
    let pure: Vec<_> = workspace().into_keys().filter(|package| layer(package) == Layer::Pure).collect();
    assert!(!pure.is_empty());
    pure
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    // Whatever is asked about here was just compiled, so nothing is fetched.
    let output = command.args(arguments).arg("--offline").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every line of Rust below a folder with its place, without comments.
fn code_below(folder: &str) -> Vec<(PathBuf, usize, String)> {
    let files = files_below(&root().join(folder), "rs");
    assert!(!files.is_empty(), "nothing in {folder}");
    let lines = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let without_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
        let lines: Vec<_> = text.lines().map(without_comment).collect();
        (1..).zip(lines).map(move |(number, line)| (file.clone(), number, line)).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(lines).collect()
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !character.is_alphanumeric() && character != '_')
}
