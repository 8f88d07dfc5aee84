//! Users as a file, and the header of such a file.

use super::download::{Format, attachment, download};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::Params;
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::words;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use muster_core::job::JobKind;
use muster_engine::UserExport;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export_users)).routes(routes!(get_template))
}

/// Which users, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportUsers {
    /// How the users are written.
    #[serde(default)]
    #[param(schema_with = words::result_format, required = false)]
    format: Format,
    /// A filter as JSON, as `POST /v1/users/query` takes it; everybody if it is absent.
    filter: Option<String>,
    /// The columns in their order, parted by commas: keys of fields and `id`, `email`, `version`, `created_at`, `updated_at`, and
    /// in NDJSON `identities`.
    fields: Option<String>,
    /// For CSV that a spreadsheet opens: texts that it would run as formulas begin with an apostrophe, and the column
    /// `_escaped` says which. Sent back, they are what they were.
    #[serde(default)]
    #[param(default = false)]
    spreadsheet: bool,
}

/// Export users
///
/// Everybody who was there when the export began and matches the filter, in order of id, each as it is when its part of the
/// file is written. The file can be edited and sent back as a job of `kind=update`.
///
/// CSV has the columns `_user_id`, `email` and every field that can be written. Sent back, users are found by their email, or with
/// `match_by=id` by `_user_id`, which is for those who have no email. An empty cell keeps what is there, so nothing set and an empty
/// text look the same, and a text that is exactly `\N`, which would clear, is left empty. Identities are in NDJSON only, whose
/// records are users as this API shows them.
#[utoipa::path(
    get, path = "/v1/users/export", tag = "Users",
    params(ExportUsers),
    responses(
        (status = 200, description = "The users.",
            content((String = "text/csv; charset=utf-8"), (String = "application/x-ndjson"))),
        Problems,
    ),
    security(("key" = ["users:read"])),
)]
async fn export_users(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(get): Params<ExportUsers>,
) -> Result<impl IntoResponse, Failure> {
    let columns = get.fields.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect());
    let export = UserExport { format: get.format.of(get.spreadsheet), filter: get.filter, columns };
    let blocks = app.engine.export_users(&caller, &export).await?;
    Ok(download("users", get.format, blocks))
}

/// For which kind of job.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GetTemplate {
    /// The kind of job that the file is for.
    #[serde(default)]
    #[param(inline)]
    kind: TemplateKind,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum TemplateKind {
    #[default]
    Update,
    Import,
}

/// Get a template
///
/// The header of a CSV file with every field that can be written. In one for an update each number has a column of
/// operators beside it, which may stay empty. Fields that only clients of one product know are left out until somebody
/// has a value of them.
#[utoipa::path(
    get, path = "/v1/users/template", tag = "Users",
    params(GetTemplate),
    responses((status = 200, description = "The header.", content((String = "text/csv; charset=utf-8"))), Problems),
    security(("key" = ["users:read", "fields:read"])),
)]
async fn get_template(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(get): Params<GetTemplate>,
) -> Result<impl IntoResponse, Failure> {
    let (kind, name) = match get.kind {
        TemplateKind::Update => (JobKind::Update, "update-template.csv"),
        TemplateKind::Import => (JobKind::Import, "import-template.csv"),
    };
    let header = app.engine.template(&caller, kind).await?;
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, attachment(name))];
    // Keys have letters, digits and underscores only, so nothing has to be quoted.
    Ok((headers, header.join(",") + "\r\n"))
}
