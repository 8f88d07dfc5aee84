//! The words that the core knows, as schemas of the OpenAPI document.

use muster_core::field::FieldType;
use muster_core::job::{JobKind, JobState, Overdraft};
use muster_core::outcome::Status;
use muster_core::scope::Scope;
use muster_core::settings::AnonymousImport;
use muster_core::webhook::{DeliveryStatus, EventType, SendError};
use utoipa::openapi::schema::{Object, SchemaType};
use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

fn words<T: Copy>(all: &[T], as_str: fn(T) -> &'static str) -> Object {
    let words = all.iter().map(|word| as_str(*word));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// The kinds of jobs.
pub fn job_kind() -> Object {
    words(JobKind::ALL, JobKind::as_str)
}

/// The kinds of jobs that can be submitted.
pub fn submitted_job_kind() -> Object {
    words(JobKind::SUBMITTED, JobKind::as_str)
}

/// What a currency does below its minimum.
pub fn overdraft() -> Object {
    words(Overdraft::ALL, Overdraft::as_str)
}

/// The states of jobs.
pub fn job_state() -> Object {
    words(JobState::ALL, JobState::as_str)
}

/// What somebody without a key may do.
pub fn anonymous_import() -> Object {
    words(AnonymousImport::ALL, AnonymousImport::as_str)
}

/// What webhooks are told.
pub fn event_type() -> Object {
    words(EventType::ALL, EventType::as_str)
}

/// Where deliveries stand.
pub fn delivery_status() -> Object {
    words(DeliveryStatus::ALL, DeliveryStatus::as_str)
}

/// Why deliveries fail.
pub fn send_error() -> Object {
    let words = SendError::ALL.iter().map(|error| Some(error.as_str())).chain([None]);
    let types = SchemaType::Array(vec![Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words)).build()
}

/// How rows end.
pub fn row_status() -> Object {
    use Status as S;
    let all = [S::Created, S::Updated, S::Unchanged, S::Skipped, S::Failed].map(S::as_str);
    words(&[&all[..], &["unprocessed"]].concat(), |name| name)
}

/// The forms of results.
pub fn result_format() -> Object {
    words(&["csv", "ndjson"], |name| name)
}

/// A number of any size: small whole ones as numbers, others as texts.
pub fn number_or_text() -> Object {
    let types = SchemaType::Array(vec![Type::Number, Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).build()
}

/// A text.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A form with a file.
pub fn form(file_part: &str, about: &str) -> ObjectBuilder {
    let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
    let file = text().description(Some(about)).format(Some(binary));
    ObjectBuilder::new().property(file_part, file).required(file_part)
}

/// The scopes of keys.
pub fn scope() -> Object {
    words(Scope::ALL, Scope::as_str)
}

/// The types of fields.
pub fn field_type() -> Object {
    use FieldType as T;
    let all = [
        T::Text,
        T::LongText,
        T::Integer,
        T::Decimal,
        T::Currency,
        T::Boolean,
        T::Date,
        T::Datetime,
        T::Select,
        T::MultiSelect,
        T::Json,
    ];
    words(&all, FieldType::as_str)
}
