//! `/attributes`: the definitions of attributes, one by one and in pages.

use super::attribute::{Attribute, Definition, all, find};
use super::body::{Body, PropellerAnswer};
use super::error::Errors;
use super::paging::{PageNumber, PageSize, PropellerPage};
use super::schema::Schema;
use super::users::{Address, Deleted};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams, Params};
use crate::http::failure::Failure;
use axum::extract::State;
use axum::http::StatusCode;
use muster_core::field::Field;
use muster_core::{Code, Error};
use muster_engine::Caller;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations, relative to the face.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_attributes, create_attribute)).routes(routes!(
        get_attribute,
        edit_attribute,
        delete_attribute
    ))
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListAttributes {
    /// The number of the page, from 1.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: PageNumber,
    /// How many there are on a page, from 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 12)]
    offset: PageSize,
}

/// What else names an attribute that is looked up by its name.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// The class: there are attributes of `user` only.
    #[serde(rename = "attributeClass")]
    pub class: Option<String>,
}

/// A definition of an attribute.
#[derive(Debug, ToSchema)]
#[schema(as = NewPropellerAttribute)]
#[expect(dead_code, reason = "the body is read member by member; this describes it")]
struct NewAttribute {
    /// Upper-case letters, digits and `_`.
    name: String,
    /// `user`.
    class: String,
    /// `text`, `list`, `enum`, `enumlist`, `integer`, `decimal`, `date` or `datetime`.
    #[schema(rename = "type")]
    kind: String,
    /// The options of an `enum` or `enumlist`, with semicolons between them.
    #[schema(rename = "typeParam")]
    type_param: Option<String>,
    /// `[{"language", "value"}]`: the name for people.
    #[schema(value_type = Option<Vec<Object>>)]
    descriptions: Option<Value>,
    /// Whether users are to be found by it quickly.
    #[schema(rename = "isSearchable")]
    is_searchable: Option<bool>,
}

/// The attribute of an address.
pub async fn attribute_of(app: &App, caller: &Caller, address: &Address, class: &Class) -> Result<Field, Failure> {
    let fields = app.engine.list_fields(caller).await?;
    Ok(find(&fields, &address.0, &address.1, class.class.as_deref()).cloned()?)
}

/// The definition of a body, in which these members must be.
fn definition(body: &Value, required: &[&str]) -> Result<Definition, Error> {
    let mut schema = Schema::default();
    let definition = Definition::read("#", body, &[], &mut schema);
    for name in required.iter().filter(|name| body.is_object() && body.get(name).is_none()) {
        schema.missing("#", name, Code::InvalidRequest);
    }
    schema.finish()?;
    definition.ok_or_else(|| Error::new(Code::InvalidRequest, "#: this is no attribute"))
}

/// List attributes
///
/// All of them page by page. Attributes are the fields of Muster, but for those that are members of users.
#[utoipa::path(
    get, path = "/attributes", tag = "Propeller Commerce", operation_id = "propeller_list_attributes",
    params(ListAttributes),
    responses((status = 200, description = "A page of attributes.", body = PropellerPage<Attribute>), Errors),
    security(("key" = ["fields:read"])),
)]
async fn list_attributes(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(list): Params<ListAttributes>,
) -> Result<Json<PropellerPage<Attribute>>, Failure> {
    let fields = app.engine.list_fields(&caller).await?;
    Ok(Json(PropellerPage::of(all(&fields).map(Attribute::from).collect(), list.page, list.offset)))
}

/// Get an attribute
///
/// By `id` or `name`.
#[utoipa::path(
    get, path = "/attributes/{lookupKey}/{lookupValue}", tag = "Propeller Commerce", operation_id = "propeller_get_attribute",
    params(
        ("lookupKey" = String, Path, description = "`id` or `name`."),
        ("lookupValue" = String, Path, description = "The id or the name."),
        Class,
    ),
    responses((status = 200, description = "The attribute.", body = PropellerAnswer<Attribute>), Errors),
    security(("key" = ["fields:read"])),
)]
async fn get_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(class): Params<Class>,
) -> Result<Json<PropellerAnswer<Attribute>>, Failure> {
    let field = attribute_of(&app, &caller, &address, &class).await?;
    Ok(Json(PropellerAnswer::one(Attribute::from(&field), "")))
}

/// Create an attribute
///
/// Makes a field of Muster. What Muster does not keep of a definition is said in the messages.
#[utoipa::path(
    post, path = "/attributes", tag = "Propeller Commerce", operation_id = "propeller_create_attribute",
    request_body(content = NewAttribute, example = json!({"name": "HAT_SIZE", "class": "user", "type": "integer"})),
    responses((status = 201, description = "The attribute.", body = PropellerAnswer<Attribute>), Errors),
    security(("key" = ["fields:write"])),
)]
async fn create_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body,
) -> Result<(StatusCode, Json<PropellerAnswer<Attribute>>), Failure> {
    let definition = definition(&body, &["name", "class", "type"])?;
    let field = app.engine.create_field(&caller, &definition.new_field()?).await?;
    let mut created = PropellerAnswer::one(Attribute::from(&field), "Attribute created");
    created.messages.extend(definition.say_not_kept());
    Ok((StatusCode::CREATED, Json(created)))
}

/// Change an attribute
///
/// Its description, its options, and whether it is searchable. Name, class and type stay. What Muster does not keep of a definition
/// is said in the messages.
#[utoipa::path(
    patch, path = "/attributes/{lookupKey}/{lookupValue}", tag = "Propeller Commerce", operation_id = "propeller_edit_attribute",
    params(
        ("lookupKey" = String, Path, description = "`id` or `name`."),
        ("lookupValue" = String, Path, description = "The id or the name."),
        Class,
    ),
    request_body(content = Object, example = json!({"descriptions": [{"language": "EN", "value": "Size of hats"}]})),
    responses((status = 200, description = "The attribute as it is now.", body = PropellerAnswer<Attribute>), Errors),
    security(("key" = ["fields:read", "fields:write"])),
)]
async fn edit_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(class): Params<Class>,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Attribute>>, Failure> {
    let field = attribute_of(&app, &caller, &address, &class).await?;
    let definition = definition(&body, &[])?;
    let edited = app.engine.edit_field(&caller, field.id, &definition.edit(&field)).await?;
    let mut updated = PropellerAnswer::one(Attribute::from(&edited), "Attribute updated");
    let stays = definition.names_what_stays().then(|| "Fields 'name', 'type' and 'class' are not updated.".to_owned());
    updated.messages.extend(stays.into_iter().chain(definition.say_not_kept()));
    Ok(Json(updated))
}

/// Delete an attribute
///
/// Archives the field: it is shown no more, and neither are its values, which can be brought back with
/// `POST /v1/fields/{id}/restore`.
#[utoipa::path(
    delete, path = "/attributes/{lookupKey}/{lookupValue}", tag = "Propeller Commerce", operation_id = "propeller_delete_attribute",
    params(
        ("lookupKey" = String, Path, description = "`id` or `name`."),
        ("lookupValue" = String, Path, description = "The id or the name."),
        Class,
    ),
    responses((status = 200, description = "The attribute is deleted.", body = Deleted), Errors),
    security(("key" = ["fields:read", "fields:write"])),
)]
async fn delete_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(class): Params<Class>,
) -> Result<Json<Deleted>, Failure> {
    let field = attribute_of(&app, &caller, &address, &class).await?;
    app.engine.archive_field(&caller, field.id, false).await?;
    Ok(Json(Deleted::new("Attribute deleted")))
}
