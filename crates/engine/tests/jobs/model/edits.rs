//! Single edits, between jobs and under them.

use super::Round;
use super::file::any_field;
use super::reference::generate::{self, Choose};
use super::reference::{Rules, read_cell};
use super::world::{Handle, Row, Want, Who};
use muster_core::Patch;
use muster_core::field::FieldType;
use muster_core::id::UserId;
use muster_core::job::{JobKind, Overdraft};
use muster_engine::{EngineError, UserEdit};

impl Round<'_> {
    /// Somebody changes, renames, deletes or brings back somebody.
    pub async fn edit(&mut self, choose: &mut impl Choose) {
        let Some((handle, id)) = self.somebody(choose, false) else { return };
        match choose.below(10) {
            0 => {
                let answer = self.bench.engine.delete_user(&self.bench.caller, id, None).await;
                self.expect(JobKind::Delete, handle, Vec::new(), answer);
            }
            1 => {
                let Some((handle, id)) = self.somebody(choose, true) else { return };
                let answer = self.bench.engine.restore_user(&self.bench.caller, id).await;
                self.expect(JobKind::Restore, handle, Vec::new(), answer.map(drop));
            }
            2 | 3 => {
                let email = choose.one_of(generate::EMAILS).trim().to_owned();
                let edit = UserEdit { email: Patch::Set(email.clone()), ..UserEdit::default() };
                let answer = self.bench.engine.edit_user(&self.bench.caller, id, &edit).await;
                self.expect(JobKind::Update, handle, vec![Want::Email(Some(email))], answer.map(drop));
            }
            _ => self.edit_value(choose).await,
        }
    }

    /// Somebody changes one value of somebody.
    pub async fn edit_value(&mut self, choose: &mut impl Choose) {
        let Some((handle, id)) = self.somebody(choose, false) else { return };
        let field = any_field(choose);
        let cell = generate::cell(choose, field, true);
        // An empty cell is an empty text here; JSON is sent as it is, not inside a text.
        if cell.is_empty() || field.kind == FieldType::Json {
            return;
        }
        let op = if field.kind.is_numeric() { choose.one_of(&["add", "subtract", "overwrite"]) } else { "" };
        let json = match op {
            "" => serde_json::json!(cell),
            op => serde_json::json!({ "op": op, "value": cell }),
        };
        let edit = UserEdit { values: vec![(field.key.to_owned(), json)], ..UserEdit::default() };
        let answer = self.bench.engine.edit_user(&self.bench.caller, id, &edit).await.map(drop);
        match read_cell(field, op, &cell, &rules()) {
            Ok(wish) => self.expect(JobKind::Update, handle, wish.into_iter().map(Want::Value).collect(), answer),
            Err(expected) => assert_eq!(code(answer), expected, "{edit:?}"),
        }
    }

    /// Does the same to the model, which must agree.
    fn expect(&mut self, kind: JobKind, handle: Handle, wants: Vec<Want>, answer: Result<(), EngineError>) {
        let mut work = self.world.begin(kind, &rules(), None, None);
        let row = Row { who: Who::Id(self.world.people[handle].id.unwrap_or_default()), wants, lost: Vec::new() };
        let expected = self.world.row(&mut work, &row, Some(handle));
        assert_eq!(code(answer), expected.err().unwrap_or_default(), "{kind} {row:?}");
    }

    fn somebody(&self, choose: &mut impl Choose, deleted: bool) -> Option<(Handle, UserId)> {
        let all = self.world.people.iter().enumerate().filter(|(_, person)| person.deleted == deleted);
        let all: Vec<_> = all.filter_map(|(handle, person)| Some((handle, UserId(person.id?)))).collect();
        (!all.is_empty()).then(|| choose.one_of(&all))
    }
}

fn rules() -> Rules {
    Rules { import: false, overdraft: Overdraft::Reject, clear_token: String::new() }
}

fn code(answer: Result<(), EngineError>) -> &'static str {
    answer.map_or_else(|error| error.public().code.as_str(), |()| "")
}
