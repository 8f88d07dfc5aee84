//! Which change sets of a commit touch which fields, so that a field is found without reading what the others changed.

use muster_core::field::FieldNumber;
use muster_core::user::Change;
use std::collections::BTreeMap;

/// The fields that the change sets of a commit touch, gathered as the sets are.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    sets: u32,
    fields: BTreeMap<FieldNumber, Runs>,
}

impl Touched {
    /// Takes the next change set. To be called once for each, in the order in which they are recorded.
    pub fn add(&mut self, changes: &[Change]) {
        for change in changes {
            self.fields.entry(change.field).or_default().push(self.sets);
        }
        self.sets += 1;
    }

    /// How many change sets were taken.
    pub(crate) fn len(&self) -> usize {
        self.sets as usize
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (FieldNumber, &Runs)> {
        self.fields.iter().map(|(field, runs)| (*field, runs))
    }
}

/// A set of places in a row of change sets, kept as lengths: how many are not in it, how many are, how many are not, and
/// so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    lengths: Vec<u32>,
    end: u32,
}

impl Runs {
    /// Adds a place, which is behind the last one or is the last one.
    fn push(&mut self, place: u32) {
        match self.lengths.last_mut() {
            Some(_) if place < self.end => return,
            Some(length) if place == self.end => *length += 1,
            Some(_) | None => self.lengths.extend([place - self.end, 1]),
        }
        self.end = place + 1;
    }

    /// The first so many places.
    pub(crate) fn first(count: u32) -> Self {
        Self { lengths: vec![0, count], end: count }
    }

    /// The places, the last one first.
    pub(crate) fn iter_backwards(&self) -> impl Iterator<Item = u32> {
        let mut end = self.end;
        let runs = self.lengths.iter().enumerate().rev().map(move |(i, length)| {
            end -= length;
            if i % 2 == 1 { end..end + length } else { 0..0 }
        });
        runs.flat_map(Iterator::rev)
    }

    pub(crate) fn to_text(&self) -> String {
        self.lengths.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Reads what [`Self::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lengths = text.split(' ').map(|length| length.parse().ok()).collect::<Option<Vec<u32>>>()?;
        let end = lengths.iter().try_fold(0u32, |end, length| end.checked_add(*length))?;
        (lengths.len() % 2 == 0).then_some(Self { lengths, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_in_reverse() {
        for places in [&[0][..], &[0, 1, 2], &[3], &[0, 2, 3, 4, 900, 902], &[5, 5, 6]] {
            let mut runs = Runs::default();
            places.iter().for_each(|place| runs.push(*place));
            let mut expected = places.to_vec();
            expected.dedup();
            expected.reverse();
            assert_eq!(runs.iter_backwards().collect::<Vec<_>>(), expected);
            assert_eq!(Runs::parse(&runs.to_text()), Some(runs));
        }
        assert_eq!(Runs::first(3).to_text(), "0 3");
        for text in ["", "1", "x 1", "1  2", "4294967295 1", "-1 1"] {
            assert_eq!(Runs::parse(text), None, "{text}");
        }
    }
}
