//! The community of the key: its name and what it decides for itself.

use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams, object, patch};
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::words;
use axum::extract::State;
use muster_core::Patch;
use muster_core::id::CommunityId;
use muster_core::settings::{AnonymousImport, RetentionDays, SettingsEdit};
use muster_engine::Community;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_community, edit_community))
}

/// A community.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Community)]
struct CommunityBody {
    /// The id.
    #[schema(value_type = String)]
    id: CommunityId,
    /// The name.
    name: String,
    /// What it decides for itself.
    settings: SettingsBody,
}

/// What a community decides for itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
struct SettingsBody {
    /// What somebody without a key may do: nothing, make users who do not exist, or change those who exist too.
    #[schema(schema_with = words::anonymous_import)]
    anonymous_import: AnonymousImport,
    /// For how many days things are kept; null: for ever.
    retention_days: RetentionBody,
}

/// For how many days things are kept; null: for ever.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionDays)]
struct RetentionBody {
    /// Files that were sent, after the end of their job; at least as long as results.
    files: Option<u32>,
    /// What became of the rows of a job, after its end.
    results: Option<u32>,
    /// Changes of users; what the users held before the first that is kept stays known.
    history: Option<u32>,
    /// Answers to requests with an `Idempotency-Key`.
    idempotency_keys: u32,
    /// The log of what was sent to webhooks.
    deliveries: Option<u32>,
}

impl From<Community> for CommunityBody {
    fn from(community: Community) -> Self {
        let RetentionDays { files, results, history, idempotency_keys, deliveries } = community.settings.retention_days;
        Self {
            id: community.id,
            name: community.name,
            settings: SettingsBody {
                anonymous_import: community.settings.anonymous_import,
                retention_days: RetentionBody { files, results, history, idempotency_keys, deliveries },
            },
        }
    }
}

/// What changes about a community. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditCommunity {
    /// The name.
    name: Option<String>,
    /// What it decides for itself.
    #[serde(default, deserialize_with = "object")]
    #[schema(required = false)]
    settings: EditSettings,
}

/// Settings that change. What is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditSettings {
    /// What somebody without a key may do.
    #[schema(schema_with = words::anonymous_import, required = false)]
    anonymous_import: Option<AnonymousImport>,
    /// For how many days things are kept.
    #[serde(default, deserialize_with = "object")]
    #[schema(required = false)]
    retention_days: EditRetention,
}

/// Days, from 1 to 36,500; null: for ever. What is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditRetention {
    /// Files that were sent; at least as long as results.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    files: Patch<i64>,
    /// What became of the rows of jobs.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    results: Patch<i64>,
    /// Changes of users; what the users held before the first that is kept stays known.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    history: Patch<i64>,
    /// Answers to requests with an `Idempotency-Key`; never null.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 36_500)]
    idempotency_keys: Patch<i64>,
    /// The log of what was sent to webhooks.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    deliveries: Patch<i64>,
}

impl EditCommunity {
    fn settings(&self) -> SettingsEdit {
        let days = &self.settings.retention_days;
        SettingsEdit {
            anonymous_import: self.settings.anonymous_import,
            files: days.files,
            results: days.results,
            history: days.history,
            idempotency_keys: days.idempotency_keys,
            deliveries: days.deliveries,
        }
    }
}

/// Get the community
///
/// The one that the key belongs to.
#[utoipa::path(
    get, path = "/v1/community", tag = "Community",
    responses((status = 200, description = "The community.", body = CommunityBody), Problems),
    security(("key" = ["settings:write"])),
)]
async fn get_community(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
) -> Result<Json<CommunityBody>, Failure> {
    Ok(Json(app.engine.own_community(&caller).await?.into()))
}

/// Change the community
///
/// What is over its time is removed within minutes, and cannot be brought back: `/file` and `/results` of a job then answer
/// 410, and a job of which a change is no longer in the history cannot be undone (409 `history_expired`).
#[utoipa::path(
    patch, path = "/v1/community", tag = "Community",
    request_body(content = EditCommunity, example = json!({"settings": {"retention_days": {"files": 90, "results": 90}}})),
    responses((status = 200, description = "The community as it is now.", body = CommunityBody), Problems),
    security(("key" = ["settings:write"])),
)]
async fn edit_community(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(edit): Json<EditCommunity>,
) -> Result<Json<CommunityBody>, Failure> {
    Ok(Json(app.engine.edit_community(&caller, edit.name.as_deref(), &edit.settings()).await?.into()))
}
