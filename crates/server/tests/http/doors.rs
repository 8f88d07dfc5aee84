//! One rule, one verdict, whatever door a change comes through: the same changes through every door, and what became of the
//! user is compared.

use crate::App;
use crate::app::json_of;
use crate::on_every_database;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// A door through which the value of a field can be changed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    CsvFile,
    NdjsonFile,
    JsonFile,
    Filter,
    Records,
    Patch,
    Change,
    ReturningUpdate,
    ReturningImport,
    ReturningCurrency,
    ReturningHistory,
    PropellerBulkById,
    PropellerBulkBySourceId,
    PropellerUser,
    PropellerValues,
    UserComMassUpdate,
    UserComMassUpdateByCustomId,
    UserComSetAttribute,
    UserComUpdate,
    UserComUpdateOrCreate,
}

use Door::*;

const DOORS: [Door; 20] = [
    CsvFile,
    NdjsonFile,
    JsonFile,
    Filter,
    Records,
    Patch,
    Change,
    ReturningUpdate,
    ReturningImport,
    ReturningCurrency,
    ReturningHistory,
    PropellerBulkById,
    PropellerBulkBySourceId,
    PropellerUser,
    PropellerValues,
    UserComMassUpdate,
    UserComMassUpdateByCustomId,
    UserComSetAttribute,
    UserComUpdate,
    UserComUpdateOrCreate,
];

/// What happens to the field.
enum To {
    /// It gets the value: as JSON, and as a cell.
    Set(Value, &'static str),
    /// It is cleared.
    Clear,
    /// It is moved by so much.
    Move(&'static str, u32),
}

/// A change, and what is to become of it: the value afterwards, or the code by which it is refused.
struct Case {
    field: &'static str,
    to: To,
    expected: Result<Value, &'static str>,
}

fn set(field: &'static str, json: Value, cell: &'static str, expected: Result<Value, &'static str>) -> Case {
    Case { field, to: To::Set(json, cell), expected }
}

fn cases() -> Vec<Case> {
    let long = "x".repeat(11).leak();
    vec![
        set("Points", json!(7), "7", Ok(json!(7))),
        set("Points", json!(0), "0", Ok(json!(0))),
        set("Points", json!(101), "101", Err("out_of_range")),
        set("Points", json!("many"), "many", Err("invalid_integer")),
        set("Points", json!(1.5), "1.5", Err("invalid_integer")),
        set("Rate", json!("1.25"), "1.25", Ok(json!("1.25"))),
        set("Rate", json!("1.2.5"), "1.2.5", Err("invalid_decimal")),
        set("Premium Currency", json!("9.90"), "9.90", Ok(json!("9.9"))),
        Case { field: "Premium Currency", to: To::Move("add", 5), expected: Ok(json!("6")) },
        Case { field: "Premium Currency", to: To::Move("subtract", 1), expected: Ok(json!("0")) },
        Case { field: "Premium Currency", to: To::Move("subtract", 2), expected: Err("insufficient_balance") },
        Case { field: "Points", to: To::Move("add", 100), expected: Err("out_of_range") },
        set("Active", json!(true), "true", Ok(json!(true))),
        set("Active", json!("perhaps"), "perhaps", Err("invalid_boolean")),
        set("Born", json!("2024-02-29"), "2024-02-29", Ok(json!("2024-02-29"))),
        set("Born", json!("2023-02-29"), "2023-02-29", Err("invalid_date")),
        set("Seen", json!("2024-02-29T12:00:00+02:00"), "2024-02-29T12:00:00+02:00", Ok(json!("2024-02-29T10:00:00Z"))),
        set("Seen", json!("noon"), "noon", Err("invalid_datetime")),
        set("Tier", json!("gold"), "gold", Ok(json!("gold"))),
        set("Tier", json!("lead"), "lead", Err("invalid_option")),
        set("Note", json!("hello"), "hello", Ok(json!("hello"))),
        set("Note", json!(long), long, Err("too_long")),
        set("Name", json!("Ada"), "Ada", Ok(json!("Ada"))),
        set("Badge", json!("B2"), "B2", Ok(json!("B2"))),
        set("Badge", json!("b1"), "b1", Err("not_unique")),
        Case { field: "Note", to: To::Clear, expected: Ok(Value::Null) },
        Case { field: "Name", to: To::Clear, expected: Err("required_field") },
    ]
}

async fn make_fields(app: &App) {
    for field in [
        json!({"name": "Points", "type": "integer", "min": 0, "max": 100}),
        json!({"name": "Rate", "type": "decimal"}),
        json!({"name": "Active", "type": "boolean"}),
        json!({"name": "Born", "type": "date"}),
        json!({"name": "Seen", "type": "datetime"}),
        json!({"name": "Tier", "type": "select", "options": ["Gold", "Silver"]}),
        json!({"name": "Note", "type": "text", "max_length": 10}),
        json!({"name": "Badge", "type": "text", "unique": true}),
        json!({"name": "Name", "type": "text", "required": true}),
    ] {
        let (status, made) = json_of(app.post("/v1/fields").json(&field)).await;
        assert_eq!(status, 201, "{made}");
    }
}

/// The user on whom a case is tried.
struct Subject {
    id: i64,
    email: String,
    /// What names it in the system `custom_id`.
    custom_id: String,
}

/// Makes a user for each door, with something in the fields that cases change.
async fn make_subjects(app: &App, case: usize) -> Vec<Subject> {
    let names: Vec<String> = DOORS.iter().map(|door| format!("{door:?}{case}").to_lowercase()).collect();
    let rows: String =
        names.iter().map(|name| format!("{name}@example.com,custom_id,{name},Grace,old,1,1\n")).collect();
    let csv = format!("Email,source,source_id,Name,Note,Points,Premium Currency\n{rows}");
    let job = app.run("?kind=import&match_by=external", &csv).await;
    assert_eq!(job["counts"]["created"], names.len(), "{job}");
    let mut subjects = Vec::new();
    for name in names {
        let email = format!("{name}@example.com");
        let id = app.user(&email).await["id"].as_i64().expect("it was made");
        subjects.push(Subject { id, email, custom_id: name });
    }
    subjects
}

/// The request that makes a change through a door, and whether a job comes of it that is still to be waited for. None where
/// the product has no words for it.
fn request(app: &App, door: Door, of: &Subject, Case { field, to, .. }: &Case) -> Option<RequestBuilder> {
    let key = field.to_lowercase().replace(' ', "_");
    let Subject { id, email, custom_id } = of;
    let csv = match to {
        To::Set(_, cell) => Some(format!("Email,{field}\n{email},{cell}\n")),
        To::Clear => None,
        To::Move(op, by) => Some(format!("Email,{field},{field}_op\n{email},{by},{op}\n")),
    };
    let set = match to {
        To::Set(value, _) => Some(value.clone()),
        To::Clear => Some(Value::Null),
        To::Move(..) => None,
    };
    let change = match to {
        To::Set(value, _) => value.clone(),
        To::Clear => Value::Null,
        To::Move(op, by) => json!({"op": op, "value": by}),
    };
    let file = |path: &str| {
        let form = Form::new().part("data", Part::text(csv.clone()?).file_name("users.csv"));
        Some(app.post(path).multipart(form))
    };
    let user_com = |method: Method, path: String| {
        let request = app.bare(method, &format!("/api/public{path}"));
        request.header("authorization", format!("Token {}", app.key))
    };
    let values = json!({ key.as_str(): change });
    let attribute = |value| json!({"name": key.to_uppercase(), "class": "user", "value": value});
    let built_in = key == "premium_currency";
    match door {
        CsvFile => {
            let csv = csv.unwrap_or_else(|| format!("Email,{field}\n{email},\\N\n"));
            Some(app.post("/v1/jobs?kind=update").header("content-type", "text/csv").body(csv))
        }
        NdjsonFile => {
            let record = json!({"id": id, "values": values}).to_string();
            let request = app.post("/v1/jobs?kind=update&match_by=id").header("content-type", "application/x-ndjson");
            Some(request.body(record))
        }
        JsonFile => Some(app.post("/v1/jobs?kind=update").json(&json!([{"email": email, "values": values}]))),
        Filter => Some(app.post("/v1/jobs").json(&json!({"kind": "update", "where": {"email": email}, "set": values}))),
        Records => Some(app.post("/v1/users/bulk").json(&json!({"records": [{"email": email, "values": values}]}))),
        Patch => Some(app.request(Method::PATCH, &format!("/v1/users/{id}")).json(&json!({"values": values}))),
        Change => {
            let body = match to {
                To::Set(value, _) => json!({"user_id": id, "field": key, "op": "overwrite", "value": value}),
                To::Clear => json!({"user_id": id, "field": key, "op": "clear"}),
                To::Move(op, by) => json!({"user_id": id, "field": key, "op": op, "value": by}),
            };
            Some(app.post("/v1/history").json(&body))
        }
        ReturningUpdate => file("/apis/v1/users/bulk-update"),
        ReturningImport => file("/apis/v1/users/bulk-import"),
        ReturningCurrency => match to {
            To::Move(..) if built_in => file("/apis/v1/users/bulk-update-premium-currency"),
            To::Set(_, cell) if built_in => {
                let csv = format!("Email,Premium Currency,Premium Currency_op\n{email},{cell},overwrite\n");
                let form = Form::new().part("data", Part::text(csv));
                Some(app.post("/apis/v1/users/bulk-update-premium-currency").multipart(form))
            }
            To::Set(..) | To::Move(..) | To::Clear => None,
        },
        ReturningHistory => {
            let path = format!("/apis/v1/communities/{}/users/{id}/user-field-histories", app.community.id);
            let body = match to {
                To::Set(..) | To::Clear => json!({"field": field, "value": change}),
                To::Move(op, by) => json!({"field": field, "operator": op, "value": by}),
            };
            Some(app.post(&path).json(&body))
        }
        PropellerBulkById => {
            let user = json!({"id": id, "attributes": [attribute(set?)]});
            Some(app.post("/v2/users/bulk/id").json(&json!({"users": [user]})))
        }
        PropellerBulkBySourceId => {
            let user = json!({"source": "custom_id", "sourceId": custom_id, "attributes": [attribute(set?)]});
            Some(app.post("/users/bulk/sourceId").json(&json!({"users": [user]})))
        }
        PropellerUser => {
            let body = json!({"attributes": [attribute(set?)]});
            Some(app.request(Method::PATCH, &format!("/v2/users/id/{id}")).json(&body))
        }
        PropellerValues => Some(app.post(&format!("/v2/users/id/{id}/attributes")).json(&json!([attribute(set?)]))),
        UserComMassUpdate => {
            let body = json!({"ids": [id], "attribute": field, "value": set?});
            Some(user_com(Method::PUT, "/users/mass_update_custom_attributes/".to_owned()).json(&body))
        }
        UserComMassUpdateByCustomId => {
            let body = json!({"ids": [custom_id], "attribute": key, "value": set?});
            Some(user_com(Method::POST, "/users-by-id/mass_update_custom_attributes/".to_owned()).json(&body))
        }
        UserComSetAttribute => {
            let body = json!({"attribute": field, "value": set?});
            Some(user_com(Method::POST, format!("/users/{id}/set_attribute/")).json(&body))
        }
        UserComUpdate => Some(user_com(Method::PUT, format!("/users/{id}/")).json(&json!({ key.as_str(): set? }))),
        UserComUpdateOrCreate => {
            let body = json!({"custom_id": custom_id, key.as_str(): set?});
            Some(user_com(Method::POST, "/users/update_or_create/".to_owned()).json(&body))
        }
    }
}

/// The job of an answer, if there is one.
fn job_of(answer: &Value) -> Option<&str> {
    let places = ["/job_id", "/data/id", "/id"];
    let mut ids = places.iter().filter_map(|place| answer.pointer(place)?.as_str());
    ids.find(|id| id.starts_with("job_"))
}

/// By which code a change was refused, where the answer or the results of its job say one; else all that was answered.
async fn refusal(app: &App, answer: &Value) -> Option<String> {
    if let Some(id) = job_of(answer) {
        app.ended(id).await;
        let results = app.get_text(&format!("/v1/jobs/{id}/results?format=ndjson")).await;
        let row: Value = serde_json::from_str(results.trim()).expect("there is one result");
        return row["_code"].as_str().map(str::to_owned);
    }
    let code = |place| answer.pointer(place)?.as_str().map(str::to_owned);
    ["/errors/0/code", "/data/0/code", "/code"].into_iter().find_map(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_gets_the_same_verdict_at_every_door() {
    on_every_database(async |app| {
        make_fields(app).await;
        app.run("?kind=import", "Email,Name,Badge\nholder@example.com,Hedy,B1\n").await;
        for (number, case) in cases().iter().enumerate() {
            let subjects = make_subjects(app, number).await;
            let key = case.field.to_lowercase().replace(' ', "_");
            for (door, subject) in DOORS.into_iter().zip(&subjects) {
                let Some(request) = request(app, door, subject, case) else { continue };
                let before = app.user(&subject.email).await["values"][&key].clone();
                let (status, answer) = json_of(request).await;
                let code = refusal(app, &answer).await;
                let after = app.user(&subject.email).await["values"][&key].clone();
                let place = format!("{door:?}, {} ({number}): {status} {answer}", case.field);
                match &case.expected {
                    Ok(value) => {
                        assert_eq!((&after, code), (value, None), "{place}");
                        assert!(status.is_success(), "{place}");
                    }
                    Err(expected) => {
                        assert_eq!(after, before, "{place}");
                        assert_eq!(code.as_deref().unwrap_or("-"), *expected, "{place}");
                    }
                }
            }
        }
        app.engine.verify().await.expect("the ledger balances");
    })
    .await;
}
