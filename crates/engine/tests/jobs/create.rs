//! Users who are made one by one.

use crate::harness::{Bench, places};
use muster_core::Code;
use muster_core::identity::Identity;
use muster_engine::{EngineError, NewUser};
use serde_json::json;

async fn make(bench: &Bench, new: &NewUser) -> Result<i64, Code> {
    match bench.engine.create_user(&bench.caller, new).await {
        Ok((user, _)) => Ok(user.id.0),
        Err(EngineError::Refused(error)) => Err(error.code),
        Err(error) => panic!("{error}"),
    }
}

fn with_email(email: &str) -> NewUser {
    NewUser { email: Some(email.to_owned()), ..NewUser::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_once_with_all_that_it_is_to_have() {
    for place in places().await {
        let bench = place.set_up().await;
        let crm = Identity::new("crm", "7", None).expect("it is one");
        let values = vec![
            ("city".to_owned(), json!("Rome")),
            ("premium_currency".to_owned(), json!({"op": "add", "value": "2.5"})),
        ];
        let ada = NewUser { identities: vec![crm.clone()], values, ..with_email(" Ada@Example.com ") };
        let (user, _) = bench.engine.create_user(&bench.caller, &ada).await.expect("it is made");
        assert_eq!(
            (user.version, user.email.as_deref(), &user.identities),
            (1, Some("Ada@Example.com"), &vec![crm.clone()])
        );
        assert_eq!(bench.value("Ada@Example.com", "city").await.as_deref(), Some("Rome"));
        assert_eq!(bench.value("Ada@Example.com", "premium_currency").await.as_deref(), Some("2.5"));

        assert_eq!(make(&bench, &with_email("ADA@example.com")).await, Err(Code::UserExists));
        let taken = NewUser { identities: vec![crm.clone()], ..with_email("bob@example.com") };
        assert_eq!(make(&bench, &taken).await, Err(Code::NotUnique));
        let nameless = NewUser { identities: vec![crm], ..NewUser::default() };
        assert_eq!(make(&bench, &nameless).await, Err(Code::UserExists));
        let other =
            NewUser { identities: vec![Identity::new("crm", "8", None).expect("it is one")], ..NewUser::default() };
        assert!(make(&bench, &other).await.is_ok(), "an identity is enough");
        assert_eq!(make(&bench, &NewUser::default()).await, Err(Code::MissingKey));
        assert_eq!(make(&bench, &with_email("nobody")).await, Err(Code::InvalidEmail));
        // A Cyrillic letter is another letter.
        assert!(make(&bench, &with_email("\u{430}da@example.com")).await.is_ok());
        let odd = |key: &str, value| NewUser { values: vec![(key.to_owned(), value)], ..with_email("odd@example.com") };
        assert_eq!(make(&bench, &odd("colour", json!("red"))).await, Err(Code::InvalidRequest));
        assert_eq!(make(&bench, &odd("premium_currency", json!(-1))).await, Err(Code::InsufficientBalance));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_make_the_same_user_at_once_one_succeeds() {
    for place in places().await {
        let bench = place.set_up().await;
        let new = with_email("ada@example.com");
        let make = || make(&bench, &new);
        let (a, b, c, d) = tokio::join!(make(), make(), make(), make());
        let made: Vec<_> = [a, b, c, d].into_iter().filter(Result::is_ok).collect();
        assert_eq!(made.len(), 1, "{a:?} {b:?} {c:?} {d:?}");
        assert!([a, b, c, d].iter().all(|one| one.is_ok() || *one == Err(Code::UserExists)));
        let id = bench.id_of("ada@example.com").await;
        bench.engine.delete_user(&bench.caller, id, None).await.expect("it is deleted");
        assert!(make().await.is_ok_and(|new| new > id.0), "a deleted one keeps no claim");
        bench.check().await;
    }
}
