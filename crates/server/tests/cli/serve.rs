//! The life of a server.

use crate::home::{Home, on_every_database};

#[test]
fn a_second_server_on_one_folder_is_refused() {
    let home = Home::new();
    let first = home.serve(&[]);
    let error = home.run(&["serve", "--listen", "127.0.0.1:0"]).exit(2);
    assert!(error.contains("Another muster serves ./muster-data already."), "{error}");
    let other = home.serve(&["--data-dir", "elsewhere"]);
    assert_ne!(first.url, other.url);

    first.kill();
    let next = home.serve(&[]);
    assert_eq!(next.terminate(), Some(0));
}

#[test]
fn administrators_work_beside_a_server() {
    let home = Home::new();
    let server = home.serve(&[]);
    let key = home.make_key();
    home.run(&["jobs", "list", "--url", &server.url, "--key", &key]).ok();
    home.run(&["verify"]).ok();
}

#[test]
fn leftovers_of_a_crash_are_swept() {
    let home = Home::new();
    home.serve(&[]).kill();
    let part = home.path().join("muster-data/incoming/part-left");
    std::fs::write(&part, "x").unwrap();
    let server = home.serve(&[]);
    assert!(!part.exists());
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_the_death_of_its_server() {
    on_every_database(|home| {
        let key = home.make_key();
        let server = home.serve(&["--crash-at", "apply.committed"]);
        let remote = |url: &str| [("MUSTER_URL", url.to_owned()), ("MUSTER_KEY", key.clone())];
        home.write("people.csv", &home.run(&["generate", "--users", "500"]).ok());
        let variables = remote(&server.url);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let id = home.run_with(&["import", "people.csv", "--no-wait"], &variables).ok();
        assert_eq!(server.wait(), None, "it was killed");

        let server = home.serve(&[]);
        let variables = remote(&server.url);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let watched = home.run_with(&["jobs", "watch", id.trim(), "--json"], &variables).ok();
        let job: serde_json::Value = serde_json::from_str(&watched).unwrap();
        assert_eq!(job["counts"]["created"], 500);
        assert_eq!(server.terminate(), Some(0));
        home.run(&["verify"]).ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_workers_can_be_apart() {
    on_every_database(|home| {
        let key = home.make_key();
        let server = home.serve(&["--no-worker"]);
        let worker = home.work();
        let args = ["import", "-", "--url", &server.url, "--key", &key];
        let words = home.feed(&args, &[], "Email\nada@example.com\n").ok();
        assert!(words.contains("completed"), "{words}");
        let numbers = worker.get("/metrics");
        assert!(
            numbers.contains("muster_rows_total{kind=\"import\",dry_run=\"false\",status=\"created\"} 1\n"),
            "{numbers}"
        );
        assert!(!server.get("/metrics").contains("status=\"created\""), "the server ran nothing");
        assert!(worker.get("/readyz").starts_with("HTTP/1.0 200"));
        assert!(worker.get("/v1/jobs").starts_with("HTTP/1.0 404"), "a worker serves nothing else");
        assert_eq!(worker.terminate(), Some(0));
        assert_eq!(server.terminate(), Some(0));
    })
    .await;
}

#[test]
fn limits_are_settings() {
    let home = Home::new();
    let key = home.make_key();
    home.write("muster.toml", "max_open_jobs = 2\nmax_upload = \"1KiB\"\n");
    let server = home.serve(&["--no-worker", "--max-open-jobs", "1"]);
    let import =
        |input: &str| home.feed(&["import", "-", "--no-wait", "--url", &server.url, "--key", &key], &[], input);
    let error = import(&format!("Email\n{}", "ada@example.com\n".repeat(100))).exit(2);
    assert!(error.contains("file_too_large") || error.contains("1024"), "{error}");
    import("Email\nada@example.com\n").ok();
    assert!(import("Email\nbob@example.com\n").exit(2).contains("1 open job"));
}

#[test]
fn what_cannot_work_is_refused_at_once() {
    assert!(Home::new().run(&["worker"]).exit(2).contains("There is no database"));
    let home = Home::new();
    let error = home.run(&["serve", "--no-migrate"]).exit(2);
    assert!(error.contains("muster migrate"), "{error}");
    let error = home.run(&["worker"]).exit(2);
    assert!(error.contains("muster migrate"), "{error}");
    let error = home.run(&["serve", "--listen", "nowhere"]).exit(2);
    assert!(error.contains("nowhere cannot be listened on"), "{error}");
    let error = home.run(&["serve", "--crash-at", "lunch"]).exit(2);
    assert!(error.contains("apply.committed"), "{error}");
    assert!(home.run(&["serve", "--max-upload", "5GB"]).exit(2).contains("KiB, MiB, GiB"));
    assert!(home.run(&["serve", "--trusted-proxies", "proxy.example"]).exit(2).contains("10.0.0.0/8"));
    assert!(home.run(&["serve", "--workers", "0"]).exit(2).contains("--workers"));
}
