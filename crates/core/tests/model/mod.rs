//! A plain reference model: a community is a map from emails to values, and the rows of a file are applied to it one by
//! one, straight from their texts. It shares names with the product and no code; where both agree on random files, a
//! mistake would have to be made twice. The engine's tests use it as well.

mod cells;
mod exact;
pub mod fields;
pub mod generate;

pub use exact::Exact;
pub use fields::Field;
use muster_core::field::FieldType;
use muster_core::job::Overdraft;
use std::collections::{BTreeMap, HashMap};

/// Somebody: the email as it was written, and values by field key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub email: String,
    pub values: BTreeMap<String, String>,
}

/// One field of somebody went from an old value to a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    pub field: String,
    pub op: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// What the options of a job say.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether users who are not there are made.
    pub import: bool,
    pub overdraft: Overdraft,
    pub clear_token: String,
}

/// What a row wants of one field; no value: that it holds nothing.
#[derive(Clone, Debug)]
pub struct Wish {
    pub field: &'static Field,
    pub op: &'static str,
    pub value: Option<String>,
}

/// What became of a row: `created`, `updated` or `unchanged` and the changes, or the code of the fault.
pub type Verdict = Result<(&'static str, Vec<Delta>), &'static str>;

/// Everybody, by their email in lower case.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub people: HashMap<String, Person>,
}

/// What a name in a header means.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    Email,
    Value(&'static Field),
    Operator(&'static Field),
    Ours,
}

/// The form in which names and emails are compared.
pub fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

/// What the columns of a header mean.
pub fn columns(header: &[String]) -> Vec<Column> {
    let plain = |name: &str| name.to_lowercase().replace([' ', '_', '-'], "");
    let field = |name: &str| fields::ALL.iter().find(|field| plain(field.key) == plain(name));
    let column = |name: &String| match name.trim() {
        name if name.starts_with('_') => Column::Ours,
        name if plain(name) == "email" => Column::Email,
        name => match (field(name), name.to_lowercase().strip_suffix("_op").and_then(field)) {
            (Some(field), _) => Column::Value(field),
            (None, Some(field)) => Column::Operator(field),
            (None, None) => panic!("the model does not know the column {name}"),
        },
    };
    header.iter().map(column).collect()
}

/// Reads a row: whom it names, and what it wants. The first fault from the left fails it.
pub fn read_row(columns: &[Column], row: &[String], rules: &Rules) -> Result<(String, Vec<Wish>), &'static str> {
    if row.len() != columns.len() {
        return Err("column_count_mismatch");
    }
    if row.iter().any(|cell| cell.contains('\0')) {
        return Err("nul_character");
    }
    let cell = |wanted: &dyn Fn(&Column) -> bool| columns.iter().position(wanted).map_or("", |i| row[i].as_str());
    let email = read_email(cell(&|column| matches!(column, Column::Email)))?;
    let mut wishes = Vec::new();
    for (column, value) in columns.iter().zip(row) {
        if let Column::Value(field) = column {
            let op = cell(&|column| matches!(column, Column::Operator(other) if other.key == field.key));
            wishes.extend(read_cell(field, op, value, rules)?);
        }
    }
    Ok((email, wishes))
}

/// Reads the email that names somebody, or says the code of its fault.
pub fn read_email(cell: &str) -> Result<String, &'static str> {
    let email = cell.trim();
    match email.split('@').collect::<Vec<_>>().as_slice() {
        _ if email.is_empty() => Err("missing_key"),
        [name, domain] if !name.is_empty() && !domain.is_empty() && !email.contains(' ') => Ok(email.to_owned()),
        _ => Err("invalid_email"),
    }
}

/// What a cell and the operator beside it want.
pub fn read_cell(field: &'static Field, op: &str, cell: &str, rules: &Rules) -> Result<Option<Wish>, &'static str> {
    let known = ["add", "subtract", "overwrite"].into_iter().find(|word| *word == op);
    let wish = |op, value| Ok(Some(Wish { field, op, value }));
    match (op, known) {
        ("", _) if cell.is_empty() => Ok(None),
        ("", _) | ("overwrite", _) if !cell.is_empty() && cell == rules.clear_token => wish("overwrite", None),
        ("", _) => wish("overwrite", Some(cells::read(field, cell)?)),
        (_, None) => Err("invalid_operator"),
        (_, Some(_)) if cell.is_empty() => Err("operator_without_value"),
        (_, Some(_)) if cell == rules.clear_token => Err("invalid_operator"),
        (_, Some(op)) => wish(op, Some(cells::read(field, cell)?)),
    }
}

impl Model {
    /// Applies a row that could be read.
    pub fn apply(&mut self, email: &str, wishes: &[Wish], rules: &Rules) -> Verdict {
        let key = folded(email);
        let before = self.people.get(&key);
        if before.is_none() && !rules.import {
            return Err("user_not_found");
        }
        let mut deltas = Vec::new();
        if before.is_none() {
            deltas.push(Delta { field: "email".into(), op: "overwrite".into(), old: None, new: Some(email.into()) });
        }
        let mut after = before.cloned().unwrap_or_else(|| Person { email: email.into(), ..Person::default() });
        for wish in wishes {
            let old = after.values.get(wish.field.key).cloned();
            let new = outcome(wish, old.as_deref(), rules.overdraft)?;
            if new == old {
                continue;
            }
            match &new {
                Some(value) => after.values.insert(wish.field.key.into(), value.clone()),
                None => after.values.remove(wish.field.key),
            };
            deltas.push(Delta { field: wish.field.key.into(), op: wish.op.into(), old, new });
        }
        let missing = |field: &&Field| field.required && !after.values.contains_key(field.key);
        if before.is_none() && fields::ALL.iter().any(|field| missing(&field)) {
            return Err("required_field");
        }
        let status = match before {
            None => "created",
            Some(_) if deltas.is_empty() => "unchanged",
            Some(_) => "updated",
        };
        self.people.insert(key, after);
        Ok((status, deltas))
    }
}

/// What the field holds afterwards.
pub fn outcome(wish: &Wish, old: Option<&str>, overdraft: Overdraft) -> Result<Option<String>, &'static str> {
    let field = wish.field;
    let Some(value) = &wish.value else {
        return if field.required { Err("required_field") } else { Ok(None) };
    };
    if !field.kind.is_numeric() {
        return Ok(Some(value.clone()));
    }
    let held = old.map(|old| Exact::read(old).expect("it was read before"));
    let (before, operand) = (held.unwrap_or(Exact::ZERO), Exact::read(value)?);
    let mut after = match wish.op {
        "add" => before.plus(operand)?,
        "subtract" => before.minus(operand)?,
        _ => operand,
    };
    let bound = |text: Option<&str>| text.map(|text| Exact::read(text).expect("bounds are numbers"));
    if bound(field.max).is_some_and(|max| after > max) {
        return Err("out_of_range");
    }
    if field.kind == FieldType::Currency {
        let floor = bound(field.min).unwrap_or(Exact::ZERO);
        // Who is below the minimum already may rise.
        let falls_below = after < floor && held.is_none_or(|held| after < held);
        match overdraft {
            Overdraft::Reject if falls_below => return Err("insufficient_balance"),
            Overdraft::Clamp if falls_below => after = held.map_or(floor, |held| held.min(floor)),
            Overdraft::Reject | Overdraft::Clamp | Overdraft::Allow => {}
        }
    } else if bound(field.min).is_some_and(|min| after < min) {
        return Err("out_of_range");
    }
    match field.kind == FieldType::Integer && !after.is_integer() {
        true => Err("out_of_range"),
        false => Ok(Some(after.to_string())),
    }
}
