//! Everything that must not depend on who died when, as lines of text.

use crate::client::Client;
use crate::home::{Home, Server};
use serde_json::Value;
use std::collections::HashMap;

/// Users, history, jobs, results and errors, without what differs from run to run: times, ids and names of keys.
#[derive(Debug)]
pub struct State(Vec<String>);

impl State {
    /// What a server shows.
    pub async fn of(client: &Client) -> Self {
        let users = client.all("/v1/users").await;
        let emails: HashMap<i64, &str> = users.iter().map(|user| (id(&user["id"]), word(&user["email"]))).collect();
        let mut jobs = client.all("/v1/jobs").await;
        jobs.reverse();

        let mut lines: Vec<String> = users.iter().map(user_line).collect();
        lines.sort_unstable();
        lines.extend(history(client, &emails, &jobs).await);
        for job in &jobs {
            lines.extend(job_lines(client, job, &emails).await);
        }
        Self(lines)
    }

    /// Fails, and says where, if something differs.
    pub fn assert_same(&self, other: &Self, when: &str) {
        let pairs = self.0.iter().zip(&other.0);
        let differing: Vec<String> = pairs
            .filter(|(one, other)| one != other)
            .map(|(one, other)| format!("  calm: {one}\n  here: {other}"))
            .collect();
        let (told, lengths) = (&differing[..differing.len().min(5)], (self.0.len(), other.0.len()));
        assert!(
            differing.is_empty() && lengths.0 == lengths.1,
            "{when}: {} of {lengths:?} lines differ:\n{}",
            differing.len(),
            told.join("\n")
        );
    }
}

/// Looks at everything once more, stops the server, and checks the store and the staging area that it leaves.
pub async fn inspect(home: &Home, server: Server, key: &str) -> State {
    let client = server.client(key);
    let state = State::of(&client).await;
    let jobs = client.all("/v1/jobs").await;
    server.process.stop().await;
    home.run(&["verify"]).await;
    if home.url.is_none() {
        assert_tidy(home, &jobs);
    }
    state
}

/// A job that has ended keeps its file and its results, and nothing else is kept.
fn assert_tidy(home: &Home, jobs: &[Value]) {
    let known: Vec<&str> = jobs.iter().map(|job| word(&job["id"])).collect();
    let needed = |name: &String| {
        let mut parts = name.rsplit('/');
        let (file, job) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        known.contains(&job) && (file == "input" || file.starts_with("results-"))
    };
    let staged = home.staged();
    assert!(staged.iter().all(needed) && staged.len() == 2 * jobs.len(), "{staged:#?}");
}

fn user_line(user: &Value) -> String {
    format!("user {} {} {}", word(&user["email"]), user["version"], user["values"])
}

/// What happened to each user, in its order.
async fn history(client: &Client, emails: &HashMap<i64, &str>, jobs: &[Value]) -> Vec<String> {
    let name = |job: &Value| jobs.iter().find(|one| one["id"] == *job).map(|one| one["name"].to_string());
    let mut entries = client.all("/v1/history").await;
    // The newest came first.
    entries.reverse();
    entries.sort_by_key(|entry| emails[&id(&entry["user_id"])]);
    let line = |entry: &Value| {
        let (user, job) = (emails[&id(&entry["user_id"])], name(&entry["job_id"]));
        let [field, op, old, new, line] = ["field", "op", "old", "new", "line"].map(|member| &entry[member]);
        format!("change {user} {field} {op} {old} {new} {job:?} {line}")
    };
    entries.iter().map(line).collect()
}

async fn job_lines(client: &Client, job: &Value, emails: &HashMap<i64, &str>) -> Vec<String> {
    let path = format!("/v1/jobs/{}", word(&job["id"]));
    let errors = client.text(&format!("{path}/errors")).await;
    let results = client.text(&format!("{path}/results")).await;
    let [name, state, counts, error, same] = ["name", "state", "counts", "error", "same_file_as"].map(|m| &job[m]);
    let mut lines = vec![format!("job {name} {state} {counts} {error} {same} {errors}")];
    lines.extend(results.lines().map(|line| result_line(line, emails)));
    lines
}

/// A line of results with the email of its user instead of the id.
fn result_line(line: &str, emails: &HashMap<i64, &str>) -> String {
    let (rest, user) = line.rsplit_once(',').expect("there are columns");
    let email = user.parse().ok().map(|id: i64| emails[&id]);
    format!("row {rest},{}", email.unwrap_or(user))
}

fn id(value: &Value) -> i64 {
    value.as_i64().expect("an id is a number")
}

fn word(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}
