//! Exact arithmetic. A number is read from its text, never through a float, and nothing is ever rounded.

use rust_decimal::Decimal;

/// The most digits a decimal may have, leading and trailing zeros not counted.
pub const MAX_SIGNIFICANT_DIGITS: u32 = 28;
/// The most digits a decimal may have after its point, trailing zeros not counted.
pub const MAX_FRACTION_DIGITS: u32 = 12;

/// Why a text is not a usable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It is not a number of this kind at all.
    Invalid,
    /// It is a number, and would have to be rounded or does not fit.
    OutOfRange,
}

/// Reads a decimal: an optional sign, digits, and optionally `.` and digits.
pub fn parse_decimal(text: &str) -> Result<Decimal, NumberError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || unsigned.ends_with('.') {
        return Err(NumberError::Invalid);
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let significant = match whole {
        "" => fraction.trim_start_matches('0').len(),
        _ => whole.len() + fraction.len(),
    };
    if significant > MAX_SIGNIFICANT_DIGITS as usize || fraction.len() > MAX_FRACTION_DIGITS as usize {
        return Err(NumberError::OutOfRange);
    }
    let mantissa = whole.bytes().chain(fraction.bytes()).fold(0i128, |n, digit| n * 10 + i128::from(digit - b'0'));
    exact(if text.starts_with('-') { -mantissa } else { mantissa }, fraction.len() as u32)
}

/// Reads a 64-bit whole number: an optional sign and digits. A fraction is not a whole number, even `.0`.
pub fn parse_integer(text: &str) -> Result<i64, NumberError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::Invalid);
    }
    text.parse().map_err(|_| NumberError::OutOfRange)
}

/// The exact sum, or `OutOfRange` where it would have to be rounded.
pub fn add(a: Decimal, b: Decimal) -> Result<Decimal, NumberError> {
    let scale = a.scale().max(b.scale());
    // An operand that overflows 128 bits here has its last digit so far behind the other's first that the sum needs
    // more digits than are allowed: both are normalized, so no digit is lost to trailing zeros.
    let align = |n: Decimal| 10i128.checked_pow(scale - n.scale()).and_then(|factor| n.mantissa().checked_mul(factor));
    let sum = align(a).zip(align(b)).and_then(|(a, b)| a.checked_add(b)).ok_or(NumberError::OutOfRange)?;
    exact(sum, scale)
}

/// The exact difference, or `OutOfRange` where it would have to be rounded.
pub fn subtract(a: Decimal, b: Decimal) -> Result<Decimal, NumberError> {
    add(a, -b)
}

/// The shortest decimal of this mantissa and scale, if it keeps within the limits.
fn exact(mut mantissa: i128, mut scale: u32) -> Result<Decimal, NumberError> {
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    if scale > MAX_FRACTION_DIGITS || mantissa.unsigned_abs() >= 10u128.pow(MAX_SIGNIFICANT_DIGITS) {
        return Err(NumberError::OutOfRange);
    }
    Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| NumberError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        let read = |text| parse_decimal(text).map(|n| n.to_string());
        assert_eq!(read("+007.500"), Ok("7.5".into()));
        assert_eq!(read("-0"), Ok("0".into()));
        assert_eq!(read("9999999999999999999999999999"), Ok("9999999999999999999999999999".into()));
        assert_eq!(read("0.000000000001"), Ok("0.000000000001".into()));
        for invalid in ["", "+", "-", ".", ".5", "5.", "1e3", "1,5", " 1", "1 ", "١", "0x1", "--1", "NaN"] {
            assert_eq!(read(invalid), Err(NumberError::Invalid), "{invalid:?}");
        }
        for out in ["10000000000000000000000000001", "0.0000000000001", "1234567890123456789012345678.5"] {
            assert_eq!(read(out), Err(NumberError::OutOfRange), "{out:?}");
        }
    }

    #[test]
    fn sums_that_would_round_are_refused() {
        let n = |text| parse_decimal(text).unwrap();
        assert_eq!(add(n("0.1"), n("0.2")), Ok(n("0.3")));
        assert_eq!(add(n("9999999999999999999999999999"), n("0.000000000001")), Err(NumberError::OutOfRange));
        assert_eq!(add(n("9999999999999999999999999999"), n("1")), Err(NumberError::OutOfRange));
        assert_eq!(subtract(n("5"), n("5.00")), Ok(n("0")));
    }

    #[test]
    fn integers_are_whole_and_of_64_bits() {
        assert_eq!(parse_integer("+9223372036854775807"), Ok(i64::MAX));
        assert_eq!(parse_integer("9223372036854775808"), Err(NumberError::OutOfRange));
        for invalid in ["1.0", "", "1e2", "12,5", " 1"] {
            assert_eq!(parse_integer(invalid), Err(NumberError::Invalid), "{invalid:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_subtracted(a in -10i64.pow(15)..10i64.pow(15), b in -10i64.pow(15)..10i64.pow(15), s in 0u32..12, t in 0u32..12) {
            let (a, b) = (exact(a.into(), s).unwrap(), exact(b.into(), t).unwrap());
            let sum = add(a, b).unwrap();
            prop_assert_eq!(subtract(sum, b).unwrap(), a);
            prop_assert_eq!(parse_decimal(&sum.to_string()).unwrap(), sum);
        }
    }
}
