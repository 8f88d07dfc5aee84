//! The User.com face.

mod attributes;
mod mass_updates;
mod search;
mod users;

use crate::App;
use crate::app::json_of;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Where the face lies.
const API: &str = "/api/public";

/// A request as this product's clients send it.
fn request(app: &App, method: Method, path: &str) -> RequestBuilder {
    let request = app.bare(method, &format!("{API}{path}"));
    request.header("authorization", format!("Token {}", app.key)).header("content-type", "application/json")
}

async fn get(app: &App, path: &str) -> (u16, Value) {
    answer(request(app, Method::GET, path)).await
}

async fn send(app: &App, method: Method, path: &str, body: &Value) -> (u16, Value) {
    answer(request(app, method, path).body(body.to_string())).await
}

async fn post(app: &App, path: &str, body: &Value) -> (u16, Value) {
    send(app, Method::POST, path, body).await
}

async fn put(app: &App, path: &str, body: &Value) -> (u16, Value) {
    send(app, Method::PUT, path, body).await
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let (status, body) = json_of(request).await;
    (status.as_u16(), body)
}

/// Asserts that a request was refused because of this member, and gives what was said of it.
fn refused(answer: &(u16, Value), member: &str) -> String {
    assert_eq!(answer.0, 400, "{}", answer.1);
    let members = answer.1.as_object().expect("it is an object");
    assert_eq!(members.keys().collect::<Vec<_>>(), [member], "{}", answer.1);
    let [message] = members[member].as_array().expect("it is a list").as_slice() else {
        panic!("there is more than one message: {}", answer.1);
    };
    message.as_str().expect("it is a text").to_owned()
}

/// Makes a user by this face and gives its id.
async fn make(app: &App, body: Value) -> i64 {
    let (status, user) = post(app, "/users/", &body).await;
    assert_eq!(status, 201, "{user}");
    user["id"].as_i64().expect("it has an id")
}

/// Makes as many users as there are names, and gives their ids.
async fn make_all(app: &App, names: &[&str]) -> Vec<i64> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(make(app, json!({"custom_id": name, "email": format!("{name}@example.com")})).await);
    }
    ids
}

async fn verify(app: &App) {
    app.engine.verify().await.expect("the ledger balances");
}
