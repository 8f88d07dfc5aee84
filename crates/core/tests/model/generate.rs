//! Random files for the model: rows over a handful of users, with cells that are right, broken or extreme.

use super::{Column, Field, Rules, cells, columns, fields};
use muster_core::field::FieldType;
use muster_core::job::Overdraft;

/// Where decisions come from. The first of several is the simplest, so that a failing case shrinks to it.
pub trait Choose {
    /// A number below `count`.
    fn below(&mut self, count: usize) -> usize;

    /// One of these.
    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }
}

/// Emails of few users, in more than one writing.
pub const EMAILS: &[&str] = &[
    "ann@x.org",
    "bob@x.org",
    "ANN@x.org",
    "Bob@X.ORG",
    "éva@x.org",
    " ann@X.org ",
    "ÉVA@x.org",
    "Dora+1@x.org",
    "dora+1@x.org",
];
const BROKEN_EMAILS: &[&str] = &["", " ", "nobody", "a b@x.org", "@x.org", "a@b@x.org", "ann@"];
const OPERATORS: &[&str] = &["", "add", "subtract", "overwrite"];
const BROKEN_OPERATORS: &[&str] = &["Add", " add", "plus", "overwrite "];

pub fn rules(choose: &mut impl Choose) -> Rules {
    Rules {
        import: choose.below(3) < 2,
        overdraft: choose.one_of(Overdraft::ALL),
        clear_token: choose.one_of(&["\\N", "NULL", "5"]).to_owned(),
    }
}

/// A header: the email and some fields, however their names may be written, with operators anywhere.
pub fn header(choose: &mut impl Choose) -> Vec<String> {
    let mut names = vec![choose.one_of(&["email", "Email", " E-Mail "]).to_owned()];
    let mut put = |choose: &mut dyn FnMut(usize) -> usize, name: String| {
        let at = names.len() - choose(names.len() + 1);
        names.insert(at, name);
    };
    for field in fields::ALL {
        let wanted = if field.required { 92 } else { 30 };
        if !choose.percent(wanted) {
            continue;
        }
        let written = [field.key.to_owned(), field.name.to_owned(), field.key.to_uppercase().replace('_', " - ")];
        let name = choose.one_of(&written);
        put(&mut |count| choose.below(count), name);
        if field.kind.is_numeric() && choose.percent(70) {
            let name = choose.one_of(&written) + choose.one_of(&["_op", "_OP"]);
            put(&mut |count| choose.below(count), name);
        }
    }
    if choose.percent(10) {
        put(&mut |count| choose.below(count), "_status".to_owned());
    }
    names
}

/// A row for a header; in one of four something may be wrong.
pub fn row(choose: &mut impl Choose, header: &[String], rules: &Rules, emails: &[String]) -> Vec<String> {
    let broken = choose.percent(25);
    let mut cells: Vec<String> = columns(header)
        .iter()
        .map(|column| match column {
            Column::Email if broken && choose.percent(10) => choose.one_of(BROKEN_EMAILS).to_owned(),
            Column::Email => choose.one_of(emails),
            Column::Ours => choose.one_of(&["", "failed"]).to_owned(),
            Column::Operator(_) if broken && choose.percent(10) => choose.one_of(BROKEN_OPERATORS).to_owned(),
            Column::Operator(_) => choose.one_of(OPERATORS).to_owned(),
            Column::Value(_) if choose.percent(8) => rules.clear_token.clone(),
            Column::Value(_) if broken && choose.percent(5) => "a\0b".to_owned(),
            Column::Value(field) => cell(choose, field, broken),
        })
        .collect();
    if !broken {
        mend_operators(header, &mut cells, rules);
    }
    match broken.then(|| choose.below(12)) {
        // A row without any cell would be a blank line.
        Some(10) if cells.len() > 1 => drop(cells.pop()),
        Some(11) => cells.push(String::new()),
        _ => {}
    }
    cells
}

/// Takes operators away that have no number beside them.
fn mend_operators(header: &[String], cells: &mut [String], rules: &Rules) {
    let columns = columns(header);
    for (i, column) in columns.iter().enumerate() {
        let Column::Operator(field) = column else { continue };
        let value = columns.iter().position(|other| matches!(other, Column::Value(other) if other.key == field.key));
        let value = value.map_or("", |value| cells[value].as_str());
        if value.is_empty() || value == rules.clear_token {
            cells[i] = String::new();
        }
    }
}

/// A cell for a field: empty, right, extreme, or broken where that may be.
pub fn cell(choose: &mut impl Choose, field: &Field, broken: bool) -> String {
    if choose.below(10) < 3 && !field.required {
        return String::new();
    }
    let (good, bad): (&[&str], &[&str]) = match field.kind {
        FieldType::Text | FieldType::LongText => {
            (&["Rome", "", " a ", "é\"ü", "x,;\n\r\ny", "NULL"], &["toolong", "\u{1f600}\u{1f600}é\u{301}xyz"])
        }
        FieldType::Integer | FieldType::Decimal | FieldType::Currency => return number(choose, field, broken),
        FieldType::Boolean => (&["true", "no", "YES", " 0 ", "1", "False"], &["on", "2", "tru"]),
        FieldType::Date => (
            &["2024-02-29", "1993-08-28", " 2000-02-29 ", "0000-01-01", "9999-12-31"],
            &[
                "2023-02-29",
                "1900-02-29",
                "2024-2-29",
                "20240229",
                "29/02/2024",
                "2024-04-31",
                "2024-00-10",
                "+024-01-01",
            ],
        ),
        FieldType::Datetime => (
            &[
                "2024-01-01T10:00:00Z",
                "2024-01-01 10:00:00.250",
                "2024-01-01t00:10:00+02:00",
                "2024-02-29T23:30:59.123456789-11:30",
                "1999-12-31T23:59:59-00:01",
                "2000-01-01T00:00:00z",
            ],
            &[
                "2024-01-01",
                "2024-01-01T24:00:00Z",
                "2024-01-01T10:00:60Z",
                "2024-02-30T10:00:00Z",
                "2024-01-01T10:00Z",
                "2024-01-01T10:00:00.1234567891Z",
                "2024-01-01T10:00:00.Z",
                "2024-01-01T10:00:00,5Z",
                "2024-01-01T10:00:00+0200",
                "2024-01-01T10:00:00+02",
                "2024-01-01T10:00:00+24:00",
                "2024-01-01T10:00:00 +02:00",
                "2024-01-01T10:00:00Z[UTC]",
                "2024-01-01T10:00:00Z!",
                "yesterday",
            ],
        ),
        FieldType::Select => (&["m", "F", "female", " UNKNOWN "], &["x", "malefemale"]),
        FieldType::MultiSelect => (&["vip", "new one;VIP", " OLD ;vip; old;", ";"], &["vip;x", "vip,new"]),
        FieldType::Json => {
            let right = choose.below(10) < 8 || !broken;
            let fitting: Vec<&str> =
                cells::JSON.iter().filter(|(_, read)| read.is_ok() == right).map(|(text, _)| *text).collect();
            return choose.one_of(&fitting).to_owned();
        }
    };
    let cell = match broken && choose.percent(30) {
        true => choose.one_of(bad),
        false => choose.one_of(good),
    };
    match field.max_length {
        Some(_) if !broken => cell.chars().take(5).collect(),
        _ => cell.to_owned(),
    }
}

/// A number: small mostly; at the edges of what can be kept, or not a number, where a row may be broken.
fn number(choose: &mut impl Choose, field: &Field, broken: bool) -> String {
    let fraction = field.kind != FieldType::Integer;
    let edges = [
        "0.000000000001",
        "9999999999999999999999999999",
        "-9999999999999999999999999999",
        "999999999999999.9999999999999",
        "9999999999999999.999999999999",
        "-0.999999999999",
    ];
    let wholes = ["9223372036854775807", "-9223372036854775808", "1", "-1", "007", "+5"];
    let bad = [
        "9223372036854775808",
        "10000000000000000000000000000",
        "0.0000000000001",
        "12,5",
        "1e3",
        "abc",
        "5.",
        ".5",
        "-",
        "1 000",
        "٣",
        "NaN",
        "--1",
        "1_000",
    ];
    match choose.below(20) {
        0..8 => choose.below(60).to_string(),
        8..11 => format!(" -{}", choose.below(60)),
        11..15 if fraction => format!("{}.{:03}0", choose.below(40), choose.below(1_000)),
        15..17 if fraction => choose.one_of(&edges).to_owned(),
        17 if broken => choose.one_of(&bad).to_owned(),
        18 if broken => {
            let mut digits =
                |most| (0..choose.below(most)).map(|_| (b'0' + choose.below(10) as u8) as char).collect::<String>();
            format!("{}.{}", digits(30), digits(15))
        }
        _ => choose.one_of(&wholes).to_owned(),
    }
}

/// The rows as a CSV file with every cell in quotes, so that no row can be mistaken for a blank line.
pub fn csv<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>) -> String {
    let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let line = |row: &'a Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n";
    rows.into_iter().map(line).collect()
}
