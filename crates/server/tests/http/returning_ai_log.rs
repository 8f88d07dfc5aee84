use crate::app::{id_of, json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

const LOG: &str = "/apis/v1/users/bulk-update";

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_given_page_by_page_newest_first() {
    on_every_database(async |app| {
        let mut ids = Vec::new();
        for kind in ["import", "update", "import"] {
            let job = app.run(&format!("?kind={kind}&name={kind}"), "Email\nada@example.com\n").await;
            ids.insert(0, id_of(&job).to_owned());
        }
        let (status, all) = app.get(LOG).await;
        assert_eq!(
            (status.as_u16(), &all["status"], &all["message"]),
            (200, &json!("success"), &json!("Get all bulk updates successful"))
        );
        let page = async |query: &str| {
            let page = app.get(&format!("{LOG}{query}")).await.1["data"].clone();
            let listed = page["bulk_updates"].as_array().unwrap();
            let listed: Vec<String> = listed.iter().map(|one| id_of(one).to_owned()).collect();
            (listed, without(page, &["bulk_updates"]))
        };
        let place =
            |total_pages, current_page| json!({"total": 3, "total_pages": total_pages, "current_page": current_page});
        assert_eq!(page("").await, (ids.clone(), place(1, 1)));
        assert_eq!(page("?limit=2").await, (ids[..2].to_vec(), place(2, 1)));
        assert_eq!(page("?page=2&limit=2").await, (ids[2..].to_vec(), place(2, 2)));
        assert_eq!(page("?page=1000000&limit=100").await, (Vec::new(), place(1, 1_000_000)));
        for wrong in [
            "?page=0",
            "?page=-1",
            "?page=1e400",
            "?page=99999999999999999999",
            "?limit=101",
            "?limit=0",
            "?colour=red",
        ] {
            let (status, error) = app.get(&format!("{LOG}{wrong}")).await;
            assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_request")), "{wrong}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_and_the_details_of_a_bulk_update_are_told() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let csv = "Email,Premium Currency\nada@example.com,5\nada@example.com,x\nnobody@example.com,1\nada@example.com,y\n";
        let job = app.run("?kind=update&name=June", csv).await;
        let id = id_of(&job);
        let (status, answer) = app.get(&format!("{LOG}/{id}/status")).await;
        assert_eq!((status.as_u16(), &answer["message"]), (200, &json!("Check bulk update status successful")));
        let short = json!({
            "id": id, "log_name": "June", "kind": "update", "status": "completed", "finished": true, "counts": job["counts"],
            "progress": 100, "createdAt": job["submitted_at"], "finishedAt": job["finished_at"],
        });
        assert_eq!(answer["data"], short);
        let (_, details) = app.get(&format!("{LOG}/{id}")).await;
        assert_eq!(details["message"], "Check bulk update details successful");
        let details = details["data"].clone();
        assert_eq!(
            details["errors"],
            json!([
                {"code": "invalid_number", "column": "Premium Currency", "count": 2, "sample_values": ["x", "y"], "first_lines": [3, 5]},
                {"code": "user_not_found", "column": null, "count": 1, "sample_values": ["nobody@example.com"], "first_lines": [4]},
            ])
        );
        let results = app.get_text(details["links"]["failed_rows"].as_str().unwrap()).await;
        assert_eq!(results.lines().count(), 4, "{results}");
        for link in ["results", "file", "job"] {
            assert!(!app.get_text(details["links"][link].as_str().unwrap()).await.is_empty(), "{link}");
        }
        assert_eq!(without(details, &["errors", "links", "error"]), short);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_the_kinds_of_job_that_it_may_submit() {
    on_every_database(async |app| {
        let import = app.run("?kind=import", "Email\nada@example.com\n").await;
        let update = app.run("?kind=update", "Email,City\nbob@example.com,Rome\n").await;
        let delete = app.run("?kind=delete", "Email\nada@example.com\n").await;
        let [import, update, delete] = [&import, &update, &delete].map(|job| id_of(job).to_owned());
        let cases: [(&[Scope], &[&str]); 4] = [
            (&[Scope::BulkUpdate], &[&update]),
            (&[Scope::BulkImport], &[&import]),
            (&[Scope::BulkUpdate, Scope::BulkImport], &[&update, &import]),
            (&[Scope::JobsRead], &[&delete, &update, &import]),
        ];
        for (scopes, seen) in cases {
            let key = app.make_key(&app.community, scopes).await;
            let get = |path: String| json_of(app.bare(Method::GET, &path).bearer_auth(&key));
            let (_, log) = get(LOG.to_owned()).await;
            let listed: Vec<&str> = log["data"]["bulk_updates"].as_array().unwrap().iter().map(id_of).collect();
            assert_eq!((&listed[..], &log["data"]["total"]), (seen, &json!(seen.len())), "{scopes:?}");
            for id in [&import, &update, &delete] {
                for path in [format!("{LOG}/{id}"), format!("{LOG}/{id}/status")] {
                    let (status, body) = get(path).await;
                    let expected = if seen.contains(&id.as_str()) { 200 } else { 403 };
                    assert_eq!(status, expected, "{scopes:?} {body}");
                }
            }
        }
        let blind = app.make_key(&app.community, &[Scope::BulkUpdate]).await;
        let (_, details) = json_of(app.bare(Method::GET, &format!("{LOG}/{update}")).bearer_auth(&blind)).await;
        assert_eq!(details["data"]["errors"][0]["sample_values"], Value::Array(Vec::new()), "{details}");
    })
    .await;
}
