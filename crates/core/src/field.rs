//! Fields: the typed, named properties of users.

use crate::error::{Code, Error};
use crate::id::FieldId;
use crate::job::is_name;
use crate::user::User;
use crate::value::Value;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// The number of a field inside its community. It is what stored rows and plans refer to: it never changes and is never
/// given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldNumber(pub u16);

impl FieldNumber {
    /// The email of a user, as changes name it.
    pub const EMAIL: Self = Self(0);
    /// Whether the user is deleted, as changes name it.
    pub const DELETED: Self = Self(1);
    /// The identities of a user in other systems, as changes name them.
    pub const IDENTITIES: Self = Self(2);
    /// The id of the user, which rows can say and nothing can change.
    pub const ID: Self = Self(3);
    /// The first number that a field of the catalogue or of the community can have.
    pub const FIRST: Self = Self(16);
}

/// Header names and keys that belong to the user itself and can name no field.
pub const RESERVED: &[&str] = &["id", "email", "source", "source_id", "identity_language", "identities", "deleted"];

/// Words of the filter language, which can be no field's key.
pub const FILTER_WORDS: &[&str] = &["all", "and", "or", "not", "created_at", "updated_at", "identities"];

/// The most characters in a `text` that says nothing else.
pub const DEFAULT_TEXT_LENGTH: u32 = 1_000;
/// The most characters in a `long_text` that says nothing else.
pub const DEFAULT_LONG_TEXT_LENGTH: u32 = 65_536;
/// The most characters in a text that names a user. Longer ones do not fit the indexes of every database.
pub const MAX_UNIQUE_TEXT_LENGTH: u32 = 250;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One line of text.
    Text,
    /// Text of any number of lines.
    LongText,
    /// A 64-bit whole number.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// An exact decimal number with an overdraft policy.
    Currency,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// An instant.
    Datetime,
    /// One of the field's options.
    Select,
    /// Any of the field's options.
    MultiSelect,
    /// Any JSON value but null.
    Json,
}

impl FieldType {
    /// The type's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::LongText => "long_text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Currency => "currency",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Select => "select",
            Self::MultiSelect => "multi_select",
            Self::Json => "json",
        }
    }

    /// Whether operators apply.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Currency)
    }

    /// Whether the field has options.
    pub fn has_options(self) -> bool {
        matches!(self, Self::Select | Self::MultiSelect)
    }

    /// Whether a value can name a user.
    pub fn can_be_unique(self) -> bool {
        matches!(self, Self::Text | Self::Integer | Self::Decimal | Self::Date | Self::Datetime)
    }

    /// Whether the field holds text of a limited length.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::LongText)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value that a `select` or `multi_select` may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectOption {
    /// What is stored.
    pub key: String,
    /// What people read.
    pub name: String,
}

/// What a field allows and promises beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// The values of a `select` or `multi_select`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<SelectOption>,
    /// The least number allowed.
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub min: Option<Decimal>,
    /// The greatest number allowed.
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub max: Option<Decimal>,
    /// The most characters allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// Whether every user must have a value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether no two live users may have the same value, so that the value names a user.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Whether users are found by their values quickly.
    #[serde(skip_serializing_if = "Index::is_none")]
    pub index: Index,
    /// Whether who has no key may write it, where the community lets such people import at all. Never a currency, and
    /// never a unique field.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anonymous_writable: bool,
}

/// Whether there is an index over a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Index {
    /// There is none.
    #[default]
    None,
    /// Every change maintains it, and values from before are still missing: nobody may search it.
    Building,
    /// Every value of a live user is in it.
    Ready,
}

impl Index {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// A field of a community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its number inside the community.
    pub number: FieldNumber,
    /// Its id on the wire.
    pub id: FieldId,
    /// Its name for programs, such as `first_name`. Fixed once made.
    pub key: String,
    /// Its name for people, such as `First Name`.
    pub name: String,
    /// What it holds.
    pub kind: FieldType,
    /// What it allows.
    pub rules: Rules,
    /// Whether it came with the product.
    pub built_in: bool,
    /// Whether it was archived: values and history stay, nothing new is written.
    pub archived: bool,
}

impl Field {
    /// The most characters its text may have.
    pub fn max_length(&self) -> u32 {
        self.rules.max_length.unwrap_or(match self.kind {
            FieldType::LongText => DEFAULT_LONG_TEXT_LENGTH,
            _ if self.rules.unique => MAX_UNIQUE_TEXT_LENGTH,
            _ => DEFAULT_TEXT_LENGTH,
        })
    }

    /// Whether changes of the field's values change an index.
    pub fn is_indexed(&self) -> bool {
        !self.rules.index.is_none()
    }

    /// Whether users can be found by the index.
    pub fn is_index_ready(&self) -> bool {
        self.rules.index == Index::Ready
    }

    /// The least amount of a currency: zero unless the field says otherwise.
    pub fn floor(&self) -> Decimal {
        self.rules.min.unwrap_or(Decimal::ZERO)
    }

    /// The option that a text names, by key or name; upper and lower case are the same where that is not ambiguous.
    pub fn option(&self, text: &str) -> Option<&SelectOption> {
        let options = &self.rules.options;
        let exactly = options.iter().find(|option| option.key == text);
        exactly.or_else(|| options.iter().find(|option| option.name == text)).or_else(|| {
            let wanted = text.to_lowercase();
            let mut alike =
                options.iter().filter(|o| o.key.to_lowercase() == wanted || o.name.to_lowercase() == wanted);
            alike.next().filter(|_| alike.next().is_none())
        })
    }
}

impl Field {
    /// The value with what its options are called in the place of their keys.
    pub fn with_option_names(&self, value: &Value) -> Value {
        let name = |key: &String| {
            let option = self.rules.options.iter().find(|option| option.key == *key);
            option.map_or(key, |option| &option.name).clone()
        };
        match value {
            Value::Text(key) if self.kind == FieldType::Select => Value::Text(name(key)),
            Value::Options(keys) => Value::Options(keys.iter().map(name).collect()),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Decimal(_)
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Datetime(_)
            | Value::Json(_)
            | Value::Identities(_) => value.clone(),
        }
    }
}

/// The key that a name makes: lower case, every run of other characters than letters and digits becomes `_`, none at
/// the ends. `First Name` → `first_name`.
pub fn key_from_name(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for c in name.to_lowercase().chars() {
        if c.is_alphanumeric() {
            key.push(c);
        } else if !key.ends_with('_') {
            key.push('_');
        }
    }
    key.trim_matches('_').to_owned()
}

/// The form in which header cells, keys and names are compared: lower case, without spaces, `_` and `-`.
pub fn normalize_name(name: &str) -> String {
    name.trim().to_lowercase().chars().filter(|c| !matches!(c, '_' | '-') && !c.is_whitespace()).collect()
}

/// A field that somebody wants to have. [`NewField::check`] makes sure that it can exist.
#[derive(Clone, Debug)]
pub struct NewField {
    /// The key, or none to make it from the name.
    pub key: Option<String>,
    /// The display name.
    pub name: String,
    /// What it holds.
    pub kind: FieldType,
    /// What it allows.
    pub rules: Rules,
}

impl NewField {
    /// The key and name that the field will have, or why it cannot exist beside the others.
    pub fn check(&self, fields: &FieldSet) -> Result<(String, String), Error> {
        let name = self.name.trim().to_owned();
        if !is_name(&name, 100) {
            return Err(Error::at("/name", Code::InvalidRequest, "a name has 1 to 100 characters"));
        }
        let key = key_from_name(self.key.as_deref().unwrap_or(&name));
        if self.key.as_ref().is_some_and(|given| *given != key || !is_name(&key, 100)) {
            let message = "a key has 1 to 100 lower-case letters, digits and single underscores between them";
            return Err(Error::at("/key", Code::InvalidRequest, message));
        }
        if key.is_empty() {
            return Err(Error::at("/name", Code::InvalidRequest, "the name has no letter or digit to make a key of"));
        }
        if FILTER_WORDS.contains(&key.as_str()) {
            let message = format!("\"{key}\" is a word of filters; give the field another key");
            return Err(Error::at("/key", Code::FieldExists, message));
        }
        for text in [&key, &name] {
            let normal = normalize_name(text);
            if RESERVED.iter().any(|reserved| normalize_name(reserved) == normal) {
                return Err(Error::at("/name", Code::FieldExists, format!("\"{text}\" is a name of the user itself")));
            }
            if let Some(other) = fields.find_by_name(text) {
                let message = format!("\"{text}\" already names the field \"{}\" ({})", other.name, other.key);
                return Err(Error::at("/name", Code::FieldExists, message));
            }
        }
        self.check_rules()?;
        Ok((key, name))
    }

    /// Whether the type can have these rules.
    pub(crate) fn check_rules(&self) -> Result<(), Error> {
        let (rules, kind) = (&self.rules, self.kind);
        if kind.has_options() == rules.options.is_empty() {
            let message = if kind.has_options() { "this type needs options" } else { "this type has no options" };
            return Err(Error::at("/options", Code::InvalidRequest, message));
        }
        for (i, option) in rules.options.iter().enumerate() {
            let same = |other: &SelectOption| other.key == option.key || other.name == option.name;
            if option.key.is_empty() || option.name.is_empty() || rules.options[..i].iter().any(same) {
                let message = format!("option {} is empty or repeated", i + 1);
                return Err(Error::at(format!("/options/{i}"), Code::InvalidRequest, message));
            }
            let reads = |text: &String| text.trim() == text && !text.contains(char::is_control) && !text.contains(';');
            if !reads(&option.key) || !reads(&option.name) {
                let message =
                    "an option has no spaces at its ends, no control characters, and no \";\", which parts several";
                return Err(Error::at(format!("/options/{i}"), Code::InvalidRequest, message));
            }
        }
        if (rules.min.is_some() || rules.max.is_some()) && !kind.is_numeric() {
            return Err(Error::at("/min", Code::InvalidRequest, "only numbers have a min and a max"));
        }
        if rules.min.zip(rules.max).is_some_and(|(min, max)| min > max) {
            return Err(Error::at("/max", Code::InvalidRequest, "max is less than min"));
        }
        if rules.max_length.is_some_and(|length| !kind.is_text() || length == 0 || length > DEFAULT_LONG_TEXT_LENGTH) {
            let message = format!("only texts have a max_length, from 1 to {DEFAULT_LONG_TEXT_LENGTH}");
            return Err(Error::at("/max_length", Code::InvalidRequest, message));
        }
        if !rules.index.is_none() && !kind.can_be_indexed() {
            let message = format!("a field of the type {kind} cannot be indexed");
            return Err(Error::at("/indexed", Code::InvalidRequest, message));
        }
        if rules.unique && !kind.can_be_unique() {
            let message = format!("a {kind} cannot be unique; text, integer, decimal, date and datetime can");
            return Err(Error::at("/unique", Code::InvalidRequest, message));
        }
        if rules.anonymous_writable && (kind == FieldType::Currency || rules.unique) {
            let message = "neither a currency nor a unique field can be written by who has no key";
            return Err(Error::at("/anonymous_writable", Code::InvalidRequest, message));
        }
        if rules.unique && rules.max_length.is_some_and(|length| length > MAX_UNIQUE_TEXT_LENGTH) {
            let message = format!("a unique text has a max_length of at most {MAX_UNIQUE_TEXT_LENGTH}");
            return Err(Error::at("/max_length", Code::InvalidRequest, message));
        }
        Ok(())
    }
}

/// How often the fields of a community changed in a way that everybody who writes users must know of, such as by an index
/// that is to be maintained from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldsEpoch(pub i64);

/// All fields of a community at one moment, found by number, key or any way to write their name.
#[derive(Clone, Debug, Default)]
pub struct FieldSet {
    fields: Vec<Field>,
    by_number: Vec<Option<usize>>,
    by_key: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
    indexed: Vec<FieldNumber>,
    epoch: FieldsEpoch,
}

impl FieldSet {
    /// Takes the fields in order of their numbers.
    pub fn new(mut fields: Vec<Field>) -> Self {
        fields.sort_by_key(|field| field.number);
        let mut set = Self::default();
        for (i, field) in fields.iter().enumerate() {
            let number = usize::from(field.number.0);
            set.by_number.resize(number + 1, None);
            set.by_number[number] = Some(i);
            set.by_key.insert(field.key.clone(), i);
            // A key is found before another field's name of the same form.
            set.by_name.insert(normalize_name(&field.key), i);
            set.by_name.entry(normalize_name(&field.name)).or_insert(i);
            set.indexed.extend(field.is_indexed().then_some(field.number));
        }
        set.fields = fields;
        set
    }

    /// The same, read in this epoch.
    pub fn at(self, epoch: i64) -> Self {
        Self { epoch: FieldsEpoch(epoch), ..self }
    }

    /// The epoch in which the set was read.
    pub fn epoch(&self) -> FieldsEpoch {
        self.epoch
    }

    /// Every field, in order of number.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// The fields that can be written.
    pub fn active(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.archived)
    }

    /// What is shown of a user, wherever users are shown: each value with its field, in order of number. Those of archived
    /// fields are not.
    pub fn shown<'a>(&'a self, user: &'a User) -> impl Iterator<Item = (&'a Field, &'a Value)> {
        let all = user.values.iter().filter_map(|(number, value)| Some((self.get(number)?, value)));
        all.filter(|(field, _)| !field.archived)
    }

    /// The value of a key among those that are shown, with its field.
    pub fn shown_value<'a>(&'a self, user: &'a User, key: &str) -> Option<(&'a Field, &'a Value)> {
        let field = self.find_by_key(key).filter(|field| !field.archived)?;
        user.values.get(field.number).map(|value| (field, value))
    }

    /// The fields whose changes change an index, in order of number.
    pub fn indexed(&self) -> &[FieldNumber] {
        &self.indexed
    }

    /// The field of a number.
    pub fn get(&self, number: FieldNumber) -> Option<&Field> {
        self.by_number.get(usize::from(number.0)).copied().flatten().map(|i| &self.fields[i])
    }

    /// The field of exactly this key.
    pub fn find_by_key(&self, key: &str) -> Option<&Field> {
        self.by_key.get(key).map(|i| &self.fields[*i])
    }

    /// The field that a text names as display name or key, whatever its case, spaces, `_` and `-`.
    pub fn find_by_name(&self, name: &str) -> Option<&Field> {
        self.by_name.get(&normalize_name(name)).map(|i| &self.fields[*i])
    }

    /// Whether the values of this number name users.
    pub fn is_unique(&self, number: FieldNumber) -> bool {
        self.get(number).is_some_and(|field| field.rules.unique)
    }

    /// The key by which changes and JSON name a number. The user's own properties have one too.
    pub fn key_of(&self, number: FieldNumber) -> Option<&str> {
        match number {
            FieldNumber::EMAIL => Some("email"),
            FieldNumber::DELETED => Some("deleted"),
            FieldNumber::IDENTITIES => Some("identities"),
            number => self.get(number).map(|field| field.key.as_str()),
        }
    }

    /// The number that a key of changes or JSON names.
    pub fn number_of(&self, key: &str) -> Option<FieldNumber> {
        match key {
            "email" => Some(FieldNumber::EMAIL),
            "deleted" => Some(FieldNumber::DELETED),
            "identities" => Some(FieldNumber::IDENTITIES),
            key => self.find_by_key(key).map(|field| field.number),
        }
    }
}

/// The fields that every community has: key, display name, type. A community numbers its fields in the order in which it
/// got them; those that are added here later come to communities that are there by `Engine::add_built_in_fields`.
pub const BUILT_IN: &[(&str, &str, FieldType)] = &[
    ("first_name", "First Name", FieldType::Text),
    ("middle_name", "Middle Name", FieldType::Text),
    ("last_name", "Last Name", FieldType::Text),
    ("full_name", "Full Name", FieldType::Text),
    ("display_name", "Display Name", FieldType::Text),
    ("username", "Username", FieldType::Text),
    ("title", "Title", FieldType::Text),
    ("gender", "Gender", FieldType::Select),
    ("date_of_birth", "Date of Birth", FieldType::Date),
    ("phone", "Phone", FieldType::Text),
    ("mobile", "Mobile", FieldType::Text),
    ("company", "Company", FieldType::Text),
    ("language", "Language", FieldType::Text),
    ("country", "Country", FieldType::Text),
    ("city", "City", FieldType::Text),
    ("region", "Region", FieldType::Text),
    ("timezone", "Timezone", FieldType::Text),
    ("tax_number", "Tax Number", FieldType::Text),
    ("coc_number", "CoC Number", FieldType::Text),
    ("debtor_id", "Debtor ID", FieldType::Text),
    ("abbreviation", "Abbreviation", FieldType::Text),
    ("addresses", "Addresses", FieldType::Json),
    ("parent", "Parent", FieldType::Json),
    ("premium_currency", "Premium Currency", FieldType::Currency),
    ("in_game_currency", "In-game Currency", FieldType::Currency),
    ("score", "Score", FieldType::Integer),
    ("status", "Status", FieldType::Text),
    ("notifications", "Notifications", FieldType::Boolean),
    ("unsubscribed", "Unsubscribed", FieldType::Boolean),
    ("assigned_to", "Assigned To", FieldType::Integer),
    ("company_id", "Company ID", FieldType::Integer),
    ("company_custom_id", "Company Custom ID", FieldType::Text),
    ("facebook_url", "Facebook URL", FieldType::Text),
    ("google_url", "Google URL", FieldType::Text),
    ("gravatar_url", "Gravatar URL", FieldType::Text),
    ("linkedin_url", "LinkedIn URL", FieldType::Text),
    ("twitter_url", "Twitter URL", FieldType::Text),
    ("xp", "XP", FieldType::Integer),
    ("coins", "Coins", FieldType::Integer),
];

/// Whether a built-in field is one that every client knows. Those after them are of one product only, and are kept out of
/// templates until they hold a value.
pub fn is_common(key: &str) -> bool {
    BUILT_IN.iter().map(|(common, ..)| *common).take_while(|common| *common != "score").any(|common| common == key)
}

/// The rules of a built-in field.
pub fn built_in_rules(key: &str) -> Rules {
    let option = |key: &str, name: &str| SelectOption { key: key.to_owned(), name: name.to_owned() };
    match key {
        "gender" => Rules {
            options: vec![option("m", "Male"), option("f", "Female"), option("u", "Unknown")],
            ..Rules::default()
        },
        _ => Rules::default(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::UserId;

    /// The built-in fields and a few of every other type, for the tests of this crate.
    pub(crate) fn sample() -> FieldSet {
        let custom: &[(&str, &str, FieldType)] = &[
            ("points", "Points", FieldType::Integer),
            ("rate", "Rate", FieldType::Decimal),
            ("subscribed", "Subscribed", FieldType::Boolean),
            ("last_seen", "Last seen", FieldType::Datetime),
            ("tags", "Tags", FieldType::MultiSelect),
            ("notes", "Notes", FieldType::LongText),
            ("extra", "Extra", FieldType::Json),
        ];
        let fields = BUILT_IN.iter().chain(custom).enumerate().map(|(i, (key, name, kind))| Field {
            number: FieldNumber(FieldNumber::FIRST.0 + i as u16),
            id: FieldId::from_bytes([i as u8; 12]),
            key: (*key).to_owned(),
            name: (*name).to_owned(),
            kind: *kind,
            rules: match *key {
                "tags" => Rules {
                    options: ["vip", "new"].map(|k| SelectOption { key: k.into(), name: k.to_uppercase() }).into(),
                    ..Rules::default()
                },
                key => built_in_rules(key),
            },
            built_in: i < BUILT_IN.len(),
            archived: false,
        });
        FieldSet::new(fields.collect())
    }

    #[test]
    fn a_field_is_found_however_its_name_is_written() {
        let fields = sample();
        for name in ["First Name", " first_name ", "FIRST-NAME", "first name"] {
            assert_eq!(fields.find_by_name(name).unwrap().key, "first_name", "{name}");
        }
        assert!(fields.find_by_name("nickname").is_none());
        assert_eq!(key_from_name(" Größe (cm) "), "größe_cm");
    }

    #[test]
    fn values_of_archived_fields_are_not_shown() {
        let archived = |field: &Field| Field { archived: field.key == "city", ..field.clone() };
        let fields = FieldSet::new(sample().iter().map(archived).collect());
        let mut user = User::blank(UserId(1), jiff::Timestamp::UNIX_EPOCH);
        for key in ["region", "city", "country"] {
            user.values.put(fields.find_by_key(key).unwrap().number, Some(Value::Text(key.to_owned())));
        }
        let keys: Vec<&str> = fields.shown(&user).map(|(field, _)| field.key.as_str()).collect();
        assert_eq!(keys, ["country", "region"]);
        assert_eq!(fields.shown_value(&user, "region").unwrap().1, &Value::Text("region".to_owned()));
        assert_eq!(fields.shown_value(&user, "city"), None);
    }

    #[test]
    fn names_and_keys_share_one_space() {
        let fields = sample();
        let new = |name: &str, key: Option<&str>| {
            let field = NewField {
                key: key.map(Into::into),
                name: name.into(),
                kind: FieldType::Text,
                rules: Rules::default(),
            };
            field.check(&fields).map_err(|error| error.code)
        };
        assert_eq!(new("Shoe size", None), Ok(("shoe_size".into(), "Shoe size".into())));
        assert_eq!(new("first-name", None), Err(Code::FieldExists));
        assert_eq!(new("Other", Some("city")), Err(Code::FieldExists));
        assert_eq!(new("E-Mail", None), Err(Code::FieldExists));
        assert_eq!(new("Other", Some("Bad Key")), Err(Code::InvalidRequest));
        assert_eq!(new("Or", None), Err(Code::FieldExists));
        assert_eq!(new("---", None), Err(Code::InvalidRequest));
        assert_eq!(new("", None), Err(Code::InvalidRequest));
    }

    #[test]
    fn options_are_named_in_any_case() {
        let fields = sample();
        let gender = fields.find_by_key("gender").unwrap();
        let crossed = [("a", "b"), ("b", "c")].map(|(key, name)| SelectOption { key: key.into(), name: name.into() });
        let crossed = Field { rules: Rules { options: crossed.into(), ..Rules::default() }, ..gender.clone() };
        assert_eq!(crossed.option("b").unwrap().key, "b", "a key comes before another's name");
        for (text, key) in [("m", "m"), ("M", "m"), ("female", "f"), ("Unknown", "u")] {
            assert_eq!(gender.option(text).unwrap().key, key);
        }
        assert!(gender.option("x").is_none());
    }
}
