//! External merge sort: any number of items in bounded memory.
//!
//! Items are byte strings with a byte key. They gather in a buffer; a full buffer is sorted and written to a scratch file
//! as a run; at the end the runs are merged. What fits the buffer never touches the disk.

use crate::staging::Staging;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// How much is sorted in memory at a time.
pub(crate) const BUFFER_BYTES: usize = 32 << 20;
/// How much of each run is read ahead while merging.
const READ_AHEAD_BYTES: usize = 128 << 10;

/// Takes items in any order.
pub(crate) struct Sorter<'a> {
    staging: &'a Staging,
    capacity: usize,
    bytes: Vec<u8>,
    items: Vec<Item>,
    runs: Vec<File>,
}

/// Where an item lies in the buffer. The first eight bytes of its key decide nearly every comparison.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    prefix: u64,
    start: u32,
    key_len: u32,
    len: u32,
}

impl<'a> Sorter<'a> {
    pub(crate) fn new(staging: &'a Staging, capacity: usize) -> Self {
        Self { staging, capacity, bytes: Vec::new(), items: Vec::new(), runs: Vec::new() }
    }

    /// Takes an item. Items of the same key keep no order; put into the key what must decide.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let footprint = key.len() + value.len() + size_of::<Item>();
        if self.bytes.len() + self.items.len() * size_of::<Item>() + footprint > self.capacity && !self.items.is_empty()
        {
            self.spill()?;
        }
        let mut prefix = [0; 8];
        let head = key.len().min(8);
        prefix[..head].copy_from_slice(&key[..head]);
        self.items.push(Item {
            prefix: u64::from_be_bytes(prefix),
            start: self.bytes.len() as u32,
            key_len: key.len() as u32,
            len: (key.len() + value.len()) as u32,
        });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |item: &Item| &bytes[item.start as usize..][..item.key_len as usize];
        self.items.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))));
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let mut run = BufWriter::with_capacity(256 << 10, self.staging.scratch()?);
        for item in &self.items {
            run.write_all(&item.key_len.to_le_bytes())?;
            run.write_all(&item.len.to_le_bytes())?;
            run.write_all(&self.bytes[item.start as usize..][..item.len as usize])?;
        }
        let mut file = run.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        self.items.clear();
        self.bytes.clear();
        Ok(())
    }

    /// The items in order of their keys.
    pub(crate) fn finish(mut self) -> io::Result<Sorted> {
        if self.runs.is_empty() {
            self.sort();
            return Ok(Sorted::Memory { bytes: self.bytes, items: self.items.into_iter() });
        }
        self.spill()?;
        (self.bytes, self.items) = (Vec::new(), Vec::new());
        let mut runs: Vec<_> =
            self.runs.into_iter().map(|run| BufReader::with_capacity(READ_AHEAD_BYTES, run)).collect();
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(read_entry(run)?.map(|entry| Reverse((entry, index))));
        }
        Ok(Sorted::Runs { runs, heads })
    }
}

/// An item with its key: compared by the key, then by the rest, which never matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

fn read_entry(run: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut length = [0; 8];
    match run.read_exact(&mut length[..1]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    run.read_exact(&mut length[1..])?;
    let [a, b, c, d, e, f, g, h] = length;
    let (key_len, len) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
    let (mut key, mut value) = (vec![0; key_len], vec![0; len - key_len]);
    run.read_exact(&mut key)?;
    run.read_exact(&mut value)?;
    Ok(Some(Entry { key, value }))
}

/// Gives items back in order.
pub(crate) enum Sorted {
    Memory { bytes: Vec<u8>, items: std::vec::IntoIter<Item> },
    Runs { runs: Vec<BufReader<File>>, heads: BinaryHeap<Reverse<(Entry, usize)>> },
}

impl Sorted {
    /// The next item.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Self::Memory { bytes, items } => Ok(items.next().map(|item| {
                let (key, value) = bytes[item.start as usize..][..item.len as usize].split_at(item.key_len as usize);
                Entry { key: key.to_vec(), value: value.to_vec() }
            })),
            Self::Runs { runs, heads } => {
                let Some(Reverse((entry, index))) = heads.pop() else {
                    return Ok(None);
                };
                heads.extend(read_entry(&mut runs[index])?.map(|entry| Reverse((entry, index))));
                Ok(Some(entry))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_items_comes_back_in_order_from_any_buffer() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        for capacity in [1, 200, 10_000, 1 << 20] {
            let mut sorter = Sorter::new(&staging, capacity);
            let mut expected: Vec<(Vec<u8>, Vec<u8>)> = (0u32..2_000)
                .map(|i| (i.wrapping_mul(2_654_435_761).to_string().into_bytes(), vec![7; (i % 40) as usize]))
                .collect();
            for (key, value) in &expected {
                sorter.push(key, value).unwrap();
            }
            expected.sort();
            let mut sorted = sorter.finish().unwrap();
            for (key, value) in expected {
                let entry = sorted.next().unwrap().unwrap();
                assert_eq!((entry.key, entry.value), (key, value));
            }
            assert!(sorted.next().unwrap().is_none());
        }
        assert_eq!(staging.count_incoming().unwrap(), 0, "scratch files have no name");
    }
}
