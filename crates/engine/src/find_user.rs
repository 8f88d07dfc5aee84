//! Users by what people call them: an id, an email or a username.

use crate::caller::Caller;
use crate::change::{Edits, OneChange};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::selection::Selection;
use muster_core::Code;
use muster_core::email::parse_email;
use muster_core::error::excerpt;
use muster_core::field::FieldSet;
use muster_core::filter::{Filter, Subject, Test};
use muster_core::id::{Tenant, UserId};
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_core::value::Value;
use muster_store::Store;

/// The key of the field that holds usernames.
const USERNAME: &str = "username";
/// How many deleted users are looked through at a time.
const BATCH: u32 = 1_000;

/// What somebody calls a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserName {
    /// Digits.
    Id(UserId),
    /// A text with an `@`, even one that cannot be an email: then it is nobody's.
    Email(String),
    /// Anything else.
    Username(String),
}

impl UserName {
    /// What a text means; a blank one names nobody.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.parse().ok().filter(|id: &i64| id.to_string() == text) {
            _ if text.is_empty() => None,
            Some(id) => Some(Self::Id(UserId(id))),
            None if text.contains('@') => Some(Self::Email(text.to_owned())),
            None => Some(Self::Username(text.to_owned())),
        }
    }
}

impl Engine {
    /// The live user of an id or email. Refuses with `not_found`; a username names nobody here.
    pub async fn find_named_user(&self, caller: &Caller, name: &UserName) -> Result<(User, FieldSet)> {
        let key = match name {
            UserName::Id(id) => Some(Key::Id(*id)),
            UserName::Email(email) => parse_email(email).map(|email| Key::Email(email.to_owned())),
            UserName::Username(_) => None,
        };
        caller.require(Scope::UsersRead)?;
        let nobody = || EngineError::not_found("user");
        match self.find_user(caller, Scope::UsersRead, &key.ok_or_else(nobody)?).await {
            Err(EngineError::Refused(error)) if error.code == Code::UserNotFound => Err(nobody()),
            found => found,
        }
    }

    /// Deletes a live user. Refuses with `user_not_found` or `not_found` where there is none, and with `ambiguous_match`
    /// where several have the username.
    pub async fn delete_named_user(&self, caller: &Caller, name: &UserName) -> Result<User> {
        self.manage(caller, name, JobKind::Delete).await
    }

    /// Brings a deleted user back. One who is not deleted stays as it is. Refuses as [`Self::delete_named_user`] does, and
    /// with `not_unique` where somebody has taken what names the user.
    pub async fn restore_named_user(&self, caller: &Caller, name: &UserName) -> Result<User> {
        self.manage(caller, name, JobKind::Restore).await
    }

    async fn manage(&self, caller: &Caller, name: &UserName, kind: JobKind) -> Result<User> {
        caller.require(Scope::UsersDelete)?;
        let key = match name {
            UserName::Id(id) => Key::Id(*id),
            UserName::Email(email) => Key::Email(email.clone()),
            UserName::Username(username) => Key::Id(self.find_username(caller.tenant, username, kind).await?),
        };
        let one = |_: &FieldSet| Ok(OneChange { kind, key: key.clone(), edits: Edits::default(), if_version: None });
        let changed = self.change_user(caller, one).await?;
        caller.commit(changed.tx).await?;
        Ok(changed.user)
    }

    /// The user of a username, which need not be unique: among the live ones, and for a restore among the deleted ones too.
    async fn find_username(&self, tenant: Tenant, username: &str, kind: JobKind) -> Result<UserId> {
        let fields = self.fields(tenant).await?;
        let nobody =
            || EngineError::refuse(Code::UserNotFound, format!("No user is called \"{}\".", excerpt(username)));
        let field = fields.find_by_key(USERNAME).ok_or_else(nobody)?;
        let filter = Filter::Is(Subject::Field(field.number), Test::Equals(Value::Text(username.to_owned())));
        let entries = self.limits().index_entries;
        let mut selection = Selection::open(self.store(), tenant, &filter, &fields, entries).await?;
        let mut found = Vec::new();
        loop {
            let users = selection.next(2).await?;
            if users.is_empty() || found.len() > 1 {
                break;
            }
            found.extend(users.into_iter().map(|user| user.id));
        }
        if found.is_empty() && kind == JobKind::Restore {
            found = find_deleted(self.store(), tenant, &filter, &fields).await?;
        }
        match found.as_slice() {
            [] => Err(nobody()),
            [id] => Ok(*id),
            [_, ..] => {
                let detail =
                    format!("Several users are called \"{}\"; name the one by id or email.", excerpt(username));
                Err(EngineError::refuse(Code::AmbiguousMatch, detail))
            }
        }
    }
}

/// The deleted users who match a filter, at most two.
async fn find_deleted(store: &Store, tenant: Tenant, filter: &Filter, fields: &FieldSet) -> Result<Vec<UserId>> {
    let (mut found, mut after) = (Vec::new(), UserId(0));
    while found.len() < 2 {
        let users = store.read().await?.list_deleted_users(tenant, after, BATCH, fields).await?;
        let Some(last) = users.last() else { break };
        after = last.id;
        found.extend(users.iter().filter(|user| filter.matches(user)).map(|user| user.id));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_an_email_has_an_at() {
        let username = |text: &str| UserName::Username(text.to_owned());
        for (text, name) in [
            (" 7 ", UserName::Id(UserId(7))),
            ("007", username("007")),
            ("+7", username("+7")),
            ("99999999999999999999", username("99999999999999999999")),
            ("johndoe", username("johndoe")),
            ("a@b", UserName::Email("a@b".to_owned())),
            ("@", UserName::Email("@".to_owned())),
        ] {
            assert_eq!(UserName::read(text), Some(name), "{text}");
        }
        assert_eq!((UserName::read(""), UserName::read(" \t")), (None, None));
    }
}
