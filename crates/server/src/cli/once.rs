//! Asking for a job so that it is made once, however often it is asked for.

use crate::cli::failure::Result;
use crate::cli::progress::{PATIENCE, Progress};
use rand::distr::{Alphanumeric, SampleString};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde_json::Value;
use std::time::Duration;

/// How long an idempotency key is.
const KEY_CHARACTERS: usize = 32;

/// Sends a request until there is an answer, where it can be sent again. Where the connection breaks nobody knows whether
/// the job was made; the idempotency key, with which the request is sent, makes sure that it is made once.
pub(crate) async fn once(
    progress: &Progress,
    can_be_repeated: bool,
    send: impl AsyncFn(&str) -> Result<Value>,
) -> Result<Value> {
    let key = Alphanumeric.sample_string(&mut UnwrapErr(SysRng), KEY_CHARACTERS);
    let mut missed = 0;
    loop {
        match send(&key).await {
            Err(failure)
                if can_be_repeated
                    && missed < PATIENCE
                    && (failure.is_lost() || missed > 0 && failure.is_unreachable()) =>
            {
                if missed == 0 {
                    progress.say("The connection broke; sending the same again, which makes no second job.");
                }
                missed += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            sent => return sent,
        }
    }
}
