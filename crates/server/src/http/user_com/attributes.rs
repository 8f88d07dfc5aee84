//! Attributes of this product: the fields of the community that are no standard attributes.

use super::attribute::{id_of, is_standard, own_name};
use super::body::Members;
use super::error::Refusals;
use super::paging::PageBody;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams, no_params};
use crate::http::failure::Failure;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use muster_core::error::excerpt;
use muster_core::field::{Field, FieldSet, FieldType, NewField, Rules, SelectOption};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_engine::EngineError;
use serde::Serialize;
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this product's attributes may belong to. Muster has users only.
const CONTENT_TYPES: &[&str] = &["activity", "clientuser", "company", "deal", "product", "ticket"];

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_attributes, create_attribute))
        .routes(routes!(get_attribute, delete_attribute))
        .routes(routes!(get_attribute_type))
}

/// An attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserComAttribute)]
struct AttributeBody {
    /// The id.
    #[schema(example = 46)]
    id: u16,
    /// The name.
    #[schema(example = "API string attribute")]
    name: String,
    /// The name for programs.
    #[schema(example = "api_string_attribute")]
    name_std: String,
    /// `boolean`, `date`, `datetime`, `fixed`, `float`, `integer`, `json` or `string`.
    #[schema(example = "string")]
    value_type: &'static str,
    /// Always `clientuser`: attributes are those of users.
    #[schema(example = "clientuser")]
    content_type: &'static str,
}

/// An attribute, with its type as a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserComAttributeType)]
struct AttributeTypeBody {
    /// The id.
    id: u16,
    /// The name.
    name: String,
    /// The name for programs.
    name_std: String,
    /// 1 boolean, 2 integer, 3 date, 4 string, 5 datetime, 6 fixed, 7 float, 8 json.
    value_type: u8,
}

/// An attribute to be made.
#[derive(ToSchema)]
#[schema(as = UserComNewAttribute)]
#[expect(dead_code, reason = "it only describes what `read_new` reads")]
struct NewAttribute {
    /// `clientuser`, which older clients call `user`.
    content_type: String,
    /// The name.
    #[schema(min_length = 1, max_length = 32)]
    name: String,
    /// `boolean`, `date`, `datetime`, `fixed`, `float`, `integer`, `json` or `string`.
    value_type: String,
    /// What can be chosen of a `fixed` attribute.
    choices: Option<Vec<String>>,
    /// Whether several of them can be chosen.
    allow_multiple_choices: Option<bool>,
}

/// The name and the number of a type here.
fn value_type(kind: FieldType) -> (&'static str, u8) {
    match kind {
        FieldType::Boolean => ("boolean", 1),
        FieldType::Integer => ("integer", 2),
        FieldType::Date => ("date", 3),
        FieldType::Text | FieldType::LongText => ("string", 4),
        FieldType::Datetime => ("datetime", 5),
        FieldType::Select | FieldType::MultiSelect => ("fixed", 6),
        FieldType::Decimal | FieldType::Currency => ("float", 7),
        FieldType::Json => ("json", 8),
    }
}

impl From<&Field> for AttributeBody {
    fn from(field: &Field) -> Self {
        Self {
            id: id_of(field),
            name: field.name.clone(),
            name_std: field.key.clone(),
            value_type: value_type(field.kind).0,
            content_type: "clientuser",
        }
    }
}

/// What names an attribute in an address.
struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        no_params(&parts.uri)?;
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.map(|Path(text)| Self(text)).map_err(|_| EngineError::not_found("attribute").into())
    }
}

fn find(fields: &FieldSet, is_it: impl Fn(&Field) -> bool) -> Result<&Field, Failure> {
    let found = fields.active().find(|field| !is_standard(field) && is_it(field));
    found.ok_or_else(|| EngineError::not_found("attribute").into())
}

/// The attribute whose id stands in an address. What cannot be one is answered like one that does not exist.
fn find_by_id<'a>(fields: &'a FieldSet, id: &str) -> Result<&'a Field, Failure> {
    find(fields, |field| id_of(field).to_string() == id)
}

/// List attributes
///
/// All custom attributes of users. Fields that every community has are among them, unless they are standard attributes.
#[utoipa::path(
    get, path = "/attributes/", tag = "User.com",
    responses((status = 200, description = "All attributes.", body = PageBody<AttributeBody>), Refusals),
    security(("key" = ["fields:read"])),
)]
async fn list_attributes(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
) -> Result<Json<PageBody<AttributeBody>>, Failure> {
    let fields = app.engine.list_fields(&caller).await?;
    let custom = fields.active().filter(|field| !is_standard(field));
    Ok(Json(PageBody::only(custom.map(AttributeBody::from).collect())))
}

/// Make an attribute
#[utoipa::path(
    post, path = "/attributes/", tag = "User.com",
    request_body(content = NewAttribute, example = json!({
        "content_type": "clientuser", "name": "API string attribute", "value_type": "string",
    })),
    responses((status = 201, description = "The attribute.", body = AttributeBody), Refusals),
    security(("key" = ["fields:write"])),
)]
async fn create_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    members: Members,
) -> Result<impl IntoResponse, Failure> {
    let field = app.engine.create_field(&caller, &read_new(members)?).await.map_err(in_their_words)?;
    Ok((StatusCode::CREATED, Json(AttributeBody::from(&field))))
}

/// Get an attribute
#[utoipa::path(
    get, path = "/attributes/{id}/", operation_id = "user_com_get_attribute", tag = "User.com",
    params(("id" = u16, Path, description = "The attribute.")),
    responses((status = 200, description = "The attribute.", body = AttributeBody), Refusals),
    security(("key" = ["fields:read"])),
)]
async fn get_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    Named(id): Named,
) -> Result<Json<AttributeBody>, Failure> {
    let fields = app.engine.list_fields(&caller).await?;
    Ok(Json(find_by_id(&fields, &id)?.into()))
}

/// Delete an attribute
///
/// Its values and its history stay, and it can be restored on the native face. What every community has cannot be deleted.
#[utoipa::path(
    delete, path = "/attributes/{id}/", tag = "User.com",
    params(("id" = u16, Path, description = "The attribute.")),
    responses((status = 204, description = "The attribute is deleted."), Refusals),
    security(("key" = ["fields:write"])),
)]
async fn delete_attribute(State(app): State<App>, Auth(caller): Auth, Named(id): Named) -> Result<StatusCode, Failure> {
    let fields = app.engine.fields_for(&caller, Scope::FieldsWrite).await?;
    app.engine.archive_field(&caller, find_by_id(&fields, &id)?.id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get an attribute by its name
///
/// With its type as the number that clients know.
#[utoipa::path(
    get, path = "/attribute-type/{name_std}/users/", tag = "User.com",
    params(("name_std" = String, Path, description = "The name of the attribute for programs.")),
    responses((status = 200, description = "The attribute.", body = AttributeTypeBody), Refusals),
    security(("key" = ["fields:read"])),
)]
async fn get_attribute_type(
    State(app): State<App>,
    Auth(caller): Auth,
    Named(name): Named,
) -> Result<Json<AttributeTypeBody>, Failure> {
    let fields = app.engine.list_fields(&caller).await?;
    let field = find(&fields, |field| field.key == name)?;
    Ok(Json(AttributeTypeBody {
        id: id_of(field),
        name: field.name.clone(),
        name_std: field.key.clone(),
        value_type: value_type(field.kind).1,
    }))
}

/// A refusal of the engine, which names the members of our own fields.
fn in_their_words(error: EngineError) -> Failure {
    let mut failure = Failure::from(error);
    for fault in &mut failure.error.errors {
        fault.column = fault.pointer.as_deref().filter(|at| at.starts_with("/options")).map(|_| "choices".to_owned());
    }
    failure
}

fn read_new(mut members: Members) -> Result<NewField, Error> {
    match members.take_required("content_type").as_ref().map(Any::as_str) {
        None | Some(Some("clientuser" | "user")) => {}
        Some(Some(known)) if CONTENT_TYPES.contains(&known) => {
            members.refuse("content_type", Code::InvalidOption, "Muster keeps users only; send clientuser");
        }
        Some(_) => {
            let message = format!("this is one of {}", CONTENT_TYPES.join(", "));
            members.refuse("content_type", Code::InvalidOption, message);
        }
    }
    let name = members.take_required("name").as_ref().map(|name| name.as_str().unwrap_or_default().to_owned());
    if name.as_ref().is_some_and(|name| !(1..=32).contains(&name.trim().chars().count())) {
        members.refuse("name", Code::InvalidRequest, "a name is a text of 1 to 32 characters");
    }
    if let Some(own) = name.as_deref().and_then(own_name) {
        members.refuse("name", Code::FieldExists, format!("every user has {own} here already; choose another name"));
    }
    let (choices, several) = (read_choices(&mut members), read_several(&mut members));
    let word = members.take_required("value_type");
    let kind = word.as_ref().and_then(Any::as_str).and_then(|word| field_type(word, several == Some(true)));
    if let Some(word) = word.filter(|_| kind.is_none()) {
        let word = excerpt(&word.to_string());
        let message = format!("{word} is not one of boolean, date, datetime, fixed, float, integer, json, string");
        members.refuse("value_type", Code::InvalidOption, message);
    }
    if kind.is_some_and(|kind| !kind.has_options()) {
        if choices.is_some() {
            members.refuse("choices", Code::InvalidRequest, "only a fixed attribute has choices");
        }
        if several == Some(true) {
            members.refuse("allow_multiple_choices", Code::InvalidRequest, "only a fixed attribute has choices");
        }
    }
    if kind.is_some_and(FieldType::has_options) {
        if choices.is_none() {
            members.refuse("choices", Code::InvalidRequest, "a fixed attribute needs choices: a list of texts");
        }
        if several.is_none() {
            let message = "a fixed attribute needs to know whether several can be chosen";
            members.refuse("allow_multiple_choices", Code::InvalidRequest, message);
        }
    }
    members.finish()?;
    let options = choices.filter(|_| kind.is_some_and(FieldType::has_options)).unwrap_or_default();
    let rules = Rules { options, ..Rules::default() };
    Ok(NewField { key: None, name: name.unwrap_or_default(), kind: kind.unwrap_or(FieldType::Text), rules })
}

fn field_type(word: &str, several: bool) -> Option<FieldType> {
    Some(match word {
        "boolean" => FieldType::Boolean,
        "date" => FieldType::Date,
        "datetime" => FieldType::Datetime,
        "fixed" if several => FieldType::MultiSelect,
        "fixed" => FieldType::Select,
        "float" => FieldType::Decimal,
        "integer" => FieldType::Integer,
        "json" => FieldType::Json,
        "string" => FieldType::Text,
        _ => return None,
    })
}

fn read_choices(members: &mut Members) -> Option<Vec<SelectOption>> {
    // An empty list says nothing.
    let json =
        members.take("choices").filter(|json| !json.is_null() && json.as_array().is_none_or(|all| !all.is_empty()))?;
    let option = |name: &str| SelectOption { key: name.to_owned(), name: name.to_owned() };
    let texts: Option<Vec<&str>> = json.as_array().and_then(|all| all.iter().map(Any::as_str).collect());
    if texts.is_none() {
        members.refuse("choices", Code::InvalidRequest, "choices are a list of texts");
    }
    Some(texts.unwrap_or_default().into_iter().map(option).collect())
}

fn read_several(members: &mut Members) -> Option<bool> {
    let json = members.take("allow_multiple_choices").filter(|json| !json.is_null())?;
    if json.as_bool().is_none() {
        members.refuse("allow_multiple_choices", Code::InvalidRequest, "this is true or false");
    }
    json.as_bool()
}
