//! JSON records as a table: the columns that a CSV file with the same content would have.

use super::{Members, text_of};
use crate::{Code, Error};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// A cell that clears a value.
const CLEAR: &str = crate::job::DEFAULT_CLEAR_TOKEN;

/// The columns of records, gathered from all of them: `id`, `email`, those of the identity, then the keys of values in the
/// order in which they are met, an operator beside its value.
///
/// What the table says is what the records say, so that it can be corrected and sent back as CSV: null is the clear token,
/// an operator stands in the column `KEY_op`. A record with several identities has them as JSON in `identities`, a column
/// that intake refuses, because a row can name one only.
#[derive(Debug, Default)]
pub struct Table {
    own: [bool; OWN.len()],
    keys: Vec<(String, bool)>,
    index: HashMap<String, usize>,
}

const OWN: [&str; 6] = ["id", "email", "source", "source_id", "identity_language", "identities"];
const IDENTITY: [&str; 3] = ["source", "source_id", "language"];

impl Table {
    /// Takes the members of one more record. Fails with `too_many_columns` where the records have more keys than a table may
    /// have columns.
    pub fn add(&mut self, record: &str, most: usize) -> Result<(), Error> {
        let cells = Cells::of(record);
        for (own, cell) in self.own.iter_mut().zip(&cells.own) {
            *own |= cell.is_some();
        }
        for (key, _, operator) in cells.values {
            let next = self.keys.len();
            let index = *self.index.entry(key).or_insert_with_key(|key| {
                self.keys.push((key.clone(), false));
                next
            });
            self.keys[index].1 |= operator.is_some();
        }
        if self.width() > most {
            let detail = format!("The records have more than {most} keys, too many for a table; ask for NDJSON.");
            return Err(Error::new(Code::TooManyColumns, detail));
        }
        Ok(())
    }

    fn width(&self) -> usize {
        self.own.iter().filter(|own| **own).count()
            + self.keys.iter().map(|(_, op)| 1 + usize::from(*op)).sum::<usize>()
    }

    /// The names of the columns.
    pub fn header(&self) -> Vec<String> {
        let own = OWN.iter().zip(self.own).filter(|(_, own)| *own).map(|(name, _)| (*name).to_owned());
        let keys = self.keys.iter().flat_map(|(key, op)| [Some(key.clone()), op.then(|| format!("{key}_op"))]);
        own.chain(keys.flatten()).collect()
    }

    /// The cells of a record that was added.
    pub fn cells(&self, record: &str) -> Vec<String> {
        let cells = Cells::of(record);
        let own = cells.own.into_iter().zip(self.own).filter(|(_, own)| *own).map(|(cell, _)| cell.unwrap_or_default());
        let mut row: Vec<String> = own.collect();
        let mut values = vec![(String::new(), String::new()); self.keys.len()];
        for (key, value, operator) in cells.values {
            if let Some(index) = self.index.get(&key) {
                values[*index] = (value, operator.unwrap_or_default());
            }
        }
        for ((value, operator), (_, has_operator)) in values.into_iter().zip(&self.keys) {
            row.push(value);
            row.extend(has_operator.then_some(operator));
        }
        row
    }
}

/// What a record says, as cells. A text that is no record says nothing.
#[derive(Default)]
struct Cells {
    own: [Option<String>; OWN.len()],
    /// Key, value, operator.
    values: Vec<(String, String, Option<String>)>,
}

impl Cells {
    fn of(record: &str) -> Self {
        let mut cells = Self::default();
        let Ok(Members(members)) = serde_json::from_str(record) else { return cells };
        for (name, value) in members {
            match name.as_ref() {
                "id" => cells.own[0] = Some(cell(value)),
                "email" => cells.own[1] = Some(cell(value)),
                "identities" => cells.identities(value),
                "values" => cells.values(value),
                _ => {}
            }
        }
        cells
    }

    fn identities(&mut self, value: &RawValue) {
        match serde_json::from_str::<Vec<Members<'_>>>(value.get()).ok().as_deref() {
            Some([Members(members)]) if members.iter().all(|(name, _)| IDENTITY.contains(&name.as_ref())) => {
                for (name, value) in members {
                    let at = IDENTITY.iter().position(|known| known == name);
                    self.own[2 + at.unwrap_or_default()] = Some(cell(value));
                }
            }
            _ if value.get() == "null" => {}
            _ => self.own[5] = Some(value.get().to_owned()),
        }
    }

    fn values(&mut self, value: &RawValue) {
        let Ok(Members(members)) = serde_json::from_str(value.get()) else { return };
        for (key, value) in members {
            let operation = serde_json::from_str::<Members<'_>>(value.get()).ok().and_then(|Members(members)| {
                let find = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
                let only = members.iter().all(|(name, _)| name == "op" || name == "value");
                Some((find("op").filter(|_| only)?, find("value")))
            });
            let (value, operator) = match operation {
                Some((operator, value)) => (value.map(cell).unwrap_or_default(), Some(text_of(operator).into_owned())),
                None => (cell(value), None),
            };
            self.values.push((key.into_owned(), value, operator));
        }
    }
}

/// A value as a cell of CSV holds it.
fn cell(value: &RawValue) -> String {
    match value.get() {
        "null" => CLEAR.to_owned(),
        raw if raw.starts_with('[') => match serde_json::from_str::<Vec<String>>(raw) {
            Ok(options) => options.join(";"),
            Err(_) => raw.to_owned(),
        },
        _ => text_of(value).into_owned(),
    }
}
