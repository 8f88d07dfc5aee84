//! The first thing that anybody sees.

use crate::home::{Home, on_every_database, signal};
use std::io::{BufRead, BufReader};

const ARGS: &[&str] = &["quickstart", "--listen", "127.0.0.1:0", "--users", "2000"];

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_everything_and_can_be_run_again() {
    on_every_database(|home| {
        let once = [ARGS, &["--once"]].concat();
        let first = home.run(&once);
        assert_eq!(first.err, "", "no noise");
        let first = first.ok();
        for part in [
            "2,000 created in ",
            "; nothing is written yet\n\n  The first 2 of 1,992 rows that would change something:",
            "OLD → NEW",
            "Apply exactly this plan\n  1,992 updated, 8 failed in ",
            "Undo it\n  1,992 updated in ",
            "undo of changes.csv",
            "insufficient_balance",
            "invalid_date",
            "\"Diamond\"",
            "users.csv",
            "changes.csv",
            "MUSTER_KEY=",
            "curl -H",
        ] {
            assert!(first.contains(part), "{part}: {first}");
        }
        let again = home.run(&once).ok();
        assert!(again.contains("1,992 updated, 8 failed in "), "{again}");
        home.run(&["verify", "--data-dir", "muster-quickstart"]).ok();
    })
    .await;
}

#[test]
fn it_can_be_interrupted_and_run_again() {
    let home = Home::new();
    let mut child = home.command(&ARGS.iter().copied().chain(["--once"]).collect::<Vec<_>>()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("Import 2,000 users")));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    home.run(&[ARGS, &["--once"]].concat()).ok();
    home.run(&["verify", "--data-dir", "muster-quickstart"]).ok();
}

#[test]
fn it_serves_on_until_it_is_asked_to_stop() {
    let home = Home::new();
    let mut child = home.command(ARGS).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "The server goes on until Ctrl-C."));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_takes_the_next_free_port() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let args = ["quickstart", "--once", "--users", "20", "--listen", &address.to_string()];
    let words = home.run(&args).ok();
    assert!(words.contains(&format!("Port {} is taken", address.port())), "{words}");
}
