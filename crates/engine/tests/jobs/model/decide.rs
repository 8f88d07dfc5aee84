//! What the model says becomes of a file: which rows are refused at once, which are dropped as repeated, what the others
//! do, and when the job is stopped.

use super::file::File;
use super::world::{Handle, Name, Row, Who, Work, World};
use muster_core::job::OnDuplicate;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row that was read, and whom it was found to mean.
#[derive(Clone, Debug)]
struct Ready {
    row: Row,
    about: Option<Handle>,
}

impl Ready {
    /// What rows about the same person share.
    fn group(&self) -> (Option<Handle>, Option<Name>, i64) {
        let id = if let Who::Id(id) = self.row.who { id } else { 0 };
        (self.about, self.row.who.name().filter(|_| self.about.is_none()), id)
    }
}

/// What becomes of a row, and whom it is about.
#[derive(Clone, Debug)]
pub struct Ruling {
    pub verdict: String,
    pub about: Option<Handle>,
}

/// What becomes of a job.
#[derive(Clone, Debug)]
pub struct Rulings {
    /// By the number of the row in the file, from 0.
    pub rows: BTreeMap<usize, Ruling>,
    /// Why it failed, if it did.
    pub error: Option<&'static str>,
    prepared: BTreeMap<usize, Result<Ready, String>>,
    /// How much had happened to each when it was decided.
    versions: Vec<usize>,
}

impl Rulings {
    pub fn verdicts(&self) -> Vec<String> {
        self.rows.values().map(|ruling| ruling.verdict.clone()).collect()
    }
}

fn is(verdict: &str, status: &str) -> bool {
    verdict.split(' ').next() == Some(status)
}

impl World {
    /// What preparing makes of the rows.
    fn prepare(&self, file: &File, only: Option<&[usize]>) -> BTreeMap<usize, Result<Ready, String>> {
        let taken = |i: &usize| only.is_none_or(|only| only.contains(i));
        let ready = |i: usize| {
            let row = file.read(&file.rows[i]).map_err(|code| format!("failed {code}"))?;
            match (self.find(file.kind, &row.who).as_slice(), file.kind, file.rules.import) {
                ([_, _, ..], _, _) => Err("failed ambiguous_match".to_owned()),
                ([_], muster_core::job::JobKind::Create, _) => Err("failed user_exists".to_owned()),
                ([about], _, _) => Ok(Ready { row, about: Some(*about) }),
                ([], _, false) => Err("failed user_not_found".to_owned()),
                ([], _, true) => Ok(Ready { row, about: None }),
            }
        };
        let mut rows: BTreeMap<usize, _> = (0..file.rows.len()).filter(taken).map(|i| (i, ready(i))).collect();
        drop_repeated(&mut rows, file.on_duplicate);
        mark_losers(&mut rows);
        rows
    }

    /// Decides a file. What the job made of it is looked at only to see where `on_error=abort` stopped it, which depends
    /// on the order of the people.
    pub fn decide(&mut self, work: &mut Work, file: &File, only: Option<&[usize]>, actual: &[String]) -> Rulings {
        let prepared = self.prepare(file, only);
        let versions = self.people.iter().map(|person| person.history.len()).collect();
        let mut rulings = Rulings { rows: BTreeMap::new(), error: None, prepared, versions };
        self.settle(work, file, &mut rulings, actual, None);
        rulings
    }

    /// Does what a dry run planned.
    pub fn apply_plan(&mut self, work: &mut Work, file: &File, plan: &Rulings, actual: &[String]) -> Rulings {
        let mut rulings = Rulings { rows: BTreeMap::new(), ..plan.clone() };
        for (i, ready) in &mut rulings.prepared {
            let planned = &plan.rows[i].verdict;
            if is(planned, "failed") || is(planned, "skipped") {
                *ready = Err(planned.clone());
            }
        }
        self.settle(work, file, &mut rulings, actual, Some(&plan.versions));
        rulings
    }

    fn settle(
        &mut self,
        work: &mut Work,
        file: &File,
        rulings: &mut Rulings,
        actual: &[String],
        versions: Option<&[usize]>,
    ) {
        let refused = rulings.prepared.iter().filter_map(|(i, ready)| Some((*i, ready.as_ref().err()?.clone())));
        rulings.rows = refused.map(|(i, verdict)| (i, Ruling { verdict, about: None })).collect();
        let failed = |rows: &BTreeMap<usize, Ruling>| rows.values().filter(|row| is(&row.verdict, "failed")).count();
        let refused = failed(&rulings.rows);
        let too_many = |failed: usize| file.max_failed.is_some_and(|most| failed > most);
        let unprocessed = |rulings: &mut Rulings, error| {
            rulings.error = Some(error);
            for i in rulings.prepared.keys() {
                let verdict = "unprocessed".to_owned();
                rulings.rows.entry(*i).or_insert(Ruling { verdict, about: None });
            }
        };
        if refused > 0 && file.abort {
            return unprocessed(rulings, "aborted");
        }
        if too_many(refused) {
            return unprocessed(rulings, "too_many_failures");
        }
        let before = rulings.rows.clone();
        let mut after = self.clone();
        let positions: Vec<usize> = rulings.prepared.keys().copied().collect();
        let all = after.rows(work, &rulings.prepared, &|_| true, versions);
        rulings.rows.extend(all);
        let changed = after.people.iter().enumerate();
        let affected = changed
            .filter(|(i, person)| self.people.get(*i).is_none_or(|before| before.history.len() < person.history.len()));
        if too_many(failed(&rulings.rows)) {
            rulings.rows = before;
            return unprocessed(rulings, "too_many_failures");
        }
        if file.max_affected.is_some_and(|most| affected.count() > most) {
            rulings.rows = before;
            return unprocessed(rulings, "too_many_affected");
        }
        if file.abort && failed(&rulings.rows) > 0 {
            let reached = |i: usize| {
                let at = positions.binary_search(&i).expect("it is one of the rows");
                actual.get(at).is_some_and(|verdict| verdict != "unprocessed")
            };
            rulings.rows = before;
            let mut again = self.begin(work.kind, &work.rules, work.job, work.undoes);
            let some = self.rows(&mut again, &rulings.prepared, &reached, versions);
            rulings.rows.extend(some);
            assert_eq!(failed(&rulings.rows), 1, "the first row that fails is the last");
            return unprocessed(rulings, "aborted");
        }
        *self = after;
    }

    /// What the prepared rows do, of which some may not have been reached.
    fn rows(
        &mut self,
        work: &mut Work,
        prepared: &BTreeMap<usize, Result<Ready, String>>,
        reached: &dyn Fn(usize) -> bool,
        versions: Option<&[usize]>,
    ) -> BTreeMap<usize, Ruling> {
        let mut made: HashMap<Name, Handle> = HashMap::new();
        let mut outdated = HashMap::new();
        let mut stopped = BTreeSet::new();
        let mut rulings = BTreeMap::new();
        for (i, ready) in prepared.iter().filter_map(|(i, ready)| Some((*i, ready.as_ref().ok()?))) {
            let group = ready.group();
            if !reached(i) {
                stopped.insert(group);
                continue;
            }
            assert!(!stopped.contains(&group), "rows of somebody are reached in the order of the file");
            let (who, still) = (&ready.row.who, ready.about.filter(|who| self.sees(work.kind, &ready.row.who, *who)));
            let about = match (still, self.find(work.kind, who).as_slice()) {
                (Some(handle), _) => Some(handle),
                // Whom an earlier row deleted is not looked for again.
                (None, []) => who.name().and_then(|name| made.get(&name).copied()),
                (None, [handle]) => Some(*handle),
                (None, [_, _, ..]) => {
                    rulings.insert(i, Ruling { verdict: "failed ambiguous_match".to_owned(), about: None });
                    continue;
                }
            };
            let changed = |versions: &[usize]| {
                let version = |handle: Handle| self.people.get(handle).map(|person| person.history.len());
                about != ready.about || about.is_some_and(|who| version(who) != versions.get(who).copied())
            };
            let is_outdated = *outdated.entry(group).or_insert_with(|| versions.is_some_and(changed));
            let result = if is_outdated { Err("changed_since_plan") } else { self.row(work, &ready.row, about) };
            let ruling = match result {
                Ok((status, handle)) => {
                    if status == "created" {
                        made.extend(who.name().map(|name| (name, handle)));
                    }
                    Ruling { verdict: status.to_owned(), about: Some(handle) }
                }
                Err(code) => Ruling { verdict: format!("failed {code}"), about },
            };
            rulings.insert(i, ruling);
        }
        rulings
    }
}

fn drop_repeated(rows: &mut BTreeMap<usize, Result<Ready, String>>, policy: OnDuplicate) {
    let mut groups: HashMap<_, Vec<usize>> = HashMap::new();
    for (i, ready) in rows.iter().filter_map(|(i, ready)| Some((*i, ready.as_ref().ok()?))) {
        groups.entry(ready.group()).or_default().push(i);
    }
    for same in groups.values() {
        let (first, last) = (same[0], same[same.len() - 1]);
        let (keep, status) = match policy {
            OnDuplicate::ApplyAll => continue,
            OnDuplicate::First => (first, "skipped"),
            OnDuplicate::Error => (first, "failed"),
            OnDuplicate::Last => (last, "skipped"),
        };
        for i in same.iter().filter(|i| **i != keep) {
            rows.insert(*i, Err(format!("{status} duplicate_in_file")));
        }
    }
}

/// Of several people for whom rows claim a name, the one of the lowest row may get it.
fn mark_losers(rows: &mut BTreeMap<usize, Result<Ready, String>>) {
    let mut winners: HashMap<Name, _> = HashMap::new();
    for ready in rows.values_mut().flatten() {
        let group = ready.group();
        let names = ready.row.wants.iter().filter_map(super::world::Want::name);
        ready.row.lost =
            names.filter(|name| *winners.entry(name.clone()).or_insert_with(|| group.clone()) != group).collect();
    }
}
