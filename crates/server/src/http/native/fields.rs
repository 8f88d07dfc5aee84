//! Fields: the typed, named properties of users.

use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params, object, patch};
use crate::http::failure::Failure;
use crate::http::page::Page;
use crate::http::problem::Problems;
use crate::http::words;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use muster_core::error::excerpt;
use muster_core::field::{Field, FieldType, Index, NewField, Rules, SelectOption, key_from_name};
use muster_core::field_edit::FieldEdit;
use muster_core::id::FieldId;
use muster_core::number::{parse_decimal, parse_integer};
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Any;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_fields, create_field))
        .routes(routes!(get_field, edit_field, delete_field))
        .routes(routes!(restore_field))
}

/// A field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Field)]
struct FieldBody {
    /// The id.
    #[schema(value_type = String, example = "0123456789abcdef01234567")]
    id: FieldId,
    /// Its name for programs.
    key: String,
    /// Its name for people.
    name: String,
    /// What it holds.
    #[serde(rename = "type")]
    #[schema(schema_with = words::field_type)]
    kind: FieldType,
    /// The values of a `select` or `multi_select`.
    options: Vec<OptionBody>,
    /// The least number allowed: for an integer a number, else a string.
    #[schema(schema_with = words::number_or_text)]
    min: Option<Any>,
    /// The greatest number allowed.
    #[schema(schema_with = words::number_or_text)]
    max: Option<Any>,
    /// The most characters allowed.
    max_length: Option<u32>,
    /// Whether every user must have a value.
    required: bool,
    /// Whether no two users may have the same value, so that the value names a user (`match_by`).
    unique: bool,
    /// Whether users are found by it quickly.
    indexed: bool,
    /// Whether it came with the product.
    built_in: bool,
    /// Whether who has no key may write it, where the community lets such people import.
    anonymous_writable: bool,
    /// Whether it was deleted: it can be restored, and nobody can write it or ask for it.
    archived: bool,
}

/// One value of a `select` or `multi_select`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldOption)]
struct OptionBody {
    /// What is stored.
    key: String,
    /// What people read.
    name: String,
}

impl From<Field> for FieldBody {
    fn from(field: Field) -> Self {
        let options = field.rules.options.into_iter();
        let bound = |number: Option<Decimal>| number.map(|number| bound(field.kind, number));
        Self {
            id: field.id,
            key: field.key,
            name: field.name,
            kind: field.kind,
            options: options.map(|SelectOption { key, name }| OptionBody { key, name }).collect(),
            min: bound(field.rules.min),
            max: bound(field.rules.max),
            max_length: field.rules.max_length,
            required: field.rules.required,
            unique: field.rules.unique,
            indexed: field.rules.index == Index::Ready,
            built_in: field.built_in,
            anonymous_writable: field.rules.anonymous_writable,
            archived: field.archived,
        }
    }
}

/// A limit as the values of the field are shown.
fn bound(kind: FieldType, number: Decimal) -> Any {
    let decimal = Value::Decimal(number);
    match (kind, parse_integer(&decimal.to_string())) {
        (FieldType::Integer, Ok(integer)) => Value::Integer(integer).to_wire(),
        _ => decimal.to_wire(),
    }
}

/// A field to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewField)]
#[serde(deny_unknown_fields)]
struct NewFieldBody {
    /// Its name for programs; made from the name if it is not given.
    key: Option<String>,
    /// Its name for people.
    name: String,
    /// What it holds.
    #[serde(rename = "type")]
    #[schema(schema_with = words::field_type)]
    kind: FieldType,
    /// The values of a `select` or `multi_select`.
    #[serde(default)]
    options: Vec<NewOption>,
    /// The least number allowed, as a number or a string.
    #[schema(schema_with = words::number_or_text, required = false)]
    min: Option<Any>,
    /// The greatest number allowed, as a number or a string.
    #[schema(schema_with = words::number_or_text, required = false)]
    max: Option<Any>,
    /// The most characters allowed.
    max_length: Option<u32>,
    /// Whether every user must have a value.
    #[serde(default)]
    required: bool,
    /// Whether no two users may have the same value, so that the value names a user (`match_by`).
    #[serde(default)]
    unique: bool,
    /// Whether users are to be found by it quickly.
    #[serde(default)]
    indexed: bool,
    /// Whether who has no key may write it, where the community lets such people import. Not for currencies and unique
    /// fields.
    #[serde(default)]
    anonymous_writable: bool,
}

/// An option: its name, or key and name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "an option is a name, or an object of key and name")]
#[schema(as = NewFieldOption)]
enum NewOption {
    /// The name; the key is made from it.
    Name(String),
    /// Both.
    Both(#[serde(deserialize_with = "object")] KeyAndName),
}

/// An option whose key is not made from its name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyAndName {
    /// What is stored.
    key: String,
    /// What people read.
    name: String,
}

impl From<NewOption> for SelectOption {
    fn from(option: NewOption) -> Self {
        match option {
            NewOption::Name(name) => Self { key: key_from_name(&name), name },
            NewOption::Both(KeyAndName { key, name }) => Self { key, name },
        }
    }
}

impl NewFieldBody {
    fn read(self) -> Result<NewField, Error> {
        Ok(NewField {
            rules: Rules {
                options: self.options.into_iter().map(SelectOption::from).collect(),
                min: limit("/min", self.min)?,
                max: limit("/max", self.max)?,
                max_length: self.max_length,
                required: self.required,
                unique: self.unique,
                // Nobody has a value yet, so an index is complete from the start.
                index: if self.indexed { Index::Ready } else { Index::None },
                anonymous_writable: self.anonymous_writable,
            },
            key: self.key,
            name: self.name,
            kind: self.kind,
        })
    }
}

/// Reads a limit from a number's own text, never through a float.
fn limit(pointer: &str, json: Option<Any>) -> Result<Option<Decimal>, Error> {
    let text = match json {
        None => return Ok(None),
        Some(Any::Number(number)) => number.to_string(),
        Some(Any::String(text)) => text,
        Some(other) => other.to_string(),
    };
    let number = parse_decimal(&text);
    number.map(Some).map_err(|_| {
        let message = format!("\"{}\" is not a number of at most 28 digits", excerpt(&text));
        Error::at(pointer, Code::InvalidRequest, message)
    })
}

/// Which fields are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListFields {
    /// The archived ones instead of the others.
    #[serde(default)]
    archived: bool,
}

/// List fields
///
/// Every field of the community, the built-in ones first.
#[utoipa::path(
    get, path = "/v1/fields", tag = "Fields",
    params(ListFields),
    responses((status = 200, description = "All fields.", body = Page<FieldBody>), Problems),
    security(("key" = ["fields:read"])),
)]
async fn list_fields(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(list): Params<ListFields>,
) -> Result<Json<Page<FieldBody>>, Failure> {
    let fields = app.engine.list_fields(&caller).await?;
    let fields = fields.iter().filter(|field| field.archived == list.archived);
    Ok(Json(Page::only(fields.cloned().map(FieldBody::from))))
}

/// Make a field
#[utoipa::path(
    post, path = "/v1/fields", tag = "Fields",
    request_body(content = NewFieldBody, example = json!({"name": "Loyalty Points", "type": "integer", "min": 0})),
    responses(
        (status = 201, description = "The field.", body = FieldBody,
            headers(("Location" = String, description = "The address of the field."))),
        Problems,
    ),
    security(("key" = ["fields:write"])),
)]
async fn create_field(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(new): Json<NewFieldBody>,
) -> Result<impl IntoResponse, Failure> {
    let field = app.engine.create_field(&caller, &new.read()?).await?;
    let location = [(LOCATION, format!("/v1/fields/{}", field.id))];
    Ok((StatusCode::CREATED, location, Json(FieldBody::from(field))))
}

/// Get a field
#[utoipa::path(
    get, path = "/v1/fields/{id}", tag = "Fields",
    params(("id" = String, Path, description = "The field.")),
    responses((status = 200, description = "The field.", body = FieldBody), Problems),
    security(("key" = ["fields:read"])),
)]
async fn get_field(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<FieldId>,
    _: NoParams,
) -> Result<Json<FieldBody>, Failure> {
    Ok(Json(app.engine.get_field(&caller, id).await?.into()))
}

/// What changes about a field. What is absent stays, but for rules that a new type cannot have.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EditField)]
#[serde(deny_unknown_fields)]
struct EditFieldBody {
    /// Its name for people. The key stays.
    name: Option<String>,
    /// What it holds.
    #[serde(rename = "type")]
    #[schema(schema_with = words::field_type, required = false)]
    kind: Option<FieldType>,
    /// All values of a `select` or `multi_select`, in their order.
    options: Option<Vec<NewOption>>,
    /// The least number allowed, as a number or a string; null: any.
    #[serde(default, deserialize_with = "patch")]
    #[schema(schema_with = words::number_or_text, required = false)]
    min: Patch<Any>,
    /// The greatest number allowed; null: any.
    #[serde(default, deserialize_with = "patch")]
    #[schema(schema_with = words::number_or_text, required = false)]
    max: Patch<Any>,
    /// The most characters allowed; null: as many as the type allows.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<u32>)]
    max_length: Patch<u32>,
    /// Whether every user must have a value.
    required: Option<bool>,
    /// Whether no two users may have the same value, so that the value names a user (`match_by`).
    unique: Option<bool>,
    /// Whether users are to be found by it quickly.
    indexed: Option<bool>,
    /// Whether who has no key may write it, where the community lets such people import.
    anonymous_writable: Option<bool>,
}

impl EditFieldBody {
    fn read(self) -> Result<FieldEdit, Error> {
        let bound = |pointer, patch| match patch {
            Patch::Keep => Ok(Patch::Keep),
            Patch::Clear => Ok(Patch::Clear),
            Patch::Set(json) => limit(pointer, Some(json)).map(|number| number.map_or(Patch::Clear, Patch::Set)),
        };
        Ok(FieldEdit {
            name: self.name,
            kind: self.kind,
            options: self.options.map(|options| options.into_iter().map(SelectOption::from).collect()),
            min: bound("/min", self.min)?,
            max: bound("/max", self.max)?,
            max_length: self.max_length,
            required: self.required,
            unique: self.unique,
            indexed: self.indexed,
            anonymous_writable: self.anonymous_writable,
        })
    }
}

/// Change a field
///
/// Another type or a stricter rule is refused as `values_do_not_fit` where users have values that would not fit; `errors` names
/// the first of them. A value fits another type where that writes it exactly as it is written now: the text `12` is a whole
/// number, `012` is not. Then it is kept as the new type keeps it, and the history stays readable. While an open job
/// names the field, such a change and another name are refused as `field_in_use`. A field that came with the
/// product keeps its name, type and options.
///
/// Answers when that is done. Where values have to be rewritten, other writers of the community wait meanwhile. An index over
/// the values of very many users takes a while to be made, during which everything else goes on, and it is made even if
/// nobody waits for the answer.
#[utoipa::path(
    patch, path = "/v1/fields/{id}", tag = "Fields",
    params(("id" = String, Path, description = "The field.")),
    request_body(content = EditFieldBody, example = json!({"indexed": true})),
    responses((status = 200, description = "The field as it is now.", body = FieldBody), Problems),
    security(("key" = ["fields:write"])),
)]
async fn edit_field(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<FieldId>,
    _: NoParams,
    Json(edit): Json<EditFieldBody>,
) -> Result<Json<FieldBody>, Failure> {
    Ok(Json(app.engine.edit_field(&caller, id, &edit.read()?).await?.into()))
}

/// How a field is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeleteField {
    /// Take the values from every user too. The history keeps what they were, as long as history is kept.
    #[serde(default)]
    purge: bool,
}

/// Delete a field
///
/// The field is archived: nobody can write it or ask for it; its values, its history and its key stay, and it can be
/// restored. With `purge=true` every user loses the value as well, which stands in the history as a change; key and
/// history stay even then, so that nobody takes another field for this one. Refused as `field_in_use` while an open job names the field, and as
/// `built_in_field` for what came with the product.
#[utoipa::path(
    delete, path = "/v1/fields/{id}", tag = "Fields",
    params(("id" = String, Path, description = "The field."), DeleteField),
    responses((status = 204, description = "The field is archived."), Problems),
    security(("key" = ["fields:write"])),
)]
async fn delete_field(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<FieldId>,
    Params(delete): Params<DeleteField>,
) -> Result<StatusCode, Failure> {
    app.engine.archive_field(&caller, id, delete.purge).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restore a field
///
/// An archived field is back with its values. One that is not archived stays as it is.
#[utoipa::path(
    post, path = "/v1/fields/{id}/restore", tag = "Fields",
    params(("id" = String, Path, description = "The field.")),
    responses((status = 200, description = "The field as it is now.", body = FieldBody), Problems),
    security(("key" = ["fields:write"])),
)]
async fn restore_field(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<FieldId>,
    _: NoParams,
) -> Result<Json<FieldBody>, Failure> {
    Ok(Json(app.engine.restore_field(&caller, id).await?.into()))
}
