//! The rooms and the arrows between them, as `CONTRIBUTING.md` names them.
//!
//! A wrong import does not compile only as long as no manifest allows it, so this reads the manifests. It looks at every
//! direct dependency of a room, also those for tests and for build scripts: a test that needs a forbidden arrow stands in
//! the wrong room. `deny.toml` guards the same borders against crates that come in through other crates.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What speaks SQL.
const SQL: &[&str] = &[
    "deadpool-postgres",
    "diesel",
    "libsqlite3-sys",
    "postgres",
    "postgres-types",
    "r2d2",
    "rusqlite",
    "sqlx",
    "tokio-postgres",
];

/// What answers HTTP.
const HTTP: &[&str] = &["axum", "axum-core", "axum-extra", "tower-http", "utoipa-axum"];

/// What waits, asks the world, or rolls dice: none of it is pure.
const EFFECTS: &[&str] = &[
    "async-trait",
    "futures",
    "futures-util",
    "getrandom",
    "hyper",
    "rand",
    "reqwest",
    "tempfile",
    "tokio",
    "tokio-util",
    "uuid",
];

/// The direct dependencies of every crate of the workspace, by the crate's name.
type Rooms = BTreeMap<String, BTreeSet<String>>;

fn rooms() -> Rooms {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, for it runs this test");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));

    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("`packages` is a list");
    packages.iter().map(|package| (name_of(package), dependencies_of(package))).collect()
}

fn name_of(package_or_dependency: &Value) -> String {
    package_or_dependency["name"].as_str().expect("`name` is a text").to_owned()
}

fn dependencies_of(package: &Value) -> BTreeSet<String> {
    package["dependencies"].as_array().expect("`dependencies` is a list").iter().map(name_of).collect()
}

/// The arrows that leave `room`. One to itself only turns a feature on for its own tests.
fn arrows<'a>(rooms: &'a Rooms, room: &str) -> BTreeSet<&'a str> {
    rooms[room].iter().map(String::as_str).filter(|name| rooms.contains_key(*name) && *name != room).collect()
}

/// The rooms that use one of `crates`, each with those that it uses.
fn users_of<'a>(rooms: &'a Rooms, crates: &[&str]) -> BTreeMap<&'a str, Vec<&'a str>> {
    rooms
        .iter()
        .map(|(room, dependencies)| {
            let used = dependencies.iter().map(String::as_str).filter(|name| crates.contains(name)).collect::<Vec<_>>();
            (room.as_str(), used)
        })
        .filter(|(_, used)| !used.is_empty())
        .collect()
}

#[test]
fn there_are_four_rooms() {
    let rooms = rooms();
    let names = rooms.keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(names, ["muster-core", "muster-engine", "muster-server", "muster-store"]);
}

#[test]
fn arrows_point_one_way() {
    let rooms = rooms();
    assert_eq!(arrows(&rooms, "muster-core"), BTreeSet::new(), "core knows no other room");
    assert_eq!(arrows(&rooms, "muster-store"), BTreeSet::from(["muster-core"]), "the store knows only core");
    assert_eq!(
        arrows(&rooms, "muster-engine"),
        BTreeSet::from(["muster-core", "muster-store"]),
        "the engine knows what is below it"
    );
    assert_eq!(
        arrows(&rooms, "muster-server"),
        BTreeSet::from(["muster-core", "muster-engine"]),
        "the server reaches the store only through the engine"
    );
}

#[test]
fn core_has_no_effects() {
    let rooms = rooms();
    for effects in [EFFECTS, HTTP, SQL] {
        assert_eq!(users_of(&rooms, effects).get("muster-core"), None, "core is pure");
    }
}

#[test]
fn only_the_store_speaks_sql() {
    let rooms = rooms();
    let users = users_of(&rooms, SQL);
    assert_eq!(users.keys().copied().collect::<Vec<_>>(), ["muster-store"], "{users:?}");
}

#[test]
fn only_the_server_speaks_http() {
    let rooms = rooms();
    let users = users_of(&rooms, HTTP);
    assert_eq!(users.keys().copied().collect::<Vec<_>>(), ["muster-server"], "{users:?}");
}
