//! Every code of the catalogue is raised somewhere.

use muster_core::Code;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
    after.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
}

#[test]
fn every_code_is_raised_somewhere() {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("rooms stand in one folder");
    let mut files = Vec::new();
    for room in ["core", "store", "engine", "server"] {
        sources(&rooms.join(room).join("src"), &mut files);
    }
    let texts: Vec<String> =
        files.iter().map(|path| std::fs::read_to_string(path).expect("a source can be read")).collect();
    let raised: BTreeSet<&str> = texts.iter().flat_map(|text| codes(text)).collect();
    assert!(raised.contains("InvalidRequest"), "the sources were found");
    let names = Code::ALL.iter().map(|code| format!("{code:?}"));
    let unused: Vec<String> = names.filter(|name| !raised.contains(name.as_str())).collect();
    assert_eq!(unused, Vec::<String>::new(), "nothing raises these");
}
