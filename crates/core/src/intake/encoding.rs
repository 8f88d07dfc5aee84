//! From bytes to UTF-8.
//!
//! Which encoding a file has is decided over the whole of it: a byte order mark, else what the sender says, else what
//! `Guess` saw. `Transcoder` then makes UTF-8 of it, and where the bytes mean nothing it writes a byte that UTF-8
//! never has: the cell stays invalid and fails its row, instead of holding a replacement character that nobody wrote.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, the low byte first.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, the high byte first.
    #[serde(rename = "utf-16be")]
    Utf16Be,
    /// What Windows calls ANSI in western Europe and America.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

impl Encoding {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// The byte order mark at the beginning of a file: the encoding that it stands for, and its length.
    pub fn from_bom(head: &[u8]) -> Option<(Self, u8)> {
        match head {
            [0xEF, 0xBB, 0xBF, ..] => Some((Self::Utf8, 3)),
            [0xFF, 0xFE, ..] => Some((Self::Utf16Le, 2)),
            [0xFE, 0xFF, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No encoding that can be read has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("encodings are utf-8, utf-16le, utf-16be and windows-1252")]
pub struct UnknownEncoding;

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Any name that the web knows for one of our encodings (`utf8`, `cp1252`, `latin1` …), in any case.
    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        // Browsers read ASCII as Windows-1252. A file that says ASCII and is not would then be garbled in silence.
        if ["ascii", "us-ascii"].iter().any(|ascii| name.trim().eq_ignore_ascii_case(ascii)) {
            return Ok(Self::Utf8);
        }
        let found = encoding_rs::Encoding::for_label(name.as_bytes()).ok_or(UnknownEncoding)?;
        [
            (encoding_rs::UTF_8, Self::Utf8),
            (encoding_rs::UTF_16LE, Self::Utf16Le),
            (encoding_rs::UTF_16BE, Self::Utf16Be),
            (encoding_rs::WINDOWS_1252, Self::Windows1252),
        ]
        .into_iter()
        .find_map(|(theirs, ours)| (found == theirs).then_some(ours))
        .ok_or(UnknownEncoding)
    }
}

/// Decides between UTF-8 and Windows-1252 from bytes that come in pieces.
///
/// The file is Windows-1252 where something in it is not UTF-8 and nothing beyond ASCII is. So the first valid sequence of
/// several bytes decides, and all that comes before it is skipped at the speed of memory.
#[derive(Debug)]
pub(super) struct Guess {
    /// A valid sequence of several bytes was seen.
    multibyte: bool,
    invalid: bool,
    /// How many bytes the sequence in hand still needs, and what the next may be.
    missing: u8,
    next: (u8, u8),
}

const CONTINUATION: (u8, u8) = (0x80, 0xBF);

impl Guess {
    pub fn new() -> Self {
        Self { multibyte: false, invalid: false, missing: 0, next: CONTINUATION }
    }

    pub fn push(&mut self, mut bytes: &[u8]) {
        while !self.multibyte {
            if self.missing == 0 {
                bytes = &bytes[encoding_rs::Encoding::ascii_valid_up_to(bytes)..];
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return;
            };
            self.step(byte);
            bytes = rest;
        }
    }

    /// Whether more bytes cannot change the answer.
    pub fn is_final(&self) -> bool {
        self.multibyte
    }

    /// The answer for what was pushed.
    pub fn encoding(&self) -> Encoding {
        if !self.multibyte && (self.invalid || self.missing > 0) { Encoding::Windows1252 } else { Encoding::Utf8 }
    }

    /// The table of well-formed sequences in the Unicode standard (3-7).
    fn step(&mut self, byte: u8) {
        if self.missing > 0 {
            if (self.next.0..=self.next.1).contains(&byte) {
                self.missing -= 1;
                self.multibyte = self.missing == 0;
                self.next = CONTINUATION;
                return;
            }
            // Broken off; the byte begins anew.
            self.invalid = true;
        }
        (self.missing, self.next) = match byte {
            0x00..=0x7F => (0, CONTINUATION),
            0xC2..=0xDF => (1, CONTINUATION),
            0xE0 => (2, (0xA0, 0xBF)),
            0xE1..=0xEC | 0xEE..=0xEF => (2, CONTINUATION),
            0xED => (2, (0x80, 0x9F)),
            0xF0 => (3, (0x90, 0xBF)),
            0xF1..=0xF3 => (3, CONTINUATION),
            0xF4 => (3, (0x80, 0x8F)),
            0x80..=0xC1 | 0xF5..=0xFF => {
                self.invalid = true;
                (0, CONTINUATION)
            }
        };
    }
}

/// Stands for bytes that mean nothing in the file's encoding: a byte that never occurs in UTF-8.
const INVALID: u8 = 0xFF;

/// Bytes of a file, in pieces, to UTF-8.
pub(super) struct Transcoder(Kind);

enum Kind {
    Utf8,
    Utf16(Box<encoding_rs::Decoder>),
    Windows1252,
}

impl Transcoder {
    pub fn new(encoding: Encoding) -> Self {
        let utf16 = |encoding: &'static encoding_rs::Encoding| {
            Kind::Utf16(Box::new(encoding.new_decoder_without_bom_handling()))
        };
        Self(match encoding {
            Encoding::Utf8 => Kind::Utf8,
            Encoding::Utf16Le => utf16(encoding_rs::UTF_16LE),
            Encoding::Utf16Be => utf16(encoding_rs::UTF_16BE),
            Encoding::Windows1252 => Kind::Windows1252,
        })
    }

    /// Whether the text is the bytes as they are, so that the caller can save the copy.
    pub fn is_identity(&self) -> bool {
        matches!(self.0, Kind::Utf8)
    }

    /// Appends the text of the next bytes; `last` says that none follow.
    pub fn push(&mut self, raw: &[u8], last: bool, text: &mut Vec<u8>) {
        match &mut self.0 {
            Kind::Utf8 => text.extend_from_slice(raw),
            Kind::Utf16(decoder) => decode_utf16(decoder, raw, last, text),
            Kind::Windows1252 => decode_windows_1252(raw, text),
        }
    }
}

fn decode_utf16(decoder: &mut encoding_rs::Decoder, mut raw: &[u8], last: bool, text: &mut Vec<u8>) {
    loop {
        let from = text.len();
        let most = decoder.max_utf8_buffer_length_without_replacement(raw.len());
        // The answer is absent only where it exceeds the address space.
        text.resize(from + most.unwrap_or(raw.len()), 0);
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(raw, &mut text[from..], last);
        text.truncate(from + written);
        raw = &raw[read..];
        match result {
            encoding_rs::DecoderResult::InputEmpty => return,
            encoding_rs::DecoderResult::OutputFull => {}
            encoding_rs::DecoderResult::Malformed(..) => text.push(INVALID),
        }
    }
}

/// The characters of the bytes 80 to 9F; 0 where there is none.
#[rustfmt::skip]
const WINDOWS_1252: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
    0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

/// Written out because browsers, and so the libraries made for them, read the five bytes that have no character as
/// control characters.
fn decode_windows_1252(mut raw: &[u8], text: &mut Vec<u8>) {
    loop {
        let (ascii, rest) = raw.split_at(encoding_rs::Encoding::ascii_valid_up_to(raw));
        text.extend_from_slice(ascii);
        let Some((&byte, rest)) = rest.split_first() else {
            return;
        };
        let unit = if byte < 0xA0 { WINDOWS_1252[usize::from(byte - 0x80)] } else { u16::from(byte) };
        match char::from_u32(unit.into()) {
            Some(c) if c != '\0' => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => text.push(INVALID),
        }
        raw = rest;
    }
}
