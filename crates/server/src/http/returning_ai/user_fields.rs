//! User fields, in both request shapes that the product documents: that of its application API (`field`, `name`, `type`) and the
//! older one of its integration API (`name`, `type`, `description`, `required`, `defaultValue`, `options`).

use super::answer::{Answer, Errors};
use super::field_types::{read_type, show_type};
use super::request::{Body, Within};
use crate::http::App;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::Timestamp;
use muster_core::field::{Field, NewField, Rules, SelectOption, key_from_name};
use muster_core::field_edit::FieldEdit;
use muster_core::id::{CommunityId, FieldId};
use muster_core::job::is_name;
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_engine::{Caller, EngineError, FieldOrigin};
use serde::{Deserialize, Serialize};
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_user_fields, create_user_field)).routes(routes!(
        get_user_field,
        update_user_field,
        delete_user_field
    ))
}

/// A field as the product shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserField)]
struct FieldBody {
    /// The id: 24 hex digits.
    #[serde(rename = "_id")]
    #[schema(value_type = String, example = "0123456789abcdef01234567")]
    id: FieldId,
    /// Its name for programs. Names with spaces and hyphens mean it too.
    field: String,
    /// Its name for people.
    name: String,
    /// What it holds, in the newest words of the product, whichever were sent.
    #[serde(rename = "type")]
    #[schema(example = "numerical")]
    kind: String,
    /// The names of the options of a `select`.
    options: Vec<String>,
    /// Whether every user must have a value.
    required: bool,
    /// Whether it came with the product.
    built_in: bool,
    /// Who made it; null for those that came with Muster, and those that were made before this was kept.
    creator: Option<Creator>,
    /// The community.
    #[schema(value_type = String)]
    community_id: CommunityId,
    /// When it was made.
    created_at: Timestamp,
    /// When it was changed last; null: never since this is kept.
    updated_at: Option<Timestamp>,
}

/// Who made a field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserFieldCreator)]
struct Creator {
    /// The id of the key.
    #[serde(rename = "_id")]
    id: String,
    /// The name of the key.
    name: String,
}

impl FieldBody {
    fn new(field: Field, origin: FieldOrigin, caller: &Caller) -> Self {
        Self {
            id: field.id,
            kind: show_type(field.kind).to_owned(),
            field: field.key,
            name: field.name,
            options: field.rules.options.into_iter().map(|option| option.name).collect(),
            required: field.rules.required,
            built_in: field.built_in,
            creator: origin.created_by.map(|maker| Creator { id: maker.id, name: maker.name }),
            community_id: caller.community,
            created_at: origin.created_at,
            updated_at: origin.updated_at,
        }
    }
}

/// A field that was made or changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedUserField)]
struct ChangedFieldBody {
    #[serde(flatten)]
    field: FieldBody,
    /// What was sent and is not kept: `description`, `defaultValue`.
    ignored: Vec<&'static str>,
}

/// Who may write fields may read them: the product has one permission for both.
fn reader(caller: Caller) -> Caller {
    caller.implying(Scope::FieldsWrite, Scope::FieldsRead)
}

/// Get all user fields for a community
#[utoipa::path(
    get, path = "/communities/{communityId}/user-fields", tag = "Returning.AI",
    params(("communityId" = String, Path, description = "The community of the key.")),
    responses((status = 200, description = "The fields, the built-in ones first.", body = Answer<Vec<FieldBody>>), Errors),
    security(("key" = ["fields:read"]), ("key" = ["fields:write"])),
)]
async fn list_user_fields(
    State(app): State<App>,
    Within(caller, ()): Within<()>,
    _: NoParams,
) -> Result<Json<Answer<Vec<FieldBody>>>, Failure> {
    let caller = reader(caller);
    let fields = app.engine.list_fields_with_origins(&caller).await?.into_iter();
    let fields = fields.map(|(field, origin)| FieldBody::new(field, origin, &caller)).collect();
    Ok(Json(Answer::ok("Get user fields successful", fields)))
}

/// The body of a field that is there.
async fn find(app: &App, caller: Caller, id: FieldId) -> Result<FieldBody, Failure> {
    let caller = reader(caller);
    let fields = app.engine.list_fields_with_origins(&caller).await?;
    let found = fields.into_iter().find(|(field, _)| field.id == id);
    let (field, origin) = found.ok_or_else(|| EngineError::not_found("field"))?;
    Ok(FieldBody::new(field, origin, &caller))
}

/// Get a specific user field
#[utoipa::path(
    get, path = "/communities/{communityId}/user-fields/{fieldId}", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("fieldId" = String, Path, description = "The field."),
    ),
    responses((status = 200, description = "The field.", body = Answer<FieldBody>), Errors),
    security(("key" = ["fields:read"]), ("key" = ["fields:write"])),
)]
async fn get_user_field(
    State(app): State<App>,
    Within(caller, id): Within<FieldId>,
    _: NoParams,
) -> Result<Json<Answer<FieldBody>>, Failure> {
    Ok(Json(Answer::ok("Get user field successful", find(&app, caller, id).await?)))
}

/// A field in either shape.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewUserField)]
struct NewFieldBody {
    /// Its name for programs, 1 to 50 characters (application API). Made from the name if it is not given.
    field: Option<String>,
    /// Its name for people, 1 to 100 characters.
    name: String,
    /// `text`, `single-line-text`, `multi-line-text`, `number`, `numerical`, `boolean`, `date`, `select`, or a type of Muster.
    #[serde(rename = "type")]
    kind: String,
    /// Whether every user must have a value (integration API).
    required: Option<bool>,
    /// The options of a `select` (integration API).
    options: Option<Vec<String>>,
    /// Not kept (integration API).
    description: Option<String>,
    /// Not kept (integration API).
    #[schema(value_type = Option<Object>)]
    default_value: Option<Any>,
}

impl NewFieldBody {
    fn ignored(&self) -> Vec<&'static str> {
        let all = [("description", self.description.is_some()), ("defaultValue", self.default_value.is_some())];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    fn options(&self) -> Option<Vec<SelectOption>> {
        let option = |name: &String| SelectOption { key: key_from_name(name), name: name.clone() };
        self.options.as_ref().map(|names| names.iter().map(option).collect())
    }

    fn read(&self) -> Result<NewField, Error> {
        if let Some(field) = self.field.as_ref().filter(|field| !is_name(field, 50)) {
            let message = format!("field has 1 to 50 characters, not {}", field.chars().count());
            return Err(Error::at("/field", Code::InvalidRequest, message));
        }
        let rules = Rules {
            options: self.options().unwrap_or_default(),
            required: self.required.unwrap_or(false),
            ..Rules::default()
        };
        // A space becomes a hyphen there, and here an underscore; any of them means the field.
        let key = self.field.as_deref().map(key_from_name);
        Ok(NewField { key, name: self.name.clone(), kind: read_type(&self.kind)?, rules })
    }

    /// What changes about a field; a word that means what it holds already changes no type.
    fn edit(&self, held: &Field) -> Result<FieldEdit, Error> {
        let kind = read_type(&self.kind)?;
        let kind = Some(kind).filter(|kind| show_type(*kind) != show_type(held.kind));
        let name = Some(self.name.clone()).filter(|name| *name != held.name);
        if self.field.as_ref().is_some_and(|field| key_from_name(field) != held.key) {
            let message = format!("the name for programs stays {}", held.key);
            return Err(Error::at("/field", Code::InvalidRequest, message));
        }
        Ok(FieldEdit { name, kind, options: self.options(), required: self.required, ..FieldEdit::default() })
    }
}

/// Create a user field
///
/// In the shape of the application API or in that of the integration API.
#[utoipa::path(
    post, path = "/communities/{communityId}/user-fields", tag = "Returning.AI",
    params(("communityId" = String, Path, description = "The community of the key.")),
    request_body(content = NewFieldBody, example = json!({"field": "loyalty points", "name": "Loyalty Points", "type": "numerical"})),
    responses((status = 201, description = "The field.", body = Answer<ChangedFieldBody>), Errors),
    security(("key" = ["fields:write"])),
)]
async fn create_user_field(
    State(app): State<App>,
    Within(caller, ()): Within<()>,
    _: NoParams,
    Body(body): Body<NewFieldBody>,
) -> Result<impl IntoResponse, Failure> {
    let (made, origin) = app.engine.create_field_with_origin(&caller, &body.read()?).await?;
    let data = ChangedFieldBody { field: FieldBody::new(made, origin, &caller), ignored: body.ignored() };
    Ok((StatusCode::CREATED, Json(Answer::new(StatusCode::CREATED, "Create user field successful", data))))
}

/// Update a user field
///
/// A type is changed where every value that users have fits the other one; else it is refused, naming who has one that does not.
#[utoipa::path(
    put, path = "/communities/{communityId}/user-fields/{fieldId}", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("fieldId" = String, Path, description = "The field."),
    ),
    request_body(content = NewFieldBody, example = json!({"name": "Size of shoes", "type": "text"})),
    responses((status = 200, description = "The field as it is now.", body = Answer<ChangedFieldBody>), Errors),
    security(("key" = ["fields:write"])),
)]
async fn update_user_field(
    State(app): State<App>,
    Within(caller, id): Within<FieldId>,
    _: NoParams,
    Body(body): Body<NewFieldBody>,
) -> Result<Json<Answer<ChangedFieldBody>>, Failure> {
    let reader = reader(caller.clone());
    let fields = app.engine.list_fields_with_origins(&reader).await?;
    let (held, mut origin) =
        fields.into_iter().find(|(field, _)| field.id == id).ok_or_else(|| EngineError::not_found("field"))?;
    let now = app.engine.clock().now();
    let edited = app.engine.edit_field_at(&caller, id, &body.edit(&held)?, now).await?;
    if edited != held {
        origin.updated_at = Some(now);
    }
    let data = ChangedFieldBody { field: FieldBody::new(edited, origin, &caller), ignored: body.ignored() };
    Ok(Json(Answer::ok("Updated user field", data)))
}

/// Delete a user field
///
/// It is archived: values, history and name stay, and `POST /v1/fields/{id}/restore` brings it back.
#[utoipa::path(
    delete, path = "/communities/{communityId}/user-fields/{fieldId}", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("fieldId" = String, Path, description = "The field."),
    ),
    responses((status = 200, description = "The field as it was.", body = Answer<FieldBody>), Errors),
    security(("key" = ["fields:write"])),
)]
async fn delete_user_field(
    State(app): State<App>,
    Within(caller, id): Within<FieldId>,
    _: NoParams,
) -> Result<Json<Answer<FieldBody>>, Failure> {
    let field = find(&app, caller.clone(), id).await?;
    app.engine.archive_field(&caller, id, false).await?;
    Ok(Json(Answer::ok("Delete user field successful", field)))
}
