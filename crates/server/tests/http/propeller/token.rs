use super::error_of;
use crate::App;
use crate::app::{Options, id_of, json_of, with};
use crate::on_every_database;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_core::scope::Scope;
use muster_engine::{Clock, Engine, Faults, Limits, NewKey, testing};
use muster_server::http::{HttpConfig, Rate, Rates, router};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const PATHS: [&str; 2] = ["/v2/oauth2/token", "/oauth2/token"];

/// A key of the community with its id.
async fn make_key(app: &App, scopes: &[Scope]) -> (String, String) {
    let new = NewKey { name: "ERP".to_owned(), scopes: scopes.to_vec(), expires_at: None };
    let made = app.engine.create_key(&app.community, &new).await.expect("a key can be made");
    (made.key.id.to_string(), made.secret)
}

fn ask(app: &App, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    app.bare(Method::POST, path).header("content-type", "application/x-www-form-urlencoded").body(body)
}

fn credentials<'a>(id: &'a str, key: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", key)]
}

async fn token(app: &App, id: &str, key: &str) -> String {
    let (status, answer) = json_of(ask(app, PATHS[1], &credentials(id, key))).await;
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().expect("there is a token").to_owned()
}

async fn status_with(app: &App, token: &str, path: &str) -> u16 {
    app.bare(Method::GET, path).bearer_auth(token).send().await.expect("the server answers").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_becomes_a_token_that_can_do_what_the_key_can() {
    on_every_database(async |app| {
        let (id, key) = make_key(app, &[Scope::UsersRead, Scope::FieldsRead]).await;
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{key}")));
        let grant = [("grant_type", "client_credentials")];
        for path in PATHS {
            for request in [
                ask(app, path, &credentials(&id, &key)),
                ask(app, path, &grant).header("authorization", &basic),
                ask(app, path, &[grant[0], ("client_id", &id), ("scope", "profile")]).header("authorization", &basic),
            ] {
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 200);
                assert_eq!(response.headers()["cache-control"], "no-store");
                assert_eq!(response.headers()["pragma"], "no-cache");
                let answer: Value = response.json().await.unwrap();
                let members: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(members[..4], ["access_token", "token_type", "expires_in", "scope"], "the newer form");
                for member in ["issued_at", "refresh_token_expires_in", "api_product_list", "developer.email"] {
                    assert!(answer[member].is_string(), "the older form has {member} as a text");
                }
                assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(1800)));
                assert_eq!(
                    (&answer["scope"], &answer["status"]),
                    (&json!("users:read fields:read"), &json!("approved"))
                );
                assert_eq!((&answer["client_id"], &answer["application_name"]), (&json!(id), &json!("ERP")));
                let token = answer["access_token"].as_str().unwrap();
                assert!(!answer.to_string().contains(&key));
                assert_eq!(status_with(app, token, "/v1/users").await, 200);
                assert_eq!(status_with(app, token, "/v1/jobs").await, 403, "a token may not do more than its key");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_dies_with_its_key() {
    on_every_database(async |app| {
        let (id, key) = make_key(app, &[Scope::UsersRead]).await;
        let token = token(app, &id, &key).await;
        assert_eq!(status_with(app, &token, "/v1/users").await, 200);
        let revoke = app.request(Method::DELETE, &format!("/v1/keys/{id}"));
        assert_eq!(revoke.send().await.unwrap().status(), 204);
        assert_eq!(status_with(app, &token, "/v1/users").await, 401);
        let (status, answer) = json_of(ask(app, PATHS[0], &credentials(&id, &key))).await;
        assert_eq!((status.as_u16(), &answer["error"]), (401, &json!("invalid_client")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_as_long_as_its_key_and_half_an_hour_at_most() {
    for url in testing::database_urls().await {
        let folder = tempfile::tempdir().unwrap();
        let store = testing::open(url.as_deref(), folder.path());
        store.migrate().await.unwrap();
        let staging = muster_engine::Staging::open(folder.path()).unwrap();
        let clock = Clock::fixed("2026-01-31T09:00:00Z".parse().unwrap());
        let engine = Engine::new(store, staging, clock.clone(), Faults::none(), Limits::default());
        let community = engine.create_community("Ours").await.unwrap();
        let issue = async |expires_at: Option<&str>| {
            let expires_at = expires_at.map(|time| time.parse().unwrap());
            let new = NewKey { name: "key".into(), scopes: Vec::new(), expires_at };
            let made = engine.create_key(&community, &new).await.unwrap();
            let id = made.key.id.to_string();
            engine
                .issue_token(&id, &made.secret)
                .await
                .unwrap()
                .map(|token| (token.secret, token.expires_at.to_string()))
        };
        let (long, end) = issue(None).await.unwrap();
        assert_eq!(end, "2026-01-31T09:30:00Z");
        let (short, end) = issue(Some("2026-01-31T09:10:00Z")).await.unwrap();
        assert_eq!(end, "2026-01-31T09:10:00Z");
        assert!(issue(Some("2026-01-31T09:00:00Z")).await.is_none(), "an expired key gets no token");
        let valid =
            async |token: &str| matches!(engine.check_key(token).await.unwrap(), muster_engine::KeyCheck::Valid(_));
        clock.advance(std::time::Duration::from_secs(600));
        assert_eq!((valid(&long).await, valid(&short).await), (true, false));
        assert!(engine.issue_token("", &long).await.unwrap().is_none(), "a token begets none");
        clock.advance(std::time::Duration::from_secs(1200));
        assert!(!valid(&long).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_in_every_process_and_after_a_restart() {
    on_every_database(async |app| {
        let (id, key) = make_key(app, &[Scope::UsersRead]).await;
        let token = token(app, &id, &key).await;
        // Another router over the same database is what another process has.
        let again = router(app.engine.clone(), HttpConfig::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async { axum::serve(listener, again).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("http://{address}/v1/users")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        server.abort();
        let kept = testing::strings(app.engine.store(), "SELECT key_id FROM oauth_tokens").await;
        assert_eq!(kept, [id]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_as_oauth_says_and_tells_nothing_of_keys() {
    on_every_database(async |app| {
        let (id, key) = make_key(app, &[]).await;
        let (other, _) = make_key(app, &[]).await;
        let grant = ("grant_type", "client_credentials");
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{key}")));
        let wrong = key.replace(&key[30..], &"0".repeat(34));
        let token = token(app, &id, &key).await;
        let path = PATHS[0];
        let unknown = [
            ask(app, path, &credentials(&id, &wrong)),
            ask(app, path, &credentials(&"0".repeat(24), &wrong)),
            ask(app, path, &credentials(&other, &key)),
            ask(app, path, &credentials(&id, "")),
            ask(app, path, &credentials(&id, &"é".repeat(32))),
            ask(app, path, &credentials(&id, &token)),
            ask(app, path, &[grant]),
            ask(app, path, &[grant, ("client_id", &id)]),
            ask(app, path, &[grant]).bearer_auth(&key),
            ask(app, path, &[grant]).header("authorization", "Basic !!!"),
        ];
        let mut bodies = Vec::new();
        for request in unknown {
            let response = request.send().await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["www-authenticate"]),
                (401, &"Basic".parse().unwrap())
            );
            bodies.push(response.text().await.unwrap());
        }
        assert!(bodies[0].contains("\"invalid_client\""), "{}", bodies[0]);
        assert!(bodies.iter().all(|body| *body == bodies[0]), "all are refused with the same words");

        let twice = [grant, grant, ("client_id", &id), ("client_secret", &key)];
        let in_address = format!("{path}?client_id={id}&client_secret={key}");
        for (request, error) in [
            (ask(app, path, &[("client_id", &id), ("client_secret", &key)]), "invalid_request"),
            (ask(app, path, &twice), "invalid_request"),
            (ask(app, path, &[grant, ("client_secret", &key)]), "invalid_request"),
            (ask(app, path, &credentials(&id, &key)).header("authorization", &basic), "invalid_request"),
            (ask(app, path, &[grant, ("client_id", &other)]).header("authorization", &basic), "invalid_request"),
            (ask(app, &in_address, &[grant]), "invalid_request"),
            (app.bare(Method::POST, path).json(&json!({"grant_type": "client_credentials"})), "invalid_request"),
            (app.bare(Method::POST, path), "invalid_request"),
            (ask(app, path, &[("grant_type", "password")]), "unsupported_grant_type"),
        ] {
            let (status, answer) = json_of(request).await;
            assert_eq!((status.as_u16(), &answer["error"]), (400, &json!(error)), "{answer}");
            assert!(answer["error_description"].is_string(), "{answer}");
        }
        let (status, answer) = json_of(ask(app, path, &[("x", &"x".repeat(20_000))])).await;
        assert_eq!((status.as_u16(), &error_of(&answer)["type"]), (413, &json!("BodyTooLarge")));
        let (status, answer) = json_of(app.bare(Method::GET, path)).await;
        assert_eq!((status.as_u16(), &error_of(&answer)["type"]), (405, &json!("MethodNotAllowed")));
        assert_eq!(id_of(&json_of(app.request(Method::GET, "/v1/keys")).await.1["data"][1]), id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_tries_keys_out_here_is_stopped_too() {
    let clock = Clock::fixed("2026-01-31T09:30:00Z".parse().unwrap());
    let rates = Rates { attempts: Rate::per_second(1, 2), ..Rates::default() };
    let config = HttpConfig { rates, ..HttpConfig::default() };
    with(Options { config, clock, ..Options::default() }, async |app| {
        let (id, key) = make_key(app, &[]).await;
        let asked = token(app, &id, &key).await;
        let wrong = key.replace(&key[30..], &"0".repeat(34));
        let send = async |key: &str| json_of(ask(app, PATHS[0], &credentials(&id, key))).await;
        assert_eq!(send(&wrong).await.0, 401);
        let (status, answer) = send(&wrong).await;
        let error = error_of(&answer);
        assert_eq!((status.as_u16(), &error["code"], &error["type"]), (429, &json!(429), &json!("RateLimited")));
        assert_eq!(send(&key).await.0, 200, "who has a valid key is not stopped by others");
        assert_eq!(status_with(app, &asked, "/v2/users/id/1").await, 429, "a token is a key that is not known yet");
    })
    .await;
}
