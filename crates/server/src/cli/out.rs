//! Writing for people and for programs: data to stdout, talk to stderr, both so that a closed pipe ends quietly.

use crate::cli::failure::Result;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Writes a line of data.
pub fn data(line: impl fmt::Display) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Writes JSON, indented, as data.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    data(text)
}

/// Says something to people. Where nobody can hear it, nothing happens.
pub fn talk(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}").is_ok();
}

/// A text that cannot disturb a terminal, whoever wrote it: no control characters, none that turn the direction of others.
pub fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}

/// A number with thousands separators.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 row`, `2,000 rows`.
pub fn count(value: u64, thing: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", number(value))
}

/// Aligned columns that read well without colour.
#[derive(Debug)]
pub struct Table {
    right: &'static [usize],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads, of which some columns stand to the right.
    pub fn new(head: &[&str], right: &'static [usize]) -> Self {
        Self { right, rows: vec![head.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(|cell| harmless(&cell.into())).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width_of =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
        for (i, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.width()));
                match self.right.contains(&column) {
                    true => line.extend([padding.as_str(), cell, "  "]),
                    false => line.extend([cell, padding.as_str(), "  "]),
                }
            }
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_things_a_plural() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(2_000, "row"), "2,000 rows");
    }

    #[test]
    fn nothing_disturbs_a_terminal() {
        assert_eq!(harmless("Ci\x1b[31mty\r\n\u{202e}\u{9b}2J é"), "Ci [31mty    2J é");
        let mut table = Table::new(&["name"], &[]);
        table.row(["a\x1b[2J"]);
        assert_eq!(table.to_string(), "name\na [2J");
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let mut table = Table::new(&["name", "rows"], &[1]);
        table.row(["東京", "7"]);
        table.row(["Łódź", "1,200"]);
        assert_eq!(table.to_string(), "name   rows\n東京      7\nŁódź  1,200");
    }
}
