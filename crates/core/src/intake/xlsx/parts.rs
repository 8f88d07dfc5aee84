//! The small parts of a workbook: which sheets there are, what formats numbers have, and the texts that cells share.

use super::number::Kind;
use super::sheet::unescape;
use super::xml::{Node, Xml, attribute, is_true};
use crate::Error;
use std::collections::HashMap;
use std::io::Read;

/// One tab of a workbook.
#[derive(Debug)]
pub(super) struct Tab {
    pub name: String,
    pub relationship: String,
    pub hidden: bool,
}

/// The sheets, and whether days count from 1904.
pub(super) fn read_workbook(part: &str, reader: &mut dyn Read) -> Result<(Vec<Tab>, bool), Error> {
    let (mut tabs, mut since_1904) = (Vec::new(), false);
    let mut xml = Xml::new(part, reader);
    while xml.next(|node| {
        match node {
            Node::Start(start, "workbookPr") => since_1904 = is_true(attribute(start, "date1904")?.as_deref()),
            Node::Start(start, "sheet") => tabs.push(Tab {
                name: attribute(start, "name")?.unwrap_or_default(),
                relationship: attribute(start, "id")?.unwrap_or_default(),
                hidden: attribute(start, "state")?.is_some_and(|state| state != "visible"),
            }),
            Node::Eof => return Ok(false),
            Node::Start(..) | Node::End(_) | Node::Text(_) => {}
        }
        Ok(true)
    })? {}
    Ok((tabs, since_1904))
}

/// What a part refers to.
#[derive(Debug)]
pub(super) struct Relationship {
    pub id: String,
    /// The last word of its type.
    pub kind: String,
    pub target: String,
}

pub(super) fn read_relationships(part: &str, reader: &mut dyn Read) -> Result<Vec<Relationship>, Error> {
    let mut found = Vec::new();
    let mut xml = Xml::new(part, reader);
    while xml.next(|node| {
        match node {
            Node::Start(start, "Relationship") => {
                let kind = attribute(start, "Type")?.unwrap_or_default();
                found.push(Relationship {
                    id: attribute(start, "Id")?.unwrap_or_default(),
                    kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                    target: attribute(start, "Target")?.unwrap_or_default(),
                });
            }
            Node::Eof => return Ok(false),
            Node::Start(..) | Node::End(_) | Node::Text(_) => {}
        }
        Ok(true)
    })? {}
    Ok(found)
}

/// What each style of cells makes of a number.
pub(super) fn read_styles(part: &str, reader: &mut dyn Read) -> Result<Vec<Kind>, Error> {
    let (mut codes, mut styles, mut inside) = (HashMap::new(), Vec::new(), false);
    let mut xml = Xml::new(part, reader);
    while xml.next(|node| {
        match node {
            Node::Start(start, "numFmt") => {
                let id = attribute(start, "numFmtId")?.and_then(|id| id.parse::<u32>().ok());
                codes.extend(id.zip(attribute(start, "formatCode")?.map(|code| Kind::of_code(&code))));
            }
            Node::Start(_, "cellXfs") => inside = true,
            Node::End("cellXfs") => inside = false,
            Node::Start(start, "xf") if inside => {
                let id = attribute(start, "numFmtId")?.and_then(|id| id.parse().ok()).unwrap_or(0);
                styles.push(codes.get(&id).copied().unwrap_or_else(|| Kind::built_in(id)));
            }
            Node::Eof => return Ok(false),
            Node::Start(..) | Node::End(_) | Node::Text(_) => {}
        }
        Ok(true)
    })? {}
    Ok(styles)
}

/// The texts that cells share, one after the other: they take no more memory than the part that holds them.
#[derive(Debug, Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(begin..end)
    }

    pub fn read(part: &str, reader: &mut dyn Read) -> Result<Self, Error> {
        let mut strings = Self::default();
        let (mut item, mut inside, mut phonetic) = (String::new(), false, false);
        let mut xml = Xml::new(part, reader);
        while xml.next(|node| {
            match node {
                Node::Start(_, "t") => inside = !phonetic,
                Node::End("t") => inside = false,
                // How to pronounce a text is no part of it.
                Node::Start(_, "rPh") => phonetic = true,
                Node::End("rPh") => phonetic = false,
                Node::Text(text) if inside => item.push_str(text),
                Node::End("si") => {
                    strings.text.push_str(&unescape(&item));
                    item.clear();
                    // The limit of a workbook is far below 4 GiB.
                    strings.ends.push(u32::try_from(strings.text.len()).unwrap_or(u32::MAX));
                }
                Node::Eof => return Ok(false),
                Node::Start(..) | Node::End(_) | Node::Text(_) => {}
            }
            Ok(true)
        })? {}
        Ok(strings)
    }
}
