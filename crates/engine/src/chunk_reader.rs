//! Reads prepared rows, a chunk at a time.

use crate::chunk::Chunk;
use crate::engine::Engine;
use crate::error::Result;
use crate::frames;
use crate::prepare::PreparedRow;
use muster_store::Prepared;
use std::fs::File;
use std::io::BufReader;

/// Reads the prepared rows of one job from a cursor on.
pub(crate) struct ChunkReader {
    rows: BufReader<File>,
    cursor: u64,
    buffer: Vec<u8>,
    /// The row after the last chunk.
    held: Option<(PreparedRow, u64)>,
}

impl ChunkReader {
    pub(crate) fn open(engine: &Engine, prepared: &Prepared, cursor: u64) -> Result<Self> {
        let rows = engine.staging().read(&prepared.rows, cursor)?;
        Ok(Self { rows, cursor, buffer: Vec::new(), held: None })
    }

    /// The next chunk of about so many rows. Rows of one user are kept together, unless they are very many.
    pub(crate) fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let (ends, list) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut chunk = Chunk { from: self.cursor, ends, rows: list, goes_on: false };
        loop {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => match frames::read(&mut self.rows, &mut self.buffer)? {
                    Some(length) => Some((frames::decode::<PreparedRow>(&self.buffer)?, length)),
                    None => None,
                },
            };
            let Some((row, length)) = next else { break };
            if chunk.rows.len() >= rows {
                chunk.goes_on = chunk.rows.last().is_some_and(|last| last.is_about_the_same(&row));
            }
            if chunk.rows.len() >= rows && !(chunk.goes_on && chunk.rows.len() < 2 * rows) {
                self.held = Some((row, length));
                break;
            }
            self.cursor += length;
            chunk.ends.push(self.cursor);
            chunk.rows.push(row);
        }
        Ok((!chunk.rows.is_empty()).then_some(chunk))
    }
}
