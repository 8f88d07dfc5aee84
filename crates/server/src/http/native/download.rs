//! Files that are made while they are sent.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use futures_util::stream;
use muster_engine::{EngineError, ResultFormat, chain};
use serde::Deserialize;
use tokio::sync::mpsc::Receiver;

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Csv,
    Ndjson,
}

impl Format {
    /// The same for the engine; CSV may be for a spreadsheet.
    pub(super) fn of(self, spreadsheet: bool) -> ResultFormat {
        match self {
            Self::Csv if spreadsheet => ResultFormat::Spreadsheet,
            Self::Csv => ResultFormat::Csv,
            Self::Ndjson => ResultFormat::Ndjson,
        }
    }
}

/// Answers with a file of this name, whose end is added, in blocks.
pub(super) fn download(
    name: &str,
    format: Format,
    blocks: Receiver<Result<Vec<u8>, EngineError>>,
) -> impl IntoResponse + use<> {
    let (content_type, extension) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CONTENT_DISPOSITION, attachment(&format!("{name}.{extension}"))),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, Body::from_stream(stream(blocks)))
}

/// The blocks as they come. An error cuts the body off, so that nobody takes what came for all of it.
fn stream(blocks: Receiver<Result<Vec<u8>, EngineError>>) -> impl stream::Stream<Item = Result<Vec<u8>, EngineError>> {
    stream::unfold(blocks, async |mut blocks| {
        let block = blocks.recv().await?;
        if let Err(error) = &block {
            tracing::error!(cause = chain(error), "results broke off");
        }
        Some((block, blocks))
    })
}

/// A content disposition that saves under this name (RFC 6266): plainly for old clients, and exactly. Whoever sent the
/// name cannot say more with it than a name: no folder, no other header, no other parameter.
pub(super) fn attachment(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| if matches!(c, '/' | '\\') { '_' } else { c })
        .take(200)
        .collect();
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '%' => '_',
            c if c.is_ascii() => c,
            _ => '_',
        })
        .collect();
    let exact: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}
