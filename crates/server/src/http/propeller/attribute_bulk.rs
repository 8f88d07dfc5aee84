//! `POST /attributes/bulk/id` and `POST /attributes/bulk/name`: many definitions in one request, each made or changed for itself.

use super::attribute::{Definition, find};
use super::body::{Body, PropellerAnswer, RecordResult};
use super::error::{Errors, invalid_lookup};
use super::schema::Schema;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use axum::extract::{Path, State};
use axum::routing::any;
use muster_core::field::Field;
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_engine::Caller;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most definitions of one request. A community has not many more fields.
const MOST: usize = 1_000;

/// The operations, relative to the face.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(define_attributes_by_id))
        .routes(routes!(define_attributes_by_name))
        .route("/attributes/bulk/{lookupKey}", any(refuse_lookup))
}

/// There is no other lookup key.
async fn refuse_lookup(Auth(_): Auth, lookup: Option<Path<String>>) -> Failure {
    invalid_lookup(&lookup.map(|Path(lookup)| lookup).unwrap_or_default(), "id,name").into()
}

/// A definition, and what it is looked up by, as it was written.
struct Wanted {
    key: Value,
    definition: Definition,
}

/// Reads the list of a body.
fn read(body: &Value, lookup: &'static str) -> Result<Vec<Wanted>, Error> {
    let mut schema = Schema::default();
    let items = schema.array("#", body);
    if items.len() > MOST {
        let detail = format!("#: there are {} attributes, and {MOST} are allowed; split them.", items.len());
        return Err(Error::new(Code::TooManyRecords, detail));
    }
    let mut wanted = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let place = format!("#/{i}");
        let Some(definition) = Definition::read(&place, item, &["id"], &mut schema) else {
            continue;
        };
        let key = item.get(lookup).cloned();
        match &key {
            None => schema.missing(&place, lookup, Code::MissingKey),
            Some(key) if lookup == "id" => drop(schema.integer(&format!("{place}/id"), key)),
            Some(_) => {}
        }
        wanted.push(Wanted { key: key.unwrap_or_default(), definition });
    }
    schema.finish().map(|()| wanted)
}

/// Makes or changes each attribute.
async fn define(app: &App, caller: &Caller, body: &Value, lookup: &'static str) -> Result<Vec<RecordResult>, Failure> {
    caller.require(Scope::FieldsWrite)?;
    let wanted = read(body, lookup)?;
    // Only the last change is committed together with the answer: after that nothing may touch the database.
    let unbound = Caller { reservation: None, ..caller.clone() };
    let mut results = Vec::with_capacity(wanted.len());
    for (i, one) in wanted.iter().enumerate() {
        let caller = if i + 1 == wanted.len() { caller } else { &unbound };
        results.push(one.define(app, caller, lookup).await?);
    }
    Ok(results)
}

impl Wanted {
    async fn define(&self, app: &App, caller: &Caller, lookup: &'static str) -> Result<RecordResult, Failure> {
        let fields = app.engine.list_fields(caller).await?;
        let key = self.key.as_str().map_or_else(|| self.key.to_string(), str::to_owned);
        let found = find(&fields, lookup, &key, self.definition.class.as_deref());
        let (action, changed) = match found {
            Ok(field) => ("update", self.change(app, caller, field).await),
            Err(_) if lookup == "name" || key == "0" => ("create", self.create(app, caller).await),
            Err(error) => ("update", Err(error.into())),
        };
        let (id, message, error) = match changed {
            Ok((id, message)) => (Some(i64::from(id)), Some(message), None),
            // Ours and not the record's.
            Err(failure) if failure.status().is_server_error() => return Err(failure),
            Err(failure) => (None, None, Some(failure.error.detail)),
        };
        let success = error.is_none();
        Ok(RecordResult { action, error, id, key: self.key.clone(), lookup_key: lookup, message, success })
    }

    async fn create(&self, app: &App, caller: &Caller) -> Result<(u16, String), Failure> {
        let made = app.engine.create_field(caller, &self.definition.new_field()?).await?;
        Ok((made.number.0, self.message("Attribute created.")))
    }

    async fn change(&self, app: &App, caller: &Caller, field: &Field) -> Result<(u16, String), Failure> {
        app.engine.edit_field(caller, field.id, &self.definition.edit(field)).await?;
        Ok((field.number.0, self.message("Attribute updated. Fields 'name', 'type' and 'class' are not updated.")))
    }

    fn message(&self, done: &str) -> String {
        self.definition.say_not_kept().map_or_else(|| done.to_owned(), |not_kept| format!("{done} {not_kept}"))
    }
}

/// Bulk attributes by id
///
/// Changes the attributes of these ids, and makes those whose id is 0. Each for itself: one that fails leaves the others alone.
#[utoipa::path(
    post, path = "/attributes/bulk/id", tag = "Propeller Commerce",
    request_body(content = Vec<Object>, example = json!([{"id": 0, "name": "BELT_SIZE", "class": "user", "type": "integer"}])),
    responses(
        (status = 200, description = "What became of each attribute.", body = PropellerAnswer<Vec<RecordResult>>),
        Errors,
    ),
    security(("key" = ["fields:read", "fields:write"])),
)]
async fn define_attributes_by_id(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Vec<RecordResult>>>, Failure> {
    Ok(Json(PropellerAnswer::completed(define(&app, &caller, &body, "id").await?)))
}

/// Bulk attributes by name
///
/// Changes the attributes of these names, and makes those that are not there. Each for itself: one that fails leaves the others
/// alone.
#[utoipa::path(
    post, path = "/attributes/bulk/name", tag = "Propeller Commerce",
    request_body(content = Vec<Object>, example = json!([{"name": "RING_SIZE", "class": "user", "type": "decimal"}])),
    responses(
        (status = 200, description = "What became of each attribute.", body = PropellerAnswer<Vec<RecordResult>>),
        Errors,
    ),
    security(("key" = ["fields:read", "fields:write"])),
)]
async fn define_attributes_by_name(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Vec<RecordResult>>>, Failure> {
    Ok(Json(PropellerAnswer::completed(define(&app, &caller, &body, "name").await?)))
}
