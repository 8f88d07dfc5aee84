//! Gzip and zstd: detected by their first bytes, expanded as they are read, with a guard against bombs.
//!
//! One decoder serves both the sniffer, which is pushed to, and the reader of records, which pulls: a source that has
//! nothing more *yet* answers `WouldBlock`, and the decoders go on where they stopped.

use super::{Limits, ReadError};
use crate::{Code, Error};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// RFC 1952, of one or more members.
    Gzip,
    /// RFC 8878, of one or more frames.
    Zstd,
}

impl Compression {
    /// How many of a file's first bytes [`Compression::detect`] wants to see.
    pub const MAGIC_BYTES: usize = 4;

    /// What the first bytes of a file say.
    pub fn detect(head: &[u8]) -> Option<Self> {
        match head {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            // A frame, or the skippable frame that parallel compressors write first.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// The expanded bytes of a source that may be compressed.
pub(super) struct Expanded<R: BufRead> {
    decoder: Decoder<R>,
    limits: Limits,
    expanded_bytes: u64,
}

enum Decoder<R: BufRead> {
    Plain(Tap<R>),
    Gzip(Box<MultiGzDecoder<Tap<R>>>),
    Zstd(Box<zstd::Decoder<'static, Tap<R>>>),
    /// No decoder could be made.
    Absent(Tap<R>, Option<io::Error>),
}

impl<R: BufRead> Expanded<R> {
    pub fn new(source: R, compression: Option<Compression>, limits: Limits) -> Self {
        let tap = Tap { source, bytes_read: 0, error: None };
        let decoder = match compression {
            None => Decoder::Plain(tap),
            Some(Compression::Gzip) => Decoder::Gzip(Box::new(MultiGzDecoder::new(tap))),
            Some(Compression::Zstd) => match zstd::Decoder::try_with_buffer(tap) {
                Ok(decoder) => Decoder::Zstd(Box::new(decoder)),
                Err((tap, error)) => Decoder::Absent(tap, Some(error)),
            },
        };
        Self { decoder, limits, expanded_bytes: 0 }
    }

    /// The next bytes; 0 at the end. After an [`ReadError::Io`] reading can be tried again, after a fault it cannot.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, ReadError> {
        // One from the making of the decoder, which reads ahead, comes again if it still holds.
        self.tap_mut().error = None;
        let read = match &mut self.decoder {
            Decoder::Plain(tap) => tap.read(into),
            Decoder::Gzip(decoder) => decoder.read(into),
            Decoder::Zstd(decoder) => decoder.read(into),
            Decoder::Absent(_, error) => return Err(error.take().unwrap_or(ErrorKind::OutOfMemory.into()).into()),
        };
        let read = read.map_err(|error| self.explain(&error))?;
        self.expanded_bytes += read as u64;
        self.guard()?;
        Ok(read)
    }

    /// Bytes taken from the source so far.
    pub fn bytes_read(&self) -> u64 {
        self.tap().bytes_read
    }

    /// What the bytes are taken from.
    pub fn source_mut(&mut self) -> &mut R {
        &mut self.tap_mut().source
    }

    fn tap(&self) -> &Tap<R> {
        match &self.decoder {
            Decoder::Plain(tap) | Decoder::Absent(tap, _) => tap,
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
        }
    }

    fn tap_mut(&mut self) -> &mut Tap<R> {
        match &mut self.decoder {
            Decoder::Plain(tap) | Decoder::Absent(tap, _) => tap,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }

    fn compression(&self) -> Option<Compression> {
        match &self.decoder {
            Decoder::Plain(_) => None,
            Decoder::Gzip(_) => Some(Compression::Gzip),
            Decoder::Zstd(_) | Decoder::Absent(..) => Some(Compression::Zstd),
        }
    }

    fn guard(&self) -> Result<(), Error> {
        let Some(compression) = self.compression() else {
            return Ok(());
        };
        let Limits { expanded_bytes: most, ratio, ratio_after_bytes, .. } = self.limits;
        let expanded = self.expanded_bytes;
        if expanded > most {
            let detail = format!("The {compression} file expands to more than {most} bytes.");
            return Err(Error::new(Code::ArchiveTooLarge, detail));
        }
        if expanded > ratio_after_bytes && expanded / ratio > self.bytes_read() {
            let detail = format!("The {compression} file expands to more than {ratio} times its size.");
            return Err(Error::new(Code::ArchiveTooLarge, detail));
        }
        Ok(())
    }

    /// Whose fault an error is: the source's, or that of the bytes.
    fn explain(&mut self, error: &io::Error) -> ReadError {
        if let Some(error) = self.tap_mut().error.take() {
            return ReadError::Io(error);
        }
        let name = self.compression().map_or_else(String::new, |compression| compression.to_string());
        // zstd names this case in words only.
        if error.to_string().contains("too much memory") {
            let detail = "The zstd file needs more than 128 MiB of memory to expand; compress it without --long.";
            return Error::new(Code::ArchiveTooLarge, detail).into();
        }
        let what = if error.kind() == ErrorKind::UnexpectedEof { "cut off" } else { "damaged" };
        Error::new(Code::CorruptArchive, format!("The {name} file is {what}.")).into()
    }
}

/// Counts what a decoder takes, and keeps the source's own errors apart from those of the decoder.
struct Tap<R> {
    source: R,
    bytes_read: u64,
    error: Option<io::Error>,
}

impl<R> Tap<R> {
    /// The decoder is told of a pause, whatever it is: after any other error it would give up.
    fn keep(&mut self, error: io::Error) -> io::Error {
        self.error = Some(error);
        ErrorKind::WouldBlock.into()
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(into) {
                Ok(read) => {
                    self.bytes_read += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.keep(error)),
            }
        }
    }
}

impl<R: BufRead> BufRead for Tap<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.source.fill_buf() {
                Ok([]) => return Ok(&[]),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.keep(error)),
            }
        }
        // Asked again because the borrow of the first answer cannot leave the loop; it is buffered by now.
        self.source.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes_read += bytes as u64;
        self.source.consume(bytes);
    }
}
