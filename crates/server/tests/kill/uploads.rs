//! The server dies while somebody sends a file.

use crate::client::Client;
use crate::files::people;
use crate::home::{Backend, Home, backends};
use futures_util::{StreamExt, stream};
use reqwest::{Body, Method};
use std::convert::Infallible;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_during_an_upload_leaves_no_job_and_no_file() {
    for backend in backends().await {
        let home = Home::new(backend).await;
        let server = home.serve(&[]).await;
        let key = home.make_key().await;
        let client = server.client(&key);
        client.make_points().await;

        let part = stream::iter([Ok::<_, Infallible>(people(1_000))]);
        let body = Body::wrap_stream(part.chain(stream::pending()));
        let request = client.request(Method::POST, "/v1/jobs?kind=import").body(body);
        let sending = tokio::spawn(request.send());
        while home.staged().is_empty() {
            tokio::task::yield_now().await;
        }
        server.process.kill().await;
        assert!(sending.await.expect("it does not panic").is_err());

        let server = home.serve(&[]).await;
        assert!(server.client(&key).all("/v1/jobs").await.is_empty());
        // Files on PostgreSQL may belong to servers of other machines, so there nobody sweeps.
        if backend == Backend::Sqlite {
            assert!(home.staged().is_empty(), "{:?}", home.staged());
        }
        server.process.stop().await;
        home.run(&["verify"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_sends_a_file_again_whose_answer_was_lost_and_makes_no_second_job() {
    for backend in backends().await {
        let home = Home::new(backend).await;
        let dying = home.serve(&["--crash-at", "accept.committed:0"]).await;
        let (key, url) = (home.make_key().await, dying.url().to_owned());
        let address = url.strip_prefix("http://").expect("it is an address");
        std::fs::write(home.path().join("people.csv"), people(10)).expect("the folder can be written to");
        let importing =
            home.start(&["import", "people.csv", "--url", &url, "--key", &key, "--option", "unknown_columns=ignore"]);
        dying.process.assert_killed().await;
        let server = home.start(&["serve", "--listen", address]);
        importing.ended().await;
        let client = Client::new(&url, &key);
        assert_eq!(client.all("/v1/jobs").await.len(), 1);
        assert_eq!(client.all("/v1/users").await.len(), 10);
        server.stop().await;
        home.run(&["verify"]).await;
    }
}
