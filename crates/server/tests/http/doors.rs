//! One rule, one verdict, whatever door a change comes through: the same changes through every door, and what became of the
//! user is compared.

use crate::App;
use crate::app::{id_of, json_of};
use crate::on_every_database;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, StatusCode};
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
        set("Points", json!("many"), "many", Err("invalid_number")),
        set("Points", json!(1.5), "1.5", Err("invalid_number")),
        set("Rate", json!("1.25"), "1.25", Ok(json!("1.25"))),
        set("Rate", json!("1.2.5"), "1.2.5", Err("invalid_number")),
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
        set("Alias", json!("Ada"), "Ada", Ok(json!("Ada"))),
        set("Badge", json!("B2"), "B2", Ok(json!("B2"))),
        set("Badge", json!("B1"), "B1", Err("not_unique")),
        Case { field: "Note", to: To::Clear, expected: Ok(Value::Null) },
        Case { field: "Alias", to: To::Clear, expected: Err("required_field") },
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
        json!({"name": "Alias", "type": "text", "required": true}),
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
    let csv = format!("Email,source,source_id,Alias,Note,Points,Premium Currency\n{rows}");
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
#[expect(clippy::too_many_lines, reason = "it is a table: what each door is told")]
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

/// The id of the job that an answer is about, which all doors for many users leave in the log.
async fn job_of(app: &App, door: Door, answer: &Value) -> Option<String> {
    let named = ["/job_id", "/data/id", "/id"].iter().find_map(|place| answer.pointer(place)?.as_str());
    if let Some(id) = named.filter(|id| id.starts_with("job_")) {
        return Some(id.to_owned());
    }
    // Their documented answer has no place for an id.
    if ![PropellerBulkById, PropellerBulkBySourceId].contains(&door) {
        return None;
    }
    let (_, newest) = app.get("/v1/jobs?limit=1").await;
    Some(newest.pointer("/data/0/id")?.as_str()?.to_owned())
}

/// What became of a change: the code by which it was refused, or else the sentences that were answered.
enum Verdict {
    Done,
    Refused(String),
    Said(String),
}

async fn verdict(app: &App, door: Door, status: StatusCode, answer: &Value) -> Verdict {
    if let Some(id) = job_of(app, door, answer).await {
        app.ended(&id).await;
        let results = app.get_text(&format!("/v1/jobs/{id}/results?format=ndjson")).await;
        let row: Value = serde_json::from_str(results.trim()).expect("there is one result");
        return row["_code"].as_str().map_or(Verdict::Done, |code| Verdict::Refused(code.to_owned()));
    }
    let more = answer.pointer("/error/moreInfo").and_then(|page| page.as_str()?.split('#').nth(1));
    let code = more.or_else(|| ["/errors/0/code", "/code"].iter().find_map(|place| answer.pointer(place)?.as_str()));
    match code {
        Some(code) => Verdict::Refused(code.to_owned()),
        None if status.is_success() && answer.pointer("/data/0/success") != Some(&json!(false)) => Verdict::Done,
        None => Verdict::Said(answer.to_string()),
    }
}

/// The sentence with which a record is refused, without the field that it begins with, as it stands in JSON.
async fn sentence(app: &App, of: &Subject, case: &Case) -> String {
    let request = request(app, Records, of, case).expect("it takes every change");
    let (_, answer) = json_of(request).await;
    let sentence = answer.pointer("/data/0/message").and_then(Value::as_str).unwrap_or_default();
    let (_, sentence) = sentence.split_once(": ").expect("it begins with the field");
    json!(sentence).to_string().trim_matches('"').to_owned()
}

/// Undoes the job of an answer, if there is one.
async fn undo(app: &App, door: Door, answer: &Value) -> bool {
    let Some(id) = job_of(app, door, answer).await else { return false };
    let (status, undo) = json_of(app.post(&format!("/v1/jobs/{id}/undo"))).await;
    assert_eq!(status, 202, "{undo}");
    assert_eq!(app.ended(id_of(&undo)).await["counts"]["updated"], 1);
    true
}

/// Frees a unique value for the next door.
async fn give_back(app: &App, of: &Subject, field: &'static str) {
    if field == "Badge" {
        let clear = Case { field, to: To::Clear, expected: Ok(Value::Null) };
        let (status, answer) = json_of(request(app, Patch, of, &clear).expect("it takes every change")).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_gets_the_same_verdict_at_every_door() {
    on_every_database(async |app| {
        make_fields(app).await;
        let mut undone = Vec::new();
        app.run("?kind=import", "Email,Alias,Badge\nholder@example.com,Hedy,B1\n").await;
        for (number, case) in cases().iter().enumerate() {
            let subjects = make_subjects(app, number).await;
            let key = case.field.to_lowercase().replace(' ', "_");
            for (door, subject) in DOORS.into_iter().zip(&subjects) {
                let Some(request) = request(app, door, subject, case) else { continue };
                let before = app.user(&subject.email).await["values"][&key].clone();
                let (status, answer) = json_of(request).await;
                let verdict = verdict(app, door, status, &answer).await;
                let after = app.user(&subject.email).await["values"][&key].clone();
                let place = format!("{door:?}, {} ({number}): {status} {answer}", case.field);
                match (&case.expected, verdict) {
                    (Ok(value), Verdict::Done) => {
                        assert_eq!(after, *value, "{place}");
                        give_back(app, subject, case.field).await;
                        if number == 0 && undo(app, door, &answer).await {
                            assert_eq!(app.user(&subject.email).await["values"][&key], before, "{place}");
                            undone.push(door);
                        }
                    }
                    (Ok(_), Verdict::Refused(_) | Verdict::Said(_)) | (Err(_), Verdict::Done) => panic!("{place}"),
                    (Err(expected), Verdict::Refused(code)) => {
                        assert_eq!((code.as_str(), after), (*expected, before), "{place}")
                    }
                    (Err(_), Verdict::Said(said)) => {
                        let sentence = sentence(app, subject, case).await;
                        assert!(said.contains(&sentence) && after == before, "{place}: {sentence}");
                    }
                }
            }
        }
        let for_one = [
            Patch,
            Change,
            ReturningHistory,
            PropellerUser,
            PropellerValues,
            UserComSetAttribute,
            UserComUpdate,
            UserComUpdateOrCreate,
        ];
        // It takes the currency only, and the first case is none.
        let for_many = DOORS.into_iter().filter(|door| !for_one.contains(door) && *door != ReturningCurrency);
        assert_eq!(undone, for_many.collect::<Vec<_>>(), "every change of many users has a job that can be undone");
        app.engine.verify().await.expect("the ledger balances");
    })
    .await;
}
