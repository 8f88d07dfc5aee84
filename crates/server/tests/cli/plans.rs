//! Jobs that are planned, applied, undone and retried from the shell.

use crate::home::{Home, on_every_database};
use crate::transfer::Remote;
use serde_json::Value;

const PEOPLE: &str = "Email,City,Premium Currency\nann@x.org,Rome,10\nbob@x.org,Paris,5\n";
const CHANGES: &str =
    "Email,City,Premium Currency,Premium Currency_op\nann@x.org,\\N,5,add\nbob@x.org,Bonn,,\nnobody@x.org,Oslo,,\n";

impl Remote<'_> {
    /// The id of the latest job.
    fn latest(&self) -> String {
        let jobs = self.run(&["jobs", "list", "--json", "--limit", "1"]).ok();
        serde_json::from_str::<Value>(&jobs).unwrap()["data"][0]["id"].as_str().unwrap().to_owned()
    }

    fn with_people(home: &Home) -> Remote<'_> {
        let remote = Remote::new(home);
        let import = remote.feed(&["import", "-"], PEOPLE);
        assert!(
            import.err.contains(&format!("hint: to take it back: muster jobs undo {}", remote.latest())),
            "{import:?}"
        );
        import.ok();
        remote
    }
}

/// A text whose runs of blanks are one, so that columns can move.
fn squeezed(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_would_change_and_the_command_that_does_it() {
    on_every_database(|home| {
        let remote = Remote::with_people(home);
        let planned = remote.feed(&["update", "-", "--dry-run"], CHANGES);
        let plan = remote.latest();
        assert_eq!(planned.code, Some(1), "a row would fail: {planned:?}");
        let text = squeezed(&planned.out);
        assert!(text.starts_with(&format!("update {plan} (dry run): planned in ")), "{text}");
        let preview = "What would change:\nLINE USER FIELD OLD → NEW\n2 ann@x.org city Rome → -\npremium_currency 10 → 15\n\
                       3 bob@x.org city Paris → Bonn\n";
        assert!(text.contains(preview), "{text}");
        assert!(planned.err.contains(&format!("to do exactly this: muster jobs apply {plan}\n")), "{planned:?}");
        assert!(!planned.err.contains("undo"), "{planned:?}");

        let applied = remote.run(&["jobs", "apply", &plan]);
        let job = remote.latest();
        assert_eq!(applied.code, Some(1), "{applied:?}");
        assert!(applied.out.starts_with(&format!("update {job} from {plan}: completed in ")), "{applied:?}");
        assert!(applied.err.contains(&format!("muster jobs results {job} --status failed > failed.csv")), "{applied:?}");
        let again = remote.run(&["jobs", "apply", &plan]).exit(2);
        assert_eq!(again, format!("error: The job was applied already, by {job}.\n"));

        let undo = remote.run(&["jobs", "undo", &job, "--dry-run", "--overdraft", "clamp"]);
        let text = squeezed(&undo.out);
        assert!(text.contains("premium_currency 15 → 10") && text.contains("city - → Rome"), "{text}");
        undo.ok();
        remote.run(&["jobs", "undo", &job]).ok();
        let undo = remote.latest();
        assert!(remote.run(&["jobs", "show", &job]).ok().contains(&format!("  its undo is {undo}\n")));
        let redone = remote.run(&["jobs", "undo", &undo, "--no-wait"]).ok();
        remote.run(&["jobs", "watch", redone.trim()]).ok();
        home.run(&["verify"]).ok();
    })
    .await;
}

#[test]
fn a_plan_that_changes_nothing_says_so() {
    let home = Home::new();
    let remote = Remote::with_people(&home);
    let planned = remote.feed(&["update", "-", "--dry-run"], PEOPLE);
    assert!(planned.err.contains("hint: nothing would change") && !planned.out.contains("OLD"), "{planned:?}");
    planned.ok();
    let json = remote.feed(&["update", "-", "--dry-run", "--json"], PEOPLE);
    assert_eq!(json.err, "", "a script reads the job");
    assert_eq!(serde_json::from_str::<Value>(&json.out).unwrap()["state"], "planned");
}

#[test]
fn users_are_created_deleted_and_restored() {
    let home = Home::new();
    let remote = Remote::with_people(&home);
    let file = "Email\nann@x.org\nzoe@x.org\n";
    let created = remote.feed(&["create", "-"], file);
    assert!(created.code == Some(1) && created.out.contains("user_exists"), "{created:?}");
    let preview = squeezed(&remote.feed(&["delete", "-", "--dry-run"], file).ok());
    assert!(preview.contains("2 ann@x.org (deleted)\n3 zoe@x.org (deleted)"), "{preview}");
    remote.feed(&["delete", "-"], file).ok();
    assert_eq!(remote.feed(&["update", "-"], file).code, Some(1), "nobody finds them");
    let preview = squeezed(&remote.feed(&["restore", "-", "--dry-run"], file).ok());
    assert!(preview.contains("2 ann@x.org (restored)"), "{preview}");
    let undo = remote.feed(&["restore", "-", "--no-wait"], file).ok();
    remote.run(&["jobs", "watch", undo.trim()]).ok();
    remote.feed(&["update", "-"], file).ok();
}

#[test]
fn a_job_that_stopped_at_a_fuse_says_where_the_rest_is() {
    let home = Home::new();
    let remote = Remote::with_people(&home);
    let aborted = remote.feed(&["update", "-", "--option", "on_error=abort"], CHANGES);
    let job = remote.latest();
    for part in [
        "error: 1 row failed, and on_error=abort stops the job there. Nothing was written.\n",
        &format!(
            "hint: the failed rows, to mend and send again: muster jobs results {job} --status failed > failed.csv\n"
        ),
        &format!("hint: the rows that were not reached: muster jobs results {job} --status unprocessed > rest.csv\n"),
    ] {
        assert!(aborted.err.contains(part), "{part}: {aborted:?}");
    }
    assert!(!aborted.err.contains("undo"), "nothing was written: {aborted:?}");
    aborted.exit(2);
    let rest = remote.run(&["jobs", "results", &job, "--status", "unprocessed"]).ok();
    remote.feed(&["update", "-"], &rest).ok();
    let fused = remote.feed(&["update", "-", "--option", "max_affected=1"], PEOPLE).exit(2);
    assert!(
        fused.starts_with("error: More users would have been changed than max_affected allows, which is 1."),
        "{fused}"
    );
}

#[test]
fn failed_rows_are_retried_once_what_was_missing_is_there() {
    let home = Home::new();
    let remote = Remote::with_people(&home);
    let failed = remote.feed(&["update", "-", "--no-wait"], "Email,City\nnew@x.org,Oslo\n").ok();
    assert_eq!(remote.run(&["jobs", "watch", failed.trim()]).code, Some(1));
    remote.feed(&["import", "-"], "Email\nnew@x.org\n").ok();
    let retried = remote.run(&["jobs", "retry", failed.trim()]).ok();
    assert!(retried.contains(&format!(" from {}: completed", failed.trim())), "{retried}");
    let again = remote.run(&["jobs", "retry", failed.trim()]).exit(2);
    assert!(again.contains("The job was retried already, by job_"), "{again}");
}

#[test]
fn the_same_file_again_is_noted_with_what_became_of_it_unless_it_was_only_planned() {
    let home = Home::new();
    let remote = Remote::with_people(&home);
    let planned = remote.feed(&["update", "-", "--dry-run"], PEOPLE);
    let plan = remote.latest();
    assert!(!planned.err.contains("note"), "{planned:?}");
    let first = remote.feed(&["update", "-"], PEOPLE);
    assert!(!first.err.contains(&plan), "{first:?}");
    let first = remote.latest();
    let second = remote.feed(&["update", "-"], PEOPLE);
    assert!(second.err.contains(&format!("note: {first} had the same file; it is completed.")), "{second:?}");
}
