//! Lists that are given page by page.

use super::failure::Failure;
use muster_core::Code;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on the page.
    pub data: Vec<T>,
    /// The `cursor` of the next page; null: this is the last one.
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page, and the place at which the next one begins.
    pub fn new(data: impl IntoIterator<Item = T>, next: Option<impl Display>) -> Self {
        Self { data: data.into_iter().collect(), next_cursor: next.map(Cursor::seal) }
    }

    /// The only page of a short list.
    pub fn only(data: impl IntoIterator<Item = T>) -> Self {
        Self::new(data, None::<&str>)
    }
}

/// How many entries a page of the native face has.
pub type Limit = UpTo<1_000, 100>;

/// The number of a page, or how many entries one has: from 1 to the most, and what it is where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct UpTo<const MOST: u32, const DEFAULT: u32>(pub u32);

impl<const MOST: u32, const DEFAULT: u32> Default for UpTo<MOST, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const MOST: u32, const DEFAULT: u32> TryFrom<u32> for UpTo<MOST, DEFAULT> {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        (1..=MOST).contains(&number).then_some(Self(number)).ok_or_else(|| format!("this is a number from 1 to {MOST}"))
    }
}

/// Where a page begins. Nobody outside needs to understand it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor for this place, which [`Self::open`] reads again.
    pub fn seal(place: impl Display) -> Self {
        Self(place.to_string().bytes().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads what [`Self::seal`] wrote.
    pub fn open<T: FromStr>(&self) -> Result<T, Failure> {
        let byte = |i: usize| u8::from_str_radix(self.0.get(2 * i..2 * i + 2)?, 16).ok();
        let bytes = (0..self.0.len().div_ceil(2)).map(byte).collect::<Option<Vec<u8>>>();
        let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        place.ok_or_else(|| Failure::new(Code::InvalidRequest, "The cursor is not one of ours."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_from_1_to_the_most() {
        let read = |number: u32| UpTo::<100, 12>::try_from(number).map(|number| number.0).ok();
        assert_eq!([0, 1, 100, 101].map(read), [None, Some(1), Some(100), None]);
        assert_eq!(UpTo::<100, 12>::default().0, 12);
    }

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_refused() {
        assert_eq!(Cursor::seal(42).open::<i64>().ok(), Some(42));
        for text in ["", "4", "zz", "4é", "ff", "+1"] {
            assert!(Cursor(text.to_owned()).open::<i64>().is_err(), "{text}");
        }
    }
}
