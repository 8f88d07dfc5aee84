//! The words that the core knows, as schemas of the OpenAPI document.

use muster_core::field::FieldType;
use muster_core::job::{JobKind, JobState};
use muster_core::scope::Scope;
use utoipa::openapi::{ObjectBuilder, Type, schema::Object};

fn words<T: Copy>(all: &[T], as_str: fn(T) -> &'static str) -> Object {
    let words = all.iter().map(|word| as_str(*word));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// The kinds of jobs.
pub fn job_kind() -> Object {
    words(JobKind::ALL, JobKind::as_str)
}

/// The states of jobs.
pub fn job_state() -> Object {
    words(JobState::ALL, JobState::as_str)
}

/// The scopes of keys.
pub fn scope() -> Object {
    words(Scope::ALL, Scope::as_str)
}

/// The types of fields.
pub fn field_type() -> Object {
    use FieldType as T;
    let all = [
        T::Text, T::LongText, T::Integer, T::Decimal, T::Currency, T::Boolean, T::Date, T::Datetime, T::Select,
        T::MultiSelect, T::Json,
    ];
    words(&all, FieldType::as_str)
}
