//! `POST /users/bulk/sourceId` and `POST /users/bulk/id`: many users in one request, answered with what became of each.

use super::body::{Body, PropellerAnswer, RecordResult};
use super::directives::Directives;
use super::error::{Errors, invalid_lookup};
use super::record::{Lookup, UserRecord, name_of, say_of_value};
use super::schema::Schema;
use super::users::unknown_attribute;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use axum::extract::{Path, State};
use axum::routing::any;
use muster_core::error::{RowError, excerpt};
use muster_core::identity::Identity;
use muster_core::job::{JobKind, MatchBy};
use muster_core::key::Key;
use muster_core::outcome::{Outcome, Status};
use muster_core::{Code, Error};
use muster_engine::{Caller, NewJob};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations, relative to the face.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(change_users_by_source_id))
        .routes(routes!(change_users_by_id))
        .route("/users/bulk/{lookupKey}", any(refuse_lookup))
}

/// There is no other lookup key.
async fn refuse_lookup(Auth(_): Auth, lookup: Option<Path<String>>) -> Failure {
    invalid_lookup(&lookup.map(|Path(lookup)| lookup).unwrap_or_default(), "id,sourceId").into()
}

/// Many users.
#[derive(Debug, ToSchema)]
#[schema(as = PropellerUsers)]
#[expect(dead_code, reason = "the body is read member by member; this describes it")]
struct Users {
    /// Up to 10,000 users. What is absent is kept; null and an empty text clear.
    #[schema(value_type = Vec<Object>)]
    users: Vec<Value>,
    /// `skipIfNotEmpty`, `skipCreate`, `skipMoveOnUpdate`, `mergeTranslationsOnUpdate`; as an object of lists, or as a list
    /// of `{"operation", "fields"}`.
    #[schema(value_type = Option<serde_json::Value>)]
    directives: Option<Value>,
}

/// A request in our words.
#[derive(Debug, Default)]
struct Translated {
    /// The records.
    records: Vec<String>,
    /// What names the user of each, as it was written.
    keys: Vec<Value>,
    /// The same as we look it up, where it can name somebody.
    identities: Vec<Option<Identity>>,
}

impl Translated {
    /// Translates a body, or refuses all of it where it is not well formed.
    fn new(body: &Value, lookup: Lookup, most: usize) -> Result<Self, Error> {
        let mut schema = Schema::default();
        let mut translated = Self::default();
        let object = schema.object("#", body, |name| ["users", "directives"].contains(&name));
        let users = match object.and_then(|object| object.get("users")) {
            Some(users) => schema.array("#/users", users),
            None if object.is_some() => {
                schema.missing("#", "users", Code::InvalidRequest);
                &[]
            }
            None => &[],
        };
        if users.len() > most {
            let detail = format!("#/users: there are {} users, and {most} are allowed; split them.", users.len());
            return Err(Error::new(Code::TooManyRecords, detail));
        }
        let mut directives = Directives::default();
        if let Some(value) = object.and_then(|object| object.get("directives")) {
            directives.read("#/directives", value, &mut schema);
        }
        let others: &[&str] = if lookup == Lookup::Id { &["id", "directives"] } else { &["directives"] };
        for (i, user) in users.iter().enumerate() {
            let place = format!("#/users/{i}");
            if let Some(user) = UserRecord::new(&place, user, others, &mut schema) {
                let (record, key) = user.translate(lookup, &directives, &mut schema);
                translated.identities.push(identity_of(&record));
                translated.records.push(record.to_string());
                translated.keys.push(key);
            }
        }
        schema.finish().map(|()| translated)
    }
}

/// What names the user of a record in another system.
fn identity_of(record: &Value) -> Option<Identity> {
    let identity = record.pointer("/identities/0")?;
    let part = |name: &str| identity[name].as_str();
    Identity::new(part("source")?, part("source_id")?, part("language")).ok()
}

/// What the product says of one record; `exists`: of a user who is there, whatever became of the record.
fn result(outcome: Outcome, key: Value, lookup: Lookup, exists: bool) -> RecordResult {
    let id = outcome.user.map(|user| user.0);
    let creates = lookup == Lookup::SourceId && !exists;
    let said = outcome.reason.map(|reason| say(&reason.error, &key, lookup));
    let (action, error, message) = match outcome.status {
        Status::Created => ("create", None, None),
        Status::Updated | Status::Unchanged => ("update", None, None),
        Status::Skipped => ("skip", None, said),
        Status::Failed => (if creates { "create" } else { "update" }, said, None),
    };
    let success = outcome.status != Status::Failed;
    let id = id.filter(|_| success);
    RecordResult { action, error, id, key, lookup_key: lookup.as_str(), message, success }
}

/// Why a record failed, in the product's words where it has some.
fn say(error: &RowError, key: &Value, lookup: Lookup) -> String {
    let key = key.as_str().map_or_else(|| key.to_string(), excerpt);
    let name = lookup.as_str();
    match (error.code, &error.column) {
        (Code::UserNotFound | Code::InvalidId, _) => format!("User with {name} [{key}] not found"),
        (Code::AmbiguousMatch, _) => {
            format!("Multiple users found (70005): with {name} [{key}] there are several; send the language too.")
        }
        (Code::UnknownField, Some(column)) => unknown_attribute(column),
        (code, Some(column)) => {
            let member = name_of(column).map_or_else(|| column.to_uppercase(), str::to_owned);
            format!("{member}: {}", say_of_value(column, code, &error.message))
        }
        (_, None) => error.message.clone(),
    }
}

async fn change(app: &App, caller: &Caller, body: &Value, lookup: Lookup) -> Result<Vec<RecordResult>, Failure> {
    let translated = tokio::task::block_in_place(|| Translated::new(body, lookup, app.config.records));
    let Translated { records, keys, identities } = translated?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut new = NewJob::new(JobKind::Import);
    new.name = format!("users/bulk/{}", lookup.as_str());
    new.options.match_by = Some(match lookup {
        Lookup::Id => MatchBy::Id,
        Lookup::SourceId => MatchBy::External,
    });
    let batch = app.engine.run_batch(caller, new, records).await?;
    let exist = existing(app, caller, &batch.outcomes, identities).await?;
    let all = batch.outcomes.into_iter().zip(keys).zip(exist);
    Ok(all.map(|((outcome, key), exists)| result(outcome, key, lookup, exists)).collect())
}

/// Whether the user of each record is there. Of a record that failed before anybody was looked up it is found out now.
async fn existing(
    app: &App,
    caller: &Caller,
    outcomes: &[Outcome],
    identities: Vec<Option<Identity>>,
) -> Result<Vec<bool>, Failure> {
    let mut exist: Vec<bool> = outcomes.iter().map(|outcome| outcome.user.is_some()).collect();
    let unknown = identities.into_iter().enumerate().filter(|(i, _)| !exist[*i]);
    let (places, keys): (Vec<usize>, Vec<Key>) =
        unknown.filter_map(|(i, identity)| Some((i, Key::Identity(identity?)))).unzip();
    for (place, found) in places.into_iter().zip(app.engine.are_users(caller, &keys).await?) {
        exist[place] = found;
    }
    Ok(exist)
}

/// Bulk users by source id
///
/// Makes users, or changes those who have the same `source`, `sourceId` and `language`; without a language the only one with
/// that source and id. A job in the log with results and an undo, like every other. A body that is not well formed is refused as
/// a whole; a record that fails leaves the others alone. The same under `/`.
#[utoipa::path(
    post, path = "/users/bulk/sourceId", tag = "Propeller Commerce",
    request_body(content = Users, example = json!({"users": [
        {"source": "ERP", "sourceId": 3_002_196, "firstName": "Miles", "gender": "M", "parent": {"id": 119}},
    ]})),
    responses((status = 200, description = "What became of each user.", body = PropellerAnswer<Vec<RecordResult>>), Errors),
    security(("key" = ["bulk:import"])),
)]
async fn change_users_by_source_id(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Vec<RecordResult>>>, Failure> {
    Ok(Json(PropellerAnswer::completed(change(&app, &caller, &body, Lookup::SourceId).await?)))
}

/// Bulk users by id
///
/// Changes the users of these ids. Muster gives ids itself, so a user who is not there is not made, and its record fails. A
/// `sourceId` with its `source` is given to the user beside those that it has. The same under `/`.
#[utoipa::path(
    post, path = "/users/bulk/id", tag = "Propeller Commerce",
    request_body(content = Users, example = json!({"users": [{"id": 1, "firstName": "Miles", "dateOfBirth": "28/08/1993"}]})),
    responses((status = 200, description = "What became of each user.", body = PropellerAnswer<Vec<RecordResult>>), Errors),
    security(("key" = ["bulk:import"])),
)]
async fn change_users_by_id(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Vec<RecordResult>>>, Failure> {
    Ok(Json(PropellerAnswer::completed(change(&app, &caller, &body, Lookup::Id).await?)))
}

#[cfg(test)]
mod tests {
    use super::super::schema::read;
    use super::*;
    use serde_json::json;

    fn records(body: Value, lookup: Lookup) -> Result<Vec<Value>, Error> {
        let translated = Translated::new(&body, lookup, 10)?;
        Ok(translated.records.iter().map(|record| serde_json::from_str(record).unwrap()).collect())
    }

    fn record(user: Value) -> Value {
        records(json!({"users": [user]}), Lookup::SourceId).unwrap().remove(0)
    }

    fn values(mut user: Value) -> Value {
        user["source"] = "ERP".into();
        user["sourceId"] = 7.into();
        record(user)["values"].clone()
    }

    #[test]
    fn the_union_of_the_documented_members_becomes_a_record() {
        let user = json!({
            "source": "ERP", "sourceId": 7, "language": "NL", "debtorId": 12345, "firstName": "Miles", "middleName": "",
            "lastName": "McCoy", "fullName": "Miles McCoy", "title": "Mr.", "dateOfBirth": "28/08/1993", "gender": "M",
            "login": "miles", "phone": 32445888, "mobile": "0038975648", "email": "miles@propel.us", "company": null,
            "abbreviation": "MM", "taxNumber": "T1", "cocNumber": "C1", "primaryLanguage": "NL",
            "parent": {"source": "ERP", "sourceId": 119, "language": "NL"},
            "addresses": [{"type": "invoice", "city": "Oslo", "number": 5, "isDefault": "Y"}],
            "attributes": [
                {"class": "user", "name": "SHOE_SIZE", "type": "integer", "value": "43"},
                {"name": "COLOUR"}, {"class": "product", "name": "COLOUR", "value": "red"}, {"name": "FIRST_NAME", "value": "x"},
            ],
        });
        assert_eq!(
            record(user),
            json!({
                "identities": [{"source": "ERP", "source_id": "7", "language": "NL"}],
                "email": "miles@propel.us",
                "values": {
                    "abbreviation": "MM", "addresses": [{"type": "invoice", "city": "Oslo", "number": 5, "isDefault": "Y"}],
                    "coc_number": "C1", "company": null, "date_of_birth": "1993-08-28", "debtor_id": "12345",
                    "first_name": "Miles", "full_name": "Miles McCoy", "gender": "M", "last_name": "McCoy",
                    "username": "miles", "middle_name": null, "mobile": "0038975648",
                    "parent": {"source": "ERP", "sourceId": 119, "language": "NL"}, "phone": "32445888", "language": "NL",
                    "tax_number": "T1", "title": "Mr.", "shoe_size": "43", "colour": null, "COLOUR (product)": "red",
                    "FIRST_NAME (user)": "x",
                },
            })
        );
    }

    #[test]
    fn days_come_as_the_product_writes_them_or_as_we_do() {
        for (text, day) in [
            ("28/08/1993", "1993-08-28"),
            ("August, 28 1993 00:00:00 +0000", "1993-08-28"),
            ("1993-08-28", "1993-08-28"),
            ("8/28/1993", "8/28/1993"),
            ("31/02/1993", "31/02/1993"),
            ("Augustus, 28 1993 00:00:00 +0000", "Augustus, 28 1993 00:00:00 +0000"),
        ] {
            assert_eq!(values(json!({"dateOfBirth": text})), json!({"date_of_birth": day}));
        }
        assert_eq!(values(json!({"gender": "Undefined"})), json!({"gender": "u"}));
        assert_eq!(values(json!({"gender": "x"})), json!({"gender": "x"}), "for the rules of the field to refuse");
    }

    #[test]
    fn both_shapes_of_directives_say_the_same() {
        let object = json!({"skipIfNotEmpty": ["email", "attributes"], "skipCreate": [], "skipMoveOnUpdate": []});
        let list = json!([
            {"operation": "skipIfNotEmpty", "fields": ["email", "attributes"]}, {"operation": "skipCreate", "fields": []},
            {"operation": "skipMoveOnUpdate"}, {"operation": "mergeTranslationsOnUpdate", "fields": []},
        ]);
        let user = json!({"source": "ERP", "sourceId": "7", "attributes": [{"name": "A_B", "value": "1"}]});
        for directives in [object, list] {
            let body = json!({"users": [user], "directives": directives});
            let record = records(body, Lookup::SourceId).unwrap().remove(0);
            assert_eq!(record["only_if_empty"], json!(["email", "a_b", "parent"]));
            assert_eq!(record["create"], json!(false));
            let mut own = user.clone();
            own["directives"] = directives;
            assert_eq!(self::record(own), record, "a user may have directives of its own");
        }
        assert_eq!(record(user)["only_if_empty"], Value::Null);
    }

    #[test]
    fn what_the_documented_directives_name_and_users_do_not_have_is_passed_over() {
        for (directives, kept) in [
            (json!({"skipIfNotEmpty": ["names"]}), Value::Null),
            (json!([{"operation": "skipIfNotEmpty", "fields": ["name", "email"]}]), json!(["email"])),
        ] {
            let body = json!({"users": [{"source": "ERP", "sourceId": 7}], "directives": directives});
            assert_eq!(records(body, Lookup::SourceId).unwrap().remove(0)["only_if_empty"], kept, "{directives}");
        }
    }

    #[test]
    fn a_fault_of_the_schema_refuses_everything_and_names_its_place() {
        let user = |member: &str, value: Value| json!({"users": [{"source": "ERP", "sourceId": 1, member: value}]});
        let direct = |value: Value| json!({"users": [], "directives": value});
        let id = Code::InvalidRequest;
        for (body, code, message) in [
            (json!([]), id, "#: expected type: JSONObject, found: JSONArray"),
            (json!({}), id, "#: required key [users] not found"),
            (json!({"users": {}}), id, "#/users: expected type: JSONArray, found: JSONObject"),
            (json!({"users": [], "user": []}), id, "#: extraneous key [user] is not permitted"),
            (json!({"users": [1]}), id, "#/users/0: expected type: JSONObject, found: Number"),
            (json!({"users": [{"source": "ERP"}]}), Code::MissingKey, "#/users/0: required key [sourceId] not found"),
            (json!({"users": [{"sourceId": 1}]}), id, "#/users/0: required key [source] not found"),
            (user("x", json!(1)), id, "#/users/0: extraneous key [x] is not permitted"),
            (user("id", json!(1)), id, "#/users/0: extraneous key [id] is not permitted"),
            (user("pricing", json!([])), id, "#/users/0: extraneous key [pricing] is not permitted"),
            (user("pricelistAmount", json!(1)), id, "#/users/0: extraneous key [pricelistAmount] is not permitted"),
            (user("email", json!(5)), id, "#/users/0/email: expected type: String, found: Number"),
            (
                user("firstName", json!({"op": "add"})),
                id,
                "#/users/0/firstName: expected type: String, found: JSONObject",
            ),
            (user("sourceId", json!(1.5)), id, "#/users/0/sourceId: expected type: Integer, found: Number"),
            (user("sourceId", json!(null)), id, "#/users/0/sourceId: expected type: Integer, found: Null"),
            (user("source", json!(1)), id, "#/users/0/source: expected type: String, found: Number"),
            (
                user("addresses", json!([{"planet": "x"}])),
                id,
                "#/users/0/addresses/0: extraneous key [planet] is not permitted",
            ),
            (
                user("addresses", json!([{"city": []}])),
                id,
                "#/users/0/addresses/0/city: expected type: String, found: JSONArray",
            ),
            (user("parent", json!({"sourceId": 1})), id, "#/users/0/parent: required key [source] not found"),
            (user("parent", json!({})), id, "#/users/0/parent: required key [id] not found"),
            (user("attributes", json!([{"value": "x"}])), id, "#/users/0/attributes/0: required key [name] not found"),
            (
                user("attributes", json!([{"name": "A", "value": {}}])),
                id,
                "#/users/0/attributes/0/value: expected type: String, found: JSONObject",
            ),
            (
                user("attributes", json!([{"name": "A"}, {"name": "a"}])),
                id,
                "#/users/0/attributes/1: this attribute is there twice",
            ),
            (direct(json!({"skipAll": []})), id, "#/directives: extraneous key [skipAll] is not permitted"),
            (
                direct(json!({"skipCreate": true})),
                id,
                "#/directives/skipCreate: expected type: JSONArray, found: Boolean",
            ),
            (
                direct(json!({"skipIfNotEmpty": ["colour"]})),
                id,
                "#/directives/skipIfNotEmpty/0: this is no field of users",
            ),
            (direct(json!([{"operation": "x"}])), id, "#/directives/0/operation: \"x\" is not a valid enum value"),
        ] {
            let error = records(body, Lookup::SourceId).unwrap_err();
            assert_eq!(error.code, code, "{message}");
            assert!(error.detail.starts_with(message), "{} is not {message}", error.detail);
        }
        let error = records(json!({"users": [{"firstName": "x"}]}), Lookup::Id).unwrap_err();
        assert_eq!((error.code, error.detail.as_str()), (Code::MissingKey, "#/users/0: required key [id] not found"));
        let error = records(json!({"users": vec![json!({}); 11]}), Lookup::Id).unwrap_err();
        assert_eq!(error.code, Code::TooManyRecords);
        let error = records(json!({"users": vec![json!({"x": 1}); 10]}), Lookup::Id).unwrap_err();
        assert_eq!(error.errors.len(), 20, "all are said, but not without end");
    }

    #[test]
    fn what_is_no_json_or_says_something_twice_is_refused_with_its_place() {
        for (text, place) in [
            ("", "#: "),
            ("{", "#: "),
            ("{\"users\":[]} x", "#: "),
            ("{\"users\":[],\"users\":[]}", "#/users: "),
            ("{\"users\":[{\"email\":\"a\",\"email\":\"b\"}]}", "#/users/0/email: "),
            ("{\"users\":[{\"parent\":{\"id\":1,\"id\":2}}]}", "#/users/0/parent/id: "),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::InvalidJson);
            assert!(error.detail.starts_with(place), "{}", error.detail);
        }
        assert!(read(&[b'[', 0xff]).unwrap_err().detail.contains("UTF-8"));
        assert_eq!(read("[".repeat(100_000).as_bytes()).unwrap_err().code, Code::InvalidJson);
    }

    #[test]
    fn the_key_is_told_as_it_was_written() {
        let body = read(br#"{"users":[{"source":"E","sourceId":00}]}"#);
        assert!(body.is_err(), "this is no JSON");
        let body =
            br#"{"users":[{"source":"E","sourceId":123456789012345678901234567890},{"source":"E","sourceId":"07"}]}"#;
        let translated = Translated::new(&read(body).unwrap(), Lookup::SourceId, 10).unwrap();
        assert_eq!(json!(translated.keys).to_string(), "[123456789012345678901234567890,\"07\"]");
    }
}
