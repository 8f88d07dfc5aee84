//! Databases that cannot be reached.

use muster_store::{Store, StoreError};

#[test]
fn an_address_that_is_not_one_is_refused_and_not_repeated() {
    let refused = Store::open_postgres("postgres://ann:secret@host:port/x").expect_err("there is no such port");
    assert!(matches!(refused, StoreError::Address(_)));
    assert!(!refused.is_transient() && !refused.to_string().contains("secret"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_is_worth_another_try() {
    let store = Store::open_postgres("postgres://ann:secret@127.0.0.1:1/x").expect("the address is valid");
    let failed = store.ping().await.expect_err("nobody listens there");
    assert!(failed.is_transient() && !failed.is_full());
    assert!(!format!("{failed:?}").contains("secret"));
}
