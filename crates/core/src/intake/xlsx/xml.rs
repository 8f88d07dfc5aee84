//! XML of a workbook's parts, event by event.

use super::corrupt;
use crate::Error;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use std::io::{BufReader, Read};

/// How deep elements may be nested. Workbooks need about ten.
const DEPTH: usize = 100;

/// A reader of one part.
pub(super) struct Xml<R: Read> {
    reader: quick_xml::Reader<BufReader<R>>,
    buffer: Vec<u8>,
    depth: usize,
    part: String,
}

/// What comes next. Names are without their prefix.
pub(super) enum Node<'a> {
    Start(&'a BytesStart<'a>, &'a str),
    End(&'a str),
    Text(&'a str),
    Eof,
}

impl<R: Read> Xml<R> {
    pub fn new(part: &str, reader: R) -> Self {
        let mut reader = quick_xml::Reader::from_reader(BufReader::with_capacity(64 << 10, reader));
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), depth: 0, part: part.to_owned() }
    }

    /// What the part is read from.
    pub fn source(&self) -> &R {
        self.reader.get_ref().get_ref()
    }

    /// Shows the next node to `see`, which gets texts with their references resolved.
    pub fn next<T>(&mut self, see: impl FnOnce(Node<'_>) -> Result<T, Error>) -> Result<T, Error> {
        loop {
            self.buffer.clear();
            let part = &self.part;
            let event =
                self.reader.read_event_into(&mut self.buffer).map_err(|_| corrupt(format!("{part} is not XML")))?;
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Err(corrupt(format!("{part} is nested too deep")));
                    }
                    return see(Node::Start(&start, start.local_name().as_ref()));
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    return see(Node::End(end.local_name().as_ref()));
                }
                Event::Text(text) => return see(Node::Text(&text.xml10_content())),
                Event::CData(text) => return see(Node::Text(&text.xml10_content())),
                Event::GeneralRef(reference) => {
                    let character =
                        reference.resolve_char_ref().map_err(|_| corrupt(format!("{part} has no character")))?;
                    if let Some(character) = character {
                        return see(Node::Text(character.encode_utf8(&mut [0; 4])));
                    }
                    let known = resolve_predefined_entity(&reference);
                    return see(Node::Text(known.ok_or_else(|| corrupt(format!("{part} has an unknown entity")))?));
                }
                Event::Eof if self.depth > 0 => return Err(corrupt(format!("{part} is cut off"))),
                Event::Eof => return see(Node::Eof),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }
}

/// The value of an attribute, whatever its prefix.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, Error> {
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| corrupt("an attribute cannot be read"))?;
        if attribute.key.local_name().as_ref() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            return Ok(Some(value.map_err(|_| corrupt("an attribute cannot be read"))?.into_owned()));
        }
    }
    Ok(None)
}

/// Whether an attribute says yes.
pub(super) fn is_true(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "true" | "on"))
}
