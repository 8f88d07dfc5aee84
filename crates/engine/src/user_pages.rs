//! Users page by page with numbers, for faces whose product counts pages. A page by number counts everybody whom the filter
//! means; a cursor goes on after the last user instead, which costs the same for every page.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Result;
use crate::query::{FoundUsers, UserQuery};
use crate::selection::Selection;
use muster_core::field::FieldSet;
use muster_core::filter::Filter;
use muster_core::id::UserId;
use muster_core::scope::Scope;
use muster_core::sort::{Place, Sort};
use muster_core::user::User;

/// A page of users in order of id, and how many there are on all pages.
#[derive(Clone, Debug)]
pub struct CountedUsers {
    /// The page.
    pub found: FoundUsers,
    /// How many users match.
    pub total: u64,
}

impl Engine {
    /// The page of a number, from 1, of those who match the filter of a query; its sort and its cursor are passed over.
    pub async fn count_users_to_page(&self, caller: &Caller, query: &UserQuery, page: u32) -> Result<CountedUsers> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let filter = query.read_filter(&fields)?;
        let behind = u64::from(page.saturating_sub(1)) * u64::from(query.limit);
        if filter != Filter::everybody() {
            return self.count_matching(caller, query, (&filter, fields), behind).await;
        }
        let mut connection = self.store().read().await?;
        let total = connection.count_users(caller.tenant).await?;
        let last_before = match behind {
            0 => Some(UserId(0)),
            behind => connection.live_user_at(caller.tenant, behind - 1).await?,
        };
        drop(connection);
        let after = last_before.unwrap_or(UserId(i64::MAX));
        let cursor = Some(Sort::default().cursor(Place { keys: Vec::new(), id: after }));
        let query = UserQuery { filter: None, sort: None, cursor, ..query.clone() };
        Ok(CountedUsers { found: self.query_users(caller, &query).await?, total })
    }

    /// Looks at everybody who may match: counts them, and keeps those of the page.
    async fn count_matching(
        &self,
        caller: &Caller,
        query: &UserQuery,
        (filter, fields): (&Filter, FieldSet),
        behind: u64,
    ) -> Result<CountedUsers> {
        let wanted = query.wanted(&fields)?;
        let (mut total, mut kept) = (0_u64, Vec::<User>::new());
        let entries = self.limits().index_entries;
        let mut selection = Selection::open(self.store(), caller.tenant, filter, &fields, entries).await?;
        loop {
            let users = selection.next(usize::MAX).await?;
            if users.is_empty() {
                break;
            }
            for user in users {
                if total >= behind && kept.len() < query.limit as usize {
                    kept.push(user);
                }
                total += 1;
            }
        }
        let sort = Sort::default();
        let more = total > behind.saturating_add(kept.len() as u64);
        let next = kept.last().filter(|_| more).map(|last| sort.cursor(sort.place(last)));
        if let Some(wanted) = wanted {
            kept.iter_mut().for_each(|user| user.values.retain(|number| wanted.contains(&number)));
        }
        let examined = selection.examined();
        Ok(CountedUsers { found: FoundUsers { users: kept, fields, next, examined }, total })
    }
}
