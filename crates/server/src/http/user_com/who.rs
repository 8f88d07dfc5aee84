//! Whom an address means.

use super::attribute::CUSTOM_ID;
use crate::http::extract::{Id, no_params};
use crate::http::failure::Failure;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use muster_core::id::UserId;
use muster_core::identity::Identity;
use muster_core::key::Key;
use muster_engine::EngineError;

/// A user by id.
pub struct ById(pub Key);

impl<S: Send + Sync> FromRequestParts<S> for ById {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        no_params(&parts.uri)?;
        Id::<UserId>::from_request_parts(parts, state).await.map(|Id(id)| Self(Key::Id(id)))
    }
}

/// A user by custom id. What cannot be one is answered like one that nobody has.
pub struct ByCustomId(pub Key);

impl<S: Send + Sync> FromRequestParts<S> for ByCustomId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        no_params(&parts.uri)?;
        let text = Path::<String>::from_request_parts(parts, state).await;
        let identity = text.ok().and_then(|Path(text)| Identity::new(CUSTOM_ID, &text, None).ok());
        identity.map(|identity| Self(Key::Identity(identity))).ok_or_else(|| EngineError::not_found("user").into())
    }
}
