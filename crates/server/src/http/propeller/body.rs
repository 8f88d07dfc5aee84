//! Bodies and answers that all operations of the face have in common.

use super::schema;
use crate::http::App;
use crate::http::extract::{check_json_headers, collect};
use crate::http::failure::Failure;
use axum::extract::{FromRequest, Request};
use muster_core::Code;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A JSON body as it is written, in which no member is repeated.
pub struct Body(pub Value);

impl FromRequest<App> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        check_json_headers(request.headers())?;
        let mut body = request.into_body().into_data_stream();
        let bytes = collect(&mut body, Vec::new(), app.config.json_body_bytes).await.map_err(cut_off)?;
        // A body of many users takes longer than others should wait for.
        Ok(Self(tokio::task::block_in_place(|| schema::read(&bytes))?))
    }
}

/// A body that ended too early is no JSON either.
fn cut_off(mut failure: Failure) -> Failure {
    if failure.error.code == Code::InvalidRequest {
        failure.error.code = Code::InvalidJson;
    }
    failure
}

/// The product's envelope of success.
#[derive(Debug, Serialize, ToSchema)]
pub struct PropellerAnswer<T> {
    /// What was asked for, or what became of it.
    pub data: T,
    /// What was done, in words.
    #[schema(example = json!(["Completed"]))]
    pub messages: Vec<String>,
    /// How many there are.
    #[schema(example = 1)]
    pub total: usize,
}

impl<T> PropellerAnswer<T> {
    /// The answer about one thing.
    pub fn one(data: T, message: &str) -> Self {
        let messages = if message.is_empty() { Vec::new() } else { vec![message.to_owned()] };
        Self { data, messages, total: 1 }
    }
}

impl<T> PropellerAnswer<Vec<T>> {
    /// What became of many records, failed ones included.
    pub fn completed(data: Vec<T>) -> Self {
        Self { total: data.len(), data, messages: vec!["Completed".to_owned()] }
    }
}

/// What became of one record of many.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerResult)]
pub struct RecordResult {
    /// `create`, `update`, or `skip` for one who is not there and is not to be made.
    #[schema(example = "update")]
    pub action: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 14713)]
    pub id: Option<i64>,
    /// What it was looked up by, as it was written.
    #[schema(value_type = serde_json::Value, example = 3_002_196)]
    pub key: Value,
    /// The name of that.
    #[serde(rename = "lookupKey")]
    #[schema(example = "sourceId")]
    pub lookup_key: &'static str,
    /// What else is to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it was done.
    #[schema(example = true)]
    pub success: bool,
}
