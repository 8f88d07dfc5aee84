//! How the model reads a cell: its own reading of section 4 of the contract. A value is the text by which it is shown.

use super::{Exact, Field};
use muster_core::field::FieldType;

/// Cells of JSON, and what becomes of each. The model reads no others.
pub const JSON: &[(&str, Result<&str, &str>)] = &[
    ("[]", Ok("[]")),
    ("{\"b\": 1, \"a\": [true, null]}", Ok("{\"b\":1,\"a\":[true,null]}")),
    (" \"x, \\\"y\\\"\" ", Ok("\"x, \\\"y\\\"\"")),
    ("12345678901234567890.12345678901234567890", Ok("12345678901234567890.12345678901234567890")),
    ("false", Ok("false")),
    ("{", Err("invalid_json")),
    ("null", Err("invalid_json")),
    ("\"\\u0000\"", Err("nul_character")),
];

/// The value of a cell that is neither empty nor the clear token, or the code of its fault.
pub fn read(field: &Field, cell: &str) -> Result<String, &'static str> {
    let trimmed = cell.trim();
    match field.kind {
        FieldType::Text | FieldType::LongText => match cell.chars().count() > field.most_characters() {
            true => Err("too_long"),
            false => Ok(cell.to_owned()),
        },
        FieldType::Integer => integer(trimmed),
        FieldType::Decimal | FieldType::Currency => Exact::read(trimmed).map(|number| number.to_string()),
        FieldType::Boolean => match trimmed.to_lowercase().as_str() {
            "true" | "yes" | "1" => Ok("true".to_owned()),
            "false" | "no" | "0" => Ok("false".to_owned()),
            _ => Err("invalid_boolean"),
        },
        FieldType::Date => date(trimmed).map_or(Err("invalid_date"), |date| Ok(date.to_string())),
        FieldType::Datetime => datetime(trimmed).ok_or("invalid_datetime"),
        FieldType::Select => option(field, trimmed).map(str::to_owned),
        FieldType::MultiSelect => {
            let words = trimmed.split(';').map(str::trim).filter(|word| !word.is_empty());
            let chosen: Vec<&str> = words.map(|word| option(field, word)).collect::<Result<_, _>>()?;
            let keys = field.options.iter().map(|(key, _)| *key);
            Ok(keys.filter(|key| chosen.contains(key)).collect::<Vec<_>>().join(";"))
        }
        FieldType::Json => {
            let known = JSON.iter().find(|(text, _)| *text == cell);
            known.expect("the cell is one of those above").1.map(str::to_owned)
        }
    }
}

fn integer(text: &str) -> Result<String, &'static str> {
    if text.contains('.') {
        return Err("invalid_number");
    }
    let number = Exact::read(text)?;
    match number.is_integer() {
        true => Ok(number.to_string()),
        false => Err("out_of_range"),
    }
}

fn option(field: &Field, text: &str) -> Result<&'static str, &'static str> {
    let same = |word: &str| word.to_lowercase() == text.to_lowercase();
    let named = field.options.iter().find(|(key, name)| same(key) || same(name));
    named.map(|(key, _)| *key).ok_or("invalid_option")
}

struct Day {
    year: u32,
    month: u32,
    day: u32,
}

impl Day {
    fn length_of_month(year: u32, month: u32) -> u32 {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn next(self) -> Self {
        let Self { year, month, day } = self;
        match (month, day == Self::length_of_month(year, month)) {
            (_, false) => Self { year, month, day: day + 1 },
            (12, true) => Self { year: year + 1, month: 1, day: 1 },
            (_, true) => Self { year, month: month + 1, day: 1 },
        }
    }

    fn previous(self) -> Self {
        let Self { year, month, day } = self;
        let (year, month, day) = match (month, day) {
            (1, 1) => (year - 1, 12, 31),
            (_, 1) => (year, month - 1, Self::length_of_month(year, month - 1)),
            _ => (year, month, day - 1),
        };
        Self { year, month, day }
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// The numbers of a text that is shaped like a pattern, in which `0` stands for a digit.
fn shaped<const N: usize>(text: &str, pattern: &str) -> Option<[u32; N]> {
    let same = |(a, b): (char, char)| if b == '0' { a.is_ascii_digit() } else { a == b };
    if text.chars().count() != pattern.len() || !text.chars().zip(pattern.chars()).all(same) {
        return None;
    }
    let numbers: Vec<u32> = text.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse).collect();
    numbers.try_into().ok()
}

/// Exactly `YYYY-MM-DD`, and a day that there is.
fn date(text: &str) -> Option<Day> {
    let [year, month, day] = shaped(text, "0000-00-00")?;
    let real = (1..=12).contains(&month) && day >= 1 && day <= Day::length_of_month(year, month);
    real.then_some(Day { year, month, day })
}

/// RFC 3339, without a zone UTC; shown in UTC, with as many digits after the second as it has.
fn datetime(text: &str) -> Option<String> {
    let (day, rest) = text.split_at_checked(10)?;
    let (separator, rest) = rest.split_at_checked(1)?;
    let (time, rest) = rest.split_at_checked(8)?;
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.chars().take_while(char::is_ascii_digit).count());
    if !["T", "t", " "].contains(&separator) || digits > 9 || rest.starts_with('.') && digits == 0 {
        return None;
    }
    let (fraction, zone) = rest.split_at(if digits > 0 { digits + 1 } else { 0 });
    let [hour, minute, second] = shaped(time, "00:00:00")?;
    let mut day = date(day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut minutes = (hour * 60 + minute).cast_signed();
    if !["", "Z", "z"].contains(&zone) {
        let (sign, offset) = zone.split_at_checked(1)?;
        let [hours, rest] = shaped(offset, "00:00")?;
        let offset = (hours * 60 + rest).cast_signed();
        minutes -= match sign {
            "+" if hours < 24 && rest < 60 => offset,
            "-" if hours < 24 && rest < 60 => -offset,
            _ => return None,
        };
    }
    if minutes < 0 {
        (day, minutes) = (day.previous(), minutes + 24 * 60);
    } else if minutes >= 24 * 60 {
        (day, minutes) = (day.next(), minutes - 24 * 60);
    }
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{day}T{:02}:{:02}:{second:02}{fraction}Z", minutes / 60, minutes % 60))
}
