//! Jobs as Server-Sent Events.

use crate::app::{App, Options, id_of, json_of, with};
use crate::on_every_database;
use muster_core::scope::Scope;
use muster_engine::{Tick, Worker};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const PEOPLE: &str = "Email\nada@example.com\nbob@example.com\n";

/// One event as it came: its id, its name, its data.
#[derive(Debug, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// Reads a stream event by event.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(app: &App, id: &str, last: Option<&str>) -> Self {
        let request = app.request(Method::GET, &format!("/v1/jobs/{id}/events"));
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        Self { response, text: String::new() }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let lines: Vec<&str> = event.lines().collect();
                let line = |name| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                let event = Event {
                    id: line("id: "),
                    name: line("event: "),
                    data: serde_json::from_str(&line("data: ")).unwrap_or_default(),
                };
                self.text = rest.to_owned();
                if !event.name.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let more = self.response.chunk().await.expect("the stream is whole")?;
            self.text.push_str(std::str::from_utf8(&more).expect("events are text"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_told_until_its_end_as_it_is_shown_elsewhere() {
    with(Options { works: false, ..Options::default() }, async |app| {
        let id = id_of(&app.submit("?kind=import", PEOPLE).await).to_owned();
        let mut events = Events::open(app, &id, None).await;
        let first = events.next().await.unwrap();
        assert_eq!((first.name.as_str(), &first.data["state"]), ("job", &"queued".into()));
        assert_eq!(first.data, app.get(&format!("/v1/jobs/{id}")).await.1);

        let mut worker = Worker::new(&app.engine).unwrap();
        assert!(matches!(worker.tick().await.unwrap(), Tick::Claimed(_)));
        let running = events.next().await.unwrap();
        assert_eq!((running.name.as_str(), &running.data["state"]), ("job", &"running".into()));
        assert_ne!(running.id, first.id);
        while !matches!(worker.tick().await.unwrap(), Tick::Idle) {}
        let (mut last, mut end) = (running, events.next().await.unwrap());
        while end.name == "job" {
            (last, end) = (end, events.next().await.unwrap());
        }
        assert_eq!(last.data, app.get(&format!("/v1/jobs/{id}")).await.1);
        assert_eq!(last.data["state"], "completed");
        assert_eq!((end.name.as_str(), end.data), ("end", json!({})));
        assert_eq!(events.next().await, None, "nothing comes after the end");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_seen_is_not_told_again() {
    with(Options { works: false, ..Options::default() }, async |app| {
        let id = id_of(&app.submit("?kind=import", PEOPLE).await).to_owned();
        let first = Events::open(app, &id, None).await.next().await.unwrap();
        let mut again = Events::open(app, &id, Some(&first.id)).await;
        let mut other = Events::open(app, &id, Some("something else")).await;
        assert_eq!(other.next().await.as_ref(), Some(&first));

        let mut worker = Worker::new(&app.engine).unwrap();
        worker.tick().await.unwrap();
        assert_eq!(again.next().await.unwrap().data["state"], "running");
        while !matches!(worker.tick().await.unwrap(), Tick::Idle) {}
        let mut late = Events::open(app, &id, Some(&first.id)).await;
        let last = late.next().await.unwrap();
        assert_eq!((last.data["state"].as_str(), late.next().await.unwrap().name.as_str()), (Some("completed"), "end"));
        assert_eq!(late.next().await, None);

        let request = app.request(Method::GET, &format!("/v1/jobs/{id}/events"));
        let response = request.header("last-event-id", &last.id).send().await.unwrap();
        assert_eq!(response.status(), 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_reader_leaves_or_the_server_stops() {
    with(Options { works: false, ..Options::default() }, async |app| {
        let id = id_of(&app.submit("?kind=import", PEOPLE).await).to_owned();
        let mut events = Events::open(app, &id, None).await;
        events.next().await.unwrap();
        assert_eq!(app.engine.count_watched_jobs(), 1);
        drop(events);
        while app.engine.count_watched_jobs() > 0 {
            tokio::task::yield_now().await;
        }
        let mut events = Events::open(app, &id, None).await;
        events.next().await.unwrap();
        app.engine.end_watches();
        assert_eq!(events.next().await, None, "it ends without the event that says that the job is over");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_key_is_revoked() {
    with(Options { works: false, ..Options::default() }, async |app| {
        let id = id_of(&app.submit("?kind=import", PEOPLE).await).to_owned();
        let new = json!({"name": "watcher", "scopes": ["jobs:read"]});
        let (_, key) = json_of(app.post("/v1/keys").json(&new)).await;
        let request = app.bare(Method::GET, &format!("/v1/jobs/{id}/events"));
        let response = request.bearer_auth(key["key"].as_str().unwrap()).send().await.unwrap();
        let mut events = Events { response, text: String::new() };
        assert_eq!(events.next().await.unwrap().name, "job");
        let revoke = app.request(Method::DELETE, &format!("/v1/keys/{}", id_of(&key)));
        assert_eq!(revoke.send().await.unwrap().status(), 204);
        assert_eq!(events.next().await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_watched_by_those_only_who_may_read_it() {
    on_every_database(async |app| {
        let id = id_of(&app.run("?kind=import", PEOPLE).await).to_owned();
        let path = format!("/v1/jobs/{id}/events");
        let (status, problem) = json_of(app.bare(Method::GET, &path)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (401, &"unauthorized".into()));
        let key = app.make_key(&app.community, &[Scope::JobsWrite, Scope::UsersRead]).await;
        let (status, problem) = json_of(app.bare(Method::GET, &path).bearer_auth(key)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &"missing_scope".into()));
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        let (status, problem) = json_of(app.bare(Method::GET, &path).bearer_auth(stranger)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (404, &"not_found".into()));
    })
    .await;
}
