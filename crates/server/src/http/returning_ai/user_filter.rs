//! Users by a filter, 200 on a page.

use super::answer::{Errors, Success};
use super::request::{Body, PageNumber, replaced};
use super::user_body::{show, show_or_null};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, UpTo};
use axum::extract::State;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use muster_core::error::excerpt;
use muster_core::field::{FieldSet, key_from_name};
use muster_core::sort::SortCursor;
use muster_core::user::User;
use muster_core::{Code, Error};
use muster_engine::{Caller, Engine, FoundUsers, UserQuery};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Any, json};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many users are on a page, as the product documents it.
pub(super) const PAGE_USERS: u32 = 200;

/// What the product calls the time at which a user was made, and what filters call it.
const JOIN_DATE: (&str, &str) = ("join_date", "created_at");

/// What the id of a user is called.
const USER_ID: &str = "userId";

/// What is shown of users where no fields are named: these, and every value that is set.
const ALWAYS: [&str; 6] = ["email", "first_name", "last_name", "join_date", "xp", "coins"];

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(filter_users))
}

/// Which users are wanted, and what of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FilterUsers {
    /// The names of what is wanted: `email`, `first_name`, `last_name`, `join_date`, `xp`, `coins`, and the key of any other
    /// field. These and every value that is set, if it is absent.
    fields: Option<Vec<String>>,
    /// Everybody if it is absent or empty. A member is one of these names with a value, or with `gte` and `lte` (or any
    /// operator of `POST /v1/users/query`); all of them must hold.
    #[schema(value_type = Option<Object>)]
    filter: Option<Map<String, Any>>,
    /// The `next_cursor` of the page before, of the same filter. Not together with `page`.
    #[schema(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// The number of a page, from 1. Each such page counts everybody who matches; a cursor does not.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    page: Option<PageNumber>,
}

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserPage<T> {
    /// The users, in the order in which they were made.
    pub(super) users: Vec<T>,
    /// The `cursor` of the next page; null: this is the last one.
    pub(super) next_cursor: Option<Cursor>,
    /// How many pages there are; behind a cursor, as many as there were when the first page was asked for.
    pub(super) total_pages: u64,
    /// Which page this is.
    pub(super) current_page: u32,
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// At its number.
    Page(PageNumber),
    /// Behind the page before.
    After(PagePlace),
}

/// The place behind a page: which page follows, of how many, and after whom.
#[derive(Clone, Debug)]
pub(super) struct PagePlace {
    page: u32,
    total_pages: u64,
    after: SortCursor,
}

impl fmt::Display for PagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.page, self.total_pages, self.after)
    }
}

impl FromStr for PagePlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, ' ');
        let mut part = || parts.next().ok_or(());
        let (page, total_pages, after) = (part()?, part()?, part()?);
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text).ok_or(());
        Ok(Self {
            page: number(page)?,
            total_pages: number(total_pages)?.into(),
            after: after.parse().map_err(|_| ())?,
        })
    }
}

impl Start {
    /// What a request says about it. Refuses both at once, and a cursor that is not ours.
    pub(super) fn read(page: Option<PageNumber>, cursor: Option<&Cursor>) -> Result<Self, Failure> {
        match (page, cursor) {
            (Some(_), Some(_)) => {
                Err(Error::at("/cursor", Code::InvalidRequest, "send a cursor or a page, not both").into())
            }
            (page, None) => Ok(Self::Page(page.unwrap_or_default())),
            (None, Some(cursor)) => Ok(Self::After(cursor.open()?)),
        }
    }

    /// The page that begins here, of `limit` users as `show` shows them.
    pub(super) async fn page<T>(
        self,
        engine: &Engine,
        caller: &Caller,
        mut query: UserQuery,
        show: impl Fn(&User, &FieldSet) -> T,
    ) -> Result<UserPage<T>, muster_engine::EngineError> {
        let (found, current_page, total_pages): (FoundUsers, u32, u64) = match self {
            Self::Page(UpTo(page)) => {
                let counted = engine.count_users_to_page(caller, &query, page).await?;
                (counted.found, page, counted.total.div_ceil(query.limit.into()))
            }
            Self::After(place) => {
                query.cursor = Some(place.after);
                (engine.query_users(caller, &query).await?, place.page, place.total_pages)
            }
        };
        let page = current_page.saturating_add(1);
        let next = found.next.map(|after| PagePlace { page, total_pages, after });
        Ok(UserPage {
            users: found.users.iter().map(|user| show(user, &found.fields)).collect(),
            next_cursor: next.map(Cursor::seal),
            total_pages,
            current_page,
        })
    }
}

/// Get users with filters
///
/// 200 on a page, by cursor or by number.
#[utoipa::path(
    post, path = "/users/filter", tag = "Returning.AI",
    request_body(content = FilterUsers, example = json!({
        "fields": ["email", "first_name", "xp"], "filter": {"xp": {"gte": 10, "lte": 50}, "city": "Rome"}, "page": 1,
    })),
    responses((status = 200, description = "A page of users.", body = Success<UserPage<FoundUser>>), Errors),
    security(("key" = ["users:read"])),
)]
async fn filter_users(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body<FilterUsers>,
) -> Result<Json<Success<UserPage<FoundUser>>>, Failure> {
    let start = Start::read(body.page, body.cursor.as_ref())?;
    let wanted = body.fields.map(Wanted::new);
    let query = UserQuery {
        filter: native_filter(body.filter.unwrap_or_default())?.map(|filter| filter.to_string()),
        sort: None,
        values: wanted.as_ref().map(|wanted| wanted.keys.iter().map(|(_, key)| key.clone()).collect()),
        limit: PAGE_USERS,
        cursor: None,
    };
    let places = places(wanted.as_ref());
    let names = wanted.map(|wanted| wanted.names);
    let page = start.page(&app.engine, &caller, query, |user, fields| found(user, fields, names.as_deref()));
    Ok(Json(Success::new("Get users successful", page.await.map_err(|error| replaced(error, &places))?)))
}

/// A user with what was wanted of it, each under the name that was asked for; null where nothing is set.
#[derive(Debug, Serialize, ToSchema)]
struct FoundUser {
    /// The id.
    #[serde(rename = "userId")]
    user_id: i64,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    values: Map<String, Any>,
}

/// The names that are wanted of users; and of those that name fields, the place and the key.
struct Wanted {
    names: Vec<String>,
    keys: Vec<(usize, String)>,
}

impl Wanted {
    fn new(names: Vec<String>) -> Self {
        let named = names.iter().enumerate().filter(|(_, name)| !is_own(name));
        Self { keys: named.map(|(i, name)| (i, key_from_name(name))).collect(), names }
    }
}

/// Where the engine says something is wrong, and where that is in the request.
fn places(wanted: Option<&Wanted>) -> Vec<(String, String)> {
    let fields = wanted.into_iter().flat_map(|wanted| wanted.keys.iter().enumerate());
    let fields = fields.map(|(i, (place, _))| (format!("/fields/{i}"), format!("/fields/{place}")));
    let join_date = (format!("/filter/{}", JOIN_DATE.1), format!("/filter/{}", JOIN_DATE.0));
    fields.chain([join_date]).collect()
}

/// Whether a name means something of the user itself and no field.
fn is_own(name: &str) -> bool {
    [USER_ID, "email", JOIN_DATE.0].contains(&name)
}

/// A user with what is wanted of it.
fn found(user: &User, fields: &FieldSet, names: Option<&[String]>) -> FoundUser {
    let value = |name: &str| match name {
        "email" => json!(user.email),
        name if name == JOIN_DATE.0 => json!(user.created_at),
        name => show_or_null(fields.shown_value(user, &key_from_name(name)).map(|(_, value)| value)),
    };
    let mut values = Map::new();
    match names {
        Some(names) => {
            let names = names.iter().filter(|name| *name != USER_ID);
            values.extend(names.map(|name| (name.clone(), value(name))));
        }
        None => {
            values.extend(ALWAYS.iter().map(|name| ((*name).to_owned(), value(name))));
            values.extend(fields.shown(user).map(|(field, value)| (field.key.clone(), show(value))));
        }
    }
    FoundUser { user_id: user.id.0, values }
}

/// The filter in the words of the native face. Names may be written with spaces and hyphens, as the product makes them.
fn native_filter(filter: Map<String, Any>) -> Result<Option<Any>, Error> {
    let mut native = Map::new();
    for (name, condition) in filter {
        let (key, condition) = match name == JOIN_DATE.0 {
            true => (JOIN_DATE.1.to_owned(), on_days(condition)?),
            false => (key_from_name(&name), condition),
        };
        if native.insert(key, condition).is_some() {
            let message = format!("\"{}\" means a field that is there already", excerpt(&name));
            return Err(Error::at(format!("/filter/{name}"), Code::InvalidRequest, message));
        }
    }
    Ok((!native.is_empty()).then_some(Any::Object(native)))
}

/// A condition on a time, in which a day stands for all of it.
fn on_days(condition: Any) -> Result<Any, Error> {
    let Any::Object(tests) = condition else {
        return Ok(match day(&condition) {
            Some((begin, end)) => json!({"gte": begin, "lt": end}),
            None => condition,
        });
    };
    let mut native = Map::new();
    for (operator, operand) in tests {
        let (operator, operand) = match (operator.as_str(), day(&operand)) {
            ("gte" | "lt", Some((begin, _))) => (operator, json!(begin)),
            ("gt", Some((_, end))) => ("gte".to_owned(), json!(end)),
            ("lte", Some((_, end))) => ("lt".to_owned(), json!(end)),
            _ => (operator, operand),
        };
        if native.insert(operator, operand).is_some() {
            let message = "say one lower and one upper end";
            return Err(Error::at(format!("/filter/{}", JOIN_DATE.0), Code::InvalidRequest, message));
        }
    }
    Ok(Any::Object(native))
}

/// The first moment of a day, and of the one after it, in UTC.
fn day(operand: &Any) -> Option<(Timestamp, Timestamp)> {
    let text = operand.as_str().filter(|text| text.len() == "YYYY-MM-DD".len())?;
    let begin = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let date: Date = text.parse().ok()?;
    Some((begin(date)?, begin(date.tomorrow().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_stands_for_all_of_it() {
        let read = |text: &str| {
            let filter: Any = serde_json::from_str(text).unwrap();
            let filter = filter.as_object().cloned().unwrap_or_default();
            native_filter(filter).map(|filter| filter.unwrap_or_default().to_string()).map_err(|error| error.detail)
        };
        let (first, second) = ("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z");
        for (text, native) in [
            (r#"{"join_date":"2026-01-31"}"#, format!(r#"{{"created_at":{{"gte":"{first}","lt":"{second}"}}}}"#)),
            (r#"{"join_date":{"lte":"2026-01-31"}}"#, format!(r#"{{"created_at":{{"lt":"{second}"}}}}"#)),
            (r#"{"join_date":{"gt":"2026-01-31"}}"#, format!(r#"{{"created_at":{{"gte":"{second}"}}}}"#)),
            (
                r#"{"join_date":{"gte":"2026-01-31T09:00:00Z"}}"#,
                r#"{"created_at":{"gte":"2026-01-31T09:00:00Z"}}"#.to_owned(),
            ),
            (r#"{"join_date":"20260131"}"#, r#"{"created_at":"20260131"}"#.to_owned()),
            (r#"{"Shoe-Size":{"gte":1}}"#, r#"{"shoe_size":{"gte":1}}"#.to_owned()),
            ("{}", "null".to_owned()),
        ] {
            assert_eq!(read(text), Ok(native), "{text}");
        }
        assert!(read(r#"{"join_date":{"lt":"2026-01-31","lte":"2026-01-31"}}"#).is_err());
        assert!(read(r#"{"shoe size":1,"shoe-size":2}"#).is_err());
    }
}
