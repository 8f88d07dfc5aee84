//! What the number in a cell says: a decimal, or a day or instant where its format shows one.

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, ToSpan};

/// What a number format makes of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, however it is decorated.
    #[default]
    Number,
    /// A day.
    Date,
    /// A day and a time.
    Datetime,
    /// A time of a day, or a duration.
    Time,
}

impl Kind {
    /// What the formats stand for that files name by their number only (ECMA-376, 18.8.30).
    pub fn built_in(id: u32) -> Self {
        match id {
            14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Self::Date,
            22 => Self::Datetime,
            18..=21 | 32..=35 | 45..=47 | 55 | 56 => Self::Time,
            _ => Self::Number,
        }
    }

    /// What a format code stands for: its first section decides.
    pub fn of_code(code: &str) -> Self {
        let code = code.to_ascii_lowercase().replace("general", "").replace("am/pm", "h").replace("a/p", "h");
        let (mut date, mut time, mut month_or_minute) = (false, false, false);
        let mut chars = code.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                ';' => break,
                '"' => drop(chars.by_ref().find(|c| *c == '"')),
                '\\' | '_' | '*' => drop(chars.next()),
                // [h], [mm] and [ss] count on past a day; all else in brackets is a colour, a condition or a place.
                '[' => {
                    let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                    time |= !inside.is_empty() && ['h', 'm', 's'].iter().any(|unit| inside.chars().all(|c| c == *unit));
                }
                'y' | 'd' => date = true,
                'h' | 's' => time = true,
                'm' => month_or_minute = true,
                _ => {}
            }
        }
        match (date || (month_or_minute && !time), time) {
            (true, true) => Self::Datetime,
            (true, false) => Self::Date,
            (false, true) => Self::Time,
            (false, false) => Self::Number,
        }
    }
}

/// The most digits that a spreadsheet keeps of a number.
const PRECISION: usize = 15;

/// A stored number as a plain decimal, as the spreadsheet shows it in full: `None` where it is no number.
///
/// Spreadsheets keep binary floats and write them with up to 17 digits, so 1.1 may be stored as 1.1000000000000001. Of a
/// fraction with more than 15 digits the shortest decimal is taken that is the same float, and where that still has the
/// noise of a calculation (0.1+0.2 is 0.30000000000000004) the 15 digits that the spreadsheet itself shows.
pub(super) fn decimal(stored: &str) -> Option<String> {
    let digits = Digits::parse(stored.trim())?;
    if digits.significant() <= PRECISION || digits.is_whole() {
        return Some(digits.to_string());
    }
    let float: f64 = stored.trim().parse().ok()?;
    let shortest = Digits::parse(&float.to_string())?;
    if shortest.significant() <= PRECISION {
        return Some(shortest.to_string());
    }
    let shown = Digits::parse(&format!("{float:.*e}", PRECISION - 1))?;
    // A value of so many digits that ends in zeros only when it is cut is the result of a calculation.
    let noise = shown.significant() + 3 <= PRECISION;
    Some(if noise { shown } else { shortest }.to_string())
}

/// A decimal: its digits without zeros at the ends, and how many of them stand behind the point (negative: zeros follow).
struct Digits {
    negative: bool,
    digits: String,
    scale: i32,
}

impl Digits {
    fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{whole}{fraction}");
        // Floats have exponents below 400, and nothing else is a number here.
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 400 || all.len() > 400 {
            return None;
        }
        let digits = all.trim_end_matches('0');
        let scale = fraction.len() as i32 - exponent - (all.len() - digits.len()) as i32;
        let digits = digits.trim_start_matches('0').to_owned();
        let negative = number.starts_with('-') && !digits.is_empty();
        Some(Self { negative, scale: if digits.is_empty() { 0 } else { scale }, digits })
    }

    fn significant(&self) -> usize {
        self.digits.len()
    }

    fn is_whole(&self) -> bool {
        self.scale <= 0
    }
}

impl std::fmt::Display for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.scale <= 0 {
            return write!(f, "{sign}{}{}", self.digits, "0".repeat(self.scale.unsigned_abs() as usize));
        }
        let padded = format!("{:0>1$}", self.digits, self.scale as usize + 1);
        let (whole, fraction) = padded.split_at(padded.len() - self.scale as usize);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// The milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A stored number as its format shows it: a day, an instant in UTC, or a time. `None` where it shows none, such as the
/// 29th of February 1900, which spreadsheets believe in.
pub(super) fn moment(stored: &str, kind: Kind, since_1904: bool) -> Option<String> {
    let serial: f64 = stored.trim().parse().ok()?;
    // To the millisecond, which is as exact as spreadsheets are.
    let all = (serial * DAY_MS as f64).round();
    if !(0.0..3e6 * DAY_MS as f64).contains(&all) {
        return None;
    }
    let (days, time) = (all as i64 / DAY_MS, all as i64 % DAY_MS);
    if kind == Kind::Time && (days == 0 || !since_1904 && days < 366) {
        return Some(clock(all as i64));
    }
    let epoch = match (since_1904, days) {
        (true, _) => Date::constant(1904, 1, 1),
        (false, 1..=59) => Date::constant(1899, 12, 31),
        (false, 61..) => Date::constant(1899, 12, 30),
        (false, _) => return None,
    };
    let date = epoch.checked_add(days.days()).ok()?;
    if time == 0 && kind == Kind::Date {
        return Some(date.to_string());
    }
    let instant = DateTime::from(date).checked_add(SignedDuration::from_millis(time)).ok()?;
    Some(format!("{instant}Z"))
}

/// Hours, minutes and seconds.
fn clock(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        for (stored, shown) in [
            ("0.1", "0.1"),
            ("5", "5"),
            ("5.0", "5"),
            ("-0", "0"),
            ("1.1000000000000001", "1.1"),
            ("0.30000000000000004", "0.3"),
            ("11.000000000000002", "11"),
            ("12345678901234.567", "12345678901234.566"),
            ("1E-3", "0.001"),
            ("1.5E+20", "150000000000000000000"),
            ("-2.5e-7", "-0.00000025"),
            ("31612345678", "31612345678"),
            ("9007199254740993", "9007199254740993"),
            ("100", "100"),
            ("0.000", "0"),
            (" 7 ", "7"),
        ] {
            assert_eq!(decimal(stored).as_deref(), Some(shown), "{stored}");
        }
        for no_number in ["", "-", ".", "1e", "1e9999", "abc", "1,5", "NaN", "inf", "0x10"] {
            assert_eq!(decimal(no_number), None, "{no_number}");
        }
    }

    #[test]
    fn formats_say_what_a_number_is() {
        for (code, kind) in [
            ("General", Kind::Number),
            ("0.00", Kind::Number),
            ("0.00E+00", Kind::Number),
            ("#,##0.00 [$€-407];[Red]-#,##0.00", Kind::Number),
            ("\"days\" 0", Kind::Number),
            ("0\\d", Kind::Number),
            ("yyyy-mm-dd", Kind::Date),
            ("[$-409]mmm yy", Kind::Date),
            ("mmmm", Kind::Date),
            ("dd/mm/yyyy hh:mm", Kind::Datetime),
            ("YYYY-MM-DD HH:MM:SS", Kind::Datetime),
            ("h:mm AM/PM", Kind::Time),
            ("[h]:mm:ss", Kind::Time),
            ("[mm]:ss", Kind::Time),
            ("mm:ss.0", Kind::Time),
            ("General;yyyy", Kind::Number),
            ("@", Kind::Number),
        ] {
            assert_eq!(Kind::of_code(code), kind, "{code}");
        }
    }

    #[test]
    fn serial_numbers_are_days_and_instants() {
        let read = |stored, kind| moment(stored, kind, false);
        assert_eq!(read("45292", Kind::Date).as_deref(), Some("2024-01-01"));
        assert_eq!(read("45292", Kind::Datetime).as_deref(), Some("2024-01-01T00:00:00Z"));
        assert_eq!(read("45292.416666666664", Kind::Datetime).as_deref(), Some("2024-01-01T10:00:00Z"));
        assert_eq!(read("45292.5", Kind::Date).as_deref(), Some("2024-01-01T12:00:00Z"), "a time is never dropped");
        assert_eq!(read("1", Kind::Date).as_deref(), Some("1900-01-01"));
        assert_eq!(read("59", Kind::Date).as_deref(), Some("1900-02-28"));
        assert_eq!(read("60", Kind::Date), None);
        assert_eq!(read("61", Kind::Date).as_deref(), Some("1900-03-01"));
        assert_eq!(read("2958465", Kind::Date).as_deref(), Some("9999-12-31"));
        for outside in ["2958466", "-1", "0", "1e300", "x"] {
            assert_eq!(read(outside, Kind::Date), None, "{outside}");
        }
        assert_eq!(read("0.5", Kind::Time).as_deref(), Some("12:00:00"));
        assert_eq!(read("1.0625", Kind::Time).as_deref(), Some("25:30:00"));
        assert_eq!(moment("0", Kind::Date, true).as_deref(), Some("1904-01-01"));
        assert_eq!(moment("43830", Kind::Date, true).as_deref(), Some("2024-01-01"));
    }
}
