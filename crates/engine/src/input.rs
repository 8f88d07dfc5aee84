//! Reading the file of a job, whatever its format.

use crate::error::Result;
use crate::prepare::read_error;
use crate::staging::{Incoming, Staging};
use muster_core::intake::records::Records;
use muster_core::intake::sniff::{Format, Source};
use muster_core::intake::{Limits, xlsx};
use std::fs::File;
use std::io::BufReader;

/// The records of a staged file, from the first.
pub(crate) fn open_records(
    staging: &Staging,
    staged: &str,
    file: &Source,
    limits: Limits,
) -> Result<Records<BufReader<File>>> {
    let records = Records::new(staging.read(staged, 0)?, file, limits);
    Ok(match file.format {
        Format::Xlsx => records.with_scratch(Box::new(staging.scratch()?)),
        Format::Csv | Format::Ndjson | Format::Json => records,
    })
}

/// Finds out the header of a workbook, which ends where its table of contents is, so that a stream does not tell.
pub(crate) fn describe(
    staging: &Staging,
    incoming: &mut Incoming,
    source: &mut Source,
    sheet: Option<&str>,
    limits: Limits,
) -> Result<()> {
    if source.format != Format::Xlsx {
        return Ok(());
    }
    let scratch = Box::new(staging.scratch()?);
    xlsx::describe(source, incoming.reopen()?, sheet, limits, scratch).map_err(read_error)
}
