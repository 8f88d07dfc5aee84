//! Communities, keys, and the check of the whole store.

use crate::home::{Home, on_every_database};
use muster_engine::{Store, testing};

#[tokio::test(flavor = "multi_thread")]
async fn communities_and_keys_are_made_listed_and_revoked() {
    on_every_database(|home| {
        let ours = home.json(&["community", "create", " Ours ", "--json"]);
        let id = ours["id"].as_str().unwrap();
        assert_eq!((id.len(), &ours["name"]), (24, &"Ours".into()));
        assert!(home.run(&["community", "list"]).ok().contains(id));

        // The only community need not be named.
        let made = home.json(&["key", "create", "--name", "all", "--json"]);
        assert_eq!(made["key"].as_str().unwrap().len(), 64);
        assert!(made["key"].as_str().unwrap().starts_with(id));
        let some =
            home.json(&["key", "create", "--name", "some", "--scope", "jobs:read", "--expires", "90d", "--json"]);
        let listed = home.json(&["key", "list", "--json"]);
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert_eq!(listed[0]["scopes"].as_array().unwrap().len(), 15);
        assert_eq!(listed[1]["scopes"], serde_json::json!(["jobs:read"]));
        assert!(listed[1]["expires_at"].is_string());
        let table = home.run(&["key", "list"]).ok();
        assert!(!table.contains(made["key"].as_str().unwrap()), "a key is shown once");

        home.run(&["community", "create", "Theirs"]).ok();
        let error = home.run(&["key", "create", "--name", "which"]).exit(2);
        assert!(error.contains("several communities") && error.contains(id), "{error}");
        home.run(&["key", "list", "--community", "Theirs"]).ok();
        home.run(&["key", "revoke", some["id"].as_str().unwrap()]).ok();
        let listed = home.json(&["key", "list", "--community", id, "--json"]);
        assert!(listed[0]["revoked_at"].is_null() && listed[1]["revoked_at"].is_string());
    })
    .await;
}

#[test]
fn what_is_not_there_is_said() {
    let home = Home::new();
    for command in [&["community", "list"][..], &["key", "list"], &["verify"]] {
        let error = home.run(command).exit(2);
        assert!(error.contains("There is no database in ./muster-data"), "{error}");
    }
    home.run(&["migrate"]).ok();
    assert!(home.run(&["migrate"]).ok().contains("nothing was to be done"));
    assert!(home.run(&["key", "list"]).exit(2).contains("There is no community yet"));
    home.run(&["community", "create", "Ours"]).ok();
    assert!(home.run(&["key", "list", "--community", "Theirs"]).exit(2).contains("no community \"Theirs\""));
    let id = "0".repeat(24);
    assert!(home.run(&["key", "revoke", &id]).exit(2).contains("There is no key"));
    assert!(home.run(&["community", "create", ""]).exit(2).contains("1 to 100"));
    let error = home.run(&["key", "create", "--name", "n", "--scope", "bulk:everything"]).exit(2);
    assert!(error.contains("bulk:update"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_exits_with_1_where_the_store_does_not_hold() {
    let home = Home::new();
    let key = home.make_key();
    let server = home.serve(&[]);
    home.feed(&["import", "-", "--url", &server.url, "--key", &key], &[], "Email,City\nada@example.com,London\n").ok();
    assert_eq!(server.terminate(), Some(0));
    let holds = home.run(&["verify"]).ok();
    assert!(holds.contains("1 user, 1 change set and 1 job"), "{holds}");

    let store = Store::open_sqlite(&home.path().join("muster-data/muster.db")).unwrap();
    testing::execute(&store, "UPDATE users SET version = 7").await;
    let broken = home.run(&["verify"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.out.contains("user 1: the last change is not what the user holds"), "{broken:?}");
}
