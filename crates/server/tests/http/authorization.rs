//! Cases that are made of the OpenAPI document, so that no operation can be forgotten.

use crate::App;
use crate::app::{id_of, json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An operation as the document has it.
struct Operation {
    method: Method,
    path: String,
    /// The scopes that it needs, by its first alternative.
    scopes: Vec<Scope>,
    /// The others.
    alternatives: Vec<Vec<Scope>>,
    body: Value,
}

fn operations() -> Vec<Operation> {
    let document = muster_server::http::openapi().to_json().expect("it is plain");
    let document: Value = serde_json::from_str(&document).expect("it is JSON");
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("it has paths") {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            // Who asks for a token has none yet: the tests of that operation say what it refuses.
            if operation["security"] == json!([{"client": []}]) {
                assert_eq!(path, "/v2/oauth2/token");
                continue;
            }
            let named = |alternative: &Value| -> Option<Vec<Scope>> {
                let scopes = alternative["key"].as_array()?.iter();
                scopes.map(|scope| scope.as_str().and_then(|scope| scope.parse().ok())).collect()
            };
            let security = operation["security"].as_array().expect("every operation says who may ask for it");
            let mut alternatives: Vec<_> = security.iter().filter_map(named).collect();
            operations.push(Operation {
                method: method.to_uppercase().parse().expect("it is a method"),
                path: path.clone(),
                scopes: alternatives.remove(0),
                alternatives,
                body: operation["requestBody"]["content"].clone(),
            });
        }
    }
    operations
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Every scope but this one, and but those with which the operation would be allowed all the same.
    fn others(&self, lacking: Scope) -> Vec<Scope> {
        let with = self.alternatives.iter().filter(|scopes| !scopes.contains(&lacking)).flatten();
        let without: Vec<&Scope> = with.filter(|scope| !self.scopes.contains(scope)).chain([&lacking]).collect();
        Scope::ALL.iter().filter(|scope| !without.contains(scope)).copied().collect()
    }

    /// The path with ids: one that belongs to another comes behind that one's.
    fn path(&self, ids: &str) -> String {
        let (mut ids, mut path, mut id) = (ids.split('/'), self.path.replace("{lookupKey}", "id"), "");
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            id = ids.next().unwrap_or(id);
            path.replace_range(from..=to, id);
        }
        path
    }

    /// A request that would succeed with the right key and an id that exists.
    fn request(&self, app: &App, id: &str) -> RequestBuilder {
        let path = self.path(id).replace("/users/search/", "/users/search/?email=ada@example.com");
        let request = app.bare(self.method.clone(), &path);
        let example = |content: &str| Some(self.body.get(content)?["example"].clone());
        if let Some(json) = example("application/json") {
            request.json(&json)
        } else if let Some(csv) = example("text/csv") {
            request.body(csv.as_str().expect("it is a text").to_owned())
        } else if example("multipart/form-data").is_some() {
            let csv = match self.path.ends_with("premium-currency") {
                true => "Email,Premium Currency,Premium Currency_op\nada@example.com,1,add\n",
                false => "Email\nada@example.com\n",
            };
            request.multipart(Form::new().part("data", Part::text(csv).file_name("a.csv")))
        } else {
            assert!(self.body.is_null(), "a test must know how to send {}", self.body);
            request
        }
    }
}

/// Objects of a community, by the beginning of the paths that take their ids.
async fn objects(app: &App, key: &str) -> BTreeMap<&'static str, String> {
    let send = |method, path: &str| app.bare(method, path).bearer_auth(key);
    let url = json!({"url": "https://example.com/"});
    let (_, webhook) = json_of(send(Method::POST, "/v1/webhooks").json(&url)).await;
    let webhook = id_of(&webhook);
    let mut job = String::new();
    // The first job makes a user; the second one is of the kind whose scope the document names first.
    for kind in ["import", "update"] {
        let submit = send(Method::POST, &format!("/v1/jobs?kind={kind}"));
        let (_, submitted) = json_of(submit.body("Email\nada@example.com\n")).await;
        job = id_of(&submitted).to_owned();
        json_of(send(Method::GET, &format!("/v1/jobs/{job}?wait=60"))).await;
    }
    let first = async |path: &str| {
        let (_, page) = json_of(send(Method::GET, path)).await;
        page["data"][0]["id"].to_string().trim_matches('"').to_owned()
    };
    let user = first("/v1/users").await;
    let known = send(Method::PUT, &format!("/api/public/users/{user}/")).json(&json!({"custom_id": "a-10"}));
    json_of(known).await;
    let new = json!({"content_type": "clientuser", "name": "Known here", "value_type": "string"});
    let (_, known_attribute) = json_of(send(Method::POST, "/api/public/attributes/").json(&new)).await;
    let field = send(Method::POST, "/v1/fields").json(&json!({"name": "Shoe Size", "type": "text"}));
    let (_, field) = json_of(field).await;
    let field = id_of(&field).to_owned();
    let attribute = json!({"name": "ONLY_OURS", "class": "user", "type": "integer"});
    let (_, attribute) = json_of(send(Method::POST, "/v2/attributes").json(&attribute)).await;
    let community = &key[..24];
    BTreeMap::from([
        ("/api/public/users/", user.clone()),
        ("/api/public/users-by-id/", "a-10".to_owned()),
        ("/api/public/attributes/", known_attribute["id"].to_string()),
        ("/api/public/attribute-type/", "known_here".to_owned()),
        ("/apis/v1/communities/", community.to_owned()),
        ("/apis/v1/communities/{communityId}/user-fields/", format!("{community}/{field}")),
        ("/apis/v1/communities/{communityId}/users/", format!("{community}/{user}")),
        ("/apis/v1/communities/{communityId}/users/{userId}/user-fields/", format!("{community}/{user}/{field}")),
        ("/apis/v1/users/{userId}/", format!("{user}/{}", first("/v1/keys").await)),
        ("/v2/users/", user.clone()),
        ("/v2/attributes/", attribute["data"]["id"].to_string()),
        ("/v1/users/", user),
        ("/v1/fields/", field),
        ("/v1/keys/", first("/v1/keys").await),
        ("/v1/jobs/", job.clone()),
        ("/apis/v1/users/bulk-update/", job),
        ("/v1/webhooks/", webhook.to_owned()),
        // The ends of the jobs were told to it.
        (
            "/v1/webhooks/{id}/deliveries/",
            format!("{webhook}/{}", first(&format!("/v1/webhooks/{webhook}/deliveries")).await),
        ),
    ])
}

/// The code of an error in the form of any face.
fn code_of(body: &Value) -> &str {
    let page = body["error"]["moreInfo"].as_str().and_then(|page| page.rsplit('#').next());
    page.or(body["code"].as_str()).unwrap_or_default()
}

/// Whether an error has one of these codes. Those of User.com have none: a sentence is all that they are.
fn says(body: &Value, codes: &[&str]) -> bool {
    let sentence = body.as_object().is_some_and(|members| members.len() == 1 && body["detail"].is_string());
    sentence || codes.contains(&code_of(body))
}

/// The id to call a path with; none if it takes none.
fn target<'a>(objects: &'a BTreeMap<&'static str, String>, path: &str) -> Option<&'a str> {
    path.contains('{').then(|| {
        let of = objects.iter().rev().find(|(prefix, _)| path.starts_with(**prefix));
        of.unwrap_or_else(|| panic!("a test must know an object for {path}")).1.as_str()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_who_has_no_key() {
    on_every_database(async |app| {
        for operation in operations() {
            for wrong in [None, Some("x".repeat(64)), Some(app.key.replace(&app.key[30..], &"0".repeat(34)))] {
                let request = operation.request(app, "1");
                let response = wrong.iter().fold(request, |request, key| request.bearer_auth(key));
                let response = response.send().await.unwrap();
                assert_eq!(response.status(), 401, "{}", operation.name());
                assert_eq!(response.headers()["www-authenticate"], "Bearer", "{}", operation.name());
                assert!(response.headers().contains_key("x-request-id"), "{}", operation.name());
                assert!(says(&response.json().await.unwrap(), &["unauthorized"]), "{}", operation.name());
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_names_the_scope_that_a_key_lacks() {
    on_every_database(async |app| {
        let objects = objects(app, &app.key).await;
        for operation in operations() {
            // Whoever has a key may know what it may do.
            let is_about_itself = operation.name() == "GET /apis/v1/users/apikeys/info";
            assert_eq!(operation.scopes.is_empty(), is_about_itself, "{} needs no scope", operation.name());
            for lacking in &operation.scopes {
                let key = app.make_key(&app.community, &operation.others(*lacking)).await;
                let id = target(&objects, &operation.path).unwrap_or_default();
                // What is done to a job needs the scope of its kind, which only a job that is there has.
                let nonsense = (!operation.path.starts_with("/v1/jobs/{id}/"))
                    .then(|| app.bare(operation.method.clone(), &operation.path("x")).body("nonsense"));
                for request in nonsense.into_iter().chain([operation.request(app, id)]) {
                    let (status, body) = json_of(request.bearer_auth(&key)).await;
                    assert!(status == 403 && says(&body, &["missing_scope"]), "{}: {status} {body}", operation.name());
                    assert!(body.to_string().contains(lacking.as_str()), "{}: {body}", operation.name());
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_kind_of_many_users_hears_what_is_wrong_before_which_kind_it_lacks() {
    on_every_database(async |app| {
        let key = app.make_key(&app.community, &[Scope::BulkUpdate]).await;
        let ask = async |body: Value| {
            let request = app.bare(Method::POST, "/v1/users/bulk").bearer_auth(&key).json(&body);
            let (status, problem) = json_of(request).await;
            (status.as_u16(), code_of(&problem).to_owned())
        };
        assert_eq!(ask(json!({"kind": "delete", "records": []})).await, (400, "empty_file".to_owned()));
        assert_eq!(ask(json!({"kind": "delete", "records": [{}]})).await, (403, "missing_scope".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_succeeds_with_just_the_scopes_that_it_names() {
    on_every_database(async |app| {
        for operation in operations() {
            // Deleting and revoking takes the object away, so each gets its own community.
            let community = app.engine.create_community("Another").await.unwrap();
            let owner = app.make_key(&community, Scope::ALL).await;
            let objects = objects(app, &owner).await;
            let id = target(&objects, &operation.path).unwrap_or_default();
            let key = app.make_key(&community, &operation.scopes).await;
            let response = operation.request(app, id).bearer_auth(key).send().await.unwrap();
            let (status, text) = (response.status(), response.text().await.unwrap());
            // The job has ended, so that it cannot be stopped any more: that is said after the scopes were checked.
            let ended = status == StatusCode::CONFLICT && text.contains("invalid_state");
            assert!(status.is_success() || ended, "{}: {status} {text}", operation.name());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_communitys_object_is_like_one_that_does_not_exist() {
    on_every_database(async |app| {
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        // The stranger's own user and job come first, so that ids that are counted differ.
        app.run("?kind=import", "Email\na@example.com\nb@example.com\nc@example.com\n").await;
        let (_, page) = app.get("/v1/users").await;
        let mut objects = objects(app, &app.key).await;
        let last = page["data"].as_array().unwrap().last().unwrap()["id"].to_string();
        objects.insert("/v1/users/", last.clone());
        objects.insert("/v2/users/", last.clone());
        objects.insert("/api/public/users/", last);
        let hex = "0123456789abcdef01234567";
        for operation in operations() {
            let Some(id) = target(&objects, &operation.path) else {
                continue;
            };
            let ask = async |id: &str| {
                let (status, body) = json_of(operation.request(app, id).bearer_auth(&stranger)).await;
                // What differs is the id of the request, or the words that repeat the id of the address.
                let kept = match body["error"].is_object() {
                    true => json!({"error": without(body["error"].clone(), &["messages"])}),
                    false if body.get("request_id").is_some() => without(body, &["request_id"]),
                    false => body,
                };
                (status.as_u16(), kept)
            };
            let theirs = ask(id).await;
            let missing = says(&theirs.1, &["not_found", "user_not_found", "unknown_field"]);
            assert!(theirs.0 == 404 && missing, "{}: {theirs:?}", operation.name());
            let missing = match id {
                id if id.starts_with("job_") => format!("job_{hex}"),
                id if id.starts_with("wh_") => format!("wh_{hex}"),
                id if id.len() == hex.len() => hex.to_owned(),
                _ => "987654321".to_owned(),
            };
            for absent in [missing.as_str(), "x", "0", "-1", "%FF", "99999999999999999999", "+1", "01"] {
                let absent = id.split_once('/').map_or(absent.to_owned(), |(_, own)| format!("{absent}/{own}"));
                assert_eq!(ask(&absent).await, theirs, "{} with {absent}", operation.name());
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_native_operation_refuses_a_query_parameter_that_it_does_not_know() {
    on_every_database(async |app| {
        let objects = objects(app, &app.key).await;
        for mut operation in operations() {
            if !operation.path.starts_with("/v1/") {
                continue;
            }
            let id = target(&objects, &operation.path).unwrap_or_default().to_owned();
            operation.path.push_str("?nothing_knows_this=1");
            let (status, problem) = json_of(operation.request(app, &id).bearer_auth(&app.key)).await;
            assert_eq!(status, 400, "{}: {problem}", operation.name());
            assert!(problem["code"] == "invalid_request" || problem["code"] == "invalid_option", "{problem}");
        }
    })
    .await;
}

/// The case across communities of the operations that name no object: what they show and change is the caller's own.
#[tokio::test(flavor = "multi_thread")]
async fn no_operation_shows_or_changes_anything_of_another_community() {
    on_every_database(async |app| {
        app.run("?kind=import&name=Marked", "Email,City\nmarked@example.com,Rome\nada@example.com,Marked\n").await;
        app.make_field("Marked Field", "text").await;
        for (path, new) in [
            ("/v1/webhooks", json!({"url": "https://marked.example.com/"})),
            ("/v1/keys", json!({"name": "marked", "scopes": []})),
        ] {
            assert_eq!(json_of(app.post(path).json(&new)).await.0, 201);
        }
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        let general: Vec<Operation> = operations().into_iter().filter(|one| !one.path.contains('{')).collect();
        let ours = async || {
            let mut state = Vec::new();
            for operation in general.iter().filter(|operation| operation.method == Method::GET) {
                let answer = operation.request(app, "").bearer_auth(&app.key).send().await.unwrap();
                state.push((operation.name(), answer.text().await.unwrap()));
            }
            state
        };
        let before = ours().await;
        let seen = |(_, text): &&(String, String)| text.to_lowercase().contains("marked");
        assert!(before.iter().filter(seen).count() >= 6, "the marks show: {before:?}");
        for operation in &general {
            let answer = operation.request(app, "").bearer_auth(&stranger).send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert!(!status.is_server_error(), "{}: {status} {text}", operation.name());
            assert!(!text.to_lowercase().contains("marked"), "{}: {text}", operation.name());
            assert!(!text.contains(&app.community.id.to_string()), "{}: {text}", operation.name());
        }
        assert_eq!(ours().await, before);
    })
    .await;
}
