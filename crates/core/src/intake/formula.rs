//! Texts that a spreadsheet would run as formulas: defused in results for spreadsheets, and as they were again when such a
//! file comes back (section 10 of the contract, "Results").
//!
//! A defused cell begins with an apostrophe, and the row names its column in [`ESCAPED_COLUMN`]. Only what is named there is
//! taken for an apostrophe of ours, so a text that really begins with one stays as it is.

use crate::number::parse_decimal;

/// The column that names the cells of its row that were defused, as a JSON array of column names.
pub const ESCAPED_COLUMN: &str = "_escaped";

/// What a text begins with that a spreadsheet runs, or may run after it was pasted.
const RUNS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// The text as a spreadsheet only shows it; `None` where it is harmless as it is. Numbers are, whatever their sign.
pub fn defuse(text: &str) -> Option<String> {
    let runs = text.starts_with(RUNS) && parse_decimal(text).is_err();
    runs.then(|| format!("'{text}"))
}

/// The text as it was before it was defused.
pub fn restore(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(original) if original.starts_with(RUNS) => original,
        Some(_) | None => text,
    }
}

/// Where the cells stand that a row names as defused. What cannot be understood names none.
pub(super) fn escaped_columns(cell: &str, header: &[String]) -> Vec<usize> {
    let names: Vec<String> = serde_json::from_str(cell).unwrap_or_default();
    let position = |name: &String| header.iter().position(|column| column.trim() == name.trim());
    names.iter().filter_map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_is_defused_and_comes_back_and_nothing_else_is_touched() {
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "--"] {
            let defused = defuse(text).unwrap();
            assert!(defused.starts_with('\''));
            assert_eq!(restore(&defused), text);
        }
        for text in ["", "5", "-5", "+5.25", "a=1", "'=1", " =1", "ann@x.org"] {
            assert_eq!(defuse(text), None, "{text:?}");
        }
        assert_eq!(restore("'quoted'"), "'quoted'");
        let header = ["Email".to_owned(), " Notes ".to_owned()];
        assert_eq!(escaped_columns(r#"["Notes","Gone"]"#, &header), [1]);
        assert!(escaped_columns("yes", &header).is_empty());
    }
}
