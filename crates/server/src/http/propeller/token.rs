//! `POST /oauth2/token`: a key becomes a token for half an hour (RFC 6749, section 4.4). Errors have the form of that
//! standard and not that of the product, because libraries of OAuth read them.

use crate::http::App;
use crate::http::extract::{Json, collect};
use crate::http::failure::Failure;
use crate::http::limits::ClientAddress;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_engine::IssuedToken;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most bytes of a form that asks for a token.
const FORM_BYTES: usize = 16 << 10;

/// The operation, relative to the face.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(issue_token))
}

/// What asks for a token. Id and key can come as HTTP Basic instead.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the form is read parameter by parameter; this describes it")]
struct TokenRequest {
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// The key's id.
    #[schema(example = "0123456789abcdef01234567")]
    client_id: Option<String>,
    /// The key.
    client_secret: Option<String>,
    /// Not looked at: a token may do what its key may.
    scope: Option<String>,
}

/// A token, with the members of both forms that the product documents.
#[derive(Debug, Serialize, ToSchema)]
struct Token {
    /// The token. It dies with its key.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long it can be used, in seconds.
    #[schema(example = 1800)]
    expires_in: i64,
    /// What the key may do.
    #[schema(example = "bulk:import users:read")]
    scope: String,
    /// When it was issued, in milliseconds since 1970.
    #[schema(example = "1646873717224")]
    issued_at: String,
    /// The key's id.
    client_id: String,
    /// The key's name.
    application_name: String,
    /// The community's name.
    organization_name: String,
    #[schema(example = "approved")]
    status: &'static str,
    #[schema(example = "0")]
    refresh_token_expires_in: &'static str,
    #[schema(example = "0")]
    refresh_count: &'static str,
    /// What the token is for, as a text and as a list.
    #[schema(example = "[Muster]")]
    api_product_list: &'static str,
    #[schema(example = json!(["Muster"]))]
    api_product_list_json: [&'static str; 1],
    /// Empty: keys belong to nobody's email.
    #[serde(rename = "developer.email")]
    #[schema(example = "")]
    developer_email: &'static str,
}

impl From<IssuedToken> for Token {
    fn from(issued: IssuedToken) -> Self {
        let scopes: Vec<&str> = issued.key.scopes.iter().map(|scope| scope.as_str()).collect();
        Self {
            access_token: issued.secret,
            token_type: "Bearer",
            expires_in: issued.expires_at.duration_since(issued.issued_at).as_secs(),
            scope: scopes.join(" "),
            issued_at: issued.issued_at.as_millisecond().to_string(),
            client_id: issued.key.id.to_string(),
            application_name: issued.key.name,
            organization_name: issued.community.name,
            status: "approved",
            refresh_token_expires_in: "0",
            refresh_count: "0",
            api_product_list: "[Muster]",
            api_product_list_json: ["Muster"],
            developer_email: "",
        }
    }
}

/// An error as RFC 6749 writes it.
#[derive(Debug, Serialize, ToSchema)]
struct OAuthError {
    /// What is wrong, for programs.
    #[schema(example = "invalid_client")]
    error: &'static str,
    /// What is wrong and what to do, for people.
    error_description: &'static str,
}

/// Why there is no token.
enum Refused {
    /// As the standard says it.
    OAuth(OAuthError),
    /// Anything else.
    Failed(Failure),
}

/// The client is not who it says, or does not say. The same whatever is wrong, so that nobody learns which keys there are.
const INVALID_CLIENT: OAuthError = OAuthError {
    error: "invalid_client",
    error_description: "There is no valid key of this id; send the key's id as client_id and the key as client_secret.",
};

fn invalid_request(error_description: &'static str) -> Refused {
    Refused::OAuth(OAuthError { error: "invalid_request", error_description })
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let error = match self {
            Self::OAuth(error) => error,
            Self::Failed(failure) => return failure.into_response(),
        };
        let unknown = error.error == INVALID_CLIENT.error;
        let status = if unknown { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let mut response = (status, NEVER_STORED, Json(error)).into_response();
        if unknown {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        response
    }
}

const NEVER_STORED: [(axum::http::HeaderName, &str); 2] = [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];

/// Get a token
///
/// Changes the id of a key and the key into a token for 30 minutes, which dies with its key. Id and key come in the form or as
/// HTTP Basic. A key itself can be sent as `Authorization: Bearer KEY` too, and then needs no token.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "Propeller Commerce",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token.", body = Token),
        (status = 400, description = "The request is not well formed, or the grant is another one.", body = OAuthError),
        (status = 401, description = "There is no valid key of this id.", body = OAuthError),
        (status = "default", description = "Refused or failed.", body = super::error::PropellerError),
    ),
    security(("client" = [])),
)]
async fn issue_token(
    State(app): State<App>,
    from: ClientAddress,
    request: Request,
) -> Result<impl IntoResponse, Refused> {
    let (client_id, client_secret) = credentials(request, &app).await?;
    app.limits.attempt(from, &client_secret)?;
    let issued = app.engine.issue_token(&client_id, &client_secret).await.map_err(Failure::from)?;
    let issued = issued.ok_or(Refused::OAuth(INVALID_CLIENT))?;
    app.limits.request(&issued.caller, &client_secret)?;
    Ok((NEVER_STORED, Json(Token::from(issued))))
}

/// The id and the key that ask for a token.
async fn credentials(request: Request, app: &App) -> Result<(String, String), Refused> {
    if request.uri().query().is_some() {
        return Err(invalid_request("The parameters go into the body; an address is no place for a key."));
    }
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(invalid_request("Send a form, with Content-Type: application/x-www-form-urlencoded."));
    }
    let limit = FORM_BYTES.min(app.config.json_body_bytes);
    let form = collect(&mut body.into_data_stream(), Vec::new(), limit).await?;
    let [mut grant_type, mut client_id, mut client_secret] = [None, None, None];
    for (name, value) in form_urlencoded::parse(&form) {
        let parameter = match name.as_ref() {
            "grant_type" => &mut grant_type,
            "client_id" => &mut client_id,
            "client_secret" => &mut client_secret,
            _ => continue,
        };
        if parameter.replace(value.into_owned()).is_some() {
            return Err(invalid_request("A parameter is there twice; keep one."));
        }
    }
    match grant_type.as_deref() {
        Some("client_credentials") => {}
        None => return Err(invalid_request("Send grant_type=client_credentials.")),
        Some(_) => {
            let error_description = "The only grant is client_credentials.";
            return Err(Refused::OAuth(OAuthError { error: "unsupported_grant_type", error_description }));
        }
    }
    match (basic(&parts.headers)?, client_secret) {
        (Some(_), Some(_)) => Err(invalid_request("Send the key in the form or as HTTP Basic, not both.")),
        (Some((id, _)), None) if client_id.as_ref().is_some_and(|other| *other != id) => {
            Err(invalid_request("The form and HTTP Basic have different ids."))
        }
        (Some(both), None) => Ok(both),
        (None, Some(secret)) => {
            Ok((client_id.ok_or_else(|| invalid_request("Send the key's id as client_id."))?, secret))
        }
        (None, None) => Err(Refused::OAuth(INVALID_CLIENT)),
    }
}

/// Id and key of HTTP Basic, each encoded as in a form (RFC 6749, section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refused> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let read = || {
        let (scheme, encoded) = header.to_str().ok()?.trim().split_once(' ')?;
        let bytes = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let text = String::from_utf8(bytes).ok()?;
        let (id, secret) = text.split_once(':')?;
        let decoded = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
        Some((decoded(id)?, decoded(secret)?))
    };
    read().map(Some).ok_or(Refused::OAuth(INVALID_CLIENT))
}
