//! Objects of many small records: each is its length and its bytes, in postcard's encoding.

use crate::error::{EngineError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Read, Write};

/// Longer than any record that is written; more means that the object is damaged.
const MAX_FRAME_BYTES: usize = 512 << 20;

pub(crate) fn encode(item: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_stdvec(item).map_err(|error| EngineError::Damaged(error.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| EngineError::Damaged(error.to_string()))
}

/// Writes bytes as one record, and says how long it is with its length.
pub(crate) fn write(out: &mut impl Write, bytes: &[u8]) -> Result<u64> {
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(bytes)?;
    Ok(4 + bytes.len() as u64)
}

/// Reads the next record into the buffer, and says how long it is with its length; `None` at the end.
pub(crate) fn read(from: &mut impl Read, buffer: &mut Vec<u8>) -> Result<Option<u64>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length[..1]) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(EngineError::Damaged(format!("a record of {length} bytes")));
    }
    buffer.resize(length, 0);
    from.read_exact(buffer)?;
    Ok(Some(4 + length as u64))
}
