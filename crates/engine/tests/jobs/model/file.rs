//! Random files for jobs of all kinds, and how the model reads them.

use super::reference::generate::{self, Choose};
use super::reference::{Column, Field, Rules, columns, fields, read_cell, read_email};
use super::world::{Identity, Row, Want, Who, World};
use muster_core::field::FieldType;
use muster_core::job::{JobKind, OnDuplicate};

/// A unique field.
pub static CARD: Field = Field {
    key: "card",
    name: "Card",
    kind: FieldType::Text,
    min: None,
    max: None,
    max_length: None,
    required: false,
    options: &[],
    built_in: false,
};
const CARDS: &[&str] = &["A-1", "A-2", "a-1", "B", "é", "C-3", "C-4"];
const IDENTITIES: &[[&str; 3]] =
    &[["crm", "7", ""], ["CRM", "7", ""], ["crm", "8", "de"], ["crm", "8", "EN"], ["shop", "7", ""], ["shop", "9", ""]];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MatchBy {
    Email,
    Id,
    External,
    Card,
}

/// A file and the options of its job.
#[derive(Debug)]
pub struct File {
    pub kind: JobKind,
    pub rules: Rules,
    pub match_by: MatchBy,
    pub on_duplicate: OnDuplicate,
    pub abort: bool,
    pub max_failed: Option<usize>,
    pub max_affected: Option<usize>,
    /// The columns of emails and fields, then those of what else names people.
    header: Vec<String>,
    others: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl File {
    /// A file for the people who are there. The first one of a round makes some.
    pub fn new(choose: &mut impl Choose, world: &World, emails: &[String], first: bool) -> Self {
        let large = emails.len() > 100;
        let mut rules = generate::rules(choose);
        let kinds = [JobKind::Update, JobKind::Update, JobKind::Create, JobKind::Delete, JobKind::Restore];
        let kind = match choose.below(8) {
            0..3 => JobKind::Import,
            _ if first || large => JobKind::Import,
            other => kinds[other - 3],
        };
        rules.import = matches!(kind, JobKind::Import | JobKind::Create);
        let ways = [MatchBy::Email, MatchBy::Email, MatchBy::Id, MatchBy::External, MatchBy::Card];
        let match_by = if first || large { MatchBy::Email } else { choose.one_of(&ways) };
        let mut others = Vec::new();
        if match_by == MatchBy::Id {
            others.push("id");
        }
        if match_by == MatchBy::Card || !large && choose.percent(35) {
            others.push("card");
        }
        if match_by == MatchBy::External || !large && choose.percent(30) {
            others.extend(["source", "source_id", "identity_language"]);
        }
        let mut fuse = |percent| (!first && !large && choose.percent(percent)).then(|| choose.below(5));
        let (abort, max_failed, max_affected) = (fuse(10).is_some(), fuse(8), fuse(8));
        let on_duplicate = choose.one_of(OnDuplicate::ALL);
        let header = generate::header(choose);
        let mut file = Self {
            kind,
            rules,
            match_by,
            on_duplicate,
            abort,
            max_failed,
            max_affected,
            header,
            others,
            rows: Vec::new(),
        };
        let rows = if large { 2_500 } else { choose.below(25) };
        file.rows = (0..rows).map(|_| file.row(choose, world, emails)).collect();
        file
    }

    fn row(&self, choose: &mut impl Choose, world: &World, emails: &[String]) -> Vec<String> {
        let mut row = generate::row(choose, &self.header, &self.rules, emails);
        let email = columns(&self.header).iter().position(|column| matches!(column, Column::Email));
        if let Some(cell) = email.and_then(|at| row.get_mut(at)).filter(|_| self.match_by != MatchBy::Email) {
            match choose.below(10) {
                0..6 => cell.clear(),
                6 => self.rules.clear_token.clone_into(cell),
                _ => {}
            }
        }
        let keyed = |way| self.match_by == way;
        let mut language = "";
        let mut cells: Vec<String> = Vec::new();
        let identity = match keyed(MatchBy::External) || choose.percent(50) {
            true => choose.one_of(IDENTITIES),
            false => ["", "", ""],
        };
        for other in &self.others {
            let cell = match *other {
                "id" if choose.percent(5) => choose.one_of(&["", "x", "0", "999999"]).to_owned(),
                "id" => {
                    let ids: Vec<i64> = world.people.iter().filter_map(|person| person.id).collect();
                    if ids.is_empty() { "999999".to_owned() } else { choose.one_of(&ids).to_string() }
                }
                "card" if !keyed(MatchBy::Card) && choose.percent(50) => String::new(),
                "card" if choose.percent(5) => {
                    if keyed(MatchBy::Card) {
                        " ".to_owned()
                    } else {
                        self.rules.clear_token.clone()
                    }
                }
                "card" => choose.one_of(CARDS).to_owned(),
                "source" => identity[0].to_owned(),
                "source_id" if choose.percent(4) => String::new(),
                "source_id" => {
                    language = identity[2];
                    // Who may be made has to be named in full: else it depends on the order of the people.
                    if !self.rules.import && choose.percent(30) {
                        language = "";
                    }
                    identity[1].to_owned()
                }
                _ => language.to_owned(),
            };
            cells.push(cell);
        }
        row.extend(cells);
        row
    }

    pub fn text(&self) -> String {
        let others = self.others.iter().map(|name| (*name).to_owned());
        let header: Vec<String> = self.header.iter().cloned().chain(others).collect();
        generate::csv(std::iter::once(&header).chain(&self.rows))
    }

    pub fn options(&self) -> Vec<(&'static str, String)> {
        let match_by = match self.match_by {
            MatchBy::Email => "email",
            MatchBy::Id => "id",
            MatchBy::External => "external",
            MatchBy::Card => "card",
        };
        let mut options = vec![
            ("match_by", match_by.to_owned()),
            ("clear_token", self.rules.clear_token.clone()),
            ("overdraft", self.rules.overdraft.as_str().to_owned()),
            ("on_duplicate", self.on_duplicate.as_str().to_owned()),
            ("delimiter", ",".to_owned()),
        ];
        options.extend(self.abort.then(|| ("on_error", "abort".to_owned())));
        options.extend(self.max_failed.map(|most| ("max_failed", most.to_string())));
        options.extend(self.max_affected.map(|most| ("max_affected", most.to_string())));
        options
    }

    /// Reads a row, or says the code of the first fault.
    pub fn read(&self, cells: &[String]) -> Result<Row, &'static str> {
        if cells.len() != self.header.len() + self.others.len() {
            return Err("column_count_mismatch");
        }
        if cells.iter().any(|cell| cell.contains('\0')) {
            return Err("nul_character");
        }
        let columns = columns(&self.header);
        let other = |name: &str| {
            let at = self.others.iter().position(|other| *other == name);
            at.map(|at| cells[self.header.len() + at].as_str())
        };
        let email = columns.iter().position(|column| matches!(column, Column::Email)).map_or("", |at| &cells[at]);
        let named = |name| Some(other(name).unwrap_or_default().trim()).filter(|text: &&str| !text.is_empty());
        let who = match self.match_by {
            MatchBy::Email => Who::Email(read_email(email)?),
            MatchBy::Id => {
                let id = named("id").ok_or("missing_key")?.parse().ok();
                Who::Id(id.filter(|id| *id > 0).ok_or("invalid_id")?)
            }
            MatchBy::External => Who::Identity(read_identity(other)?.ok_or("missing_key")?),
            MatchBy::Card => Who::Card(named("card").ok_or("missing_key")?.to_owned()),
        };
        let mut wants = Vec::new();
        for (column, cell) in columns.iter().zip(cells) {
            match column {
                Column::Email if self.match_by != MatchBy::Email && !cell.is_empty() => {
                    let email = match *cell == self.rules.clear_token {
                        true => None,
                        false => Some(read_email(cell).map_err(|_| "invalid_email")?),
                    };
                    wants.push(Want::Email(email));
                }
                Column::Value(field) => {
                    let is_operator =
                        |other: &&Column| matches!(other, Column::Operator(other) if other.key == field.key);
                    let op = columns.iter().find(is_operator).and_then(|found| {
                        columns.iter().position(|column| std::ptr::eq(column, found)).map(|at| cells[at].as_str())
                    });
                    wants.extend(read_cell(field, op.unwrap_or_default(), cell, &self.rules)?.map(Want::Value));
                }
                Column::Email | Column::Operator(_) | Column::Ours => {}
            }
        }
        if let Some(cell) = other("card").filter(|_| self.match_by != MatchBy::Card) {
            wants.extend(read_cell(&CARD, "", cell, &self.rules)?.map(Want::Value));
        }
        if self.match_by != MatchBy::External {
            wants.extend(read_identity(other)?.map(Want::Identity));
        }
        Ok(Row { who, wants, lost: Vec::new() })
    }
}

fn read_identity<'a>(cell: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Identity>, &'static str> {
    let cell = |name| cell(name).unwrap_or_default().trim().to_owned();
    let (source, id, language) = (cell("source"), cell("source_id"), cell("identity_language"));
    match (source.is_empty(), id.is_empty(), language.is_empty()) {
        (true, true, true) => Ok(None),
        (false, false, empty) => Ok(Some(Identity { source, id, language: (!empty).then_some(language) })),
        (_, _, _) => Err("missing_key"),
    }
}

/// One of the fields that a single edit may name.
pub fn any_field(choose: &mut impl Choose) -> &'static Field {
    choose.one_of(&fields::ALL.iter().collect::<Vec<_>>())
}
