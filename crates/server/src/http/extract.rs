//! What handlers take out of a request: ids, query parameters, JSON bodies.

use super::App;
use super::failure::Failure;
use axum::body::BodyDataStream;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use futures_util::StreamExt;
use muster_core::id::{DeliveryId, FieldId, JobId, KeyId, UserId, WebhookId};
use muster_core::value::parse_datetime;
use muster_core::{Code, Error, Patch, json};
use muster_engine::EngineError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_path_to_error::Segment;
use std::fmt;
use std::marker::PhantomData;

/// An id as the last variable part of an address stands for an object of the community.
pub trait WireId: Sized {
    /// What it names.
    const NAMES: &str;

    /// Reads it.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! wire_id {
    ($id:ident, $names:literal) => {
        impl WireId for $id {
            const NAMES: &str = $names;

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    };
}

wire_id!(JobId, "job");
wire_id!(FieldId, "field");
wire_id!(KeyId, "key");
wire_id!(WebhookId, "webhook");
wire_id!(DeliveryId, "delivery");

impl WireId for UserId {
    const NAMES: &str = "user";

    fn read(text: &str) -> Option<Self> {
        // An id has one spelling: neither +7 nor 007.
        text.parse().ok().map(Self).filter(|id| id.to_string() == text)
    }
}

/// The id in the address. One that cannot be an id is answered like one that does not exist.
pub struct Id<T>(pub T);

impl<T: WireId, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| T::read(&text));
        id.map(Self).ok_or_else(|| EngineError::not_found(T::NAMES).into())
    }
}

/// Two ids in the address: of an object, and of one that belongs to it.
impl<A: WireId, B: WireId, S: Send + Sync> FromRequestParts<S> for Id<(A, B)> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state).await.ok();
        let (owner, own) = texts.map(|Path((owner, own))| (A::read(&owner), B::read(&own))).unwrap_or_default();
        let owner = owner.ok_or_else(|| EngineError::not_found(A::NAMES))?;
        own.map(|own| Self((owner, own))).ok_or_else(|| EngineError::not_found(B::NAMES).into())
    }
}

/// The query parameters as a type. Unknown and repeated ones are refused, as the types say.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        query(&parts.uri).map(Self)
    }
}

/// Reads the query parameters of an address. What is wrong with one is said with its name.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Failure> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let pointer = pointer_of(error.path());
        let what = plain(&error.inner().to_string());
        match pointer.strip_prefix('/') {
            None => Failure::new(Code::InvalidRequest, format!("The query is not valid: {what}.")),
            Some(name) => {
                let message = format!("The query parameter {name} is not valid: {what}.");
                Error::at(&*pointer, Code::InvalidRequest, message).into()
            }
        }
    })
}

/// No query parameters. What an operation does not know is refused, so that nobody takes its answer for another one.
pub struct NoParams;

impl<S: Send + Sync> FromRequestParts<S> for NoParams {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        no_params(&parts.uri).map(|()| Self)
    }
}

/// Refuses query parameters.
pub fn no_params(uri: &Uri) -> Result<(), Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    query(uri).map(|Nothing {}| ())
}

/// A time in a query.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(pub jiff::Timestamp);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = parse_datetime(&text);
        time.map(Self).ok_or_else(|| "a time is written as RFC 3339 says, such as 2026-01-31T09:30:00Z".to_owned())
    }
}

/// A JSON body as a type.
pub struct Json<T>(pub T);

/// The rest of a body behind what was read of it. Refuses with `body_too_large` more bytes than these.
pub async fn collect(body: &mut BodyDataStream, mut bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, Failure> {
    while let Some(more) = body.next().await {
        bytes.extend_from_slice(&more.map_err(|_| cut_off())?);
        if bytes.len() > limit {
            let detail = format!("The body is larger than the {limit} bytes that this server accepts.");
            return Err(Failure::new(Code::BodyTooLarge, detail));
        }
    }
    Ok(bytes)
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        check_json_headers(request.headers())?;
        let mut body = request.into_body().into_data_stream();
        let bytes = collect(&mut body, Vec::new(), app.config.json_body_bytes).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// The body ended before it was complete. Mostly nobody is there any more to read this.
pub fn cut_off() -> Failure {
    Failure::new(Code::InvalidRequest, "The body ended before it was complete.")
}

/// Refuses a body that does not say that it is JSON, or is compressed.
pub fn check_json_headers(headers: &HeaderMap) -> Result<(), Failure> {
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = of(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let refuse = |detail| Err(Failure::new(Code::UnsupportedMediaType, detail));
    if content_type != "application/json" {
        return refuse("The body must be JSON, with Content-Type: application/json.");
    }
    match of(CONTENT_ENCODING) {
        "" | "identity" => Ok(()),
        _ => refuse("The body must not be compressed."),
    }
}

/// Reads a body that is a JSON object. Refuses with its place what the type does not know, and what [`json::check`] refuses.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::new(Code::InvalidRequest, "The body is not UTF-8."))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| misread(&error));
    let JsonObject(value) = json::check(text).and(read)?;
    let end = reader.end();
    end.map_err(|error| Error::new(Code::InvalidRequest, plain(&error.to_string())))?;
    Ok(value)
}

/// What is wrong with a body, and where.
fn misread<E: fmt::Display>(error: &serde_path_to_error::Error<E>) -> Error {
    Error::at(pointer_of(error.path()), Code::InvalidRequest, plain(&error.inner().to_string()))
}

/// What the libraries say that read numbers and the like, in words that need no knowledge of their language.
fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("invalid digit found in string", "this is not a whole number"),
        ("cannot parse integer from empty string", "this is not a whole number"),
        ("number too large to fit in target type", "the number is too large"),
        ("number too small to fit in target type", "the number is too small"),
        ("provided string was not `true` or `false`", "this is neither true nor false"),
        ("expected i64", "expected a whole number"),
        ("expected u64", "expected a whole number from 0"),
        ("expected u32", "expected a whole number from 0"),
    ];
    WORDS.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours))
}

/// A JSON object as a type. By itself serde takes an array for an object too, its items for the members in their order.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = JsonObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<JsonObject<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(JsonObject)
            }
        }
        from.deserialize_map(Members(PhantomData))
    }
}

/// The place of an error as a pointer (RFC 6901).
pub fn pointer_of(path: &serde_path_to_error::Path) -> String {
    path.iter().map(pointer_segment).collect()
}

fn pointer_segment(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    }
}

/// Reads a member of which absent, null and a value are three different things. For members with `default`.
pub fn patch<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Patch<T>, D::Error> {
    Ok(Option::deserialize(from)?.map_or(Patch::Clear, Patch::Set))
}

/// Reads a member that is an object.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    JsonObject::deserialize(from).map(|JsonObject(object)| object)
}

/// Reads a member that is a list of objects.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::deserialize(from)?.into_iter().map(|JsonObject(object)| object).collect())
}

/// Answers with JSON.
impl<T: Serialize> axum::response::IntoResponse for Json<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self.0).into_response()
    }
}
