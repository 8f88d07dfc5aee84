//! How the model takes a job back. What nobody touched since goes back to what it was; where somebody did, what was
//! added is taken away again and what was overwritten is kept.

use super::reference::{Delta, Exact, Field, Wish, fields, outcome};
use super::world::{Handle, Person, Row, Set, Who, Work, World, delta};
use muster_core::id::JobId;
use muster_core::job::Overdraft;
use std::collections::HashSet;

/// Something that happened to a field, and who did it.
type Entry<'a> = (Option<JobId>, &'a Delta);

impl World {
    /// Takes back what a job did to everybody, in order of their numbers: a verdict for each.
    pub fn take_back(&mut self, work: &mut Work, of: JobId) -> Vec<String> {
        self.undone.insert(of);
        let changed = |person: &Person| person.history.iter().any(|set| set.job == Some(of));
        let mut all: Vec<Handle> = (0..self.people.len()).filter(|handle| changed(&self.people[*handle])).collect();
        all.sort_by_key(|handle| self.people[*handle].id);
        all.into_iter().map(|handle| self.take_back_from(work, of, handle)).collect()
    }

    fn take_back_from(&mut self, work: &mut Work, of: JobId, handle: Handle) -> String {
        let person = &self.people[handle];
        let first = person.history.iter().position(|set| set.job == Some(of)).expect("the job changed them");
        let last = person.history.iter().rposition(|set| set.job == Some(of)).expect("the job changed them");
        if person.history[last..].iter().any(|set| set.undoes == Some(of)) {
            return "unchanged".to_owned();
        }
        let past = &person.history[first..];
        let others: HashSet<JobId> = self.undone.iter().copied().filter(|job| *job != of).collect();
        let (deltas, kept) = if first == 0 {
            let all = touched(past.iter());
            if all.iter().any(|field| left(past, field, &others).iter().any(|(job, _)| *job != Some(of))) {
                return "skipped changed_since_job".to_owned();
            }
            (vec![delta("deleted", "overwrite", None, Some("true".to_owned()))], false)
        } else {
            match reversal(person, past, of, &others, work.rules.overdraft) {
                Ok(reversal) => reversal,
                Err(code) => return format!("failed {code}"),
            }
        };
        match (deltas.is_empty(), kept) {
            (true, false) => return "unchanged".to_owned(),
            (true, true) => return "skipped changed_since_job".to_owned(),
            (false, _) => {}
        }
        let row = Row { who: Who::Id(0), wants: Vec::new(), lost: Vec::new() };
        match self.change(work, handle, deltas, &row) {
            Ok(()) if kept => "updated changed_since_job".to_owned(),
            Ok(()) => "updated".to_owned(),
            Err(code) => format!("failed {code}"),
        }
    }
}

fn touched<'a>(sets: impl Iterator<Item = &'a Set>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for delta in sets.flat_map(|set| &set.deltas) {
        if !all.contains(&delta.field.as_str()) {
            all.push(&delta.field);
        }
    }
    all
}

/// What happened to a field, without what a job did last and was taken back exactly.
///
/// Of a job that was taken back nothing remains either where it led back to where it began.
fn left<'a>(past: &'a [Set], field: &str, undone: &HashSet<JobId>) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for set in past {
        for delta in set.deltas.iter().filter(|delta| delta.field == field) {
            let mut rest = entries.clone();
            if set.undoes.is_some() {
                forget(&mut rest, undone, set.undoes);
                let begun = rest.iter().rev().take_while(|(job, _)| *job == set.undoes).last().copied();
                rest.truncate(rest.len() - rest.iter().rev().take_while(|(job, _)| *job == set.undoes).count());
                if begun.is_some_and(|(_, begun)| begun.old == delta.new) {
                    entries = rest;
                    continue;
                }
            }
            entries.push((set.job, delta));
        }
    }
    forget(&mut entries, undone, None);
    entries
}

/// Forgets what jobs that were taken back did last, but for one of them, where it led back to where it began.
fn forget(entries: &mut Vec<Entry<'_>>, undone: &HashSet<JobId>, but: Option<JobId>) {
    loop {
        let is_gone = |job: Option<JobId>| job != but && job.is_some_and(|job| undone.contains(&job));
        let Some((job, end)) = entries.last().copied().filter(|(job, _)| is_gone(*job)) else { return };
        let run = entries.iter().rev().take_while(|(other, _)| *other == job).count();
        let rest = entries.len() - run;
        if entries[rest].1.old != end.new {
            return;
        }
        entries.truncate(rest);
    }
}

/// What is to change for somebody, and whether something has to be kept.
fn reversal(
    person: &Person,
    past: &[Set],
    of: JobId,
    undone: &HashSet<JobId>,
    overdraft: Overdraft,
) -> Result<(Vec<Delta>, bool), &'static str> {
    let (mut deltas, mut kept) = (Vec::new(), false);
    for name in touched(past.iter().filter(|set| set.job == Some(of))) {
        let numeric = fields::ALL.iter().find(|field| field.key == name && field.kind.is_numeric());
        let operates = |delta: &Delta| numeric.is_some() && delta.op != "overwrite";
        let entries = left(past, name, undone);
        let untouched = entries.iter().rev().take_while(|(job, _)| *job == Some(of)).count();
        let (before, since) = entries.split_at(entries.len() - untouched);
        let old = person.get(name);
        let mut new = since.first().map_or_else(|| old.clone(), |(_, delta)| delta.old.clone());
        let own: Vec<&Delta> = before.iter().filter(|(job, _)| *job == Some(of)).map(|(_, delta)| *delta).collect();
        if let Some(field) = numeric {
            new = without(field, new, &own, overdraft)?;
        }
        kept |= since.is_empty() && own.iter().any(|delta| !operates(delta));
        if new != old {
            let number = |text: &Option<String>| text.as_deref().map_or(Ok(Exact::ZERO), Exact::read);
            let all = entries.iter().filter(|(job, _)| *job == Some(of)).all(|(_, delta)| operates(delta));
            let op = match all && new.is_some() {
                true if number(&new)? < number(&old)? => "subtract",
                true => "add",
                false => "overwrite",
            };
            deltas.push(delta(name, op, old, new));
        }
    }
    Ok((deltas, kept))
}

/// The number without what was added since it was overwritten last.
fn without(
    field: &'static Field,
    held: Option<String>,
    own: &[&Delta],
    overdraft: Overdraft,
) -> Result<Option<String>, &'static str> {
    let number = |text: &Option<String>| text.as_deref().map_or(Ok(Exact::ZERO), Exact::read);
    let overwritten = own.iter().rposition(|delta| delta.op == "overwrite").map_or(0, |at| at + 1);
    let mut added = Exact::ZERO;
    for delta in &own[overwritten..] {
        added = added.plus(number(&delta.new)?.minus(number(&delta.old)?)?)?;
    }
    if added == Exact::ZERO {
        return Ok(held);
    }
    let after = number(&held)?.minus(added)?;
    // Its limits are those of any other way to this number.
    outcome(&Wish { field, op: "overwrite", value: Some(after.to_string()) }, held.as_deref(), overdraft)
}
