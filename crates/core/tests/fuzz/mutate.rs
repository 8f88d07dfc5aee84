//! Changes to files: small ones anywhere, and pieces of other files and of the words of a format put in.

use muster_core::intake::compression::Compression;
use muster_core::intake::sniff::Format;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fmt;

/// A file as it is sent.
#[derive(Clone, Default)]
pub struct Case {
    pub bytes: Vec<u8>,
    pub compression: Option<Compression>,
    /// What the sender says it is.
    pub hint: Option<Format>,
    /// The sizes of the pieces in which it comes, and in which it is read again. None: as a whole.
    pub pushed: Vec<usize>,
    pub pulled: Vec<usize>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "b\"{}\"", self.bytes.escape_ascii())?;
        write!(f, "{:?} {:?} {:?} {:?}", self.compression, self.hint, self.pushed, self.pulled)
    }
}

#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Cut(Index),
}

/// Files of a corpus with some changes.
pub fn cases(corpus: Vec<Vec<u8>>, words: &[&[u8]]) -> impl Strategy<Value = Case> + use<> {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
    let sizes = || prop_oneof![Just(Vec::new()), vec(1..4_usize, 1..4), vec(1..300_usize, 1..4)];
    let compression = select(vec![None, None, Some(Compression::Gzip), Some(Compression::Zstd)]);
    let hint =
        select(vec![None, None, Some(Format::Csv), Some(Format::Ndjson), Some(Format::Json), Some(Format::Xlsx)]);
    let changes = vec(change(corpus.clone(), words), 0..12);
    (select(corpus), changes, compression, hint, sizes(), sizes()).prop_map(
        |(mut bytes, changes, compression, hint, pushed, pulled)| {
            changes.into_iter().for_each(|change| apply(change, &mut bytes));
            Case { bytes, compression, hint, pushed, pulled }
        },
    )
}

fn change(corpus: Vec<Vec<u8>>, words: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    let piece = (select(corpus), any::<Index>(), 1..40_usize).prop_map(|(file, at, length)| {
        let from = at.index(file.len() + 1);
        file[from..].iter().take(length).copied().collect::<Vec<u8>>()
    });
    let odd = select(vec![0_u8, 0x7F, 0x80, 0xC3, 0xED, 0xFE, 0xFF, b'\r', b'\n', b'"', b'\\', b' ']);
    prop_oneof![
        2 => (any::<Index>(), prop_oneof![odd, any::<u8>()]).prop_map(|(at, byte)| Change::Set(at, byte)),
        4 => (any::<Index>(), select(words)).prop_map(|(at, word)| Change::Insert(at, word)),
        2 => (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        3 => (any::<Index>(), 1..30_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (any::<Index>(), 1..30_usize, 1..40_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

fn apply(change: Change, bytes: &mut Vec<u8>) {
    let place = |at: &Index| at.index(bytes.len() + 1);
    match change {
        Change::Set(at, byte) => {
            let at = place(&at);
            bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte);
        }
        Change::Insert(at, piece) => {
            let at = place(&at);
            bytes.splice(at..at, piece);
        }
        Change::Remove(at, length) => {
            let at = place(&at);
            bytes.drain(at..bytes.len().min(at + length));
        }
        Change::Repeat(at, length, times) => {
            let at = place(&at);
            let piece = bytes[at..bytes.len().min(at + length)].repeat(times);
            bytes.splice(at..at, piece);
        }
        Change::Cut(at) => bytes.truncate(place(&at)),
    }
}
