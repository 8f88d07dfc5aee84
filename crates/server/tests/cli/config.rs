//! Flags beat the environment, which beats the file.

use crate::home::Home;

/// How many users a sample file has.
fn users(home: &Home, args: &[&str], variables: &[(&str, &str)]) -> usize {
    let all = [&["generate"], args].concat();
    home.run_with(&all, variables).ok().lines().count() - 1
}

#[test]
fn flags_beat_the_environment_beats_the_file() {
    let home = Home::new();
    let variable = &[("MUSTER_GENERATE_USERS", "2")];
    assert_eq!(users(&home, &["--users", "3"], variable), 3);
    assert_eq!(users(&home, &[], variable), 2);
    home.write("muster.toml", "[commands.generate]\nusers = 1\n");
    assert_eq!(users(&home, &["--users", "3"], variable), 3);
    assert_eq!(users(&home, &[], variable), 2);
    assert_eq!(users(&home, &[], &[]), 1);
}

#[test]
fn shared_settings_stand_at_the_top_of_the_file() {
    let home = Home::new();
    let made = |name: &str| home.path().join(name).join("muster.db").exists();
    home.write("muster.toml", "data_dir = \"file\"\n");
    home.run(&["migrate"]).ok();
    assert!(made("file") && !made("muster-data"));
    home.run_with(&["migrate"], &[("MUSTER_DATA_DIR", "environment")]).ok();
    assert!(made("environment"));
    home.run_with(&["migrate", "--data-dir", "flag"], &[("MUSTER_DATA_DIR", "other")]).ok();
    assert!(made("flag") && !made("other"));
}

#[test]
fn another_file_can_be_named_and_must_be_there() {
    let home = Home::new();
    home.write("muster.toml", "[commands.generate]\nusers = 1\n");
    home.write("other.toml", "[commands.generate]\nusers = 2\nkind = \"currency\"\n");
    assert_eq!(users(&home, &["--config", "other.toml"], &[]), 2);
    assert_eq!(users(&home, &["--config=other.toml"], &[]), 2);
    assert_eq!(users(&home, &[], &[("MUSTER_CONFIG", "other.toml")]), 2);
    let error = home.run(&["generate", "--config", "none.toml"]).exit(2);
    assert!(error.contains("none.toml cannot be read"), "{error}");
}

#[test]
fn lists_and_switches_can_be_set() {
    let home = Home::new();
    home.write(
        "muster.toml",
        "[commands.community.create]\njson = true\n[commands.key.create]\nname = \"k\"\nscope = [\"jobs:read\", \"bulk:update\"]\n",
    );
    home.json(&["community", "create", "Ours"]);
    home.run(&["key", "create"]).ok();
    let keys = home.run_with(&["key", "list"], &[("MUSTER_KEY_LIST_JSON", "yes")]).ok();
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys[0]["name"], "k");
    assert_eq!(keys[0]["scopes"], serde_json::json!(["bulk:update", "jobs:read"]));
}

#[test]
fn unknown_settings_are_refused_with_the_nearest() {
    let home = Home::new();
    for (text, key, hint) in [
        ("lisen = \"127.0.0.1:0\"", "lisen", "listen"),
        ("databse-url = \"x\"", "databse-url", "database-url"),
        ("[comands.generate]\nusers = 1", "comands", "commands"),
        ("[commands.genrate]\nusers = 1", "commands.genrate", "generate"),
        ("[commands.generate]\nuser = 1", "commands.generate.user", "users"),
        ("[commands.key.create]\nscopes = []", "commands.key.create.scopes", "scope"),
    ] {
        home.write("muster.toml", text);
        let error = home.run(&["generate"]).exit(2);
        assert!(error.contains(&format!("there is no setting \"{key}\"")), "{error}");
        assert!(error.contains(&format!("did you mean \"{hint}\"?")), "{error}");
    }
}

#[test]
fn values_of_the_file_are_checked() {
    let home = Home::new();
    home.write("muster.toml", "[commands.generate]\nusers = \"many\"\n");
    let error = home.run(&["generate"]).exit(2);
    assert!(error.contains("--users") && error.contains("muster.toml"), "{error}");
    home.write("muster.toml", "users = \n");
    assert!(home.run(&["generate"]).exit(2).contains("not valid TOML"));
    home.write("muster.toml", "[listen]\na = 1\n");
    assert!(home.run(&["generate"]).exit(2).contains("not a table"));
}

#[test]
fn addresses_that_cannot_be_used_are_refused() {
    let home = Home::new();
    let error = home.run(&["migrate", "--staging-url", "s3://bucket/prefix"]).exit(2);
    assert!(error.contains("--staging-url cannot be a s3:// address yet"), "{error}");
    let error = home.run(&["migrate", "--database-url", "mysql://host/db"]).exit(2);
    assert!(error.contains("postgres://"), "{error}");
    let error = home.run(&["migrate", "--log", "muster=loud"]).exit(2);
    assert!(error.contains("is not a filter"), "{error}");
}
