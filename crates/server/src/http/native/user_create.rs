//! A user, made by itself.

use super::users::{Members, UserBody, tagged};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams, objects};
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use muster_core::identity::Identity;
use muster_core::{Code, Error};
use muster_engine::NewUser;
use serde::Deserialize;
use serde_json::Number;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_user))
}

/// A user to be made: with an email, an identity or the value of a unique field.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
struct NewUserBody {
    /// The email.
    email: Option<String>,
    /// What names the user in other systems.
    #[serde(default, deserialize_with = "objects")]
    identities: Vec<NewIdentity>,
    /// Values by field key.
    #[serde(default)]
    #[schema(value_type = Object)]
    values: Members,
}

/// What names a user in another system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewIdentity {
    /// The system.
    source: String,
    /// The id there, as a string or a number: `7` is `"7"`.
    source_id: SourceId,
    /// The language, where the system has one record for each.
    language: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a source_id is a string or a number")]
enum SourceId {
    Text(String),
    #[schema(value_type = i64)]
    Number(Number),
}

impl NewUserBody {
    fn read(self) -> Result<NewUser, Error> {
        let identity = |(i, one): (usize, NewIdentity)| {
            let id = match one.source_id {
                SourceId::Text(text) => text,
                SourceId::Number(number) => number.to_string(),
            };
            Identity::new(&one.source, &id, one.language.as_deref())
                .map_err(|why| Error::at(format!("/identities/{i}"), Code::InvalidIdentity, why))
        };
        let identities = self.identities.into_iter().enumerate().map(identity).collect::<Result<_, _>>()?;
        Ok(NewUser { email: self.email, identities, values: self.values.0 })
    }
}

/// Make a user
///
/// Refused as `user_exists` where somebody has its email (or the identity or unique value that names it, where it has no
/// email), and as `not_unique` where somebody has anything else of it that only one can have.
#[utoipa::path(
    post, path = "/v1/users", tag = "Users",
    request_body(content = NewUserBody, example = json!({
        "email": "grace@example.com",
        "identities": [{"source": "crm", "source_id": "7"}],
        "values": {"first_name": "Grace"},
    })),
    responses(
        (status = 201, description = "The user.", body = UserBody,
            headers(
                ("Location" = String, description = "The address of the user."),
                ("ETag" = String, description = "The version."),
            )),
        Problems,
    ),
    security(("key" = ["users:write"])),
)]
async fn create_user(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(new): Json<NewUserBody>,
) -> Result<impl IntoResponse, Failure> {
    let (user, fields) = app.engine.create_user(&caller, &new.read()?).await?;
    let location = [(LOCATION, format!("/v1/users/{}", user.id))];
    Ok((StatusCode::CREATED, location, tagged((user, fields))))
}
