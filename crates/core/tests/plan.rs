//! The decision for a row: property tests against the plain model, from the bytes of a file to the stored forms; and an
//! example for every code with which a row can fail in this room.

mod model;

use model::generate::{self, Choose};
use model::{Delta, Model, Rules};
use muster_core::Code;
use muster_core::email::email_key;
use muster_core::error::{Kind, RowError};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{FieldId, UserId};
use muster_core::intake::Limits;
use muster_core::intake::header::{Columns, map_header};
use muster_core::intake::records::{Record, Records};
use muster_core::intake::row::RowParser;
use muster_core::intake::sniff::{SniffOptions, Sniffer};
use muster_core::job::{JobKind, JobOptions, Overdraft};
use muster_core::key::Key;
use muster_core::plan::{Plan, plan};
use muster_core::user::{Change, User, Values, changes_from_stored, changes_to_stored};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn field_set() -> FieldSet {
    let fields = model::fields::ALL.iter().enumerate().map(|(i, field)| muster_core::field::Field {
        number: FieldNumber(FieldNumber::FIRST.0 + i as u16),
        id: FieldId::from_bytes([i as u8; 12]),
        key: field.key.to_owned(),
        name: field.name.to_owned(),
        kind: field.kind,
        rules: field.rules(),
        built_in: field.built_in,
        archived: false,
    });
    FieldSet::new(fields.collect())
}

/// Users by the key of their email, with all that ever happened to them.
#[derive(Default)]
struct Community {
    users: HashMap<String, (User, Vec<Vec<Change>>)>,
}

/// A file as the product reads it: its columns and what each row says.
struct Reading {
    columns: Columns,
    rows: Vec<Result<muster_core::plan::Row, RowError>>,
}

fn read(bytes: &[u8], fields: &FieldSet, options: &JobOptions) -> Reading {
    let mut sniffer = Sniffer::new(SniffOptions { delimiter: Some(b','), ..SniffOptions::default() });
    sniffer.push(bytes);
    let source = sniffer.finish().expect("the file can be read");
    let columns = map_header(&source.header, fields, options).expect("the header is right");
    let parser = RowParser::new(&columns, fields, options);
    let (mut records, mut record) = (Records::new(bytes, &source, Limits::default()), Record::new());
    let mut rows = Vec::new();
    while records.read(&mut record).expect("the file can be read") {
        rows.push(parser.parse(&record));
    }
    Reading { columns, rows }
}

impl Community {
    /// Plans a row and does what was planned.
    fn apply(&mut self, row: &muster_core::plan::Row, rules: &muster_core::plan::Rules<'_>) -> Result<Plan, RowError> {
        let Key::Email(email) = &row.key else {
            panic!("these files name users by email");
        };
        let held = self.users.get_mut(&email_key(email));
        let plan = plan(row, held.as_ref().map(|(user, _)| user), rules);
        match (&plan, held) {
            (Plan::Reject(error), _) => return Err(error.clone()),
            (Plan::Unchanged, Some(_)) => {}
            (Plan::Update(changes), Some((user, history))) => {
                user.apply(changes, NOW);
                history.push(changes.clone());
            }
            (Plan::Create(changes), None) => {
                let mut user = User::blank(UserId(1 + self.users.len() as i64), NOW);
                user.apply(changes, NOW);
                self.users.insert(email_key(email), (user, vec![changes.clone()]));
            }
            (plan, held) => panic!("{plan:?} for {held:?}"),
        }
        Ok(plan)
    }
}

fn deltas(changes: &[Change], fields: &FieldSet) -> Vec<Delta> {
    let text = |value: &Option<muster_core::value::Value>| value.as_ref().map(ToString::to_string);
    let delta = |change: &Change| Delta {
        field: fields.key_of(change.field).expect("the field is there").to_owned(),
        op: change.op.as_str().to_owned(),
        old: text(&change.old),
        new: text(&change.new),
    };
    changes.iter().map(delta).collect()
}

fn values(user: &User, fields: &FieldSet) -> BTreeMap<String, String> {
    let key = |number| fields.key_of(number).expect("the field is there").to_owned();
    user.values.iter().map(|(number, value)| (key(number), value.to_string())).collect()
}

/// What a plan says, in the words of the model.
fn verdict(plan: Result<Plan, RowError>, fields: &FieldSet) -> Result<(&'static str, Vec<Delta>), &'static str> {
    match plan {
        Ok(Plan::Create(changes)) => Ok(("created", deltas(&changes, fields))),
        Ok(Plan::Update(changes)) => Ok(("updated", deltas(&changes, fields))),
        Ok(Plan::Unchanged) => Ok(("unchanged", Vec::new())),
        Ok(plan @ (Plan::UpdatePart(..) | Plan::Skip(_))) => panic!("only an undo plans {plan:?}"),
        Ok(Plan::Reject(error)) | Err(error) => Err(error.code.as_str()),
    }
}

/// What must hold for a user whatever happened: the changes are a chain from nothing to what is held, and everything
/// is read back as it was stored.
fn check_history(user: &User, history: &[Vec<Change>], fields: &FieldSet) {
    let mut replayed = User::blank(user.id, NOW);
    for changes in history {
        for change in changes {
            assert_eq!(replayed.get(change.field), change.old, "each old is the new before it");
            assert_ne!(change.old, change.new, "what is not a change is not in the history");
        }
        replayed.apply(changes, NOW);
        let stored = changes_to_stored(changes, fields);
        assert_eq!(changes_from_stored(&stored, fields).as_ref(), Ok(changes), "{stored}");
    }
    assert_eq!(&replayed, user, "the changes make the user");
    assert_eq!(user.version, history.len() as i64);
    let stored = user.values.to_stored(fields);
    assert_eq!(Values::from_stored(&stored, fields).as_ref(), Ok(&user.values), "{stored}");
}

fn options(rules: &Rules) -> (JobKind, JobOptions) {
    let options = JobOptions {
        clear_token: Some(rules.clear_token.clone()).filter(|token| token != "\\N"),
        overdraft: Some(rules.overdraft),
        ..JobOptions::default()
    };
    (if rules.import { JobKind::Import } else { JobKind::Update }, options)
}

/// Decisions that proptest makes and shrinks; when they are used up, the simplest.
struct Script(std::vec::IntoIter<u16>);

impl Choose for Script {
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % count
    }
}

fn script() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..80)
}

/// Applies one random file to both; they must agree row by row, and on what everybody holds in the end.
fn run_file(model: &mut Model, community: &mut Community, head: Vec<u16>, rows: Vec<Vec<u16>>) {
    let fields = field_set();
    let mut choose = Script(head.into_iter());
    let mut rules = generate::rules(&mut choose);
    rules.import |= model.people.is_empty();
    let emails: Vec<String> = generate::EMAILS.iter().map(|email| (*email).to_owned()).collect();
    let mut file = vec![generate::header(&mut choose)];
    for row in rows {
        let row = generate::row(&mut Script(row.into_iter()), &file[0], &rules, &emails);
        file.push(row);
    }
    let (kind, options) = options(&rules);
    let bytes = generate::csv(&file);
    let reading = read(bytes.as_bytes(), &fields, &options);
    assert_eq!(reading.rows.len(), file.len() - 1);

    let columns = model::columns(&file[0]);
    let plan_rules =
        muster_core::plan::Rules { kind, overdraft: rules.overdraft, fields: &fields, columns: &reading.columns.names };
    for (cells, row) in file[1..].iter().zip(reading.rows) {
        let expected =
            model::read_row(&columns, cells, &rules).and_then(|(email, wishes)| model.apply(&email, &wishes, &rules));
        let got = verdict(row.and_then(|row| community.apply(&row, &plan_rules)), &fields);
        assert_eq!(got, expected, "{rules:?}\n{:?}\n{cells:?}", file[0]);
    }
    assert_eq!(community.users.len(), model.people.len());
    for (key, (user, history)) in &community.users {
        let person = &model.people[key];
        assert_eq!(user.email.as_ref(), Some(&person.email));
        assert_eq!(values(user, &fields), person.values);
        check_history(user, history, &fields);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_does_to_users_what_the_plain_model_does(
        files in prop::collection::vec((script(), prop::collection::vec(script(), 0..12)), 1..4),
    ) {
        let (mut model, mut community) = (Model::default(), Community::default());
        for (head, rows) in files {
            run_file(&mut model, &mut community, head, rows);
        }
    }
}

/// A file of one row for somebody who holds little, and what the row fails with.
fn error_of(header: &str, row: &[u8], option: Option<(&str, &str)>) -> RowError {
    let fields = field_set();
    let mut community = Community::default();
    let mut apply = |kind, bytes: &[u8], options: &JobOptions| {
        let reading = read(bytes, &fields, options);
        let rules = muster_core::plan::Rules {
            kind,
            overdraft: options.overdraft.unwrap_or(Overdraft::Reject),
            fields: &fields,
            columns: &reading.columns.names,
        };
        let one = reading.rows.into_iter().next().expect("there is a row");
        one.and_then(|row| match row.key {
            Key::Email(_) => community.apply(&row, &rules),
            Key::Id(_) | Key::Identity(_) | Key::Unique(..) => match plan(&row, None, &rules) {
                Plan::Reject(error) => Err(error),
                plan => Ok(plan),
            },
        })
    };
    let people = b"email,badge,tier,points,premium_currency,credit\nann@x.org,a,1,10,100,100\n";
    apply(JobKind::Import, people, &JobOptions::default()).expect("Ann is made");
    let mut options = JobOptions::default();
    if let Some((name, text)) = option {
        options.set(name, text).expect("it is an option");
    }
    let kind = match header.as_bytes().last() {
        Some(b'+') => JobKind::Import,
        Some(b'!') => JobKind::Create,
        _ => JobKind::Update,
    };
    let bytes = [header.trim_end_matches(['+', '!']).as_bytes(), b"\n", row, b"\n"].concat();
    apply(kind, &bytes, &options).expect_err("the row fails")
}

/// An example of a row that fails.
type Example = (&'static str, &'static [u8], Option<(&'static str, &'static str)>, &'static str);

/// Header (with `+` at the end: of an import; with `!`: of a create), row, an option, and the code with the place to blame.
const EXAMPLES: &[Example] = &[
    ("email,Points", b" ,1", None, "missing_key email"),
    ("email,Points", b"nobody,1", None, "invalid_email email"),
    ("id,Points", b"-1,1", Some(("match_by", "id")), "invalid_id id"),
    ("id,Points", b"1.0,1", Some(("match_by", "id")), "invalid_id id"),
    ("id,email", b"7,a@", Some(("match_by", "id")), "invalid_email email"),
    ("id,Points+", b"7,1", Some(("match_by", "id")), "user_not_found"),
    ("email,Points", b"new@x.org,1", None, "user_not_found"),
    ("email,Points!", b"ANN@x.org,1", None, "user_exists"),
    ("source,source_id", b"crm,", Some(("match_by", "external")), "missing_key source_id"),
    ("source,source_id", b"crm,7", Some(("match_by", "external")), "user_not_found"),
    ("email,Source,Source ID", b"ann@x.org,crm,a\tb", None, "invalid_identity Source ID"),
    ("email,Points", b"ann@x.org,12.5", None, "invalid_number Points"),
    ("email,Rate", b"ann@x.org,\"1,5\"", None, "invalid_number Rate"),
    ("email,Subscribed", b"ann@x.org,on", None, "invalid_boolean Subscribed"),
    ("email,Date of Birth", b"ann@x.org,2023-02-29", None, "invalid_date Date of Birth"),
    ("email,Date of Birth", b"ann@x.org,2024-02-28", Some(("date_format", "DD/MM/YYYY")), "invalid_date Date of Birth"),
    ("email,Last seen", b"ann@x.org,2024-01-01", None, "invalid_datetime Last seen"),
    ("email,Gender", b"ann@x.org,x", None, "invalid_option Gender"),
    ("email,Tags", b"ann@x.org,vip;x", None, "invalid_option Tags"),
    ("email,Parent", b"ann@x.org,{", None, "invalid_json Parent"),
    ("email,Badge", b"ann@x.org,sixsix", None, "too_long Badge"),
    ("email,Points", b"ann@x.org,9223372036854775808", None, "out_of_range Points"),
    ("email,Points,Points_op", b"ann@x.org,9223372036854775807,add", None, "out_of_range Points"),
    ("email,Rate", b"ann@x.org,0.0000000000001", None, "out_of_range Rate"),
    ("email,Level", b"ann@x.org,101", None, "out_of_range Level"),
    ("email,Level", b"ann@x.org,-11", None, "out_of_range Level"),
    ("email,Credit", b"ann@x.org,1000.51", Some(("overdraft", "allow")), "out_of_range Credit"),
    ("email,Points,Points_op", b"ann@x.org,1,Add", None, "invalid_operator Points_op"),
    ("email,Points,Points_op", b"ann@x.org,\\N,add", None, "invalid_operator Points_op"),
    ("email,Points,Points_op", b"ann@x.org,,add", None, "operator_without_value Points_op"),
    (
        "email,Premium Currency,Premium Currency_op",
        b"ann@x.org,100.01,subtract",
        None,
        "insufficient_balance Premium Currency",
    ),
    ("email,Credit,Credit_op", b"ann@x.org,150.000000000001,subtract", None, "insufficient_balance Credit"),
    ("email,Points", b"ann@x.org", None, "column_count_mismatch"),
    ("email,Points", b"ann@x.org,1,2", None, "column_count_mismatch"),
    ("email,Notes,City", b"ann@x.org,\xc3\xa9,\xff", None, "invalid_encoding City"),
    ("email,Notes", b"ann@x.org,a\0b", None, "nul_character Notes"),
    ("email,Notes", b"ann@x.org,\"5\" pipe\"", None, "malformed_quote Notes"),
    ("email,Parent", b"ann@x.org,\"\"\"\\u0000\"\"\"", None, "nul_character Parent"),
    ("email,Badge", b"ann@x.org,\\N", None, "required_field Badge"),
    ("email,Badge+", b"new@x.org,b", None, "required_field Tier"),
];

#[test]
fn every_fault_of_a_row_has_its_code_and_its_place() {
    for (header, row, option, expected) in EXAMPLES {
        let error = error_of(header, row, *option);
        let got = format!("{} {}", error.code, error.column.as_deref().unwrap_or_default());
        assert_eq!(got.trim_end(), *expected, "{header} {}", String::from_utf8_lossy(row));
        assert!(error.sentence(41).starts_with("line 41"), "{}", error.sentence(41));
        assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{}", error.message);
    }
    let long = [b"ann@x.org,".as_slice(), &b"x".repeat(65_537)].concat();
    let error = error_of("email,Notes", &long, None);
    assert_eq!((error.code, error.column.as_deref()), (Code::CellTooLong, Some("Notes")));
}

#[test]
fn every_code_of_a_row_has_an_example_or_is_raised_where_other_rows_are_known() {
    // What one row and one user do not show: other rows of the file, other users, other changes.
    let elsewhere = [
        Code::DuplicateInFile,
        Code::NotUnique,
        Code::AmbiguousMatch,
        Code::ChangedSincePlan,
        Code::NoLongerMatches,
        Code::ChangedSinceJob,
    ];
    // Only JSON and workbooks have them; their examples stand in `tests/intake`.
    let of_other_formats = [Code::InvalidText, Code::UnknownField, Code::RecordTooLong, Code::CellError];
    for code in Code::ALL.iter().filter(|code| code.kind() == Kind::Row) {
        let shown = EXAMPLES.iter().any(|(_, _, _, expected)| expected.split(' ').next() == Some(code.as_str()));
        let shown = shown || *code == Code::CellTooLong || of_other_formats.contains(code);
        assert_ne!(shown, elsewhere.contains(code), "{code}");
    }
}
