//! The order of values as texts: two values of a field compare as their keys compare by code point, on both databases and
//! in memory. Indexes hold such keys, and sorts and their cursors are made of them.

use crate::field::FieldType;
use crate::value::Value;
use rust_decimal::Decimal;

/// How many characters of a key an index holds. Characters and not bytes: cut after a number of bytes, a text could come
/// before one that it follows.
pub const INDEX_CHARS: usize = 64;

/// The key of a value among the values of its field. None for what has no order: several options,
/// identities, and JSON.
///
/// Numbers compare exactly and by value, whatever their digits; times likewise.
pub fn order_key(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number_key(Decimal::from(*number))),
        Value::Decimal(number) => Some(number_key(*number)),
        Value::Boolean(value) => Some(if *value { "1" } else { "0" }.to_owned()),
        Value::Date(date) => Some(date.to_string()),
        Value::Datetime(time) => Decimal::try_from_i128_with_scale(time.as_nanosecond(), 0).ok().map(number_key),
        Value::Options(_) | Value::Identities(_) | Value::Json(_) => None,
    }
}

/// The order of a number: its sign, how many digits stand before the point, then the digits. Of a negative number
/// everything is turned round, and an end that is greater than any digit makes the shorter one the greater one.
fn number_key(number: Decimal) -> String {
    let (digits, scale) = (number.mantissa().unsigned_abs().to_string(), number.scale() as usize);
    let digits = format!("{digits:0>scale$}");
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let key = format!("{:02}{whole}{fraction}", whole.len());
    match number.is_sign_negative() && !number.is_zero() {
        false => format!("1{key}"),
        true => {
            let turned = key.bytes().map(|digit| char::from(b'9' - (digit - b'0')));
            format!("0{}~", turned.collect::<String>())
        }
    }
}

/// The beginning of a key that an index holds. Where one key is less than another, its beginning is not greater than
/// the other's.
pub fn index_key(key: &str) -> &str {
    key.char_indices().nth(INDEX_CHARS).map_or(key, |(end, _)| &key[..end])
}

/// The keys under which an index finds a value: one for each option where there may be several, else one.
pub fn index_keys(value: &Value) -> Vec<String> {
    match value {
        Value::Options(keys) => {
            let mut keys: Vec<String> = keys.iter().map(|key| index_key(key).to_owned()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        }
        value => order_key(value).map(|key| index_key(&key).to_owned()).into_iter().collect(),
    }
}

impl FieldType {
    /// Whether the values of a field have an order: less, greater, sorted.
    pub fn is_ordered(self) -> bool {
        !matches!(self, Self::MultiSelect | Self::Json)
    }

    /// Whether users can be found by an index over the field.
    pub fn can_be_indexed(self) -> bool {
        self != Self::Json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal() -> impl Strategy<Value = Decimal> {
        let mantissa = prop_oneof![-200i128..200, -10i128.pow(28) + 1..10i128.pow(28)];
        (mantissa, 0u32..=12).prop_map(|(mantissa, scale)| Decimal::from_i128_with_scale(mantissa, scale))
    }

    #[test]
    fn numbers_that_are_hard_to_order_are_ordered() {
        let texts = [
            "-9999999999999999999999999999",
            "-100",
            "-12.5",
            "-12",
            "-1.01",
            "-1",
            "-0.5",
            "-0.05",
            "0",
            "0.05",
            "0.5",
            "1",
            "1.01",
            "2",
            "9",
            "10",
            "12",
            "12.5",
            "100",
            "9999999999999999999999999999",
        ];
        let keys: Vec<String> = texts.iter().map(|text| number_key(text.parse().unwrap())).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        let key = |text: &str| number_key(text.parse().unwrap());
        assert_eq!((key("-0"), key("1.50"), key("10.0")), (key("0"), key("1.5"), key("10")));
    }

    #[test]
    fn an_index_holds_the_beginning_of_a_text_and_one_entry_for_each_option() {
        assert_eq!(index_keys(&Value::Text("é".repeat(100))), ["é".repeat(INDEX_CHARS)]);
        assert_eq!(index_keys(&Value::Text(String::new())), [""]);
        assert_eq!(index_keys(&Value::Options(vec!["b".into(), "a".into()])), ["a", "b"]);
        assert_eq!(index_keys(&Value::Options(Vec::new())), [""; 0]);
        assert_eq!(index_keys(&Value::Json("{}".into())), [""; 0]);
    }

    proptest! {
        #[test]
        fn keys_compare_as_their_numbers(a in decimal(), b in decimal(), x: i64, y: i64) {
            prop_assert_eq!(number_key(a).cmp(&number_key(b)), a.cmp(&b));
            let key = |n| order_key(&Value::Integer(n)).unwrap();
            prop_assert_eq!(key(x).cmp(&key(y)), x.cmp(&y));
        }

        #[test]
        fn keys_compare_as_their_times(a in -377_705_023_201i64..253_402_207_200, b in -5i64..5, nanos in 0i32..1_000_000_000) {
            let time = |second, nano| jiff::Timestamp::new(second, nano).unwrap();
            let (x, y) = (time(a.max(0) / 2, nanos), time(b, 0));
            let key = |time| order_key(&Value::Datetime(time)).unwrap();
            prop_assert_eq!(key(x).cmp(&key(y)), x.cmp(&y));
        }

        #[test]
        fn beginnings_keep_the_order(a in "[aé😀]{60,70}", b in "[aé😀]{60,70}") {
            if a < b {
                prop_assert!(index_key(&a) <= index_key(&b));
            }
        }
    }
}
