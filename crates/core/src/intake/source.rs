//! What is known of a file before its records are read.

use super::compression::Compression;
use super::encoding::Encoding;
use super::header::{Columns, map_header};
use crate::error::{Code, Error};
use crate::field::FieldSet;
use crate::job::JobOptions;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Separated values, whatever separates them.
    #[default]
    Csv,
    /// A JSON object on each line.
    Ndjson,
    /// One JSON array of objects.
    Json,
    /// A workbook as Excel writes it since 2007 (Office Open XML).
    Xlsx,
}

/// The media type of workbooks.
const XLSX_MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

impl Format {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Xlsx => "xlsx",
        }
    }

    /// The media type of files that are not compressed.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Xlsx => XLSX_MEDIA_TYPE,
        }
    }

    /// Whether its records are JSON.
    pub fn is_json(self) -> bool {
        match self {
            Self::Ndjson | Self::Json => true,
            Self::Csv | Self::Xlsx => false,
        }
    }

    /// What a content type says, with or without parameters.
    pub fn from_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/csv" | "text/tab-separated-values" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Some(Self::Ndjson)
            }
            XLSX_MEDIA_TYPE => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// What the end of a file name says, that of its compression passed over.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a file before a record is read, and all that reading its records needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What kind of file it is.
    pub format: Format,
    /// Its encoding; that of a workbook is always UTF-8.
    pub encoding: Encoding,
    /// The character between cells; only CSV has one.
    pub delimiter: Option<char>,
    /// How it is compressed, if at all.
    pub compression: Option<Compression>,
    /// The columns as the file writes them; JSON has none.
    pub header: Vec<String>,
    /// The sheet of a workbook that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Length of the byte order mark.
    #[serde(default)]
    pub bom_bytes: u8,
    /// Whether the first line is one like `sep=;`, which some spreadsheets write above the header.
    #[serde(default)]
    pub sep_line: bool,
}

/// A CSV file of which nothing is known yet.
impl Default for Source {
    fn default() -> Self {
        Self {
            format: Format::Csv,
            encoding: Encoding::Utf8,
            delimiter: None,
            compression: None,
            header: Vec::new(),
            sheet: None,
            bom_bytes: 0,
            sep_line: false,
        }
    }
}

impl Source {
    /// What each column of the file means, or everything that is wrong with its header at once. Refuses options that say
    /// nothing about this format with `invalid_option`.
    pub fn columns(&self, fields: &FieldSet, options: &JobOptions) -> Result<Columns, Error> {
        self.check_options(options)?;
        match self.format {
            Format::Csv | Format::Xlsx => map_header(&self.header, fields, options),
            Format::Ndjson | Format::Json => Columns::of_records(fields, options),
        }
    }

    fn check_options(&self, options: &JobOptions) -> Result<(), Error> {
        let (csv, xlsx, json) = (self.format == Format::Csv, self.format == Format::Xlsx, self.format.is_json());
        let refused = [
            ("delimiter", options.delimiter.is_some() && !csv, "only CSV has a delimiter"),
            ("encoding", options.encoding.is_some() && xlsx, "a workbook says its encoding itself"),
            ("sheet", options.sheet.is_some() && !xlsx, "only a workbook has sheets"),
            ("mapping", options.mapping.is_some() && json, "JSON has no columns; name the fields by their keys"),
            ("clear_token", options.clear_token.is_some() && json, "in JSON null clears a value"),
        ];
        match refused.into_iter().find(|(_, refused, _)| *refused) {
            None => Ok(()),
            Some((name, _, why)) => {
                let message =
                    format!("the file is {}, which takes no {name}: {why}", self.format.as_str().to_uppercase());
                Err(Error::at(format!("/{name}"), Code::InvalidOption, message))
            }
        }
    }
}
