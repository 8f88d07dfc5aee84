//! What a mass update asks for.

use super::attribute::{Attribute, CUSTOM_ID, read_value};
use super::body::Members;
use super::user_edits::{custom_id, email};
use muster_core::error::excerpt;
use muster_core::field::FieldSet;
use muster_core::identity::Identity;
use muster_core::plan::may_hold;
use muster_core::{Code, Error};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use utoipa::ToSchema;

/// The most bytes of the records that are made of one call: a short one is not to fill the disk.
const MAX_RECORD_BYTES: usize = 256 << 20;

/// How a call names users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// By their ids.
    ById,
    /// By their custom ids.
    ByCustomId,
}

/// Which attributes a call may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// Fields of the community.
    Custom,
    /// Those that the product itself has.
    Standard,
}

/// What a call may say.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// How it names users.
    pub users: Users,
    /// What it may set.
    pub attributes: Attributes,
}

/// The body of a mass update.
#[derive(ToSchema)]
#[schema(as = MassUpdate)]
#[expect(dead_code, reason = "it only describes what `MassUpdate::read` reads")]
pub struct IdsBody {
    /// The ids of users, at most 100,000.
    #[schema(max_items = 100_000)]
    ids: Vec<i64>,
    /// The attribute.
    #[schema(min_length = 1, max_length = 255)]
    attribute: String,
    /// The value, of the attribute's type; null clears.
    value: Json,
}

/// The body of a mass update by custom ids.
#[derive(ToSchema)]
#[schema(as = MassUpdateByCustomId)]
#[expect(dead_code, reason = "it only describes what `MassUpdate::read` reads")]
pub struct CustomIdsBody {
    /// The custom ids of users, at most 100,000. A number is the same as its digits.
    #[schema(max_items = 100_000)]
    ids: Vec<String>,
    /// The attribute.
    #[schema(min_length = 1, max_length = 255)]
    attribute: String,
    /// The value, of the attribute's type; null clears.
    value: Json,
}

/// A call that was read and checked.
#[derive(Debug)]
pub struct MassUpdate {
    /// Who is meant, as they were sent, each once.
    pub ids: Vec<Json>,
    attribute: String,
    /// What becomes of each of them: the members of a record behind what names the user, and the brace that ends it.
    change: String,
}

impl MassUpdate {
    /// Reads a call. Refuses with all that is wrong with it, with `too_many_records` more than the most ids, and with
    /// `body_too_large` a long text for very many users.
    pub fn read(mut members: Members, door: Door, most: usize, fields: &FieldSet) -> Result<Self, Error> {
        let ids = members.take_required("ids").map(|json| read_ids(&json, door.users, most));
        let ids = match ids {
            Some(Ok(ids)) => ids,
            Some(Err(error)) if error.code == Code::TooManyRecords => return Err(error),
            Some(Err(error)) => {
                members.refuse("ids", error.code, error.detail);
                Vec::new()
            }
            None => Vec::new(),
        };
        let name = members.take_required("attribute");
        let value = members.take_required("value");
        let attribute = name.and_then(|name| attribute(&mut members, &name, door, fields));
        let mut change = Json::Null;
        if let (Some((_, attribute)), Some(value)) = (&attribute, value) {
            match read_change(*attribute, &value, ids.len()) {
                Ok(read) => change = read,
                Err(error) => members.refuse("value", error.code, error.detail),
            }
        }
        members.finish()?;
        let change = change.to_string().split_off(1);
        if ids.len().saturating_mul(change.len()) > MAX_RECORD_BYTES {
            let most = MAX_RECORD_BYTES / change.len();
            let message = format!("a value of this length can be given to at most {most} users in one call");
            return Err(Error::new(Code::BodyTooLarge, message));
        }
        Ok(Self { ids, attribute: attribute.map(|(name, _)| name).unwrap_or_default(), change })
    }

    /// The name of the job in the log.
    pub fn name(&self) -> String {
        format!("Mass update of {}", excerpt(&self.attribute))
    }

    /// The records of the job, one for each id.
    pub fn records(&self, users: Users) -> impl Iterator<Item = String> {
        self.ids.iter().map(move |id| {
            let named = match users {
                Users::ById => format!("\"id\":{id}"),
                Users::ByCustomId => format!("\"identities\":{}", json!([{"source": CUSTOM_ID, "source_id": id}])),
            };
            format!("{{{named},{}", self.change)
        })
    }
}

fn attribute<'a>(
    members: &mut Members,
    name: &Json,
    door: Door,
    fields: &'a FieldSet,
) -> Option<(String, Attribute<'a>)> {
    let Some(name) = name.as_str().filter(|name| (1..=255).contains(&name.chars().count())) else {
        members.refuse("attribute", Code::InvalidRequest, "the name of an attribute is a text of 1 to 255 characters");
        return None;
    };
    let found = match door.attributes {
        Attributes::Custom => Attribute::custom(name, fields),
        Attributes::Standard => Attribute::standard(name, fields),
    };
    let found = match found {
        Ok(Attribute::CustomId) if door.users == Users::ByCustomId => {
            Err("the custom ids name the users here; name them by their ids to change it".to_owned())
        }
        found => found,
    };
    let found = found.map_err(|message| members.refuse("attribute", Code::UnknownField, message)).ok()?;
    Some((name.to_owned(), found))
}

/// The ids, each once: what is repeated counts where it stands first.
fn read_ids(json: &Json, users: Users, most: usize) -> Result<Vec<Json>, Error> {
    let refuse = |message: &str| Err(Error::new(Code::InvalidRequest, message));
    let Json::Array(ids) = json else {
        return refuse("send a list of ids");
    };
    if ids.is_empty() {
        return refuse("the list is empty; send at least one id");
    }
    if ids.len() > most {
        let message = format!("There are {} ids; send at most {most} in one call.", ids.len());
        return Err(Error::new(Code::TooManyRecords, message));
    }
    let mut seen = HashSet::with_capacity(ids.len());
    let mut distinct = Vec::with_capacity(ids.len());
    for id in ids {
        let text = match (users, id) {
            (_, Json::Number(number)) if is_whole(&number.to_string()) => number.to_string(),
            (Users::ByCustomId, Json::String(text)) => text.clone(),
            (Users::ById, _) => return refuse("an id is a whole number"),
            (Users::ByCustomId, _) => return refuse("a custom id is a text"),
        };
        let key = match users {
            Users::ById => text,
            Users::ByCustomId => Identity::new(CUSTOM_ID, &text, None).map_or(text, |identity| identity.key()),
        };
        if seen.insert(key) {
            distinct.push(id.clone());
        }
    }
    Ok(distinct)
}

fn is_whole(number: &str) -> bool {
    number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
}

/// What becomes of each user, as a part of a record.
fn read_change(attribute: Attribute<'_>, json: &Json, ids: usize) -> Result<Json, Error> {
    if attribute.is_unique() && !json.is_null() && ids > 1 {
        return Err(Error::new(Code::NotUnique, "no two users may have the same value of this attribute; send one id"));
    }
    match attribute {
        Attribute::Field(field) => {
            let value = read_value(field, json);
            let value = value.and_then(|value| may_hold(field, value.as_ref()).map(|()| value));
            let value = value.map_err(|misfit| Error::new(misfit.code, misfit.message))?;
            Ok(json!({"values": {&*field.key: value.map(|value| value.to_wire())}}))
        }
        Attribute::Email => Ok(match json {
            Json::Null => json!({"email": null}),
            json => json!({"email": email(json)?}),
        }),
        Attribute::CustomId => {
            let id = match json {
                Json::Null => None,
                json => Some(custom_id(json, "value")?.source_id),
            };
            // In the place of the custom id that the user has; identities of other sources stay.
            let identity = json!([{"source": CUSTOM_ID, "source_id": id}]);
            Ok(json!({"identities": {"op": "overwrite", "value": identity}}))
        }
    }
}
