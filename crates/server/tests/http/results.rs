use crate::app::{Options, id_of, json_of, with};
use crate::on_every_database;
use reqwest::{Method, header};
use serde_json::{Value, json};

const MIXED: &str = "Email,Points\nada@example.com,1\n\"bob@example.com\",\"a \"\"few\"\"\"\n\nnobody@example.com,3\n,4\nada@example.com,x\n";

async fn mixed_job(app: &crate::App) -> String {
    app.make_field("Points", "integer").await;
    app.run("?kind=import", "Email\nada@example.com\nbob@example.com\n").await;
    let job = app.run("", MIXED).await;
    id_of(&job).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_as_csv_are_the_rows_as_they_came_beside_what_became_of_them() {
    on_every_database(async |app| {
        let id = mixed_job(app).await;
        let ada = &app.user("ada@example.com").await["id"];
        let bob = &app.user("bob@example.com").await["id"];
        let response = app.request(Method::GET, &format!("/v1/jobs/{id}/results")).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
        let disposition = response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
        assert!(disposition.contains(&format!("filename=\"{id}-results.csv\"")), "{disposition}");
        let csv = response.text().await.unwrap();
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 7, "{csv}");
        assert_eq!(lines[0], "Email,Points,_line,_record,_status,_code,_column,_message,_user_id");
        assert_eq!(lines[1], format!("ada@example.com,1,2,1,updated,,,,{ada}"));
        let failed = "bob@example.com,\"a \"\"few\"\"\",3,2,failed,invalid_number,Points,\"line 3, column Points: \"\"a \"\"few\"\"\"\" \
                      is not a whole number\",";
        assert!(lines[2] == format!("{failed}{bob}") || lines[2] == failed, "{}", lines[2]);
        assert!(lines[3].starts_with("nobody@example.com,3,5,3,failed,user_not_found,,"), "{}", lines[3]);
        assert!(lines[4].starts_with(",4,6,4,failed,missing_key,"), "{}", lines[4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_as_ndjson_keep_their_types_and_can_be_narrowed_to_a_status() {
    on_every_database(async |app| {
        let id = mixed_job(app).await;
        let ada = app.user("ada@example.com").await["id"].clone();
        let response = app.request(Method::GET, &format!("/v1/jobs/{id}/results?format=ndjson&status=updated"));
        let response = response.send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-ndjson");
        let row: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(
            row,
            json!({"Email": "ada@example.com", "Points": "1", "_line": 2, "_record": 1, "_status": "updated", "_code": null,
                   "_column": null, "_message": null, "_user_id": ada})
        );
        let failed = app.get_text(&format!("/v1/jobs/{id}/results?format=ndjson&status=failed")).await;
        assert_eq!(failed.lines().count(), 4);
        assert_eq!(app.get_text(&format!("/v1/jobs/{id}/results?format=ndjson&status=skipped")).await, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_grouped_by_code_and_column() {
    on_every_database(async |app| {
        let id = mixed_job(app).await;
        let (_, groups) = app.get(&format!("/v1/jobs/{id}/errors")).await;
        assert_eq!(
            groups[0],
            json!({"code": "invalid_number", "column": "Points", "count": 2, "sample_values": ["a \"few\"", "x"],
                   "first_lines": [3, 7]})
        );
        assert_eq!(groups.as_array().unwrap().len(), 3, "{groups}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_rows_can_be_mended_and_sent_back_as_they_are() {
    on_every_database(async |app| {
        let id = mixed_job(app).await;
        let failed = app.get_text(&format!("/v1/jobs/{id}/results?status=failed")).await;
        let mended = failed.replacen("\"a \"\"few\"\"\"", "3", 1);
        let job = app.run("", &mended).await;
        assert_eq!(job["counts"]["updated"], 1, "{job}");
        assert_eq!(app.user("bob@example.com").await["values"]["points"], 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_cells_cannot_be_told_apart_come_back_whole_and_are_refused_again() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nann@example.com\nbob@example.com\ndan@example.com\n").await;
        let csv = "Email,City,Region\nann@example.com,Rome, Italy,Lazio\nbob@example.com,Lazio\ndan@example.com,\"Rom\" a,Lazio\n";
        let job = app.run("?kind=update", csv).await;
        assert_eq!(job["counts"]["failed"], 3, "{job}");
        let failed = app.get_text(&format!("/v1/jobs/{}/results?status=failed", id_of(&job))).await;
        let cells: Vec<&str> = failed.lines().skip(1).filter_map(|line| line.split(",,").next()).collect();
        assert_eq!(cells[0], r#","ann@example.com,Rome, Italy,Lazio""#);
        assert_eq!(cells[1], r#","bob@example.com,Lazio""#);
        assert!(cells[2].starts_with(r#","dan@example.com,"#), "{failed}");
        let again = app.run("?kind=update", &failed).await;
        assert_eq!((&again["counts"]["received"], &again["counts"]["failed"]), (&json!(3), &json!(3)), "{again}");
        let mended = failed.replacen(cells[0], r#"ann@example.com,"Rome, Italy",Lazio"#, 1).replacen(",,2,", ",2,", 1);
        let mended = app.run("?kind=update", &mended).await;
        assert_eq!((&mended["counts"]["updated"], &mended["counts"]["failed"]), (&json!(1), &json!(2)), "{mended}");
        assert_eq!(app.user("ann@example.com").await["values"]["city"], "Rome, Italy");

        let records = "{\"email\":\"ann@example.com\",\"values\":{\"city\":\"Bari\"}}\n{\"Email\":\"bob@example.com\"}\n5\n";
        let request = app.post("/v1/jobs?kind=update").header("content-type", "application/x-ndjson").body(records);
        let (_, job) = json_of(request).await;
        app.ended(id_of(&job)).await;
        let failed = app.get_text(&format!("/v1/jobs/{}/results?status=failed", id_of(&job))).await;
        assert!(failed.contains(r#","{""Email"":""bob@example.com""}","#) && failed.contains("\r\n,5,"), "{failed}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_comes_back_byte_for_byte_under_its_own_name() {
    on_every_database(async |app| {
        let bytes = b"Email;City\r\na@example.com;K\xf6ln\r\n".to_vec();
        let part = reqwest::multipart::Part::bytes(bytes.clone()).file_name("Kund\"en ü.csv");
        let form = reqwest::multipart::Form::new().part("file", part);
        let response = app.post("/v1/jobs?kind=import").multipart(form).send().await.unwrap();
        assert_eq!(response.status(), 202);
        let job: Value = response.json().await.unwrap();
        assert_eq!(job["source"]["file_name"], "Kund\"en ü.csv");
        assert_eq!(job["source"]["encoding"], "windows-1252");

        let path = format!("/v1/jobs/{}/file", id_of(&job));
        let response = app.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=windows-1252");
        assert_eq!(response.headers()[header::CONTENT_LENGTH], bytes.len().to_string());
        assert_eq!(
            response.headers()[header::CONTENT_DISPOSITION],
            "attachment; filename=\"Kund_en _.csv\"; filename*=UTF-8''Kund%22en%20%C3%BC.csv"
        );
        assert_eq!(response.bytes().await.unwrap(), bytes);
        app.ended(id_of(&job)).await;
        assert_eq!(app.user("a@example.com").await["values"]["city"], "Köln");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_a_job_that_nobody_began_are_empty() {
    let idle = Options { works: false, ..Options::default() };
    with(idle, async |app| {
        let job = app.submit("", "Email\na@example.com\n").await;
        let csv = app.get_text(&format!("/v1/jobs/{}/results", id_of(&job))).await;
        assert_eq!(csv.lines().count(), 1, "{csv}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_or_format_that_does_not_exist_is_refused() {
    on_every_database(async |app| {
        let id = mixed_job(app).await;
        for query in ["status=broken", "format=xml", "colour=red", "format=csv&format=csv"] {
            let (status, problem) = app.get(&format!("/v1/jobs/{id}/results?{query}")).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")), "{query}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_results_leaves_the_server_well() {
    on_every_database(async |app| {
        let rows: String = (0..20_000).map(|i| format!("u{i}@example.com,{}\n", "x".repeat(100))).collect();
        let job = app.run("?kind=import", &format!("Email,City\n{rows}")).await;
        let path = format!("/v1/jobs/{}/results", id_of(&job));
        let mut response = app.request(Method::GET, &path).send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        drop(response);
        assert_eq!(app.get_text(&path).await.lines().count(), 20_001);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheet_runs_nothing_of_what_it_is_given_and_sends_it_back_as_it_was() {
    on_every_database(async |app| {
        app.make_field("Notes", "long_text").await;
        app.make_field("Points", "integer").await;
        let text =
            "Email,Notes,Points,=City\na@example.com,=1+1,-5,x\nb@example.com,'=fine,+7,y\nc@example.com,@SUM,x,z\n";
        let job = app.run("?kind=import&unknown_columns=ignore", text).await;
        let path = format!("/v1/jobs/{}/results", id_of(&job));
        let exact = app.get_text(&path).await;
        assert!(exact.contains("a@example.com,=1+1,-5,x,") && !exact.contains("_escaped"), "{exact}");
        let safe = app.get_text(&format!("{path}?spreadsheet=true")).await;
        let lines: Vec<&str> = safe.lines().collect();
        assert!(
            lines[0].starts_with("Email,Notes,Points,'=City,_line") && lines[0].ends_with(",_user_id,_escaped"),
            "{safe}"
        );
        assert!(lines[1].starts_with("a@example.com,'=1+1,-5,x,"), "{safe}");
        assert!(lines[1].ends_with(r#","[""Notes""]""#), "{safe}");
        assert!(lines[2].starts_with("b@example.com,'=fine,+7,y,") && lines[2].ends_with(','), "{safe}");

        let again = app.run("?kind=update&unknown_columns=ignore", &safe).await;
        assert_eq!(again["counts"]["unchanged"], 2, "{again}");
        assert_eq!(app.user("a@example.com").await["values"]["notes"], "=1+1");
        assert_eq!(app.user("b@example.com").await["values"]["notes"], "'=fine");
        let results = app.get_text(&format!("/v1/jobs/{}/results", id_of(&again))).await;
        assert!(
            results.contains("a@example.com,=1+1,-5,x,") && results.starts_with("Email,Notes,Points,=City,"),
            "{results}"
        );
    })
    .await;
}
