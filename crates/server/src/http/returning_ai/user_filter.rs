//! Users by a filter, 200 on a page.

use super::answer::{Errors, Success};
use super::filter_words::{NativeFilter, key_of};
use super::request::{Body, PageNumber, replaced};
use super::user_body::{ZERO, show_value};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, UpTo};
use axum::extract::State;
use muster_core::field::FieldSet;
use muster_core::scope::Scope;
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

/// What the product calls the time at which a user was made.
pub(super) const JOIN_DATE: &str = "join_date";

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
    /// The names of what is wanted: `email`, `first_name`, `last_name`, `join_date`, `xp`, `coins`, and the key or name of any
    /// other field. These and every value that is set, if it is absent.
    fields: Option<Vec<String>>,
    /// Everybody if it is absent or empty. A member is one of these names with a value, or with `gte` and `lte` (or any
    /// operator of `POST /v1/users/query`); all of them must hold. `xp` and `coins` are 0 where none were ever given, but to
    /// `is_set` and null.
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
    let fields = app.engine.fields_for(&caller, Scope::UsersRead).await?;
    let wanted = body.fields.map(|names| Wanted::all(names, &fields));
    let wanted = wanted.as_deref();
    let mut native = NativeFilter::new(&fields);
    let query = UserQuery {
        filter: native.read(body.filter.unwrap_or_default())?.map(|filter| filter.to_string()),
        zero: ZERO,
        sort: None,
        values: wanted.map(|all| all.iter().filter(|one| one.is_field()).map(|one| one.key.clone()).collect()),
        limit: PAGE_USERS,
        cursor: None,
    };
    let places: Vec<_> = native.places.into_iter().chain(wanted.into_iter().flat_map(places)).collect();
    let page = start.page(&app.engine, &caller, query, |user, fields| found(user, fields, wanted));
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

/// Something that is wanted of users: under which name, and what it is.
struct Wanted {
    name: String,
    key: String,
}

impl Wanted {
    fn all(names: Vec<String>, fields: &FieldSet) -> Vec<Self> {
        let key = |name: &String| if name == USER_ID { name.clone() } else { key_of(name, fields) };
        names.into_iter().map(|name| Self { key: key(&name), name }).collect()
    }

    /// Whether it is a field, and not something of the user itself.
    fn is_field(&self) -> bool {
        ![USER_ID, "email", JOIN_DATE].contains(&self.key.as_str())
    }
}

/// Where the engine says something is wrong with a wanted field, and where that is in the request.
fn places(wanted: &[Wanted]) -> impl Iterator<Item = (String, String)> {
    let named = wanted.iter().enumerate().filter(|(_, wanted)| wanted.is_field());
    named.enumerate().map(|(i, (place, _))| (format!("/fields/{i}"), format!("/fields/{place}")))
}

/// A user with what is wanted of it.
fn found(user: &User, fields: &FieldSet, wanted: Option<&[Wanted]>) -> FoundUser {
    let value = |key: &str| match key {
        "email" => json!(user.email),
        JOIN_DATE => json!(user.created_at),
        key => show_value(user, fields, key),
    };
    let mut values = Map::new();
    match wanted {
        Some(wanted) => {
            let wanted = wanted.iter().filter(|wanted| wanted.key != USER_ID);
            values.extend(wanted.map(|wanted| (wanted.name.clone(), value(&wanted.key))));
        }
        None => {
            let set = fields.shown(user).map(|(field, _)| field.key.as_str());
            values.extend(set.chain(ALWAYS).map(|key| (key.to_owned(), value(key))));
        }
    }
    FoundUser { user_id: user.id.0, values }
}
