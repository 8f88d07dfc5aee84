//! Every code of the catalogue is raised somewhere, or is known to be promised only.

use muster_core::Code;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Codes that the contract promises and nothing raises yet. Who raises one takes it from here.
const PROMISED: &[Code] = &[
    Code::JobNotFinished,
    Code::TooManyFailures,
    Code::TooManyAffected,
    Code::Aborted,
    Code::UserExists,
];

/// The sources of all rooms, without tests and without the catalogue itself.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("core/src/error.rs") {
            found.push(path);
        }
    }
}

/// What follows `Code::` in a text, up to where its tests begin.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let after = code.split("Code::").skip(1);
    after.map(|rest| {
        rest.split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default()
    })
}

#[test]
fn every_code_is_raised_or_only_promised() {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rooms stand in one folder");
    let mut files = Vec::new();
    for room in ["core", "store", "engine", "server"] {
        sources(&rooms.join(room).join("src"), &mut files);
    }
    let texts: Vec<String> = files
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a source can be read"))
        .collect();
    let raised: BTreeSet<&str> = texts.iter().flat_map(|text| codes(text)).collect();
    assert!(raised.contains("InvalidRequest"), "the sources were found");
    let named = |all: &[Code]| all.iter().map(|code| format!("{code:?}")).collect::<BTreeSet<_>>();
    let unused: BTreeSet<String> = named(Code::ALL)
        .into_iter()
        .filter(|name| !raised.contains(name.as_str()))
        .collect();
    assert_eq!(
        unused,
        named(PROMISED),
        "left: what nothing raises; right: what is known to be so"
    );
}
