//! What the calls of this face take out of a request.

use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{WireId, check_json_headers, collect, parse};
use crate::http::failure::Failure;
use crate::http::page::UpTo;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use muster_core::{Code, Error};
use muster_engine::{Caller, EngineError, UserName};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use std::fmt;

/// A JSON body in which no member is there twice, at any depth.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        check_json_headers(request.headers())?;
        let mut body = request.into_body().into_data_stream();
        let bytes = collect(&mut body, Vec::new(), app.config.json_body_bytes).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// The caller, whose community the address names, and what the address names in it.
pub(super) struct Within<T>(pub(super) Caller, pub(super) T);

impl<T: Place> FromRequestParts<App> for Within<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Auth(caller) = Auth::from_request_parts(parts, app).await?;
        let params = RawPathParams::from_request_parts(parts, app).await;
        let texts: Vec<String> = params.iter().flatten().map(|(_, text)| text.to_owned()).collect();
        let mut texts = texts.iter().map(String::as_str);
        caller.require_community(texts.next().unwrap_or_default())?;
        let place = T::read(&mut texts)?;
        Ok(Self(caller, place))
    }
}

/// What an address names, read from its variable parts.
pub(super) trait Place: Sized {
    /// Takes as many parts as it needs.
    fn read<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Result<Self, Failure>;
}

impl Place for () {
    fn read<'a>(_: &mut impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        Ok(())
    }
}

impl Place for UserName {
    fn read<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        Self::read(parts.next().unwrap_or_default()).ok_or_else(|| EngineError::not_found("user").into())
    }
}

impl<T: WireId> Place for T {
    fn read<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        let id = parts.next().and_then(|text| T::read(text));
        id.ok_or_else(|| EngineError::not_found(T::NAMES).into())
    }
}

impl<A: Place, B: Place> Place for (A, B) {
    fn read<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        Ok((A::read(parts)?, B::read(parts)?))
    }
}

/// The number of a page.
pub(super) type PageNumber = UpTo<1_000_000, 1>;

/// A text, or a number that is read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextOrNumber(pub(super) String);

impl TextOrNumber {
    /// The user that it names, where it stands at this place.
    pub(super) fn user(&self, pointer: &str) -> Result<UserName, Error> {
        UserName::read(&self.0).ok_or_else(|| {
            Error::at(pointer, Code::InvalidRequest, "this is empty and names nobody; send what names the user")
        })
    }
}

impl<'de> Deserialize<'de> for TextOrNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = TextOrNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextOrNumber, E> {
                Ok(TextOrNumber(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<TextOrNumber, E> {
                Ok(TextOrNumber(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<TextOrNumber, E> {
                Ok(TextOrNumber(number.to_string()))
            }
        }
        from.deserialize_any(Either)
    }
}

/// The failure of a call of the engine, with the places in the body that was sent: the engine's on the left, those that they
/// begin with on the right.
pub(super) fn replaced(error: EngineError, places: &[(String, String)]) -> Failure {
    let mut failure = Failure::from(error);
    for pointer in failure.error.errors.iter_mut().filter_map(|fault| fault.pointer.as_mut()) {
        let below = |from: &str| pointer.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some((to, rest)) = places.iter().find_map(|(from, to)| Some((to, below(from)?))) {
            *pointer = format!("{to}{rest}");
        }
    }
    failure
}
