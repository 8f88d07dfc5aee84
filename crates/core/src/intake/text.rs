//! The text of a file: expanded, decoded, chunk by chunk.

use super::compression::Expanded;
use super::encoding::Transcoder;
use super::sniff::Source;
use super::{Limits, ReadError};
use std::io::{BufReader, Read};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The text of a file, chunk by chunk.
pub(super) struct Text<R: Read> {
    pub bytes: Expanded<BufReader<R>>,
    transcoder: Transcoder,
    raw: Vec<u8>,
    /// The part of `raw` that was read, without a byte order mark.
    filled: std::ops::Range<usize>,
    decoded: Vec<u8>,
    bom_bytes: usize,
    ended: bool,
}

impl<R: Read> Text<R> {
    pub fn new(reader: R, source: &Source, limits: Limits) -> Self {
        let reader = BufReader::with_capacity(CHUNK_BYTES, reader);
        Self {
            bytes: Expanded::new(reader, source.compression, limits),
            transcoder: Transcoder::new(source.encoding),
            raw: vec![0; CHUNK_BYTES],
            filled: 0..0,
            decoded: Vec::new(),
            bom_bytes: source.bom_bytes.into(),
            ended: false,
        }
    }

    pub fn chunk(&self) -> &[u8] {
        if self.transcoder.is_identity() { &self.raw[self.filled.clone()] } else { &self.decoded }
    }

    /// Replaces the chunk by the next; `false` at the end. Where it fails, the chunk in hand is empty.
    pub fn advance(&mut self) -> Result<bool, ReadError> {
        self.filled = 0..0;
        self.decoded.clear();
        if self.ended {
            return Ok(false);
        }
        let read = self.bytes.read(&mut self.raw)?;
        let begin = self.bom_bytes.min(read);
        self.bom_bytes -= begin;
        self.filled = begin..read;
        self.ended = read == 0;
        if !self.transcoder.is_identity() {
            self.transcoder.push(&self.raw[begin..read], self.ended, &mut self.decoded);
        }
        Ok(!self.ended || !self.decoded.is_empty())
    }
}
