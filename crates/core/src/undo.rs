//! The decision for one user of an undo, without any I/O (invariant 8 of the design).
//!
//! What nobody touched since the job goes back to exactly what it was, unset becomes unset again. Where somebody did, an
//! operator is reversed by what it did to the number, and an overwrite is kept and told. "Since" is by the order of
//! changes, never by equal values.

use crate::error::{Code, RowError};
use crate::field::{Field, FieldNumber, FieldType};
use crate::id::JobId;
use crate::number;
use crate::plan::{Plan, Rules, limit};
use crate::user::{Change, Operator, User};
use crate::value::{Misfit, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// A change set of the user.
#[derive(Clone, Debug)]
pub struct Past {
    /// The user's version afterwards.
    pub version: i64,
    /// The job that did it, if one did.
    pub job: Option<JobId>,
    /// The job that this job took back, if it did.
    pub undoes: Option<JobId>,
    /// Whether another job took this job back.
    pub undone: bool,
    /// What changed.
    pub changes: Vec<Change>,
}

/// Decides what becomes of a user. `past` is what happened to the user, in order, from the first change set of the job
/// on that is being undone.
pub fn plan_undo(user: &User, of: JobId, past: &[Past], rules: &Rules<'_>) -> Plan {
    let last = past.iter().rposition(|set| set.job == Some(of));
    // An earlier undo that did not reach everybody may have reached this user.
    if last.is_none_or(|last| past[last..].iter().any(|set| set.undoes == Some(of))) {
        return Plan::Unchanged;
    }
    let created = past.first().is_some_and(|set| set.job == Some(of) && set.version == 1);
    if created {
        return undo_creation(of, past);
    }
    let mut reversal = Reversal::default();
    for field in touched(past, Some(of)) {
        if let Err(error) = reversal.field(field, of, user, past, rules) {
            return Plan::Reject(error);
        }
    }
    match (reversal.changes, reversal.kept.as_slice()) {
        (changes, []) if changes.is_empty() => Plan::Unchanged,
        (changes, []) => Plan::Update(changes),
        (changes, kept) => {
            let message = match kept {
                [_] => "somebody changed it after the job, so it was kept",
                _ => "somebody changed them after the job, so they were kept",
            };
            let error = RowError { column: Some(kept.join(", ")), ..RowError::row(Code::ChangedSinceJob, message) };
            if changes.is_empty() { Plan::Skip(error) } else { Plan::UpdatePart(changes, error) }
        }
    }
}

/// What happened to a field and still matters: what a job did and another job took back again did not happen.
///
/// Where a job left a field as it had found it, taking the job back writes nothing, and that it was says only the job.
fn entries(field: FieldNumber, of: JobId, past: &[Past]) -> Vec<Entry<'_>> {
    let is_undone = |job| job != Some(of) && past.iter().any(|set| set.job == job && set.undone);
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for set in past {
        for change in set.changes.iter().filter(|change| change.field == field) {
            let undone = set.undoes.map(|undone| {
                let end = settled(&entries, |job| job != Some(undone) && is_undone(job));
                (run_begin(&entries[..end], Some(undone)), end)
            });
            match undone.filter(|(from, end)| from < end && entries[*from].1.old == change.new) {
                Some((from, _)) => entries.truncate(from),
                None => entries.push((set.job, change)),
            }
        }
    }
    entries.truncate(settled(&entries, is_undone));
    entries
}

/// A change and the job that made it, if one did.
type Entry<'a> = (Option<JobId>, &'a Change);

/// Where what the job did last begins: at the end, where others came after it.
fn run_begin(entries: &[Entry<'_>], by: Option<JobId>) -> usize {
    entries.iter().rposition(|(job, _)| *job != by).map_or(0, |before| before + 1)
}

/// Where the entries end without what jobs that are gone did last, as far as it led back to where it began.
fn settled(entries: &[Entry<'_>], is_gone: impl Fn(Option<JobId>) -> bool) -> usize {
    let mut end = entries.len();
    while let Some((job, last)) = entries[..end].last().copied().filter(|(job, _)| is_gone(*job)) {
        let from = run_begin(&entries[..end], job);
        if entries[from].1.old != last.new {
            break;
        }
        end = from;
    }
    end
}

/// A user whom the job made is deleted, unless somebody else has had to do with the user since.
fn undo_creation(of: JobId, past: &[Past]) -> Plan {
    let others = |field| entries(field, of, past).iter().any(|(job, _)| *job != Some(of));
    if touched(past, None).into_iter().any(others) {
        let message = "the job made the user, and somebody changed the user after it, so the user was kept";
        return Plan::Skip(RowError::row(Code::ChangedSinceJob, message));
    }
    let new = Some(Value::Boolean(true));
    Plan::Update(vec![Change { field: FieldNumber::DELETED, op: Operator::Overwrite, old: None, new }])
}

/// The fields that a job changed, or anybody, in the order in which they were changed first.
fn touched(past: &[Past], by: Option<JobId>) -> Vec<FieldNumber> {
    let mut fields = Vec::new();
    let sets = past.iter().filter(|set| by.is_none() || set.job == by);
    for change in sets.flat_map(|set| &set.changes) {
        if !fields.contains(&change.field) {
            fields.push(change.field);
        }
    }
    fields
}

/// What is gathered, field by field.
#[derive(Default)]
struct Reversal {
    changes: Vec<Change>,
    kept: Vec<String>,
}

impl Reversal {
    fn field(
        &mut self,
        number: FieldNumber,
        of: JobId,
        user: &User,
        past: &[Past],
        rules: &Rules<'_>,
    ) -> Result<(), RowError> {
        let entries = entries(number, of, past);
        let others = entries.iter().rposition(|(job, _)| *job != Some(of));
        let (before, since) = entries.split_at(others.map_or(0, |last| last + 1));
        let by_job = |entries: &[(Option<JobId>, &'_ Change)]| -> Vec<Change> {
            entries.iter().filter(|(job, _)| *job == Some(of)).map(|(_, change)| (*change).clone()).collect()
        };
        let old = user.get(number);
        // What the job did after everybody else goes back to exactly what it found.
        let found = since.first().map_or_else(|| old.clone(), |(_, change)| change.old.clone());
        let numeric = rules.fields.get(number).filter(|field| field.kind.is_numeric());
        let new = match numeric {
            Some(field) => reversed(field, found, &by_job(before), rules)?,
            None => found,
        };
        let overwritten = by_job(before).iter().any(|change| !operates(change, numeric));
        // What it held while the field had another type, and cannot hold any more.
        let kind = rules.fields.get(number).map(|field| field.kind);
        let fits = new.as_ref().is_none_or(|new| kind.is_none_or(|kind| new.is_of(kind)));
        if overwritten && since.is_empty() || !fits {
            let name = rules.fields.get(number).map(|field| field.name.as_str());
            self.kept.push(name.or_else(|| rules.fields.key_of(number)).unwrap_or_default().to_owned());
        }
        if new != old && fits {
            let operated = by_job(&entries).iter().all(|change| operates(change, numeric));
            let op = if operated { opposite(old.as_ref(), new.as_ref()) } else { Operator::Overwrite };
            self.changes.push(Change { field: number, op, old, new });
        }
        Ok(())
    }
}

fn operates(change: &Change, numeric: Option<&Field>) -> bool {
    numeric.is_some() && change.op != Operator::Overwrite
}

/// The entry that leads from one number to another; nothing can only be overwritten.
fn opposite(old: Option<&Value>, new: Option<&Value>) -> Operator {
    match (old.and_then(Value::as_decimal).unwrap_or_default(), new.and_then(Value::as_decimal)) {
        (old, Some(new)) if new < old => Operator::Subtract,
        (_, Some(_)) => Operator::Add,
        (_, None) => Operator::Overwrite,
    }
}

/// The number without what the job's operators did to it before somebody else changed it. What the job added before it
/// overwrote the number itself was gone already.
fn reversed(
    field: &Field,
    found: Option<Value>,
    by_job: &[Change],
    rules: &Rules<'_>,
) -> Result<Option<Value>, RowError> {
    let amount = |value: &Option<Value>| value.as_ref().and_then(Value::as_decimal).unwrap_or_default();
    let mut delta = Decimal::ZERO;
    let too_long =
        |_| RowError::cell(Code::OutOfRange, &field.name, "", "the number has more digits than can be kept exactly");
    for change in by_job {
        delta = match change.op {
            Operator::Overwrite => Decimal::ZERO,
            Operator::Add | Operator::Subtract => {
                let effect = number::subtract(amount(&change.new), amount(&change.old)).map_err(too_long)?;
                number::add(delta, effect).map_err(too_long)?
            }
        };
    }
    if delta.is_zero() {
        return Ok(found);
    }
    let held = found.as_ref().and_then(Value::as_decimal);
    let after = number::subtract(held.unwrap_or_default(), delta).map_err(too_long)?;
    let fail = |misfit: Misfit| misfit.in_cell(&field.name, &after.to_string());
    let after = limit(field, held, after, rules.overdraft).map_err(fail)?;
    Ok(Some(match field.kind {
        FieldType::Integer => Value::Integer(after.to_i64().filter(|_| after.is_integer()).ok_or_else(|| {
            let message = format!("{after} is not a whole number of 64 bits");
            RowError::cell(Code::OutOfRange, &field.name, &after.to_string(), message)
        })?),
        _ => Value::Decimal(after),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::id::UserId;
    use crate::job::{JobKind, Overdraft};
    use jiff::Timestamp;

    /// Who does something in these tests: the job that is undone, an undo of it, a person, another job and its undo.
    #[derive(Clone, Copy, PartialEq)]
    enum By {
        Job,
        Undo,
        Other,
        Second,
        UndoSecond,
        UndoneSecond,
    }

    impl By {
        fn job(self) -> Option<JobId> {
            (self != Self::Other).then(|| JobId::from_bytes([self as u8; 12]))
        }

        fn undoes(self) -> Option<JobId> {
            match self {
                Self::Undo => Self::Job.job(),
                Self::UndoSecond => Self::Second.job(),
                Self::Job | Self::Other | Self::Second | Self::UndoneSecond => None,
            }
        }
    }

    fn past(version: i64, by: By, changes: Vec<Change>) -> Past {
        Past { version, job: by.job(), undoes: by.undoes(), undone: by == UndoneSecond, changes }
    }

    /// Applies entries `(by, field, op, value)` to a user of version 1 and undoes the job.
    fn undo(entries: &[(By, &str, Operator, Option<i64>)]) -> (User, Plan) {
        let fields = sample();
        let mut user = User::blank(UserId(1), Timestamp::UNIX_EPOCH);
        user.apply(&[], Timestamp::UNIX_EPOCH);
        let mut sets = Vec::new();
        for (by, key, op, value) in entries {
            let field = fields.find_by_key(key).unwrap();
            let old = user.get(field.number);
            let held = old.as_ref().and_then(Value::as_decimal).unwrap_or_default();
            let new = value.map(|value| match op {
                Operator::Overwrite => Decimal::from(value),
                Operator::Add => held + Decimal::from(value),
                Operator::Subtract => held - Decimal::from(value),
            });
            let change = Change { field: field.number, op: *op, old, new: new.map(Value::Decimal) };
            user.apply(std::slice::from_ref(&change), Timestamp::UNIX_EPOCH);
            sets.push(past(user.version, *by, vec![change]));
        }
        let first = sets.iter().position(|set| set.job == Job.job()).unwrap();
        let rules = Rules { kind: JobKind::Undo, overdraft: Overdraft::Reject, fields: &fields, columns: &[] };
        let plan = plan_undo(&user, Job.job().unwrap(), &sets[first..], &rules);
        if let Plan::Update(changes) | Plan::UpdatePart(changes, _) = &plan {
            user.apply(changes, Timestamp::UNIX_EPOCH);
        }
        (user, plan)
    }

    fn balance(entries: &[(By, &str, Operator, Option<i64>)]) -> Option<String> {
        let fields = sample();
        let number = fields.find_by_key("premium_currency").unwrap().number;
        undo(entries).0.get(number).map(|value| value.to_string())
    }

    use By::{Job, Other, Second, Undo, UndoSecond, UndoneSecond};
    use Operator::{Add, Overwrite, Subtract};
    const COINS: &str = "premium_currency";

    #[test]
    fn what_nobody_touched_since_is_as_it_was_and_unset_is_unset_again() {
        assert_eq!(balance(&[(Job, COINS, Add, Some(5))]), None);
        assert_eq!(balance(&[(Other, COINS, Overwrite, Some(9)), (Job, COINS, Overwrite, None)]).as_deref(), Some("9"));
        let twice = [(Other, COINS, Add, Some(9)), (Job, COINS, Add, Some(5)), (Job, COINS, Overwrite, Some(1))];
        assert_eq!(balance(&twice).as_deref(), Some("9"));
    }

    #[test]
    fn operators_are_reversed_though_others_changed_the_balance_and_overwrites_are_kept() {
        let spent =
            [(Other, COINS, Overwrite, Some(10)), (Job, COINS, Add, Some(5)), (Other, COINS, Subtract, Some(3))];
        assert_eq!(balance(&spent).as_deref(), Some("7"));
        let (_, plan) = undo(&[(Job, COINS, Overwrite, Some(5)), (Other, COINS, Add, Some(1))]);
        let Plan::Skip(error) = plan else { panic!("{plan:?}") };
        assert_eq!((error.code, error.column.as_deref()), (Code::ChangedSinceJob, Some("Premium Currency")));
        let between = [
            (Other, COINS, Overwrite, Some(10)),
            (Job, COINS, Add, Some(5)),
            (Other, COINS, Add, Some(2)),
            (Job, COINS, Add, Some(5)),
        ];
        assert_eq!(balance(&between).as_deref(), Some("12"));
        let (_, plan) =
            undo(&[(Job, COINS, Overwrite, Some(5)), (Job, "points", Add, Some(1)), (Other, COINS, Add, Some(1))]);
        assert!(
            matches!(plan, Plan::UpdatePart(changes, _) if changes.len() == 1),
            "one field goes back, the other is kept"
        );
    }

    #[test]
    fn a_reversal_that_would_overdraw_fails_its_row() {
        let (_, plan) = undo(&[(Job, COINS, Add, Some(5)), (Other, COINS, Subtract, Some(4))]);
        assert!(matches!(plan, Plan::Reject(error) if error.code == Code::InsufficientBalance));
    }

    #[test]
    fn an_undo_that_was_broken_off_is_not_repeated_for_whom_it_reached() {
        let (_, plan) =
            undo(&[(Job, COINS, Add, Some(5)), (Undo, COINS, Subtract, Some(5)), (Other, COINS, Add, Some(1))]);
        assert_eq!(plan, Plan::Unchanged);
    }

    #[test]
    fn what_another_job_did_and_was_taken_back_did_not_happen() {
        let undone =
            [(Job, COINS, Overwrite, Some(5)), (Second, COINS, Add, Some(2)), (UndoSecond, COINS, Subtract, Some(2))];
        assert_eq!(balance(&undone), None, "as if the second job had never been");
        let later = [undone[0], undone[1], undone[2], (Other, COINS, Add, Some(1))];
        assert_eq!(balance(&later).as_deref(), Some("6"));
        let other =
            [(Job, COINS, Overwrite, Some(5)), (Second, COINS, Add, Some(2)), (Other, COINS, Add, Some(1)), undone[2]];
        assert_eq!(balance(&other).as_deref(), Some("6"), "only what goes back to exactly what was found");
        let nowhere = [
            undone[0],
            (Second, COINS, Add, Some(2)),
            (UndoneSecond, COINS, Add, Some(3)),
            (UndoneSecond, COINS, Subtract, Some(3)),
            (UndoSecond, COINS, Subtract, Some(2)),
        ];
        assert_eq!(balance(&nowhere), None, "and what led nowhere before that was taken back");
        let there_and_back = |by| [undone[0], (by, COINS, Add, Some(2)), (by, COINS, Subtract, Some(2))];
        assert_eq!(balance(&there_and_back(UndoneSecond)), None, "taking that back had nothing to write");
        assert_eq!(balance(&there_and_back(Second)).as_deref(), Some("5"), "it is changes that count, not values");
    }

    #[test]
    fn users_whom_the_job_made_are_deleted_unless_somebody_changed_them() {
        let fields = sample();
        let rules = Rules { kind: JobKind::Undo, overdraft: Overdraft::Reject, fields: &fields, columns: &[] };
        let user = User { version: 1, ..User::blank(UserId(1), Timestamp::UNIX_EPOCH) };
        let text = |text: &str| Some(Value::Text(text.into()));
        let city = |old, new| vec![Change { field: FieldNumber::FIRST, op: Operator::Overwrite, old, new }];
        let made = past(1, Job, Vec::new());
        let plan = |sets: &[Past]| plan_undo(&user, Job.job().unwrap(), sets, &rules);
        let deletes = |plan| matches!(plan, Plan::Update(changes) if changes[0].field == FieldNumber::DELETED);
        assert!(deletes(plan(std::slice::from_ref(&made))));
        let touched = past(2, Second, city(None, text("Rome")));
        assert!(matches!(plan(&[made.clone(), touched.clone()]), Plan::Skip(_)));
        let back = past(3, UndoSecond, city(text("Rome"), None));
        assert!(deletes(plan(&[made, touched, back])), "that was taken back");
    }
}
