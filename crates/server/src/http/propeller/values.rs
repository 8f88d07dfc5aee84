//! `GET|POST /users/:lookupKey/:lookupValue/attributes`: the values that one user has of attributes.

use super::attribute::{find, is_attribute, name, type_of};
use super::body::{Body, PropellerAnswer};
use super::error::Errors;
use super::paging::{PageNumber, PageSize, PropellerPage};
use super::record::attribute_value;
use super::schema::Schema;
use super::users::{Address, Source, find as find_user};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, Params};
use crate::http::failure::Failure;
use axum::extract::State;
use muster_core::error::Kind;
use muster_core::field::{Field, FieldNumber, FieldSet};
use muster_core::key::Key;
use muster_core::plan::may_hold;
use muster_core::scope::Scope;
use muster_core::value::{Misfit, Value as Stored};
use muster_core::{Code, Error};
use muster_engine::{Caller, UserEdit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations, relative to the face.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_values, set_values))
}

/// Which page of the values of a user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListValues {
    /// The other system. `sourceId` needs it.
    source: Option<String>,
    /// The language, where there is a record for each.
    language: Option<String>,
    /// The number of the page, from 1.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: PageNumber,
    /// How many there are on a page, from 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 12)]
    offset: PageSize,
}

/// The value that a user has of an attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerValue)]
struct AttributeValue {
    #[schema(example = "user")]
    class: &'static str,
    /// The id of the attribute.
    id: u16,
    /// Whether it comes from a group: never, there are none.
    inherited: bool,
    /// The name of the attribute.
    #[schema(example = "SHOE_SIZE")]
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "integer")]
    kind: &'static str,
    /// The value: a number for an `integer`, a text for a `decimal`, what the options of an `enum` or `enumlist` are called.
    #[schema(value_type = serde_json::Value, example = 43)]
    value: Value,
}

impl AttributeValue {
    fn new(field: &Field, value: &Stored) -> Self {
        let (class, inherited) = ("user", false);
        Self {
            class,
            id: field.number.0,
            inherited,
            name: name(field),
            kind: type_of(field.kind),
            value: field.with_option_names(value).to_wire(),
        }
    }
}

/// What became of one attribute of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerValueResult)]
struct ValueResult {
    /// `put`, or `delete` where there was no value.
    #[schema(example = "put")]
    action: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The id of the attribute, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    /// What the attribute was looked up by, as it was written.
    #[schema(value_type = serde_json::Value, example = "SHOE_SIZE")]
    key: Value,
    /// `id` or `name`.
    #[serde(rename = "lookupKey")]
    #[schema(example = "name")]
    lookup_key: &'static str,
    /// What is wrong with the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    success: bool,
}

/// A value that is to be set.
struct Wanted {
    lookup: &'static str,
    key: Value,
    class: Option<String>,
    /// Null to clear it.
    value: Value,
}

/// Attributes of a user
///
/// The values that a user has, page by page.
#[utoipa::path(
    get, path = "/users/{lookupKey}/{lookupValue}/attributes", tag = "Propeller Commerce",
    params(
        ("lookupKey" = String, Path, description = "`id` or `sourceId`."),
        ("lookupValue" = String, Path, description = "The id."),
        ListValues,
    ),
    responses((status = 200, description = "A page of values.", body = PropellerPage<AttributeValue>), Errors),
    security(("key" = ["users:read"])),
)]
async fn list_values(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(list): Params<ListValues>,
) -> Result<Json<PropellerPage<AttributeValue>>, Failure> {
    let source = Source { source: list.source, language: list.language };
    let (user, fields) = find_user(&app, &caller, Scope::UsersRead, &address, &source).await?;
    let attributes = fields.shown(&user).filter(|(field, _)| is_attribute(field));
    let values = attributes.map(|(field, value)| AttributeValue::new(field, value)).collect();
    Ok(Json(PropellerPage::of(values, list.page, list.offset)))
}

/// Change attributes of a user
///
/// A list of attributes by `id` or `name` and `class`; without a `value` the user's is cleared. One that fails leaves the others
/// alone.
#[utoipa::path(
    post, path = "/users/{lookupKey}/{lookupValue}/attributes", tag = "Propeller Commerce",
    params(
        ("lookupKey" = String, Path, description = "`id` or `sourceId`."),
        ("lookupValue" = String, Path, description = "The id."),
        Source,
    ),
    request_body(content = Vec<Object>, example = json!([
        {"name": "CITY", "class": "user", "type": "text", "value": "Oslo"}, {"name": "REGION", "class": "user", "type": "text"},
    ])),
    responses((status = 200, description = "What became of each.", body = PropellerAnswer<Vec<ValueResult>>), Errors),
    security(("key" = ["users:write"])),
)]
async fn set_values(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(source): Params<Source>,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Vec<ValueResult>>>, Failure> {
    let (_, fields) = find_user(&app, &caller, Scope::UsersWrite, &address, &source).await?;
    let wanted = read(&body, app.config.records)?;
    Ok(Json(PropellerAnswer::completed(set(&app, &caller, &address.key(&source)?, &wanted, &fields).await?)))
}

/// Reads the list of a body.
fn read(body: &Value, most: usize) -> Result<Vec<Wanted>, Error> {
    let mut schema = Schema::default();
    let items = schema.array("#", body);
    if items.len() > most {
        let detail = format!("#: there are {} attributes, and {most} are allowed; split them.", items.len());
        return Err(Error::new(Code::TooManyRecords, detail));
    }
    let mut wanted = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let place = format!("#/{i}");
        let known = |name: &str| ["id", "name", "class", "type", "value"].contains(&name);
        let Some(item) = schema.object(&place, item, known) else {
            continue;
        };
        for name in ["name", "class", "type"] {
            item.get(name).map(|text| schema.text(&format!("{place}/{name}"), text));
        }
        let (lookup, key) = match (item.get("id"), item.get("name")) {
            (Some(id), _) => {
                schema.integer(&format!("{place}/id"), id);
                ("id", id.clone())
            }
            (None, Some(name)) => ("name", name.clone()),
            (None, None) => {
                schema.missing(&place, "name", Code::MissingKey);
                continue;
            }
        };
        let class = item.get("class").and_then(Value::as_str).map(str::to_owned);
        let value = attribute_value(&format!("{place}/value"), item.get("value"), &mut schema);
        wanted.push(Wanted { lookup, key, class, value });
    }
    schema.finish().map(|()| wanted)
}

/// Sets those values that can be set, all in one change of the user, and says what became of each.
async fn set(
    app: &App,
    caller: &Caller,
    user: &Key,
    wanted: &[Wanted],
    fields: &FieldSet,
) -> Result<Vec<ValueResult>, Failure> {
    let mut results: Vec<ValueResult> = wanted.iter().map(|wanted| wanted.result(fields)).collect();
    let fit = wanted.iter().zip(&results).filter(|(_, result)| result.success);
    let field = |result: &ValueResult| fields.get(FieldNumber(result.id?));
    // Of an attribute that is there twice the last one counts.
    let mut values: BTreeMap<String, &Value> =
        fit.filter_map(|(wanted, result)| Some((field(result)?.key.clone(), &wanted.value))).collect();
    loop {
        let said = values.iter().map(|(key, value)| (key.clone(), (*value).clone()));
        let edit = UserEdit { values: said.collect(), ..UserEdit::default() };
        let error = match app.engine.edit_user(caller, user, &edit).await.map_err(Failure::from) {
            Ok(_) => return Ok(results),
            Err(failure) if failure.error.code.kind() != Kind::Row => return Err(failure),
            Err(failure) => failure.error,
        };
        // What depends on the user and on all others, such as a unique value that somebody has: it is left out.
        let fault = error.errors.first();
        let blamed = fault.and_then(|fault| fault.pointer.as_deref()?.strip_prefix("/values/"));
        let Some((key, fault)) = blamed.filter(|key| values.remove(*key).is_some()).zip(fault) else {
            return Err(error.into());
        };
        let of =
            results.iter_mut().filter(|result| result.success && field(result).is_some_and(|field| field.key == key));
        of.for_each(|result| result.fail(&fault.message));
    }
}

impl Wanted {
    /// What is to become of it, as far as can be told before the user is changed.
    fn result(&self, fields: &FieldSet) -> ValueResult {
        let key = self.key.as_str().map_or_else(|| self.key.to_string(), str::to_owned);
        let action = if self.value.is_null() { "delete" } else { "put" };
        let found = find(fields, self.lookup, &key, self.class.as_deref());
        let mut result = ValueResult {
            action,
            error: None,
            id: found.as_ref().ok().map(|field| field.number.0),
            key: self.key.clone(),
            lookup_key: self.lookup,
            message: None,
            success: true,
        };
        match found.map(|field| (field, self.read(field))) {
            Err(error) => result.fail(&error.detail),
            Ok((field, Err(misfit))) => {
                result.fail(&format!("Invalid value provided. Attribute type is [{}].", type_of(field.kind)));
                result.message = Some(misfit.message);
            }
            Ok((field, Ok(value))) => {
                let refused = may_hold(field, value.as_ref()).err();
                refused.iter().for_each(|misfit| result.fail(&misfit.message));
            }
        }
        result
    }

    /// The value as the attribute holds it; none to clear it.
    fn read(&self, field: &Field) -> Result<Option<Stored>, Misfit> {
        (!self.value.is_null()).then(|| Stored::from_json(field, &self.value)).transpose()
    }
}

impl ValueResult {
    fn fail(&mut self, why: &str) {
        self.error = Some(why.to_owned());
        self.success = false;
    }
}
