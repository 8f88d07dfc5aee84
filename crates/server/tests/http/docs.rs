//! The pages about the API: they are there for everybody, and load nothing from elsewhere.

use crate::on_every_database;
use muster_core::Code;
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_of_the_document_loads_from_this_server_only() {
    on_every_database(async |app| {
        let page = app.bare(Method::GET, "/docs").send().await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("http"), "{policy}");
        let html = page.text().await.unwrap();
        let loaded: Vec<&str> = html.split(['"']).filter(|part| part.starts_with('/')).collect();
        assert_eq!(loaded.len(), 5, "{html}");
        assert!(!html.contains("//") && !html.contains("<style"), "{html}");
        for path in loaded {
            let response = app.bare(Method::GET, path).send().await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
            let wanted = if path.ends_with("css") { "text/css" } else { "" };
            assert!(content_type.starts_with(wanted), "{path} {content_type}");
            assert!(response.bytes().await.unwrap().len() > 100, "{path}");
        }
        let moved = app.bare(Method::GET, "/docs/").send().await.unwrap();
        assert_eq!((moved.status().as_u16(), moved.url().path()), (200, "/docs"));
        for nothing in ["/docs/index.html", "/docs/..%2f..%2fetc%2fpasswd", "/docs/swagger-ui.js", "/docs/x/y"] {
            assert_eq!(app.bare(Method::GET, nothing).send().await.unwrap().status(), 404, "{nothing}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_a_problem_leads_to_what_helps() {
    on_every_database(async |app| {
        let (_, problem) = app.get("/v1/users/nobody").await;
        assert_eq!(problem["type"], "/docs/errors#not_found");
        let page = app.get_text("/docs/errors").await;
        for code in Code::ALL {
            assert!(page.contains(&format!("<tr id=\"{code}\">")), "{code}");
        }
    })
    .await;
}
