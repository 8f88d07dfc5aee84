//! Hearing somebody out.
//!
//! Whoever is refused while still sending may not read the answer: a connection that is closed with unread bytes in it is
//! reset, and the answer with it. So the rest of such a body is read and thrown away, for a while.

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long somebody is heard out.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of what nobody wants is read.
const UNWANTED_BYTES: usize = 1 << 30;

/// The request, with a body that is heard out when it is dropped before its end.
pub fn heard_out(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    // Whoever waits to be told to go on has not sent anything yet, and reading would tell them to.
    let waits = request.headers().contains_key(EXPECT);
    request.map(|body| Body::from_stream(Heard { body: Some(body.into_data_stream()), waits }))
}

struct Heard {
    /// None at its end.
    body: Option<BodyDataStream>,
    waits: bool,
}

impl Stream for Heard {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.waits = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let next = body.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        next
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let (Some(body), false, Ok(runtime)) = (self.body.take(), self.waits, tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(tokio::time::timeout(PATIENCE, read_away(body)));
    }
}

async fn read_away(mut body: BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(bytes)) = body.next().await {
        read += bytes.len();
        if read > UNWANTED_BYTES {
            return;
        }
    }
}
