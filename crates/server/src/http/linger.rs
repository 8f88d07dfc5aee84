//! Refusals that arrive.
//!
//! A request may be refused long before its body has come in: the key is wrong, an option is misspelled. If the
//! connection were closed then, whoever is still sending would see it break, and mostly not see the answer. So what is
//! left of a body that nobody wants is read and thrown away for a while, beside the answer.

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long the rest of a body is read.
const LINGER: Duration = Duration::from_secs(30);
/// How much of it is.
const LINGER_BYTES: usize = 1 << 30;

/// Wraps the body of a request so that what is left of it is read.
pub(super) async fn linger(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let body = Lingering(Some(body.into_data_stream()));
    next.run(Request::from_parts(head, Body::from_stream(body))).await
}

/// A body that is read to its end when it is dropped before.
struct Lingering(Option<BodyDataStream>);

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = body.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move { tokio::time::timeout(LINGER, discard(body)).await });
    }
}

async fn discard(mut body: BodyDataStream) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(bytes)) = body.next().await {
        match left.checked_sub(bytes.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}
