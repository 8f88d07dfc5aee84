//! Exact numbers, written plainly: whole ones, and parts of 10^-12 above them.

use std::fmt;

/// How many parts make a whole.
const WHOLE: i128 = 1_000_000_000_000;
/// The most digits a number may have, zeros at the ends of its fraction not counted.
const MOST_DIGITS: usize = 28;

/// `whole + parts / 10^12`, with parts from 0 up; so numbers compare as their two members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact {
    whole: i128,
    parts: i128,
}

impl Exact {
    pub const ZERO: Self = Self { whole: 0, parts: 0 };

    /// Reads an optional sign, digits, and optionally a point and digits; or says the code.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let (negative, unsigned) = match text.chars().next() {
            Some('-') => (true, &text[1..]),
            Some('+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err("invalid_number"),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        if whole.is_empty() || !(whole.to_owned() + fraction).chars().all(|c| c.is_ascii_digit()) {
            return Err("invalid_number");
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() > MOST_DIGITS || fraction.len() > 12 {
            return Err("out_of_range");
        }
        let read = |digits: &str| format!("0{digits}").parse::<i128>().expect("digits are a number");
        let number = Self { whole: read(whole), parts: read(&format!("{fraction:0<12}")) };
        let number = number.checked()?;
        if negative { Self::ZERO.minus(number) } else { Ok(number) }
    }

    /// The sum, where it keeps within the digits.
    pub fn plus(self, other: Self) -> Result<Self, &'static str> {
        let (whole, parts) = (self.whole + other.whole, self.parts + other.parts);
        let carried = Self { whole: whole + parts / WHOLE, parts: parts % WHOLE };
        carried.checked()
    }

    /// The difference, where it keeps within the digits.
    pub fn minus(self, other: Self) -> Result<Self, &'static str> {
        let (whole, parts) = (self.whole - other.whole, self.parts - other.parts);
        let carried = match parts < 0 {
            true => Self { whole: whole - 1, parts: parts + WHOLE },
            false => Self { whole, parts },
        };
        carried.checked()
    }

    /// Whether the number is whole and fits 64 bits.
    pub fn is_integer(self) -> bool {
        self.parts == 0 && i64::try_from(self.whole).is_ok()
    }

    fn checked(self) -> Result<Self, &'static str> {
        let digits = self.to_string().replace(['-', '.'], "");
        match digits.trim_start_matches('0').len() > MOST_DIGITS {
            true => Err("out_of_range"),
            false => Ok(self),
        }
    }
}

/// The shortest way to write it.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, parts) = match self.whole < 0 && self.parts > 0 {
            true => (self.whole + 1, WHOLE - self.parts),
            false => (self.whole, self.parts),
        };
        let sign = if self.whole < 0 { "-" } else { "" };
        let text = format!("{sign}{}.{parts:012}", whole.abs());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
