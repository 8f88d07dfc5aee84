//! A user to be made, in the words of the product's older and newest pages.

use super::request::{TextOrNumber, replaced};
use super::user_body::EXTERNAL_ID;
use crate::http::extract::JsonObject;
use crate::http::failure::Failure;
use muster_core::error::excerpt;
use muster_core::field::FieldSet;
use muster_core::identity::Identity;
use muster_core::user::User;
use muster_core::{Code, Error};
use muster_engine::{Caller, Engine, EngineError, NewUser};
use serde::Deserialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewCommunityUser)]
pub(super) struct NewUserBody {
    /// The email.
    email: String,
    /// The first name. Here and in what follows an empty text is none.
    #[serde(alias = "firstName")]
    firstname: Option<String>,
    /// The last name.
    #[serde(alias = "lastName")]
    lastname: Option<String>,
    /// The username.
    username: Option<String>,
    /// The name that is shown to others.
    #[serde(alias = "displayName")]
    displayname: Option<String>,
    /// The community, which must be that of the key.
    community_id: Option<String>,
    /// What names the user in the client's own system.
    #[schema(value_type = Option<String>)]
    external_id: Option<TextOrNumber>,
    /// Values of other fields.
    #[schema(value_type = Option<Vec<CustomField>>)]
    custom_fields: Option<Vec<JsonObject<CustomField>>>,
    /// Not kept; it must be the same as `confirmPassword`.
    password: Option<String>,
    /// Not kept.
    confirm_password: Option<String>,
    /// No meaning here.
    access_level: Option<i64>,
    /// No meaning here.
    join_server: Option<bool>,
    /// No meaning here.
    email_password: Option<bool>,
    /// No meaning here.
    send_email: Option<bool>,
    /// No meaning here.
    #[schema(value_type = Option<String>)]
    referral: Option<Json>,
    /// No meaning here.
    #[schema(value_type = Option<String>)]
    email_template: Option<Json>,
}

/// The value of a field.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomFieldValue)]
struct CustomField {
    /// The id, the key or the name of the field.
    #[serde(rename = "fieldIdorName", alias = "fieldIdOrName")]
    field: String,
    /// The value; null and an empty text are none.
    #[schema(value_type = Object)]
    value: Json,
}

impl NewUserBody {
    /// Makes the user, and names what was sent and has no meaning here.
    pub(super) async fn create(
        self,
        engine: &Engine,
        caller: &Caller,
    ) -> Result<((User, FieldSet), Vec<&'static str>), Failure> {
        if let Some(community) = &self.community_id {
            caller.require_community(community)?;
        }
        let mut wrong: Vec<Error> = self.check_passwords().err().into_iter().collect();
        let ignored = self.ignored();
        let (values, places) = self.values(engine, caller, &mut wrong).await?;
        let identity = self.external_id.map(|id| Identity::new(EXTERNAL_ID, &id.0, None)).transpose();
        let identity = identity.map_err(|message| Error::at("/externalId", Code::InvalidIdentity, message));
        let identity = identity.unwrap_or_else(|error| {
            wrong.push(error);
            None
        });
        let new = NewUser { email: Some(self.email), identities: identity.into_iter().collect(), values };
        match engine.check_new_user(caller, &new).await {
            Err(EngineError::Refused(error)) => wrong.push(error),
            checked => checked?,
        }
        Error::all(wrong).map_err(|error| replaced(error.into(), &places))?;
        let made = engine.create_user(caller, &new).await.map_err(|error| replaced(error, &places))?;
        Ok((made, ignored))
    }

    fn check_passwords(&self) -> Result<(), Error> {
        match (&self.password, &self.confirm_password) {
            (Some(password), Some(again)) if password != again => {
                Err(Error::at("/confirmPassword", Code::InvalidRequest, "the passwords differ"))
            }
            _ => Ok(()),
        }
    }

    fn ignored(&self) -> Vec<&'static str> {
        let all = [
            ("password", self.password.is_some()),
            ("confirmPassword", self.confirm_password.is_some()),
            ("accessLevel", self.access_level.is_some()),
            ("joinServer", self.join_server.is_some()),
            ("emailPassword", self.email_password.is_some()),
            ("sendEmail", self.send_email.is_some()),
            ("referral", self.referral.is_some()),
            ("emailTemplate", self.email_template.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    /// The values by field key; and where in the body each stands, for what the engine says of them. What names no field
    /// goes to `wrong`.
    async fn values(
        &self,
        engine: &Engine,
        caller: &Caller,
        wrong: &mut Vec<Error>,
    ) -> Result<(Vec<(String, Json)>, Vec<(String, String)>), Failure> {
        let own = [
            ("first_name", &self.firstname, "/firstname"),
            ("last_name", &self.lastname, "/lastname"),
            ("username", &self.username, "/username"),
            ("display_name", &self.displayname, "/displayname"),
        ];
        let mut values: Vec<(String, Json)> = Vec::new();
        let mut places = vec![("/identities".to_owned(), "/externalId".to_owned())];
        for (key, text, pointer) in own {
            if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
                values.push((key.to_owned(), Json::from(text)));
                places.push((format!("/values/{key}"), pointer.to_owned()));
            }
        }
        let custom = || self.custom_fields.iter().flatten().map(|JsonObject(field)| field);
        let names: Vec<&str> = custom().map(|field| field.field.as_str()).collect();
        for (i, (field, key)) in custom().zip(engine.field_keys(caller, &names).await?).enumerate() {
            let mut refuse = |code, message: String| {
                wrong.push(Error::at(format!("/customFields/{i}/fieldIdorName"), code, message));
            };
            let (named, is_empty) =
                (excerpt(&field.field), field.value.as_str().is_some_and(|text| text.trim().is_empty()));
            match key {
                None => refuse(Code::UnknownField, format!("there is no field \"{named}\"")),
                Some(key) if values.iter().any(|(other, _)| *other == key) => {
                    refuse(Code::InvalidRequest, format!("\"{named}\" is there twice"));
                }
                Some(key) => {
                    places.push((format!("/values/{key}"), format!("/customFields/{i}/value")));
                    values.push((key, if is_empty { Json::Null } else { field.value.clone() }));
                }
            }
        }
        Ok((values, places))
    }
}
