//! Who asks: the key of a request.

use super::App;
use super::failure::Failure;
use super::limits::ClientAddress;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use muster_core::Code;
use muster_engine::{Caller, KeyCheck};

/// The caller, known by a key, who has the scopes that the operation needs: the first argument of every handler, so that
/// nothing else of the request is looked at before. What only the body tells, such as the kind of a job, is for the engine to
/// check.
pub struct Auth(pub Caller);

impl FromRequestParts<App> for Auth {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        // Whoever looked at the request before knows the caller already.
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(Self(caller.clone()));
        }
        let caller = admitted(parts, app).await?;
        if let Some(operation) = app.operations.of(&parts.method, &parts.extensions) {
            operation.check(&caller)?;
        }
        Ok(Self(caller))
    }
}

/// Who sends something to a door that is open to people without a key too.
pub enum Sender {
    /// Somebody with a key.
    Known(Caller),
    /// Somebody without, and from where.
    Anonymous(ClientAddress),
}

impl FromRequestParts<App> for Sender {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let shows_key = parts.headers.contains_key(AUTHORIZATION) || parts.extensions.get::<Caller>().is_some();
        match shows_key {
            true => Auth::from_request_parts(parts, app).await.map(|Auth(caller)| Self::Known(caller)),
            false => Ok(Self::Anonymous(app.limits.address(&parts.headers, &parts.extensions))),
        }
    }
}

/// The caller of a request, which counts for how often it may ask.
async fn admitted(parts: &Parts, app: &App) -> Result<Caller, Failure> {
    let secret = key(&parts.headers).ok_or_else(no_key)?;
    app.limits.attempt(app.limits.address(&parts.headers, &parts.extensions), secret)?;
    let caller = caller_of(&parts.headers, app).await?;
    app.limits.request(&caller, secret)?;
    Ok(caller)
}

fn no_key() -> Failure {
    Failure::new(Code::Unauthorized, "The request has no key; send it as Authorization: Bearer KEY.")
}

/// The caller whose key is in these headers.
pub async fn caller_of(headers: &HeaderMap, app: &App) -> Result<Caller, Failure> {
    let key = key(headers).ok_or_else(no_key)?;
    match app.engine.check_key(key).await? {
        KeyCheck::Valid(caller) => Ok(caller),
        KeyCheck::Invalid => Err(Failure::new(
            Code::Unauthorized,
            "The key is not valid: there is none like it, or it was revoked or has expired.",
        )),
    }
}

/// The key in `Authorization: Bearer KEY` or `Token KEY`. Of two such headers neither counts.
fn key(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (header, None) = (given.next()?, given.next()) else {
        return None;
    };
    let (scheme, key) = header.to_str().ok()?.trim().split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_as_bearer_or_token_in_any_case() {
        let find = |text: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
            key(&headers).map(str::to_owned)
        };
        for text in ["Bearer abc", "bearer  abc", "TOKEN abc ", "Token abc"] {
            assert_eq!(find(text).as_deref(), Some("abc"), "{text}");
        }
        for text in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
