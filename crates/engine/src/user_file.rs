//! The lines of a file of users: CSV, CSV for a spreadsheet, or a JSON object for each.

use crate::error::Result;
use crate::results::ResultFormat;
use muster_core::error::excerpt;
use muster_core::field::{Field, FieldNumber, FieldSet};
use muster_core::intake::formula::{ESCAPED_COLUMN, defuse};
use muster_core::intake::header::USER_ID_COLUMN;
use muster_core::job::DEFAULT_CLEAR_TOKEN;
use muster_core::user::User;
use muster_core::{Code, Error};
use serde_json::{Map, Value as Json, json};

/// What a column of such a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Id,
    /// The id, in a column that is passed over when the file is sent back.
    OurId,
    Email,
    Identities,
    Field(FieldNumber, String),
    Version,
    CreatedAt,
    UpdatedAt,
}

impl Property {
    /// Everything that can be written, and what names the user. In CSV, which has a line for each user, identities have no
    /// place.
    pub(crate) fn all(format: ResultFormat, fields: &[&Field]) -> Vec<Self> {
        let fields = fields.iter().map(|field| Self::Field(field.number, field.key.clone()));
        match format {
            ResultFormat::Csv | ResultFormat::Spreadsheet => {
                [Self::OurId, Self::Email].into_iter().chain(fields).collect()
            }
            ResultFormat::Ndjson => [Self::Id, Self::Email, Self::Identities]
                .into_iter()
                .chain(fields)
                .chain([Self::Version, Self::CreatedAt, Self::UpdatedAt])
                .collect(),
        }
    }

    /// The properties of these names.
    pub(crate) fn read_all(names: &[String], format: ResultFormat, fields: &FieldSet) -> Result<Vec<Self>, Error> {
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            let property = Self::read(name, format, fields)?;
            if all.contains(&property) {
                let message = format!("\"{}\" stands there twice", excerpt(name));
                return Err(Error::at("/fields", Code::InvalidRequest, message));
            }
            all.push(property);
        }
        Ok(all)
    }

    fn read(name: &str, format: ResultFormat, fields: &FieldSet) -> Result<Self, Error> {
        Ok(match name {
            "id" => Self::Id,
            USER_ID_COLUMN if format != ResultFormat::Ndjson => Self::OurId,
            "email" => Self::Email,
            "identities" if format == ResultFormat::Ndjson => Self::Identities,
            "version" => Self::Version,
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            key => match fields.find_by_key(key).filter(|field| !field.archived) {
                Some(field) => Self::Field(field.number, field.key.clone()),
                None => {
                    let message = format!("there is no field \"{}\" that could be a column", excerpt(key));
                    return Err(Error::at("/fields", Code::UnknownField, message));
                }
            },
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Id => "id",
            Self::OurId => USER_ID_COLUMN,
            Self::Email => "email",
            Self::Identities => "identities",
            Self::Field(_, key) => key,
            Self::Version => "version",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }

    /// As a cell. A text that would clear its field when it came back is left out: an empty cell keeps what is there.
    fn cell(&self, user: &User) -> String {
        match self {
            Self::Id | Self::OurId => user.id.to_string(),
            Self::Email => user.email.clone().unwrap_or_default(),
            Self::Identities => String::new(),
            Self::Field(number, _) => {
                let text = user.values.get(*number).map(ToString::to_string).unwrap_or_default();
                if text == DEFAULT_CLEAR_TOKEN { String::new() } else { text }
            }
            Self::Version => user.version.to_string(),
            Self::CreatedAt => user.created_at.to_string(),
            Self::UpdatedAt => user.updated_at.to_string(),
        }
    }
}

/// Writes users in one of the formats.
pub(crate) struct UserWriter {
    format: ResultFormat,
    columns: Vec<Property>,
}

impl UserWriter {
    pub(crate) fn new(format: ResultFormat, columns: Vec<Property>) -> Self {
        Self { format, columns }
    }

    /// What stands before the first user.
    pub(crate) fn header(&self) -> Result<Vec<u8>> {
        let names = self.columns.iter().map(Property::name);
        match self.format {
            ResultFormat::Ndjson => Ok(Vec::new()),
            ResultFormat::Csv => csv_lines([names.collect::<Vec<_>>()]),
            ResultFormat::Spreadsheet => csv_lines([names.chain([ESCAPED_COLUMN]).collect::<Vec<_>>()]),
        }
    }

    /// The lines of some users.
    pub(crate) fn write<'a>(&self, users: impl Iterator<Item = &'a User>) -> Result<Vec<u8>> {
        match self.format {
            ResultFormat::Csv => csv_lines(users.map(|user| self.cells(user))),
            ResultFormat::Spreadsheet => csv_lines(users.map(|user| self.harmless_cells(user))),
            ResultFormat::Ndjson => {
                let lines = users.map(|user| format!("{}\n", self.object(user)));
                Ok(lines.collect::<String>().into_bytes())
            }
        }
    }

    fn cells(&self, user: &User) -> Vec<String> {
        self.columns.iter().map(|column| column.cell(user)).collect()
    }

    /// The cells as a spreadsheet only shows them, and the names of those that were changed for it.
    fn harmless_cells(&self, user: &User) -> Vec<String> {
        let (mut cells, mut escaped) = (self.cells(user), Vec::new());
        for (cell, column) in cells.iter_mut().zip(&self.columns) {
            if let Some(harmless) = defuse(cell) {
                *cell = harmless;
                escaped.push(column.name());
            }
        }
        cells.push(if escaped.is_empty() { String::new() } else { json!(escaped).to_string() });
        cells
    }

    /// The user as the API shows it, as far as it is wanted.
    fn object(&self, user: &User) -> Json {
        let (mut object, mut values) = (Map::new(), Map::new());
        for column in &self.columns {
            let json = match column {
                Property::Id | Property::OurId => json!(user.id.0),
                Property::Email => json!(user.email),
                Property::Identities => json!(user.identities),
                Property::Version => json!(user.version),
                Property::CreatedAt => json!(user.created_at),
                Property::UpdatedAt => json!(user.updated_at),
                Property::Field(number, key) => {
                    values.extend(user.values.get(*number).map(|value| (key.clone(), value.to_wire())));
                    // In the place of the first of them.
                    object.entry("values").or_insert(Json::Null);
                    continue;
                }
            };
            object.insert(column.name().to_owned(), json);
        }
        if let Some(all) = object.get_mut("values") {
            *all = Json::Object(values);
        }
        Json::Object(object)
    }
}

fn csv_lines<T: AsRef<[u8]>>(rows: impl IntoIterator<Item = Vec<T>>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?)
}
