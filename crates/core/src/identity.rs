//! External identities: what names a user in other systems.

use crate::text::fold;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most characters of a source or a source id.
pub const MAX_PART_CHARS: usize = 200;
/// The most characters of a language.
pub const MAX_LANGUAGE_CHARS: usize = 35;

/// Parts the pieces of a key. No piece can hold it: control characters are refused.
const SEPARATOR: char = '\u{1f}';

/// Names a user in another system. At most one live user of a community has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The system, such as `crm`.
    pub source: String,
    /// The id there. Numbers and texts are the same: `7` is `"7"`.
    pub source_id: String,
    /// The language, where the system keeps one record for each.
    pub language: Option<String>,
}

impl Identity {
    /// Trims the parts and says what is wrong with them, if anything is.
    pub fn new(source: &str, source_id: &str, language: Option<&str>) -> Result<Self, &'static str> {
        let part = |text: &str, most: usize| {
            let text = text.trim();
            let fits = text.chars().count() <= most && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        };
        let short = "a source and a source id have 1 to 200 characters, none of them a control character";
        let source = part(source, MAX_PART_CHARS).filter(|text| !text.is_empty()).ok_or(short)?;
        let source_id = part(source_id, MAX_PART_CHARS).filter(|text| !text.is_empty()).ok_or(short)?;
        let language = match language.map(str::trim) {
            None | Some("") => None,
            Some(text) => Some(
                part(text, MAX_LANGUAGE_CHARS)
                    .ok_or("a language has at most 35 characters, none of them a control character")?,
            ),
        };
        Ok(Self { source, source_id, language })
    }

    /// What stands for no identity of a source, where identities are replaced: one with an empty id, which no user has.
    pub fn none_of(source: &str) -> Result<Self, &'static str> {
        Self::new(source, "-", None).map(|identity| Self { source_id: String::new(), ..identity })
    }

    /// The form in which identities are compared, as emails are: NFC, full lower case.
    pub fn key(&self) -> String {
        self.key_prefix() + &fold(self.language.as_deref().unwrap_or_default())
    }

    /// What the keys of all languages of this source and source id begin with.
    pub fn key_prefix(&self) -> String {
        format!("{}{SEPARATOR}{}{SEPARATOR}", fold(&self.source), fold(&self.source_id))
    }

    /// Whether a row that says this means that identity: an absent language means any.
    pub fn means(&self, other: &Self) -> bool {
        match self.language {
            Some(_) => self.key() == other.key(),
            None => self.key_prefix() == other.key_prefix(),
        }
    }
}

/// The first text that is greater than everything that begins with this prefix, which ends with the separator.
pub fn after_prefix(prefix: &str) -> String {
    let mut end = prefix.trim_end_matches(SEPARATOR).to_owned();
    end.push(' ');
    end
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.source_id)?;
        self.language.iter().try_for_each(|language| write!(f, ":{language}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_compare_without_case_and_space_and_any_language_is_meant_where_none_is_said() {
        let new = |source, id, language| Identity::new(source, id, language).unwrap();
        let german = new(" CRM ", "7", Some("DE"));
        assert_eq!(german.key(), new("crm", "7", Some("de")).key());
        assert!(new("crm", "7", None).means(&german));
        assert!(!new("crm", "7", Some("en")).means(&german));
        assert!(!new("crm", "77", None).means(&german));
        let prefix = new("crm", "7", None).key_prefix();
        assert!(german.key() >= prefix && german.key() < after_prefix(&prefix));
        assert!(new("crm", "7", None).key() < after_prefix(&prefix));
        assert!(new("crm", "70", None).key() >= after_prefix(&prefix) || new("crm", "70", None).key() < prefix);
        for (source, id, language) in
            [("", "7", None), ("crm", " ", None), ("c\nrm", "7", None), ("crm", "7", Some("\u{1f}"))]
        {
            assert!(Identity::new(source, id, language).is_err());
        }
        assert!(Identity::new("crm", &"x".repeat(201), None).is_err());
    }
}
