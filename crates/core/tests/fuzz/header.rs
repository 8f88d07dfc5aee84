//! Headers: what is understood has a place for each column, and what is refused says why.

use super::json::fields;
use super::*;
use muster_core::intake::header::{Role, map_header};
use muster_core::job::JobOptions;
use proptest::{prop_assert, prop_assert_eq};

const NAMES: &[&[u8]] = &[
    b"email",
    b"E-Mail",
    b"id",
    b"source",
    b"source_id",
    b"identity_language",
    b"first_name",
    b"First Name",
    b"_op",
    b"premium currency",
    b"premium_currency_op",
    b"city",
    b"_line",
    b"_status",
    b"_",
    b" ",
    b"\n",
    b"\xC3\x9F",
    b"\xCC\x81",
];

#[test]
fn header_mapping() {
    let fields = fields();
    fuzz("header", NAMES, |case| {
        let text = String::from_utf8_lossy(&case.bytes);
        // Options stand before an empty line, columns after it, one on each line.
        let (options, columns) = text.split_once("\n\n").unwrap_or(("", &text));
        let mut given = JobOptions::default();
        for (name, value) in options.lines().filter_map(|line| line.split_once('=')) {
            let _ = given.set(name, value);
        }
        let header: Vec<String> = columns.lines().map(str::to_owned).collect();
        let found = map_header(&header, &fields, &given);
        let mut backwards = header.clone();
        backwards.reverse();
        let reversed = map_header(&backwards, &fields, &given);
        match (found, reversed) {
            (Ok(columns), Ok(reversed)) => {
                prop_assert_eq!(columns.names.len(), header.len());
                prop_assert_eq!(columns.roles.len(), header.len());
                prop_assert_eq!(columns.roles.iter().filter(|role| **role == Role::Key).count() <= 1, true);
                prop_assert!(columns.key < header.len());
                for (index, role) in columns.roles.iter().enumerate() {
                    // The place of a column says nothing about what it means.
                    let mirrored = &reversed.roles[header.len() - 1 - index];
                    match (role, mirrored) {
                        (Role::Field { number, operator }, Role::Field { number: same, operator: other }) => {
                            prop_assert_eq!((number, operator.is_some()), (same, other.is_some()));
                            prop_assert!(operator.is_none_or(|index| columns.roles[index] == Role::Operator));
                            let alike = |other: &&Role| matches!(other, Role::Field { number: n, .. } if n == number);
                            prop_assert_eq!(columns.roles.iter().filter(alike).count(), 1);
                        }
                        (role, mirrored) => prop_assert_eq!(role, mirrored),
                    }
                }
            }
            (Err(error), Err(other)) => {
                prop_assert_eq!(error.code, other.code);
                prop_assert_eq!(error.errors.len(), other.errors.len());
                prop_assert!(!error.detail.is_empty());
                prop_assert_eq!(error.errors.first().map(|fault| fault.code), Some(error.code));
            }
            (one, other) => return Err(TestCaseError::fail(format!("{one:?} {other:?}"))),
        }
        Ok(())
    });
}
