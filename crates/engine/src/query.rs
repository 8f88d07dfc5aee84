//! Users found by a filter, in an order, page by page.
//!
//! By id, or over a field that is indexed, a page reads about as many users as it gives. Any other order looks at everybody
//! whom the filter means, and keeps the first of them: as many as the page has, so memory stays flat.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Result;
use crate::selection::Selection;
use muster_core::error::excerpt;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::filter::{Filter, Subject, Test};
use muster_core::id::{Tenant, UserId};
use muster_core::order::{INDEX_CHARS, index_key};
use muster_core::scope::Scope;
use muster_core::sort::{Place, Sort, SortCursor};
use muster_core::user::User;
use muster_core::value::Value;
use muster_core::{Code, Error, json};
use muster_store::Store;
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// How many entries of an index are read at a time.
const ENTRIES: u32 = 500;
/// How many users an index gives without filling a page before looking at everybody in order of id is the better way.
const FRUITLESS: u64 = 20_000;

/// Which users are asked for, as JSON texts where what is asked depends on the fields of the community.
#[derive(Clone, Debug)]
pub struct UserQuery {
    /// The filter; absent: everybody.
    pub filter: Option<String>,
    /// The keys of numbers that are 0 to the filter where they are not set.
    pub zero: &'static [&'static str],
    /// The order; absent: by id. See [`Sort::read`].
    pub sort: Option<String>,
    /// The keys of the values that are wanted; absent: all.
    pub values: Option<Vec<String>>,
    /// How many users, at least 1.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<SortCursor>,
}

/// Users in the order that was asked for.
#[derive(Clone, Debug)]
pub struct FoundUsers {
    /// The users.
    pub users: Vec<User>,
    /// The community's fields.
    pub fields: FieldSet,
    /// Where the next page begins, if there is one.
    pub next: Option<SortCursor>,
    /// How many users were looked at for it.
    pub examined: u64,
}

impl Engine {
    /// A page of the live users who match a filter. Refuses a filter, sort or field that cannot be, with its place.
    pub async fn query_users(&self, caller: &Caller, query: &UserQuery) -> Result<FoundUsers> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let (filter, sort) = (query.read_filter(&fields)?, read_sort(query, &fields)?);
        let wanted = query.wanted(&fields)?;
        let after = query.cursor.as_ref().map(|cursor| sort.after(cursor)).transpose()?;
        let entries = self.limits().index_entries;
        let search = Search {
            store: self.store(),
            tenant: caller.tenant,
            fields: &fields,
            filter: &filter,
            entries,
            first: First::new(&sort, after, query.limit as usize),
            examined: 0,
        };
        let (mut users, more, examined) = search.run().await?;
        let next = users.last().filter(|_| more).map(|last| sort.cursor(sort.place(last)));
        if let Some(wanted) = wanted {
            users.iter_mut().for_each(|user| user.values.retain(|number| wanted.contains(&number)));
        }
        Ok(FoundUsers { users, fields, next, examined })
    }
}

impl UserQuery {
    /// The filter.
    pub(crate) fn read_filter(&self, fields: &FieldSet) -> Result<Filter, Error> {
        let filter = read_filter(self.filter.as_deref(), fields)?;
        let zero = self.zero.iter().filter_map(|key| fields.find_by_key(key));
        Ok(zero.fold(filter, |filter, field| filter.with_default(field.number, &Value::Integer(0))))
    }

    /// The fields whose values are wanted; none: all.
    pub(crate) fn wanted(&self, fields: &FieldSet) -> Result<Option<Vec<FieldNumber>>, Error> {
        self.values.as_deref().map(|keys| numbers(keys, fields)).transpose()
    }
}

/// Reads a filter from its JSON text; none, and null, mean everybody.
pub(crate) fn read_filter(filter: Option<&str>, fields: &FieldSet) -> Result<Filter, Error> {
    match filter.map(|text| json::read(text, "/filter")).transpose()? {
        None | Some(Json::Null) => Ok(Filter::everybody()),
        Some(json) => Filter::read(&json, "/filter", fields),
    }
}

fn read_sort(query: &UserQuery, fields: &FieldSet) -> Result<Sort, Error> {
    let json = query.sort.as_deref().map(|text| json::read(text, "/sort")).transpose()?;
    Sort::read(&json.unwrap_or_default(), "/sort", fields)
}

fn numbers(keys: &[String], fields: &FieldSet) -> Result<Vec<FieldNumber>, Error> {
    let number = |(i, key): (usize, &String)| {
        let field = fields.find_by_key(key).filter(|field| !field.archived);
        field.map(|field| field.number).ok_or_else(|| {
            let message = format!("there is no field \"{}\"", excerpt(key));
            Error::at(format!("/fields/{i}"), Code::UnknownField, message)
        })
    };
    keys.iter().enumerate().map(number).collect()
}

/// A search for one page.
struct Search<'a> {
    store: &'a Store,
    tenant: Tenant,
    fields: &'a FieldSet,
    filter: &'a Filter,
    /// How many entries of an index are read before everybody is looked through.
    entries: u32,
    first: First<'a>,
    examined: u64,
}

impl Search<'_> {
    /// The users of the page, whether there are more, and how many were looked at.
    async fn run(mut self) -> Result<(Vec<User>, bool, u64)> {
        let selection = Selection::open(self.store, self.tenant, self.filter, self.fields, self.entries).await?;
        match self.first.sort.keys().first() {
            // By id they come in the order that is asked for, so the first are the ones.
            None => self.look_through(selection, Some(false)).await?,
            Some(key) if key.subject == Subject::Id => {
                self.look_through(selection, Some(key.descending)).await?;
            }
            Some(key) => match key.subject {
                Subject::Field(number) if self.is_indexed(number) && !selection.is_narrowed() => {
                    self.follow_index(number, key.descending).await?;
                }
                Subject::Field(_) | Subject::Id | Subject::Email | Subject::CreatedAt | Subject::UpdatedAt => {
                    self.look_through(selection, None).await?;
                }
            },
        }
        let (users, more) = self.first.finish();
        Ok((users, more, self.examined))
    }

    fn is_indexed(&self, number: FieldNumber) -> bool {
        self.fields.get(number).is_some_and(|field| field.is_index_ready())
    }

    /// Looks at everybody whom a selection gives. Where it gives them in the order that is asked for, by ids that ascend
    /// or descend, the page is full with the first ones.
    async fn look_through(&mut self, selection: Selection<'_>, by_id: Option<bool>) -> Result<()> {
        let after = self.first.after.as_ref().filter(|_| by_id.is_some()).map(|place| place.id);
        let mut selection = selection.descending(by_id == Some(true)).after(after);
        let wanted = if by_id.is_some() { self.first.limit + 1 } else { usize::MAX };
        while by_id.is_none() || !self.first.is_full() {
            let users = selection.next(wanted).await?;
            if users.is_empty() {
                break;
            }
            users.into_iter().for_each(|user| self.first.offer(user));
        }
        self.examined += selection.examined();
        Ok(())
    }

    /// Goes along the index of the field by which is sorted, then looks through those who have no value, who come last.
    async fn follow_index(&mut self, field: FieldNumber, descending: bool) -> Result<()> {
        let begin = self.first.after.as_ref().map(|place| place.keys.first().cloned().flatten());
        if !matches!(begin, Some(None)) && !self.follow_entries(field, descending, begin.flatten()).await? {
            self.first.kept.clear();
            let selection = Selection::open(self.store, self.tenant, self.filter, self.fields, self.entries).await?;
            return self.look_through(selection, None).await;
        }
        if self.first.is_full() {
            return Ok(());
        }
        let unset = Filter::Not(Box::new(Filter::Is(Subject::Field(field), Test::IsSet)));
        let filter = Filter::All(vec![unset, self.filter.clone()]);
        let mut selection = Selection::open(self.store, self.tenant, &filter, self.fields, self.entries).await?;
        // Of those without a value, those with a lower id come first if nothing else is compared.
        let by_id = self.first.sort.keys().len() == 1;
        let after = self.first.after.as_ref().filter(|place| by_id && place.keys == [None]).map(|place| place.id);
        selection = selection.after(after);
        while !(by_id && self.first.is_full()) {
            let users = selection.next(self.first.limit + 1).await?;
            if users.is_empty() {
                break;
            }
            users.into_iter().for_each(|user| self.first.offer(user));
        }
        self.examined += selection.examined();
        Ok(())
    }

    /// Says whether the index was of use: few of those who are in it match if not.
    async fn follow_entries(&mut self, field: FieldNumber, descending: bool, begin: Option<String>) -> Result<bool> {
        // Several users may stand under one key in another order than that of the page: it may be cut off, or another
        // property may decide. Then all of them are looked at, from the first.
        let only = self.first.sort.keys().len() == 1;
        let exact = |key: &str| only && key.chars().count() < INDEX_CHARS;
        let from = self.first.after.as_ref().map_or(UserId(0), |place| place.id);
        let mut place = begin.map(|key| (index_key(&key).to_owned(), if exact(&key) { from } else { UserId(0) }));
        loop {
            let after = place.as_ref().map(|(key, user)| (key.as_str(), *user));
            let mut connection = self.store.read().await?;
            let entries = connection.list_index(self.tenant, field, after, descending, ENTRIES).await?;
            let Some(last) = entries.last().cloned() else { return Ok(true) };
            let ids: Vec<UserId> = entries.iter().map(|(_, user)| *user).collect();
            let loaded = connection.load_users(self.tenant, &ids, self.fields).await?;
            drop(connection);
            self.examined += loaded.len() as u64;
            for found in loaded {
                let user = found.user;
                let held = Subject::Field(field).of(&user).and_then(|value| muster_core::order::order_key(&value));
                // Whose value moved meanwhile is found where it is now, if that is still to come.
                let stays = held.is_some_and(|key| index_key(&key) == entries[found.position].0);
                if stays && !user.deleted && self.filter.matches(&user) {
                    self.first.offer(user);
                }
            }
            let beyond = self.first.last_key().is_some_and(|worst| exact(worst) || index_key(worst) != last.0);
            if self.first.is_full() && beyond || entries.len() < ENTRIES as usize {
                return Ok(true);
            }
            if self.examined > FRUITLESS && !self.first.is_full() {
                return Ok(false);
            }
            place = Some(last);
        }
    }
}

/// The first users of an order, and the one after them: all that is kept of any number that are looked at.
struct First<'a> {
    sort: &'a Sort,
    after: Option<Place>,
    limit: usize,
    kept: BinaryHeap<Standing<'a>>,
}

/// A user and where they stand; the greatest is the last one of the page.
struct Standing<'a> {
    sort: &'a Sort,
    place: Place,
    user: User,
}

impl Ord for Standing<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort.compare(&self.place, &other.place)
    }
}

impl PartialOrd for Standing<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Standing<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Standing<'_> {}

impl<'a> First<'a> {
    fn new(sort: &'a Sort, after: Option<Place>, limit: usize) -> Self {
        Self { sort, after, limit, kept: BinaryHeap::with_capacity(limit + 2) }
    }

    fn offer(&mut self, user: User) {
        let place = self.sort.place(&user);
        if self.after.as_ref().is_some_and(|after| self.sort.compare(&place, after).is_le()) {
            return;
        }
        let last = self.kept.peek().filter(|_| self.is_full());
        if last.is_some_and(|last| self.sort.compare(&place, &last.place).is_ge()) {
            return;
        }
        self.kept.push(Standing { sort: self.sort, place, user });
        if self.kept.len() > self.limit + 1 {
            self.kept.pop();
        }
    }

    /// Whether the page is full, and it is known that another one follows.
    fn is_full(&self) -> bool {
        self.kept.len() > self.limit
    }

    /// What the last one has of the property that is compared first.
    fn last_key(&self) -> Option<&str> {
        self.kept.peek()?.place.keys.first()?.as_deref()
    }

    fn finish(self) -> (Vec<User>, bool) {
        let more = self.is_full();
        let mut users: Vec<User> = self.kept.into_sorted_vec().into_iter().map(|standing| standing.user).collect();
        users.truncate(self.limit);
        (users, more)
    }
}
