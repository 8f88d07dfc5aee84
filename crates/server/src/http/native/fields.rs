//! Fields: the typed, named properties of users.

use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams};
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
use muster_core::id::FieldId;
use muster_core::number::{parse_decimal, parse_integer};
use muster_core::value::Value;
use muster_core::{Code, Error};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_fields, create_field)).routes(routes!(get_field, edit_field))
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
}

/// An option: its name, or key and name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "an option is a name, or an object of key and name")]
#[schema(as = NewFieldOption)]
enum NewOption {
    /// The name; the key is made from it.
    Name(String),
    /// Both.
    Both(KeyAndName),
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

/// List fields
///
/// Every field of the community, the built-in ones first.
#[utoipa::path(
    get, path = "/v1/fields", tag = "Fields",
    responses((status = 200, description = "All fields.", body = Page<FieldBody>), Problems),
    security(("key" = ["fields:read"])),
)]
async fn list_fields(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
) -> Result<Json<Page<FieldBody>>, Failure> {
    let fields = app.engine.list_fields(&caller).await?;
    Ok(Json(Page::only(fields.active().cloned().map(FieldBody::from))))
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

/// What changes about a field. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EditField)]
#[serde(deny_unknown_fields)]
struct EditFieldBody {
    /// Whether users are to be found by it quickly.
    indexed: Option<bool>,
}

/// Change a field
///
/// Answers when that is done: an index over the values of very many users takes a while to be made, during which everything
/// else goes on, and it is made even if nobody waits for the answer.
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
    Ok(Json(app.engine.edit_field(&caller, id, edit.indexed).await?.into()))
}
