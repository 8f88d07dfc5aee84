//! Every command explains itself.

use crate::home::Home;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["worker"],
    &["migrate"],
    &["community"],
    &["community", "create"],
    &["community", "list"],
    &["key"],
    &["key", "create"],
    &["key", "list"],
    &["key", "revoke"],
    &["import"],
    &["update"],
    &["create"],
    &["delete"],
    &["restore"],
    &["jobs"],
    &["jobs", "list"],
    &["jobs", "show"],
    &["jobs", "watch"],
    &["jobs", "cancel"],
    &["jobs", "pause"],
    &["jobs", "resume"],
    &["jobs", "apply"],
    &["jobs", "undo"],
    &["jobs", "retry"],
    &["jobs", "results"],
    &["users"],
    &["users", "export"],
    &["generate"],
    &["verify"],
    &["openapi"],
    &["quickstart"],
];

#[test]
fn every_command_has_help_and_every_flag_its_variable() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.run(&[command, &["--help"][..]].concat()).ok();
        let usage = ["muster"].iter().chain(*command).copied().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("Usage: {usage}")), "{help}");
        let flags = help.lines().filter(|line| line.trim_start().trim_start_matches("-o, ").starts_with("--"));
        let flags = flags.count();
        assert_eq!(help.matches("[env: MUSTER_").count(), flags, "{help}");
        assert!(!help.contains("crash-at"), "{help}");
    }
}

#[test]
fn help_is_complete() {
    let home = Home::new();
    let listed = |command: &[&str]| -> Vec<String> {
        let help = home.run(&[command, &["--help"]].concat()).ok();
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let mut found = 1;
    for name in listed(&[]) {
        assert!(COMMANDS.contains(&&[name.as_str()][..]), "{name}");
        found += 1 + listed(&[&name]).len();
    }
    assert_eq!(found, COMMANDS.len());
}

#[test]
fn nothing_to_do_shows_help_and_nonsense_a_hint() {
    let home = Home::new();
    assert!(home.run(&[]).exit(2).contains("Usage: muster"));
    assert!(home.run(&["sevre"]).exit(2).contains("serve"));
}

#[test]
fn the_openapi_document_is_printed() {
    let document = Home::new().json(&["openapi"]);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/jobs"]["post"].is_object());
}
