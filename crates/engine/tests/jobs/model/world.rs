//! The community as the model keeps it: people, what names them, and all that ever happened to them.

use super::reference::{Delta, Rules, Wish, fields, folded, outcome};
use muster_core::id::JobId;
use muster_core::job::JobKind;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The place of somebody in [`World::people`]. It stays, whatever happens.
pub type Handle = usize;

/// What names somebody in another system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub source: String,
    pub id: String,
    pub language: Option<String>,
}

impl Identity {
    fn key(&self) -> String {
        format!("{}/{}", self.prefix(), self.language.as_deref().unwrap_or_default().to_lowercase())
    }

    fn prefix(&self) -> String {
        format!("{}/{}", self.source.to_lowercase(), self.id.to_lowercase())
    }

    fn text(&self) -> String {
        [Some(&self.source), Some(&self.id), self.language.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(":")
    }

    fn parse(text: &str) -> Self {
        let mut parts = text.split(':').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (source, id, language) = (part(), part(), part());
        Self { source, id, language: Some(language).filter(|language| !language.is_empty()) }
    }
}

/// Something that only one living person may be called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(&'static str, String);

/// Whom a row means.
#[derive(Clone, Debug)]
pub enum Who {
    Email(String),
    Id(i64),
    Identity(Identity),
    Card(String),
}

impl Who {
    pub fn name(&self) -> Option<Name> {
        match self {
            Self::Email(email) => Some(Name("email", folded(email))),
            Self::Id(_) => None,
            Self::Identity(identity) => Some(Name("identities", identity.key())),
            Self::Card(card) => Some(Name("card", card.clone())),
        }
    }
}

/// What a row wants.
#[derive(Clone, Debug)]
pub enum Want {
    Value(Wish),
    Email(Option<String>),
    Identity(Identity),
}

impl Want {
    /// The name that it gives to the person.
    pub fn name(&self) -> Option<Name> {
        match self {
            Self::Value(wish) if wish.field.key == "card" => wish.value.clone().map(|card| Name("card", card)),
            Self::Value(_) | Self::Email(None) => None,
            Self::Email(Some(email)) => Some(Name("email", folded(email))),
            Self::Identity(identity) => Some(Name("identities", identity.key())),
        }
    }
}

/// A row that could be read.
#[derive(Clone, Debug)]
pub struct Row {
    pub who: Who,
    pub wants: Vec<Want>,
    /// Names that a row before it in the file claims for somebody else.
    pub lost: Vec<Name>,
}

/// What happened to somebody at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    pub job: Option<JobId>,
    pub undoes: Option<JobId>,
    pub deltas: Vec<Delta>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// The product's number, once it is known.
    pub id: Option<i64>,
    pub deleted: bool,
    pub email: Option<String>,
    pub identities: Vec<Identity>,
    pub values: BTreeMap<String, String>,
    pub history: Vec<Set>,
}

impl Person {
    pub fn names(&self) -> Vec<Name> {
        let email = self.email.iter().map(|email| Name("email", folded(email)));
        let identities = self.identities.iter().map(|identity| Name("identities", identity.key()));
        let card = self.values.get("card").map(|card| Name("card", card.clone()));
        email.chain(identities).chain(card).collect()
    }

    pub fn is(&self, who: &Who) -> bool {
        match who {
            Who::Id(id) => self.id == Some(*id),
            Who::Identity(identity) if identity.language.is_none() => {
                self.identities.iter().any(|own| own.prefix() == identity.prefix())
            }
            Who::Email(_) | Who::Identity(_) | Who::Card(_) => {
                who.name().is_some_and(|name| self.names().contains(&name))
            }
        }
    }

    pub fn get(&self, field: &str) -> Option<String> {
        match field {
            "email" => self.email.clone(),
            "deleted" => self.deleted.then(|| "true".to_owned()),
            "identities" if self.identities.is_empty() => None,
            "identities" => Some(self.identities.iter().map(Identity::text).collect::<Vec<_>>().join(";")),
            field => self.values.get(field).cloned(),
        }
    }

    fn put(&mut self, field: &str, value: Option<String>) {
        match (field, value) {
            ("email", email) => self.email = email,
            ("deleted", deleted) => self.deleted = deleted.is_some(),
            ("identities", all) => {
                self.identities = all.iter().flat_map(|all| all.split(';')).map(Identity::parse).collect();
            }
            (field, Some(value)) => drop(self.values.insert(field.to_owned(), value)),
            (field, None) => drop(self.values.remove(field)),
        }
    }
}

/// A job on its way through the model, or a single edit.
pub struct Work {
    pub kind: JobKind,
    pub rules: Rules,
    pub job: Option<JobId>,
    pub undoes: Option<JobId>,
    /// Who was called what when it began.
    held: HashMap<Name, Handle>,
    /// Who got what name since.
    gained: HashMap<Name, Handle>,
    /// People from here on were made by it.
    first_new: Handle,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub people: Vec<Person>,
    /// The jobs that were taken back.
    pub undone: HashSet<JobId>,
}

pub fn delta(field: &str, op: &str, old: Option<String>, new: Option<String>) -> Delta {
    Delta { field: field.to_owned(), op: op.to_owned(), old, new }
}

impl World {
    pub fn begin(&self, kind: JobKind, rules: &Rules, job: Option<JobId>, undoes: Option<JobId>) -> Work {
        let living = self.living();
        let held = living.flat_map(|(handle, person)| person.names().into_iter().map(move |name| (name, handle)));
        let (held, gained, first_new) = (held.collect(), HashMap::new(), self.people.len());
        Work { kind, rules: rules.clone(), job, undoes, held, gained, first_new }
    }

    pub fn living(&self) -> impl Iterator<Item = (Handle, &Person)> {
        self.people.iter().enumerate().filter(|(_, person)| !person.deleted)
    }

    /// Whether a job of this kind may mean somebody by this.
    pub fn sees(&self, kind: JobKind, who: &Who, handle: Handle) -> bool {
        let person = &self.people[handle];
        person.is(who) && (!person.deleted || kind == JobKind::Restore)
    }

    /// Everybody whom this may mean; a restore looks among the deleted first.
    pub fn find(&self, kind: JobKind, who: &Who) -> Vec<Handle> {
        let find = |deleted: bool| {
            let all = self.people.iter().enumerate();
            all.filter(|(_, person)| person.deleted == deleted && person.is(who)).map(|(handle, _)| handle).collect()
        };
        let deleted: Vec<Handle> = if kind == JobKind::Restore { find(true) } else { Vec::new() };
        if deleted.is_empty() { find(false) } else { deleted }
    }

    /// Does what a row says to somebody, or to nobody: the status and whom it is about, or the code of the fault.
    pub fn row(
        &mut self,
        work: &mut Work,
        row: &Row,
        about: Option<Handle>,
    ) -> Result<(&'static str, Handle), &'static str> {
        let yes = || Some("true".to_owned());
        let deltas = match (about, work.kind) {
            (Some(_), JobKind::Create) => return Err("user_exists"),
            (Some(handle), JobKind::Delete) if !self.people[handle].deleted => {
                vec![delta("deleted", "overwrite", None, yes())]
            }
            (Some(handle), JobKind::Restore) if self.people[handle].deleted => {
                vec![delta("deleted", "overwrite", yes(), None)]
            }
            (Some(_), JobKind::Delete | JobKind::Restore) => Vec::new(),
            (Some(handle), _) => wanted(&self.people[handle], &row.wants, &work.rules)?,
            (None, JobKind::Import | JobKind::Create) => return self.make(work, row),
            (None, _) => return Err("user_not_found"),
        };
        let handle = about.expect("nobody was dealt with");
        if deltas.is_empty() {
            return Ok(("unchanged", handle));
        }
        self.change(work, handle, deltas, row)?;
        Ok(("updated", handle))
    }

    fn make(&mut self, work: &mut Work, row: &Row) -> Result<(&'static str, Handle), &'static str> {
        let (field, value) = match &row.who {
            Who::Id(_) => return Err("user_not_found"),
            Who::Email(email) => ("email", email.clone()),
            Who::Identity(identity) => ("identities", identity.text()),
            Who::Card(card) => ("card", card.clone()),
        };
        let mut person = Person::default();
        person.put(field, Some(value.clone()));
        let mut deltas = vec![delta(field, "overwrite", None, Some(value))];
        deltas.extend(wanted(&person, &row.wants, &work.rules)?);
        let has = |key: &str| deltas.iter().any(|delta| delta.field == key);
        if fields::ALL.iter().any(|field| field.required && !has(field.key)) {
            return Err("required_field");
        }
        self.people.push(Person::default());
        let handle = self.people.len() - 1;
        let made = self.change(work, handle, deltas, row);
        made.inspect_err(|_| drop(self.people.pop()))?;
        Ok(("created", handle))
    }

    /// Changes somebody, unless that would give a name that is not free.
    pub fn change(
        &mut self,
        work: &mut Work,
        handle: Handle,
        deltas: Vec<Delta>,
        row: &Row,
    ) -> Result<(), &'static str> {
        let before = &self.people[handle];
        let mut after = before.clone();
        for delta in &deltas {
            after.put(&delta.field, delta.new.clone());
        }
        let mut gained = if after.deleted { Vec::new() } else { after.names() };
        gained.retain(|name| before.deleted || !before.names().contains(name));
        if gained.iter().any(|name| row.lost.contains(name)) {
            return Err("not_unique");
        }
        let is_free =
            |name: &Name| work.gained.get(name).or_else(|| work.held.get(name)).is_none_or(|holder| *holder == handle);
        if let Some(Name(kind, _)) = gained.iter().find(|name| !is_free(name)) {
            let two = match row.who {
                Who::Email(_) => *kind == "identities",
                Who::Identity(_) => *kind == "email",
                Who::Id(_) | Who::Card(_) => false,
            };
            return Err(if two && handle < work.first_new { "ambiguous_match" } else { "not_unique" });
        }
        work.gained.extend(gained.into_iter().map(|name| (name, handle)));
        after.history.push(Set { job: work.job, undoes: work.undoes, deltas });
        self.people[handle] = after;
        Ok(())
    }
}

/// What would change for somebody.
fn wanted(person: &Person, wants: &[Want], rules: &Rules) -> Result<Vec<Delta>, &'static str> {
    let mut deltas = Vec::new();
    for want in wants {
        let (field, op, new) = match want {
            Want::Value(wish) => {
                let old = person.get(wish.field.key);
                (wish.field.key, wish.op, outcome(wish, old.as_deref(), rules.overdraft)?)
            }
            Want::Email(email) => ("email", "overwrite", email.clone()),
            Want::Identity(identity) => {
                let mut after = person.clone();
                if !after.identities.iter().any(|own| own.key() == identity.key()) {
                    after.identities.push(identity.clone());
                    after.identities.sort();
                }
                ("identities", "add", after.get("identities"))
            }
        };
        let old = person.get(field);
        if new != old {
            deltas.push(delta(field, op, old, new));
        }
    }
    Ok(deltas)
}
