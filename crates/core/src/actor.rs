//! Who did something.

use serde::{Deserialize, Serialize};

/// What kind of actor it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Somebody with an API key.
    ApiKey,
    /// Somebody without a key, at the one door that is open to them.
    Anonymous,
    /// An administrator at the server's own command line.
    System,
}

/// Who did something: kept with jobs and with every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of actor.
    #[serde(rename = "type")]
    pub kind: ActorKind,
    /// Its id, such as that of the key.
    pub id: String,
    /// Its name, as it was then.
    pub name: String,
}

impl Actor {
    /// Everybody without a key: nothing is known of them, and nothing is kept.
    pub fn anonymous() -> Self {
        Self { kind: ActorKind::Anonymous, id: String::new(), name: "anonymous".to_owned() }
    }
}
