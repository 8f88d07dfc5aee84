//! Every operation that changes something honours `Idempotency-Key`. The table of examples is checked against the OpenAPI
//! document, so that no operation can be forgotten.
//!
//! To add an operation: add one line to [`EXAMPLES`]. If what it changes shows in none of [`LISTS`], add the list in
//! which it does.

use crate::App;
use crate::app::{Options, id_of, json_of, with};
use muster_core::scope::Scope;
use muster_engine::{Fault, Tick, Worker, testing};
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an example is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    None,
    User,
    DeletedUser,
    Key,
    Field,
    Attribute,
    CustomField,
    ArchivedField,
    QueuedJob,
    PausedJob,
    EndedJob,
    PlannedJob,
    Webhook,
    Delivery,
}

/// What an example sends.
#[derive(Clone, Copy)]
enum Content {
    None,
    Json(fn() -> Value),
    Csv(&'static str),
    /// A file as this part of a form.
    Form(&'static str, &'static str),
}

/// A request that succeeds and changes something: the operation as the document names it, the object whose id stands in
/// its path, and what is sent.
type Example = (&'static str, Object, Content);

const CSV: &str = "Email,First Name\nada@example.com,Countess\n";

const EXAMPLES: &[Example] = &[
    ("POST /v1/jobs", Object::None, Content::Csv(CSV)),
    (
        "POST /v1/users/bulk",
        Object::None,
        Content::Json(|| json!({"kind": "import", "records": [{"email": "new@example.com"}]})),
    ),
    ("POST /v1/jobs/{id}/cancel", Object::QueuedJob, Content::None),
    ("POST /v1/jobs/{id}/pause", Object::QueuedJob, Content::None),
    ("POST /v1/jobs/{id}/resume", Object::PausedJob, Content::None),
    (
        "PATCH /v1/users/{id}",
        Object::User,
        Content::Json(|| json!({"values": {"premium_currency": {"op": "add", "value": 5}}})),
    ),
    ("POST /v1/jobs/{id}/apply", Object::PlannedJob, Content::None),
    ("POST /v1/jobs/{id}/undo", Object::EndedJob, Content::None),
    ("POST /v1/jobs/{id}/retry", Object::EndedJob, Content::None),
    ("POST /v1/users", Object::None, Content::Json(|| json!({"email": "grace@example.com"}))),
    ("DELETE /v1/users/{id}", Object::User, Content::None),
    (
        "POST /v1/history",
        Object::None,
        Content::Json(|| json!({"user_id": 1, "field": "premium_currency", "op": "add", "value": 5})),
    ),
    ("POST /v1/users/{id}/restore", Object::DeletedUser, Content::None),
    ("POST /v1/fields", Object::None, Content::Json(|| json!({"name": "Points", "type": "integer"}))),
    ("PATCH /v1/community", Object::None, Content::Json(|| json!({"name": "New"}))),
    ("PATCH /v1/fields/{id}", Object::Field, Content::Json(|| json!({"indexed": true}))),
    ("DELETE /v1/fields/{id}", Object::CustomField, Content::None),
    ("POST /v1/fields/{id}/restore", Object::ArchivedField, Content::None),
    ("POST /v1/keys", Object::None, Content::Json(|| json!({"name": "New", "scopes": []}))),
    ("DELETE /v1/keys/{id}", Object::Key, Content::None),
    ("POST /v1/webhooks", Object::None, Content::Json(|| json!({"url": "https://example.com/new"}))),
    ("PATCH /v1/webhooks/{id}", Object::Webhook, Content::Json(|| json!({"events": ["job.failed"]}))),
    ("POST /v1/webhooks/{id}/rotate-secret", Object::Webhook, Content::None),
    ("POST /v1/webhooks/{id}/deliveries/{delivery}/resend", Object::Delivery, Content::None),
    ("DELETE /v1/webhooks/{id}", Object::Webhook, Content::None),
    ("POST /apis/v1/users/bulk-update", Object::None, Content::Form("data", CSV)),
    (
        "POST /v2/users/bulk/sourceId",
        Object::None,
        Content::Json(|| json!({"users": [{"source": "ERP", "sourceId": 7}]})),
    ),
    ("POST /v2/users/bulk/id", Object::None, Content::Json(|| json!({"users": [{"id": 1, "title": "Dr."}]}))),
    ("PATCH /v2/users/{lookupKey}/{lookupValue}", Object::User, Content::Json(|| json!({"title": "Dr."}))),
    ("DELETE /v2/users/{lookupKey}/{lookupValue}", Object::User, Content::None),
    (
        "POST /v2/users/{lookupKey}/{lookupValue}/attributes",
        Object::User,
        Content::Json(|| json!([{"name": "CITY", "class": "user", "type": "text", "value": "Oslo"}])),
    ),
    (
        "POST /v2/attributes",
        Object::None,
        Content::Json(|| json!({"name": "RING_SIZE", "class": "user", "type": "integer"})),
    ),
    (
        "PATCH /v2/attributes/{lookupKey}/{lookupValue}",
        Object::Attribute,
        Content::Json(|| json!({"descriptions": [{"language": "EN", "value": "Size of shoes"}]})),
    ),
    ("DELETE /v2/attributes/{lookupKey}/{lookupValue}", Object::Attribute, Content::None),
    (
        "POST /v2/attributes/bulk/id",
        Object::None,
        Content::Json(|| json!([{"id": 0, "name": "RING_SIZE", "class": "user", "type": "integer"}])),
    ),
    (
        "POST /v2/attributes/bulk/name",
        Object::None,
        Content::Json(|| json!([{"name": "RING_SIZE", "class": "user", "type": "integer"}])),
    ),
];

/// Operations whose method says that they may change something, and that do not.
const READS: &[(&str, &str)] = &[
    ("POST /v1/users/query", "a filter can be longer than an address may be"),
    ("POST /v2/oauth2/token", "a token changes nothing that belongs to anybody, and is never shown again"),
];

/// Where everything shows that an example changes.
const LISTS: &[&str] =
    &["/v1/jobs", "/v1/users", "/v1/fields", "/v1/keys", "/v1/history", "/v1/webhooks", "/v1/community"];

/// What shows in none: secrets, and when something is to be sent.
const UNSEEN: &[&str] =
    &["SELECT secret FROM webhooks ORDER BY id", "SELECT CAST(due_at AS TEXT) FROM webhook_queue ORDER BY 1"];

/// A community of its own with an object of each kind.
struct Place<'a> {
    app: &'a App,
    key: String,
    objects: BTreeMap<Object, String>,
}

impl<'a> Place<'a> {
    async fn new(app: &'a App) -> Self {
        let community = app.engine.create_community("Another").await.expect("it is made");
        let key = app.make_key(&community, Scope::ALL).await;
        app.make_key(&community, &[]).await;
        let mut place = Self { app, key, objects: BTreeMap::from([(Object::None, String::new())]) };
        let hook = json!({"url": "https://example.com/hook"});
        let (_, hook) = json_of(place.request(Method::POST, "/v1/webhooks").json(&hook)).await;
        let (ended, planned) = (place.submit("import").await, place.submit("update&dry_run=true").await);
        work(app).await;
        let gone = place.request(Method::POST, "/v1/jobs?kind=import").body("Email\ngone@example.com\n");
        json_of(gone).await;
        work(app).await;
        let deleted = place.get("/v1/users").await["data"][1]["id"].to_string();
        let delete = place.request(Method::DELETE, &format!("/v1/users/{deleted}"));
        assert_eq!(delete.send().await.expect("the server answers").status(), 204);
        let (queued, paused) = (place.submit("update").await, place.submit("update").await);
        json_of(place.request(Method::POST, &format!("/v1/jobs/{paused}/pause"))).await;
        let first = async |path: &str| place.get(path).await["data"][0]["id"].to_string().trim_matches('"').to_owned();
        let (user, keys) = (first("/v1/users").await, place.get("/v1/keys").await);
        let field = first("/v1/fields").await;
        let mut own = Vec::new();
        for name in ["Shoe Size", "Hat Size"] {
            let new = place.request(Method::POST, "/v1/fields").json(&json!({"name": name, "type": "text"}));
            own.push(id_of(&json_of(new).await.1).to_owned());
        }
        let attribute = place.get("/v2/attributes/name/SHOE_SIZE").await;
        let archive = place.request(Method::DELETE, &format!("/v1/fields/{}", own[1]));
        assert_eq!(archive.send().await.expect("the server answers").status(), 204);
        let other = keys["data"].as_array().into_iter().flatten().find(|key| key["scopes"] == json!([]));
        place.objects.extend([
            (Object::User, user),
            (Object::DeletedUser, deleted),
            (Object::Field, field),
            (Object::CustomField, own[0].clone()),
            (Object::Attribute, attribute["data"]["id"].to_string()),
            (Object::ArchivedField, own[1].clone()),
            (Object::Key, id_of(other.expect("it was made")).to_owned()),
            (Object::QueuedJob, queued),
            (Object::PausedJob, paused),
            (Object::EndedJob, ended),
            (Object::PlannedJob, planned),
            (Object::Webhook, id_of(&hook).to_owned()),
        ]);
        let log = place.get(&format!("/v1/webhooks/{}/deliveries", id_of(&hook))).await;
        place.objects.insert(Object::Delivery, id_of(&log["data"][0]).to_owned());
        place
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.bare(method, path).bearer_auth(&self.key)
    }

    async fn get(&self, path: &str) -> Value {
        json_of(self.request(Method::GET, path)).await.1
    }

    async fn submit(&self, kind: &str) -> String {
        let (_, job) = json_of(self.request(Method::POST, &format!("/v1/jobs?kind={kind}")).body(CSV)).await;
        id_of(&job).to_owned()
    }

    /// Everything that there is.
    async fn state(&self) -> Vec<Value> {
        let mut lists = Vec::new();
        for list in LISTS {
            lists.push(self.get(list).await);
        }
        for sql in UNSEEN {
            lists.push(testing::strings(self.app.engine.store(), sql).await.into());
        }
        lists
    }

    /// The request of an example, and what is put behind its path.
    fn example(&self, example: &Example, query: &str, content: Content) -> RequestBuilder {
        let (method, path) = example.0.split_once(' ').expect("method and path");
        let path = match example.1 {
            Object::Delivery => path.replace("{id}", &self.objects[&Object::Webhook]),
            _ => path.to_owned(),
        };
        let path = path.replace("{id}", &self.objects[&example.1]).replace("{delivery}", &self.objects[&example.1]);
        let path = path.replace("{lookupKey}", "id").replace("{lookupValue}", &self.objects[&example.1]);
        let request = self.request(method.parse().expect("it is a method"), &format!("{path}{query}"));
        let request = request.header("Idempotency-Key", "one");
        match content {
            Content::None => request,
            Content::Json(body) => request.json(&body()),
            Content::Csv(csv) => request.header("content-type", "text/csv").body(csv),
            Content::Form(part, csv) => request.multipart(Form::new().part(part, Part::text(csv).file_name("a.csv"))),
        }
    }

    async fn send(&self, example: &Example) -> Answer {
        Answer::of(self.example(example, "", example.2)).await
    }
}

/// Runs every job to its end.
async fn work(app: &App) {
    let mut worker = Worker::new(&app.engine).expect("a worker can be made");
    while !matches!(worker.tick().await.expect("it works"), Tick::Idle) {}
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the answer is a text");
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    fn is_replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }

    /// Whether this is the first answer again, but for what is shown once.
    fn assert_replays(&self, first: &Self, name: &str) {
        assert!(self.is_replayed() && !first.is_replayed(), "{name}: {self:?}");
        assert_eq!(self.status, first.status, "{name}");
        for header in ["content-type", "location", "etag"] {
            assert_eq!(self.headers.get(header), first.headers.get(header), "{name}");
        }
        let (mut again, mut body) = (self.body.clone(), first.body.clone());
        for secret in ["key", "secret"] {
            if body[secret].as_str().is_some_and(|text| text.len() >= 32) {
                assert_eq!(again[secret], Value::Null, "{name}: a secret is shown once");
                assert!(again["notice"].as_str().is_some_and(|notice| notice.contains("once")), "{name}: {again}");
                body[secret] = Value::Null;
                again.as_object_mut().expect("it is an object").remove("notice");
            }
        }
        assert_eq!(again, body, "{name}");
    }
}

/// The examples, on every database, without a worker: jobs stay as they are.
async fn for_every_example(test: impl AsyncFn(&Place<'_>, &Example)) {
    with(Options { works: false, ..Options::default() }, async |app| {
        for example in EXAMPLES {
            test(&Place::new(app).await, example).await;
        }
        app.engine.verify().await.expect("the ledger balances");
    })
    .await;
}

#[test]
fn every_operation_that_changes_something_takes_a_key_and_has_an_example() {
    let document = muster_server::http::openapi().to_json().expect("it is plain");
    let document: Value = serde_json::from_str(&document).expect("it is JSON");
    let mut changing = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("it has paths") {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            let name = format!("{} {path}", method.to_uppercase());
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let declared = parameters.iter().any(|one| one["name"] == "Idempotency-Key" && one["in"] == "header");
            let changes = method != "get" && !READS.iter().any(|(read, _)| *read == name);
            assert_eq!(declared, changes, "{name}");
            changing.extend(changes.then_some(name));
        }
    }
    let examples: BTreeSet<String> = EXAMPLES.iter().map(|example| example.0.to_owned()).collect();
    assert_eq!(examples, changing, "each operation that changes something has an example, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_its_effect_once_and_answers_the_same_again() {
    for_every_example(async |place, example| {
        let name = example.0;
        let before = place.state().await;
        let first = place.send(example).await;
        assert!((200..300).contains(&first.status), "{name}: {first:?}");
        let after = place.state().await;
        assert_ne!(before, after, "{name} changes something that shows");
        for _ in 0..2 {
            place.send(example).await.assert_replays(&first, name);
        }
        assert_eq!(place.state().await, after, "{name} has one effect");

        // Looked up before anything is validated: all of these would be refused for something else too.
        let other = match example.2 {
            Content::None => Content::None,
            Content::Json(_) => Content::Json(|| json!({"nonsense": true})),
            Content::Csv(_) => Content::Csv("x"),
            Content::Form(part, _) => Content::Form(part, "x"),
        };
        let mut requests = vec![place.example(example, "?nonsense=1", example.2)];
        requests.extend((!matches!(other, Content::None)).then(|| place.example(example, "", other)));
        for request in requests {
            let reused = Answer::of(request).await;
            assert_eq!(reused.status, 422, "{name}");
            assert!(reused.body.to_string().contains("idempotency_key_reused"), "{name}: {}", reused.body);
            let native = reused.headers["content-type"] == "application/problem+json";
            assert_eq!(native, name.contains(" /v1/"), "{name}: the error has the form of its face");
        }
        assert_eq!(place.state().await, after, "{name}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_that_fails_before_its_commit_has_no_effect_and_can_be_sent_again() {
    for_every_example(async |place, example| {
        let name = example.0;
        let before = place.state().await;
        place.app.faults.plan("accept.answered", 0, Fault::Crash);
        assert_eq!(place.send(example).await.status, 500, "{name}");
        assert_eq!(place.state().await, before, "{name} commits its effect with the answer");
        let again = place.send(example).await;
        assert!((200..300).contains(&again.status) && !again.is_replayed(), "{name}: {again:?}");
        assert_ne!(place.state().await, before, "{name}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_whose_answer_is_lost_answers_it_when_it_is_sent_again() {
    for_every_example(async |place, example| {
        let name = example.0;
        let before = place.state().await;
        place.app.faults.plan("accept.committed", 0, Fault::Crash);
        assert_eq!(place.send(example).await.status, 500, "{name}");
        let after = place.state().await;
        assert_ne!(after, before, "{name}");
        let again = place.send(example).await;
        assert!((200..300).contains(&again.status) && again.is_replayed(), "{name}: {again:?}");
        assert_eq!(place.state().await, after, "{name} has one effect");
    })
    .await;
}
