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
use muster_core::field::{Field, FieldSet};
use muster_core::{Code, Error};
use muster_engine::{Caller, MakingFields};
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
    lookup: &'static str,
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
        wanted.push(Wanted { lookup, key: key.unwrap_or_default(), definition });
    }
    schema.finish().map(|()| wanted)
}

/// Changes those attributes that are there, and makes the others.
async fn define(app: &App, caller: &Caller, body: &Value, lookup: &'static str) -> Result<Vec<RecordResult>, Failure> {
    let wanted = read(body, lookup)?;
    let fields = app.engine.list_fields(caller).await?;
    // What is changed is changed the same when it is sent again. What is made is made together with the answer that says so:
    // after that nothing may touch the database.
    let unbound = Caller { reservation: None, ..caller.clone() };
    let mut results = Vec::with_capacity(wanted.len());
    for one in &wanted {
        results.push(match one.find(&fields) {
            Ok(field) => Some(one.change(app, &unbound, field).await?),
            Err(_) => None,
        });
    }
    let mut making = app.engine.make_fields(caller).await?;
    for (one, result) in wanted.iter().zip(&mut results).filter(|(_, result)| result.is_none()) {
        *result = Some(one.make(&mut making).await?);
    }
    making.commit().await?;
    Ok(results.into_iter().flatten().collect())
}

impl Wanted {
    fn key(&self) -> String {
        self.key.as_str().map_or_else(|| self.key.to_string(), str::to_owned)
    }

    fn find<'a>(&self, fields: &'a FieldSet) -> Result<&'a Field, Error> {
        find(fields, self.lookup, &self.key(), self.definition.class.as_deref())
    }

    async fn change(&self, app: &App, caller: &Caller, field: &Field) -> Result<RecordResult, Failure> {
        let changed = app.engine.edit_field(caller, field.id, &self.definition.edit(field)).await;
        self.result("update", changed.map_err(Failure::from))
    }

    /// Makes the attribute, or changes one that was made before it in the same request.
    async fn make(&self, making: &mut MakingFields<'_>) -> Result<RecordResult, Failure> {
        match self.find(making.fields()) {
            Ok(field) => {
                let (number, edit) = (field.number, self.definition.edit(field));
                self.result("update", making.edit(number, &edit).await.map_err(Failure::from))
            }
            Err(_) if self.lookup == "name" || self.key() == "0" => match self.definition.new_field() {
                Ok(new) => self.result("create", making.create(&new).await.map_err(Failure::from)),
                Err(error) => self.result("create", Err(error.into())),
            },
            Err(error) => self.result("update", Err(error.into())),
        }
    }

    /// What the product says of it. What failed on our side fails the request.
    fn result(&self, action: &'static str, done: Result<Field, Failure>) -> Result<RecordResult, Failure> {
        let (id, message, error) = match done {
            Ok(field) => (Some(i64::from(field.number.0)), Some(self.message(action)), None),
            Err(failure) if failure.status().is_server_error() => return Err(failure),
            Err(failure) => (None, None, Some(failure.error.detail)),
        };
        let success = error.is_none();
        Ok(RecordResult { action, error, id, key: self.key.clone(), lookup_key: self.lookup, message, success })
    }

    fn message(&self, action: &str) -> String {
        let done = match action {
            "create" => "Attribute created.",
            _ => "Attribute updated. Fields 'name', 'type' and 'class' are not updated.",
        };
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
