//! Users in order of id, page by page in both directions, and how many there are.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Result;
use crate::selection::Selection;
use muster_core::field::FieldSet;
use muster_core::filter::Filter;
use muster_core::id::UserId;
use muster_core::scope::Scope;
use muster_core::user::User;

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAt {
    /// Right after this user; 0 for the first page.
    After(UserId),
    /// Right before this user.
    Before(UserId),
}

/// A page of users.
#[derive(Clone, Debug)]
pub struct BrowsedUsers {
    /// The users, in order of id.
    pub users: Vec<User>,
    /// The community's fields.
    pub fields: FieldSet,
    /// Whether there are more on the side to which was gone: behind the page, or before one that lies before a user.
    pub more: bool,
}

impl Engine {
    /// A page of the live users whom a filter means. The filter's operands are checked by whoever made it.
    pub async fn browse_users(
        &self,
        caller: &Caller,
        filter: &Filter,
        at: PageAt,
        limit: usize,
    ) -> Result<BrowsedUsers> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let entries = self.limits().index_entries;
        let (descending, from) = match at {
            PageAt::After(id) => (false, id),
            PageAt::Before(id) => (true, id),
        };
        let selection = Selection::open(self.store(), caller.tenant, filter, &fields, entries).await?;
        let mut selection = selection.descending(descending).after(Some(from));
        let mut users: Vec<User> = Vec::with_capacity(limit + 1);
        while users.len() <= limit {
            let found = selection.next(limit + 1).await?;
            if found.is_empty() {
                break;
            }
            users.extend(found);
        }
        let more = users.len() > limit;
        users.truncate(limit);
        if descending {
            users.reverse();
        }
        Ok(BrowsedUsers { users, fields, more })
    }

    /// How many live users a filter means. Without a filter the database counts; with one everybody is looked at who may
    /// match, so the time it takes grows with their number.
    pub async fn count_users(&self, caller: &Caller, filter: &Filter) -> Result<u64> {
        caller.require(Scope::UsersRead)?;
        if *filter == Filter::everybody() {
            return Ok(self.store().read().await?.count_users(caller.tenant).await?);
        }
        let fields = self.fields(caller.tenant).await?;
        let entries = self.limits().index_entries;
        let mut selection = Selection::open(self.store(), caller.tenant, filter, &fields, entries).await?;
        let mut count = 0;
        loop {
            match selection.next(1_000).await?.len() as u64 {
                0 => return Ok(count),
                found => count += found,
            }
        }
    }
}
