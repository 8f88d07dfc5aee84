//! Jobs that come from jobs: plans and their application, undo, retry.

use crate::App;
use crate::app::{Options, id_of, json_of, with};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

const PEOPLE: &str = "Email,City,Points\nann@x.org,Rome,10\nbob@x.org,Paris,5\n";
const CHANGES: &str = "Email,City,Points,Points_op\nann@x.org,\\N,5,add\nbob@x.org,,x,\nnew@x.org,Oslo,1,\n";

async fn with_people(app: &App) {
    app.make_field("Points", "integer").await;
    app.run("?kind=import", PEOPLE).await;
}

/// Makes a job of a job and gives it as it was accepted.
async fn child(app: &App, of: &Value, verb: &str) -> Value {
    let response = app.post(&format!("/v1/jobs/{}/{verb}", id_of(of))).send().await.expect("the server answers");
    let (status, location) = (response.status(), response.headers().get("location").cloned());
    let job: Value = response.json().await.expect("the answer is JSON");
    assert_eq!(status, 202, "{job}");
    assert_eq!(location.expect("it has an address"), format!("/v1/jobs/{}", id_of(&job)).as_str());
    job
}

/// The same, once it has ended.
async fn run_child(app: &App, of: &Value, verb: &str) -> Value {
    let job = child(app, of, verb).await;
    app.ended(id_of(&job)).await
}

/// What refuses to make a job of a job: status, code and detail.
async fn refusal(app: &App, of: &Value, verb: &str) -> (u16, String, String) {
    let (status, problem) = json_of(app.post(&format!("/v1/jobs/{}/{verb}", id_of(of)))).await;
    let text = |name: &str| problem[name].as_str().unwrap_or_else(|| panic!("{problem}")).to_owned();
    (status.as_u16(), text("code"), text("detail"))
}

async fn assert_refused(app: &App, of: &Value, verb: &str, code: &str) {
    let (status, refused, detail) = refusal(app, of, verb).await;
    assert_eq!((status, refused.as_str()), (409, code), "{verb}: {detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_old_and_new_values_and_is_applied_once() {
    on_every_database(async |app| {
        with_people(app).await;
        let plan = app.run("?kind=import&dry_run=true&name=June", CHANGES).await;
        assert_eq!((&plan["state"], &plan["dry_run"]), (&json!("planned"), &json!(true)));
        let results = format!("/v1/jobs/{}/results", id_of(&plan));
        let csv = app.get_text(&results).await;
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert!(lines[0].ends_with(",_message,_user_id,_changes"), "{csv}");
        let changes = "\"{\"\"city\"\":{\"\"old\"\":\"\"Rome\"\",\"\"new\"\":null},\"\"points\"\":{\"\"old\"\":10,\"\"new\"\":15}}\"";
        assert!(lines[1].contains(",2,1,updated,") && lines[1].ends_with(changes), "{csv}");
        assert!(lines[2].contains(",failed,invalid_number,Points,") && lines[2].ends_with(','), "{csv}");
        let ndjson = app.get_text(&format!("{results}?format=ndjson")).await;
        let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows[0]["_changes"], json!({"city": {"old": "Rome", "new": null}, "points": {"old": 10, "new": 15}}));
        assert_eq!((&rows[1]["_changes"], &rows[2]["_changes"]["points"]), (&Value::Null, &json!({"old": null, "new": 1})));
        assert_eq!((&rows[2]["_status"], &rows[2]["_user_id"]), (&json!("created"), &Value::Null));
        assert_eq!(app.user("ann@x.org").await["values"]["points"], 10, "nothing is written");

        let applied = run_child(app, &plan, "apply").await;
        assert_eq!((&applied["state"], &applied["dry_run"]), (&json!("completed"), &json!(false)));
        assert_eq!((&applied["parent_job_id"], &applied["name"]), (&plan["id"], &json!("June")));
        assert_eq!(applied["counts"], plan["counts"]);
        assert_eq!(app.user("ann@x.org").await["values"], json!({"points": 15}));
        assert_eq!(app.user("new@x.org").await["values"]["city"], "Oslo");
        let csv = app.get_text(&format!("/v1/jobs/{}/results", id_of(&applied))).await;
        assert!(csv.starts_with("Email,City,Points,Points_op,_line,_record,") && !csv.contains("_changes"), "{csv}");

        let (_, code, detail) = refusal(app, &plan, "apply").await;
        assert_eq!((code.as_str(), detail.contains(id_of(&applied))), ("already_applied", true), "{detail}");
        for (job, verb, code) in [
            (&applied, "apply", "invalid_state"),
            (&plan, "undo", "invalid_state"),
            (&plan, "retry", "invalid_state"),
        ] {
            assert_refused(app, job, verb, code).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_user_changed_since_the_plan_fail() {
    on_every_database(async |app| {
        with_people(app).await;
        let plan = app.run("?dry_run=true", "Email,City\nann@x.org,Bonn\nbob@x.org,Bonn\n").await;
        let ann = format!("/v1/users/{}", app.user("ann@x.org").await["id"]);
        let (status, _) = json_of(app.request(Method::PATCH, &ann).json(&json!({"values": {"points": 11}}))).await;
        assert_eq!(status, 200);
        let applied = run_child(app, &plan, "apply").await;
        assert_eq!((&applied["counts"]["updated"], &applied["counts"]["failed"]), (&json!(1), &json!(1)));
        let (_, groups) = app.get(&format!("/v1/jobs/{}/errors", id_of(&applied))).await;
        assert_eq!((&groups[0]["code"], &groups[0]["first_lines"]), (&json!("changed_since_plan"), &json!([2])));
        assert_eq!(app.user("ann@x.org").await["values"]["city"], "Rome");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_outdated_once_new_users_need_another_field() {
    on_every_database(async |app| {
        with_people(app).await;
        let plan = app.run("?kind=import&dry_run=true", CHANGES).await;
        let field = json!({"name": "Branch", "type": "text", "required": true});
        assert_eq!(json_of(app.post("/v1/fields").json(&field)).await.0, 201);
        assert_refused(app, &plan, "apply", "plan_outdated").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_takes_back_what_nobody_touched_and_is_a_job_without_a_file() {
    on_every_database(async |app| {
        with_people(app).await;
        let job = app.run("?kind=import", CHANGES).await;
        let id = |email: &'static str| async move { app.user(email).await["id"].clone() };
        let (ann, new) = (id("ann@x.org").await, id("new@x.org").await);
        let edit = json!({"values": {"city": "Milan", "points": {"op": "add", "value": 100}}});
        json_of(app.request(Method::PATCH, &format!("/v1/users/{ann}")).json(&edit)).await;

        let planned = run_child(app, &job, "undo?dry_run=true").await;
        assert_eq!((&planned["kind"], &planned["state"]), (&json!("undo"), &json!("planned")));
        let results = format!("/v1/jobs/{}/results", id_of(&planned));
        let rows = app.get_text(&format!("{results}?format=ndjson")).await;
        let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            rows[0],
            json!({"id": ann.to_string(), "_line": null, "_record": 1, "_status": "updated", "_code": "changed_since_job",
                   "_column": "City", "_message": "City: somebody changed it after the job, so it was kept",
                   "_user_id": ann, "_changes": {"points": {"old": 115, "new": 110}}})
        );
        assert_eq!(rows[1]["_changes"], json!({"deleted": {"old": null, "new": true}}), "{}", rows[1]);
        let csv = app.get_text(&results).await;
        assert!(csv.starts_with("id,_line,_record,_status,_code,_column,_message,_user_id,_changes\r\n"), "{csv}");
        let (_, groups) = app.get(&format!("/v1/jobs/{}/errors", id_of(&planned))).await;
        let kept = json!([{"code": "changed_since_job", "column": "City", "count": 1, "sample_values": [], "first_lines": []}]);
        assert_eq!(groups, kept, "there are no lines without a file");
        assert_eq!(app.get(&format!("/v1/jobs/{}", id_of(&job))).await.1["undo_job_id"], Value::Null);

        let undo = run_child(app, &planned, "apply").await;
        assert_eq!((&undo["kind"], &undo["counts"]), (&json!("undo"), &planned["counts"]));
        assert_eq!(undo["source"]["format"], Value::Null);
        assert_eq!(app.user("ann@x.org").await["values"], json!({"city": "Milan", "points": 110}));
        assert_eq!(app.user("new@x.org").await, Value::Null);
        assert_eq!(app.get(&format!("/v1/jobs/{}", id_of(&job))).await.1["undo_job_id"], undo["id"]);
        assert_eq!(app.get(&format!("/v1/jobs/{}/file", id_of(&undo))).await.0, 404);
        for verb in ["undo", "retry"] {
            assert_refused(app, &job, verb, "already_undone").await;
        }
        let (_, planned_again) = json_of(app.post(&format!("/v1/jobs/{}/undo?dry_run=true", id_of(&undo)))).await;
        assert_eq!(planned_again["parent_job_id"], undo["id"], "dry runs are unlimited");

        let redo = run_child(app, &undo, "undo").await;
        assert_eq!((&redo["state"], &redo["parent_job_id"]), (&json!("completed"), &undo["id"]));
        assert_eq!(app.user("new@x.org").await["id"], new);
        assert_eq!(app.user("ann@x.org").await["values"]["points"], 115);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_would_overdraw_does_as_it_is_told() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nann@x.org\n").await;
        let job = app.run("", "Email,Premium Currency,Premium Currency_op\nann@x.org,30,add\n").await;
        app.run("", "Email,Premium Currency,Premium Currency_op\nann@x.org,20,subtract\n").await;
        let rejected = run_child(app, &job, "undo?dry_run=true").await;
        assert_eq!(rejected["counts"]["failed"], 1);
        let (status, problem) = json_of(app.post(&format!("/v1/jobs/{}/undo?overdraft=maybe", id_of(&job)))).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")), "{problem}");
        let clamped = run_child(app, &job, "undo?overdraft=clamp").await;
        assert_eq!((&clamped["counts"]["updated"], &clamped["options"]["overdraft"]), (&json!(1), &json!("clamp")));
        assert_eq!(app.user("ann@x.org").await["values"]["premium_currency"], "0");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_rows_are_retried_with_their_lines_and_only_once() {
    on_every_database(async |app| {
        with_people(app).await;
        let job = app.run("", "Email,Points,Points_op\nann@x.org,1,add\nnew@x.org,2,add\nbob@x.org,x,\n").await;
        app.run("?kind=import", "Email\nnew@x.org\n").await;
        let retried = run_child(app, &job, "retry").await;
        assert_eq!((&retried["parent_job_id"], &retried["kind"]), (&job["id"], &json!("update")));
        assert_eq!((&retried["counts"]["received"], &retried["counts"]["updated"]), (&json!(2), &json!(1)));
        assert_eq!(app.user("ann@x.org").await["values"]["points"], 11, "what was done is not done again");
        let csv = app.get_text(&format!("/v1/jobs/{}/results", id_of(&retried))).await;
        assert!(csv.contains("\r\nnew@x.org,2,add,3,2,updated,"), "{csv}");
        assert!(csv.contains("\r\nbob@x.org,x,,4,3,failed,invalid_number,"), "{csv}");
        assert_refused(app, &job, "retry", "already_retried").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_of_a_job_that_has_not_ended_but_of_one_that_was_cancelled() {
    let idle = Options { works: false, ..Options::default() };
    with(idle, async |app| {
        let job = app.submit("?kind=import", PEOPLE.replace(",Points", ",Phone").as_str()).await;
        for verb in ["apply", "undo", "retry"] {
            assert_refused(app, &job, verb, "job_not_finished").await;
        }
        json_of(app.post(&format!("/v1/jobs/{}/cancel", id_of(&job)))).await;
        assert_refused(app, &job, "apply", "invalid_state").await;
        for verb in ["retry", "undo"] {
            assert_eq!(child(app, &job, verb).await["state"], "queued", "{verb}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acting_on_a_job_needs_the_scope_of_its_kind_too() {
    on_every_database(async |app| {
        with_people(app).await;
        let file = "Email\nann@x.org\nbob@x.org\n";
        let mut jobs = Vec::new();
        for (query, scope) in [
            ("?kind=import&dry_run=true", Scope::BulkImport),
            ("?kind=create&dry_run=true", Scope::BulkImport),
            ("?kind=update&dry_run=true", Scope::BulkUpdate),
            ("?kind=delete&dry_run=true", Scope::BulkDelete),
            ("?kind=restore&dry_run=true", Scope::BulkDelete),
        ] {
            jobs.push((app.run(query, file).await, scope));
        }
        let undone = app.run("", file).await;
        jobs.push((run_child(app, &undone, "undo").await, Scope::BulkUndo));
        for (job, scope) in &jobs {
            let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|other| other != scope).collect();
            let key = app.make_key(&app.community, &others).await;
            for verb in ["apply", "undo", "retry", "cancel", "pause", "resume"] {
                let request = app.bare(Method::POST, &format!("/v1/jobs/{}/{verb}", id_of(job)));
                let (status, problem) = json_of(request.bearer_auth(&key)).await;
                assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("missing_scope")), "{verb}: {job}");
                assert!(problem["detail"].as_str().unwrap().contains(scope.as_str()), "{verb}: {problem}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_created_deleted_and_restored_by_file() {
    on_every_database(async |app| {
        with_people(app).await;
        let file = "Email,City\nann@x.org,Oslo\nzoe@x.org,Oslo\n";
        let job = app.run("?kind=create", file).await;
        assert_eq!((&job["counts"]["created"], &job["counts"]["failed"]), (&json!(1), &json!(1)));
        let (_, groups) = app.get(&format!("/v1/jobs/{}/errors", id_of(&job))).await;
        assert_eq!(groups[0]["code"], "user_exists");
        let zoe = app.user("zoe@x.org").await;
        let (delete, restore) = ("Email\nzoe@x.org\nnobody@x.org\n", format!("id\n{}\n", zoe["id"]));
        let deleted = app.run("?kind=delete", delete).await;
        assert_eq!((&deleted["counts"]["updated"], &deleted["counts"]["failed"]), (&json!(1), &json!(1)));
        assert_eq!(app.user("zoe@x.org").await, Value::Null);
        let restored = app.run("?kind=restore&match_by=id", &restore).await;
        assert_eq!(restored["counts"]["updated"], 1, "{restored}");
        assert_eq!(app.user("zoe@x.org").await["values"], zoe["values"]);
        run_child(app, &restored, "undo").await;
        assert_eq!(app.user("zoe@x.org").await, Value::Null);
        run_child(app, &deleted, "undo").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_a_unique_field() {
    on_every_database(async |app| {
        let new = json!({"name": "Member No", "type": "text", "unique": true});
        let (status, field) = json_of(app.post("/v1/fields").json(&new)).await;
        assert_eq!((status.as_u16(), &field["unique"]), (201, &json!(true)), "{field}");
        app.run("?kind=import", "Email,Member No\nann@x.org,A-1\nbob@x.org,B-2\n").await;
        let job = app.run("?match_by=member_no", "Member No,City\nA-1,Rome\nC-3,Rome\n").await;
        assert_eq!((&job["counts"]["updated"], &job["counts"]["failed"]), (&json!(1), &json!(1)));
        assert_eq!(app.user("ann@x.org").await["values"]["city"], "Rome");
        let job = app.run("", "Email,Member No\nbob@x.org,A-1\n").await;
        let (_, groups) = app.get(&format!("/v1/jobs/{}/errors", id_of(&job))).await;
        assert_eq!((&groups[0]["code"], &groups[0]["sample_values"]), (&json!("not_unique"), &json!(["A-1"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_is_heard_and_shown() {
    on_every_database(async |app| {
        with_people(app).await;
        let query = "?kind=update&name=All&dry_run=false&on_error=continue&max_failed=5&max_affected=7&match_by=email&clear_token=-\
                     &mapping=%7B%22Town%22%3A%22city%22%2C%22Note%22%3Anull%7D&unknown_columns=refuse&date_format=DD.MM.YYYY\
                     &on_duplicate=last&overdraft=allow&delimiter=%3B&encoding=utf-8&queue=one";
        let file = "Email;Town;Note;Date of Birth;Premium Currency;Premium Currency_op\n\
                    ann@x.org;Bonn;x;31.12.1990;;\nann@x.org;-;y;01.02.1990;5;subtract\n";
        let job = app.run(query, file).await;
        assert_eq!(
            job["options"],
            json!({"match_by": "email", "mapping": {"Town": "city", "Note": null}, "unknown_columns": "refuse",
                   "clear_token": "-", "date_format": "DD.MM.YYYY", "on_duplicate": "last", "overdraft": "allow",
                   "delimiter": ";", "encoding": "utf-8", "queue": "one", "on_error": "continue", "max_failed": 5,
                   "max_affected": 7})
        );
        assert_eq!((&job["counts"]["updated"], &job["counts"]["skipped"]), (&json!(1), &json!(1)), "{job}");
        let values = json!({"points": 10, "date_of_birth": "1990-02-01", "premium_currency": "-5"});
        assert_eq!(app.user("ann@x.org").await["values"], values);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fuses_stop_a_job_and_say_why() {
    on_every_database(async |app| {
        with_people(app).await;
        let file = "Email,City\nann@x.org,Oslo\nbob@x.org,Oslo\nnobody@x.org,Oslo\n";
        for (query, code) in [
            ("?on_error=abort", "aborted"),
            ("?max_failed=0", "too_many_failures"),
            ("?max_affected=1", "too_many_affected"),
        ] {
            let job = app.run(query, file).await;
            assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!(code)), "{job}");
            assert_eq!((&job["counts"]["updated"], &job["counts"]["unprocessed"]), (&json!(0), &json!(2)), "{job}");
        }
        assert_eq!(app.user("ann@x.org").await["values"]["city"], "Rome");
        let plan = app.run("?max_affected=1&dry_run=true", file).await;
        assert_eq!(plan["error"]["code"], "too_many_affected", "a dry run stops where the job would");
    })
    .await;
}
