//! Sample files: always the same, and about the same people.

use crate::home::Home;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

/// FNV-1a, so that a file can be told from another without being kept here.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn generate(home: &Home, args: &str) -> String {
    let args: Vec<&str> = ["generate"].into_iter().chain(args.split(' ')).collect();
    home.run(&args).ok()
}

#[test]
fn files_are_always_the_same() {
    let home = Home::new();
    for (args, expected) in [
        ("--users 5000 --seed 1", 0x8740_7394_c3fa_9a40),
        ("--users 5000 --seed 2 --broken 1%", 0x52f5_537f_be6d_8b82),
        ("--users 5000 --seed 1 --kind update --broken 50", 0x1714_f29c_0829_b69b),
        ("--users 5000 --seed 1 --kind update --custom --broken 50", 0x019a_dedd_c5e4_cea0),
        ("--users 5000 --seed 1 --kind currency", 0xd3f3_da5a_d0aa_446f),
    ] {
        let made = hash(&generate(&home, args));
        assert_eq!(made, expected, "{args}: {made:#018x}");
    }
}

#[test]
fn files_of_one_seed_are_about_the_same_users() {
    let home = Home::new();
    let emails = |args: &str| -> Vec<String> {
        let file = generate(&home, args);
        file.lines().skip(1).filter_map(|line| Some(line.split_once(',')?.0.to_owned())).collect()
    };
    let people = emails("--users 3000 --seed 4");
    let known: BTreeSet<_> = people.iter().collect();
    assert_eq!(known.len(), 3000, "emails are unique");
    assert!(people.iter().all(|email| email.is_ascii()));
    for kind in ["update", "currency"] {
        let changed = emails(&format!("--users 3000 --seed 4 --kind {kind}"));
        assert_ne!(changed, people, "the order is another");
        assert_eq!(changed.iter().collect::<BTreeSet<_>>(), known);
    }
    assert_eq!(emails("--users 100 --seed 4"), people[..100], "a small file is the beginning of a large one");
}

#[test]
fn as_many_rows_are_broken_as_were_asked_for() {
    let home = Home::new();
    let whole = generate(&home, "--users 2000 --kind update");
    for (broken, count) in [("0", 0), ("7", 7), ("1.5%", 30), ("100%", 2_000), ("9000", 2_000)] {
        let file = generate(&home, &format!("--users 2000 --kind update --broken {broken}"));
        let differ = file.lines().zip(whole.lines()).filter(|(one, other)| one != other).count();
        assert_eq!((differ, file.lines().count()), (count, 2_001), "{broken}");
    }
    for broken in ["-1", "101%", "some"] {
        let error = home.run(&["generate", &format!("--broken={broken}")]).exit(2);
        assert!(error.contains("write a percentage"), "{error}");
    }
}

#[test]
fn a_file_can_be_empty_or_written_to_disk() {
    let home = Home::new();
    assert_eq!(generate(&home, "--users 0 --kind currency"), "Email,Premium Currency,Premium Currency_op\n");
    assert_eq!(generate(&home, "--users 50 --output people.csv"), "");
    assert_eq!(std::fs::read_to_string(home.path().join("people.csv")).unwrap(), generate(&home, "--users 50"));
    let error = home.run(&["generate", "--output", "none/people.csv"]).exit(2);
    assert!(error.contains("cannot be written"), "{error}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let home = Home::new();
    let mut child = home.command(&["generate", "--users", "1000000000"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Email,"));
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert_eq!((child.wait().unwrap().code(), words.as_str()), (Some(0), ""));
}
