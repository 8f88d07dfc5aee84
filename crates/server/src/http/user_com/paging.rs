//! Lists of this product: pages of up to 100, with the addresses of their neighbours.

use super::PREFIX;
use super::user_body::UserBody;
use crate::http::App;
use crate::http::failure::Failure;
use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use muster_core::filter::Filter;
use muster_core::id::UserId;
use muster_core::{Code, Error};
use muster_engine::{Caller, PageAt};
use serde::Serialize;
use utoipa::ToSchema;

/// The most users of a page.
const PAGE: usize = 100;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserComPage)]
pub struct PageBody<T> {
    /// How many there are on all pages, as of the first one.
    count: u64,
    /// The address of the next page; null: this is the last one.
    next: Option<String>,
    /// The address of the page before; null: this is the first one.
    previous: Option<String>,
    /// What is on the page.
    results: Vec<T>,
}

impl<T> PageBody<T> {
    /// The only page of a short list.
    pub fn only(results: Vec<T>) -> Self {
        Self { count: results.len() as u64, next: None, previous: None, results }
    }
}

/// Where a page lies, and the address that was called for it.
pub struct Paging {
    /// The parameters that are not about pages, in order.
    pub others: Vec<(String, String)>,
    /// Scheme, host and path; only the path where nobody said the host.
    base: String,
    size: usize,
    cursor: Option<Cursor>,
}

/// Where a page begins or ends, and how many users there are.
#[derive(Clone, Copy)]
struct Cursor {
    at: PageAt,
    count: u64,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (at, count) = text.split_once('-')?;
        let id = UserId(at.get(1..)?.parse().ok().filter(|id| *id >= 0)?);
        let at = match at.get(..1)? {
            "a" => PageAt::After(id),
            "b" => PageAt::Before(id),
            _ => return None,
        };
        Some(Self { at, count: count.parse().ok()? })
    }

    fn write(self) -> String {
        let (side, id) = match self.at {
            PageAt::After(id) => ('a', id),
            PageAt::Before(id) => ('b', id),
        };
        format!("{side}{id}-{}", self.count)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let mut paging = Self { others: Vec::new(), base: base(parts), size: PAGE, cursor: None };
        for (name, text) in query.into_owned() {
            match name.as_str() {
                "cursor" => {
                    let cursor = Cursor::read(&text).ok_or_else(|| wrong("cursor", "the cursor is not one of ours"))?;
                    paging.cursor = Some(cursor);
                }
                "page_size" => {
                    let size = text.parse().ok().filter(|size| (1..=PAGE).contains(size));
                    paging.size = size.ok_or_else(|| wrong("page_size", "a page has 1 to 100 users"))?;
                }
                _ => paging.others.push((name, text)),
            }
        }
        Ok(paging)
    }
}

fn wrong(name: &str, message: &str) -> Failure {
    Error::at(format!("/{name}"), Code::InvalidRequest, message).into()
}

/// The address that was called, as whoever called it knows it.
fn base(parts: &Parts) -> String {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST.as_str()).or(parts.uri.authority().map(|authority| authority.as_str()));
    // A host is a host only where it is nothing else.
    let host = host.filter(|host| host.parse::<axum::http::uri::Authority>().is_ok());
    let scheme = header("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    // Below the prefix nobody sees it.
    let path = parts.uri.path();
    host.map_or_else(|| format!("{PREFIX}{path}"), |host| format!("{scheme}://{host}{PREFIX}{path}"))
}

impl Paging {
    /// The page of the users whom a filter means.
    pub async fn page(&self, app: &App, caller: &Caller, filter: &Filter) -> Result<PageBody<UserBody>, Failure> {
        let at = self.cursor.map_or(PageAt::After(UserId(0)), |cursor| cursor.at);
        let found = app.engine.browse_users(caller, filter, at, self.size).await?;
        let count = match self.cursor {
            Some(cursor) => cursor.count,
            None => app.engine.count_users(caller, filter).await?,
        };
        let (before, behind) = match at {
            PageAt::After(id) => (id.0 > 0, found.more),
            PageAt::Before(_) => (found.more, true),
        };
        let link = |at: PageAt| self.link(Cursor { at, count });
        let (first, last) = (found.users.first().map(|user| user.id), found.users.last().map(|user| user.id));
        Ok(PageBody {
            count,
            next: last.filter(|_| behind).map(|last| link(PageAt::After(last))),
            previous: first.filter(|_| before).map(|first| link(PageAt::Before(first))),
            results: found.users.iter().map(|user| UserBody::new(user, &found.fields)).collect(),
        })
    }

    fn link(&self, cursor: Cursor) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.others);
        if self.size != PAGE {
            query.append_pair("page_size", &self.size.to_string());
        }
        query.append_pair("cursor", &cursor.write());
        format!("{}?{}", self.base, query.finish())
    }
}
