//! What each column of a file means.

use crate::error::{Code, Error, Fault, excerpt};
use crate::field::{FieldNumber, FieldSet, normalize_name};
use crate::job::{JobOptions, MatchBy, UnknownColumns};
use std::collections::HashMap;

/// The columns that our own results add. They are passed over, so that a results file can be sent back as it is.
pub const RESULT_COLUMNS: &[&str] =
    &["_line", "_record", "_status", "_code", "_column", "_message", "_user_id", "_changes", "_escaped"];

/// The one of them that holds the id of a user.
pub const USER_ID_COLUMN: &str = "_user_id";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What names the user.
    Key,
    /// A part of an identity that the user has or gets.
    Identity,
    /// Values of a field, or of the email where something else is the key; and the column of operators for it.
    Field {
        /// The field.
        number: FieldNumber,
        /// The index of its column of operators, if the file has one.
        operator: Option<usize>,
    },
    /// Operators for the field of another column.
    Operator,
    /// Nothing that is read.
    Ignored,
}

/// A header that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The names as the file writes them, without spaces around.
    pub names: Vec<String>,
    /// What each column holds.
    pub roles: Vec<Role>,
    /// The index of the key column; where identities are the key, that of the source id.
    pub key: usize,
    /// What the key is.
    pub matching: Matching,
    /// The columns of an identity, if the file has them.
    pub identity: Option<IdentityColumns>,
}

/// What names the users of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// The email.
    Email,
    /// The id.
    Id,
    /// An identity in another system.
    Identity,
    /// A unique field.
    Unique(FieldNumber),
}

impl Matching {
    /// What an option means among these fields. Refuses with `invalid_option` what is no unique field.
    pub fn new(match_by: &MatchBy, fields: &FieldSet) -> Result<Self, Error> {
        let key = match match_by {
            MatchBy::Email => return Ok(Self::Email),
            MatchBy::Id => return Ok(Self::Id),
            MatchBy::External => return Ok(Self::Identity),
            MatchBy::Field(key) => key,
        };
        match fields.find_by_key(key).filter(|field| !field.archived) {
            Some(field) if field.rules.unique => Ok(Self::Unique(field.number)),
            found => {
                let what = if found.is_some() { "is not unique" } else { "is no field" };
                let message = format!(
                    "match_by is email, id, external or the key of a unique field; \"{}\" {what}",
                    excerpt(key)
                );
                Err(Error::at("/match_by", Code::InvalidOption, message))
            }
        }
    }
}

/// Where the parts of an identity stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityColumns {
    /// The column of the system.
    pub source: usize,
    /// The column of the id there.
    pub source_id: usize,
    /// The column of the language, if there is one.
    pub language: Option<usize>,
}

impl Columns {
    /// What stands for columns where the records are JSON: for each number of a field its key, which names it in messages.
    pub fn of_records(fields: &FieldSet, options: &JobOptions) -> Result<Self, Error> {
        let matching = Matching::new(&options.match_by.clone().unwrap_or_default(), fields)?;
        let most = fields.iter().last().map_or(FieldNumber::FIRST, |field| field.number).0;
        let name = |number| fields.key_of(FieldNumber(number)).unwrap_or_default().to_owned();
        let names = (0..=most).map(name).collect();
        Ok(Self { names, roles: Vec::new(), key: 0, matching, identity: None })
    }
}

/// What a name in a header stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    Key,
    Source,
    SourceId,
    IdentityLanguage,
    Field(FieldNumber),
    Operator(FieldNumber),
    Ignored,
}

/// Understands a header, or says everything that is wrong with it at once.
///
/// All faults are listed; the code of the error is the first of: missing key column, repeated, unknown, operator
/// (section 10, "Header").
pub fn map_header(header: &[String], fields: &FieldSet, options: &JobOptions) -> Result<Columns, Error> {
    let match_by = options.match_by.clone().unwrap_or_default();
    let matching = Matching::new(&match_by, fields)?;
    let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let mut faults = Faults(Vec::new());
    let mapping = mapping(&names, options, &mut faults);
    // What our own files call the id names users where they are found by id, if nothing else does.
    let has_id = names.iter().any(|name| normalize_name(name) == "id");
    let is_id = |name: &str| name == USER_ID_COLUMN && matching == Matching::Id && !has_id;
    let targets: Vec<Target> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let target = match mapping.get(&normalize_name(name)) {
                Some(None) => Ok(Target::Ignored),
                Some(Some(field)) => resolve(field, matching, fields),
                None if is_id(name) => Ok(Target::Key),
                None if RESULT_COLUMNS.contains(&name.as_str()) => Ok(Target::Ignored),
                None => resolve(name, matching, fields),
            };
            target.unwrap_or_else(|(code, message)| {
                let ignored = code == Code::UnknownColumn && options.unknown_columns == Some(UnknownColumns::Ignore);
                let nameless = name.is_empty() && code == Code::UnknownColumn;
                let message = if nameless { format!("column {} has no name", index + 1) } else { message };
                if !ignored {
                    faults.add(name, code, message);
                }
                Target::Ignored
            })
        })
        .collect();
    check_targets(&names, &targets, &match_by, &mut faults);
    faults.refuse()?;

    let position = |wanted| targets.iter().position(|target| *target == wanted);
    let operator_of = |number| position(Target::Operator(number));
    let identity = position(Target::Source).zip(position(Target::SourceId));
    let identity = identity.map(|(source, source_id)| {
        let language = position(Target::IdentityLanguage);
        IdentityColumns { source, source_id, language }
    });
    let roles = targets.iter().map(|target| match target {
        Target::Key => Role::Key,
        Target::Source | Target::SourceId | Target::IdentityLanguage => Role::Identity,
        Target::Field(number) => Role::Field { number: *number, operator: operator_of(*number) },
        Target::Operator(_) => Role::Operator,
        Target::Ignored => Role::Ignored,
    });
    let roles = roles.collect();
    let key = if matching == Matching::Identity { Target::SourceId } else { Target::Key };
    Ok(Columns { roles, key: position(key).unwrap_or_default(), names, matching, identity })
}

/// The option `mapping` by the form in which names are compared. A column that the file does not have is a fault.
fn mapping<'a>(names: &[String], options: &'a JobOptions, faults: &mut Faults) -> HashMap<String, Option<&'a str>> {
    let given: Vec<_> = options.mapping.iter().flatten().collect();
    for (column, _) in &given {
        if !names.iter().any(|name| normalize_name(name) == normalize_name(column)) {
            let message = format!("mapping names a column \"{}\" that the file does not have", excerpt(column));
            faults.add(column, Code::UnknownColumn, message);
        }
    }
    given.into_iter().map(|(column, field)| (normalize_name(column), field.as_deref())).collect()
}

/// What must hold between columns: none means the same as another, operators have values beside them, and one is the key.
fn check_targets(names: &[String], targets: &[Target], match_by: &MatchBy, faults: &mut Faults) {
    let mut seen: HashMap<Target, &str> = HashMap::new();
    for (name, target) in names.iter().zip(targets).filter(|(_, target)| **target != Target::Ignored) {
        if let Some(first) = seen.insert(*target, name) {
            let message = format!("the columns \"{}\" and \"{}\" mean the same", excerpt(first), excerpt(name));
            faults.add(name, Code::DuplicateColumn, message);
        }
    }
    for (name, target) in names.iter().zip(targets) {
        if let Target::Operator(number) = target
            && !seen.contains_key(&Target::Field(*number))
        {
            let message = format!("\"{}\" holds operators, and no column holds the values for them", excerpt(name));
            faults.add(name, Code::OperatorNotAllowed, message);
        }
    }
    let parts = [(Target::Source, "source"), (Target::SourceId, "source_id")];
    let keys = if *match_by == MatchBy::External { &parts[..] } else { &[(Target::Key, match_by.as_str())] };
    for (_, name) in keys.iter().filter(|(target, _)| !seen.contains_key(target)) {
        faults.add(name, Code::MissingKeyColumn, format!("no column is called \"{name}\", which names the user"));
    }
    // An identity that is not the key is given to the user, whole.
    let all = [parts[0], parts[1], (Target::IdentityLanguage, "identity_language")];
    let some = all.iter().find_map(|(target, _)| seen.get(target));
    if let Some(name) = some.filter(|_| *match_by != MatchBy::External)
        && parts.iter().any(|(target, _)| !seen.contains_key(target))
    {
        let message =
            format!("\"{}\" is a part of an identity, which needs the columns source and source_id", excerpt(name));
        faults.add(name, Code::UnknownColumn, message);
    }
}

/// Everything that is wrong with a header.
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, column: &str, code: Code, message: String) {
        self.0.push(Fault { column: Some(column.to_owned()), pointer: None, code, message });
    }

    fn refuse(self) -> Result<(), Error> {
        let rank = |code| match code {
            Code::MissingKeyColumn => 0,
            Code::DuplicateColumn => 1,
            Code::UnknownColumn => 2,
            Code::OperatorNotAllowed => 3,
            _ => 4,
        };
        let mut faults = self.0;
        faults.sort_by_key(|fault| rank(fault.code));
        let Some(first) = faults.first() else { return Ok(()) };
        let detail = match faults.len() {
            1 => first.message.clone(),
            n => format!("{}; and {} more, see errors", first.message, n - 1),
        };
        let error = Error::new(first.code, detail);
        Err(Error { errors: faults, ..error })
    }
}

/// What a name stands for: the key, a field that it names exactly, else, with `_op` at its end, the operators of one.
fn resolve(name: &str, matching: Matching, fields: &FieldSet) -> Result<Target, (Code, String)> {
    let normal = normalize_name(name);
    let field = |name: &str| fields.find_by_name(name).filter(|field| !field.archived);
    match normal.as_str() {
        "email" if matching == Matching::Email => return Ok(Target::Key),
        "email" => return Ok(Target::Field(FieldNumber::EMAIL)),
        "source" => return Ok(Target::Source),
        "sourceid" => return Ok(Target::SourceId),
        "identitylanguage" => return Ok(Target::IdentityLanguage),
        "id" if matching == Matching::Id => return Ok(Target::Key),
        "id" => {
            let message = "the id of a user cannot be written; use match_by=id to find users by it";
            return Err((Code::ReadOnlyField, message.to_owned()));
        }
        _ => {}
    }
    if let Some(field) = field(name) {
        let is_key = matching == Matching::Unique(field.number);
        return Ok(if is_key { Target::Key } else { Target::Field(field.number) });
    }
    let base = name.len().checked_sub(3).and_then(|at| name.split_at_checked(at));
    if let Some((base, end)) = base
        && end.eq_ignore_ascii_case("_op")
        && let Some(field) = field(base)
    {
        return match field.kind.is_numeric() {
            true => Ok(Target::Operator(field.number)),
            false => Err((
                Code::OperatorNotAllowed,
                format!("{} holds {}, and only numbers take operators", field.name, field.kind),
            )),
        };
    }
    Err((Code::UnknownColumn, unknown(name, &normal, fields)))
}

pub(super) fn unknown(name: &str, normal: &str, fields: &FieldSet) -> String {
    let nearest = fields
        .active()
        .flat_map(|field| {
            let likeness = |text: &String| strsim::normalized_damerau_levenshtein(normal, &normalize_name(text));
            [&field.name, &field.key].map(|text| (likeness(text), field))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= 0.7);
    match nearest {
        Some((_, field)) => format!("no field is called \"{}\"; did you mean \"{}\"?", excerpt(name), field.name),
        None => {
            format!("no field is called \"{}\"; make it, or pass over it with unknown_columns=ignore", excerpt(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;

    fn map(header: &str, options: &[(&str, &str)]) -> Result<Columns, Error> {
        let mut parsed = JobOptions::default();
        options.iter().for_each(|(name, text)| parsed.set(name, text).unwrap());
        map_header(&header.split(',').map(str::to_owned).collect::<Vec<_>>(), &sample(), &parsed)
    }

    fn code(header: &str, options: &[(&str, &str)]) -> Code {
        map(header, options).unwrap_err().code
    }

    #[test]
    fn columns_are_understood_in_any_order_and_however_they_are_written() {
        let columns = map("premium-currency_op, E-MAIL ,First Name,Premium Currency,_line,_message", &[]).unwrap();
        let fields = sample();
        let number = |key| fields.find_by_key(key).unwrap().number;
        assert_eq!(columns.key, 1);
        assert_eq!(
            columns.roles,
            [
                Role::Operator,
                Role::Key,
                Role::Field { number: number("first_name"), operator: None },
                Role::Field { number: number("premium_currency"), operator: Some(0) },
                Role::Ignored,
                Role::Ignored,
            ]
        );
    }

    #[test]
    fn every_fault_is_listed_and_the_first_kind_gives_the_code() {
        let error = map("Name,Points,points,City_op,first nam", &[]).unwrap_err();
        let codes: Vec<Code> = error.errors.iter().map(|fault| fault.code).collect();
        assert_eq!(error.code, Code::MissingKeyColumn);
        assert_eq!(
            codes,
            [
                Code::MissingKeyColumn,
                Code::DuplicateColumn,
                Code::UnknownColumn,
                Code::UnknownColumn,
                Code::OperatorNotAllowed
            ]
        );
        assert!(error.errors.iter().any(|fault| fault.message.contains("did you mean \"First Name\"")));
        assert_eq!(code("email,colour", &[]), Code::UnknownColumn);
        assert_eq!(code("email,", &[]), Code::UnknownColumn);
        assert_eq!(code("email,points_op", &[]), Code::OperatorNotAllowed);
        assert_eq!(code("email,id", &[]), Code::ReadOnlyField);
        assert_eq!(code("email,_secret", &[]), Code::UnknownColumn);
        assert_eq!(code("email,Email", &[]), Code::DuplicateColumn);
    }

    #[test]
    fn unknown_columns_are_ignored_and_others_renamed_where_asked_for() {
        assert!(map("email,colour,", &[("unknown_columns", "ignore")]).is_ok());
        let columns = map(
            "Mail,Score,Score op,Memo",
            &[("mapping", r#"{"Mail":"email","Score":"points","Score op":"points_op","Memo":null}"#)],
        );
        let columns = columns.unwrap();
        assert_eq!(columns.key, 0);
        assert!(matches!(columns.roles[1], Role::Field { operator: Some(2), .. }));
        assert_eq!(columns.roles[3], Role::Ignored);
        assert_eq!(code("email", &[("mapping", r#"{"Nope":"points"}"#)]), Code::UnknownColumn);
        assert_eq!(map("id,email", &[("match_by", "id")]).unwrap().key, 0);
    }

    #[test]
    fn identities_name_users_or_are_given_to_them_and_are_never_half() {
        let external = [("match_by", "external")];
        let columns = map("Source,Email,Source ID,identity_language", &external).unwrap();
        assert_eq!((columns.matching, columns.key), (Matching::Identity, 2));
        assert_eq!(columns.identity, Some(IdentityColumns { source: 0, source_id: 2, language: Some(3) }));
        assert_eq!(code("source,email", &external), Code::MissingKeyColumn);
        assert!(map("email,source,source_id", &[]).unwrap().identity.is_some());
        assert_eq!(code("email,source", &[]), Code::UnknownColumn);
        for not_unique in ["first_name", "nobody"] {
            assert_eq!(code("email", &[("match_by", not_unique)]), Code::InvalidOption);
        }
    }
}
