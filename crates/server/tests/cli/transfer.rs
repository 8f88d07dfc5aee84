//! Sending files to a server, and looking at what became of them.

use crate::home::{Home, Run, Server, on_every_database, signal};
use serde_json::Value;

/// A server, and the variables that name it.
pub struct Remote<'a> {
    home: &'a Home,
    server: Server,
    key: String,
}

impl<'a> Remote<'a> {
    pub fn new(home: &'a Home) -> Self {
        let key = home.make_key();
        let server = home.serve(&[]);
        Self { home, server, key }
    }

    pub fn run(&self, args: &[&str]) -> Run {
        let variables = [("MUSTER_URL", self.server.url.as_str()), ("MUSTER_KEY", &self.key)];
        self.home.run_with(args, &variables)
    }

    pub fn feed(&self, args: &[&str], input: &str) -> Run {
        let variables = [("MUSTER_URL", self.server.url.as_str()), ("MUSTER_KEY", &self.key)];
        self.home.feed(args, &variables, input)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_files_import_and_update() {
    on_every_database(|home| {
        let remote = Remote::new(home);
        home.run(&["generate", "--users", "3000", "--output", "people.csv"]).ok();
        let words = remote.run(&["import", "people.csv"]).ok();
        assert!(words.contains("completed") && words.contains("created"), "{words}");
        assert!(words.contains("3,000"), "{words}");

        let args = ["generate", "--users", "3000", "--kind", "update", "--broken", "12", "--output", "changes.csv"];
        home.run(&args).ok();
        let partly = remote.run(&["update", "changes.csv", "--name", "June"]);
        assert_eq!(partly.code, Some(1), "{partly:?}");
        for part in ["2,988", "12", "user_not_found", "insufficient_balance", "\"plus\"", "FIRST LINES"] {
            assert!(partly.out.contains(part), "{part}: {}", partly.out);
        }

        let args = ["generate", "--users", "3000", "--kind", "currency"];
        let currency = home.run(&args).ok();
        remote.feed(&["update", "-"], &currency).ok();

        let list = remote.run(&["jobs", "list"]).ok();
        assert!(list.contains("June") && list.contains("people.csv"), "{list}");
        let jobs: Value = serde_json::from_str(&remote.run(&["jobs", "list", "--json"]).ok()).unwrap();
        let id = jobs["data"][1]["id"].as_str().unwrap();
        assert!(remote.run(&["jobs", "show", id]).ok().contains("invalid_number"));
        assert_eq!(remote.run(&["jobs", "watch", id]).code, Some(1));
        let failed = remote.run(&["jobs", "results", id, "--status", "failed"]).ok();
        assert_eq!(failed.lines().count(), 13, "{failed}");
        let all = remote.run(&["jobs", "results", id, "--format", "ndjson"]).ok();
        assert_eq!(all.lines().count(), 3_000);
        let args = ["users", "export", "--filter", r#"{"email": {"is_set": true}}"#];
        let users = remote.run(&args).ok();
        assert_eq!(users.lines().count(), 3_001);
        let back = remote.feed(&["update", "-", "--json"], &users).ok();
        let back: Value = serde_json::from_str(&back).unwrap();
        assert_eq!(back["counts"]["unchanged"], 3_000, "{back}");
        let records = remote.run(&["users", "export", "--format", "ndjson", "--fields", "id,email"]).ok();
        assert!(records.lines().all(|line| line.starts_with("{\"id\":")), "{records}");
        let refused = remote.run(&["users", "export", "--filter", "{"]);
        assert!(refused.code == Some(2) && refused.out.is_empty(), "{refused:?}");
        assert_eq!(remote.server.terminate(), Some(0));
        home.run(&["verify"]).ok();
    })
    .await;
}

#[test]
fn jobs_can_be_printed_as_json_and_not_waited_for() {
    let home = Home::new();
    let remote = Remote::new(&home);
    let file = "Email,City\nada@example.com,London\n";
    let job = remote.feed(&["import", "-", "--json", "--name", "One"], file).ok();
    let job: Value = serde_json::from_str(&job).unwrap();
    assert_eq!((&job["state"], &job["counts"]["created"]), (&"completed".into(), &1.into()));
    let id = remote.feed(&["import", "-", "--no-wait"], file).ok();
    assert!(id.starts_with("job_") && id.lines().count() == 1, "{id}");
    remote.run(&["jobs", "watch", id.trim()]).ok();
    let job = remote.feed(&["update", "-", "--no-wait", "--json"], file).ok();
    assert!(serde_json::from_str::<Value>(&job).unwrap()["id"].is_string());
}

#[test]
fn refusals_are_told_in_sentences() {
    let home = Home::new();
    let remote = Remote::new(&home);
    let error = remote.feed(&["update", "-"], "Email,Ctiy,Cit\na@example.com,1,2\n").exit(2);
    assert!(error.contains("Refused for 2 reasons:") && error.contains("did you mean \"City\"?"), "{error}");
    let error = remote.feed(&["update", "-"], "City\nRome\n").exit(2);
    assert!(error.starts_with("error: ") && error.to_lowercase().contains("email"), "{error}");
    let error = remote.feed(&["update", "-", "--option", "overdraft=maybe"], "Email\n").exit(2);
    assert!(error.contains("reject, clamp, allow"), "{error}");
    let error = remote.feed(&["update", "-", "--option", "overdraft"], "Email\n").exit(2);
    assert!(error.contains("KEY=VALUE"), "{error}");
    let error = remote.run(&["update", "none.csv"]).exit(2);
    assert!(error.contains("none.csv cannot be read"), "{error}");
    let error = remote.run(&["update", "."]).exit(2);
    assert!(error.contains("is a folder"), "{error}");
    let error = remote.run(&["jobs", "show", "job_ffffffffffffffffffffffff"]).exit(2);
    assert!(error.contains("no such job"), "{error}");
    let error = remote.run(&["jobs", "list", "--key", "wrong"]).exit(2);
    assert!(error.contains("key") && error.contains("hint: "), "{error}");
}

#[test]
fn a_job_that_fails_exits_with_2() {
    let home = Home::new();
    let remote = Remote::new(&home);
    let error = remote.feed(&["import", "-"], "Email,City\na@example.com,\"Rome\n").exit(2);
    assert!(error.contains("quote"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_said_with_a_hint() {
    let home = Home::new();
    home.write("people.csv", "Email\na@example.com\n");
    let error = home.run(&["import", "people.csv", "--url", "http://127.0.0.1:1", "--key", "k"]).exit(2);
    assert!(error.contains("http://127.0.0.1:1 cannot be reached"), "{error}");
    assert!(error.contains("is muster serve running there?"), "{error}");
    let error = home.run(&["import", "people.csv"]).exit(2);
    assert!(error.contains("There is no API key.") && error.contains("MUSTER_KEY"), "{error}");
    let error = home.run(&["import", "people.csv", "--url", "here", "--key", "k"]).exit(2);
    assert!(error.contains("is not the address of a server"), "{error}");
}

#[test]
fn jobs_are_cancelled_paused_and_resumed() {
    let home = Home::new();
    let key = home.make_key();
    let server = home.serve(&["--no-worker"]);
    let remote = Remote { home: &home, server, key };
    let id = remote.feed(&["import", "-", "--no-wait"], "Email\na@example.com\n").ok();
    let id = id.trim();
    for (verb, state) in [("pause", "paused"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")] {
        let words = remote.run(&["jobs", verb, id]);
        assert!(words.code == Some(0) && words.err.contains(state), "{verb}: {words:?}");
    }
    // A worker gathers its results when it comes to it.
    let mut worker = home.command(&["worker"]).spawn().unwrap();
    assert!(remote.run(&["jobs", "watch", id]).exit(2).contains("The job was cancelled."));
    let error = remote.run(&["jobs", "resume", id]).exit(2);
    assert!(error.contains("cancelled"), "{error}");
    signal(&worker, "TERM");
    assert_eq!(worker.wait().unwrap().code(), Some(0));
}
