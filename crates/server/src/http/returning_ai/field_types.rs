//! The types of fields in the words of the product's pages, which do not agree with each other.

use muster_core::error::excerpt;
use muster_core::field::FieldType;
use muster_core::{Code, Error};
use serde_json::Value as Json;

/// The type that a word means: one of the product's, or one of ours. Refuses with `invalid_option`.
pub(super) fn read_type(word: &str) -> Result<FieldType, Error> {
    let kind = match word {
        "text" | "single-line-text" => Some(FieldType::Text),
        "multi-line-text" => Some(FieldType::LongText),
        // A number there may have decimals.
        "number" | "numerical" => Some(FieldType::Decimal),
        "multi-select" => Some(FieldType::MultiSelect),
        word => serde_json::from_value(Json::from(word)).ok(),
    };
    kind.ok_or_else(|| {
        let message = format!(
            "type is text, single-line-text, multi-line-text, number, numerical, boolean, date or select, not \"{}\"",
            excerpt(word)
        );
        Error::at("/type", Code::InvalidOption, message)
    })
}

/// The product's newest word for a type; ours where it has none.
pub(super) fn show_type(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text => "single-line-text",
        FieldType::LongText => "multi-line-text",
        FieldType::Integer | FieldType::Decimal | FieldType::Currency => "numerical",
        FieldType::MultiSelect => "multi-select",
        FieldType::Boolean | FieldType::Date | FieldType::Datetime | FieldType::Select | FieldType::Json => {
            kind.as_str()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_as_a_type_that_is_shown_alike() {
        for word in [
            "text",
            "single-line-text",
            "multi-line-text",
            "number",
            "numerical",
            "boolean",
            "date",
            "select",
            "currency",
        ] {
            let kind = read_type(word).unwrap();
            let shown = show_type(kind);
            assert_eq!(show_type(read_type(shown).unwrap()), shown, "{word}");
        }
        assert_eq!(read_type("integer").unwrap(), FieldType::Integer);
        for wrong in ["", "colour", "Text", "null"] {
            assert_eq!(read_type(wrong).unwrap_err().code, Code::InvalidOption, "{wrong}");
        }
    }
}
