//! What the product does: accept a job, run it, explain it; and everything else that somebody can ask for.
//!
//! [`Engine`] is what the faces call, always with the [`Caller`] first. [`Worker`] runs jobs: it wakes when a job is
//! submitted in this process, and looks for others twice a second; it claims a job by a lease and brings it to its end
//! step by step (`run`). Everything that survives a crash is in the store or in the staging area; nothing in here is.

mod accept;
mod anonymous;
mod apply;
mod batch;
mod browse;
mod caller;
mod change;
mod children;
mod chunk;
mod chunk_reader;
mod clock;
mod commit;
mod communities;
mod deliver;
mod engine;
mod erase;
mod error;
mod events;
mod export;
mod fault;
mod field_edit;
mod field_history;
mod fields;
mod find_user;
mod finish;
mod frames;
mod history;
mod idempotency;
mod index;
mod index_build;
mod input;
mod job;
mod job_log;
mod jobs;
mod keys;
mod lookup;
mod metrics;
mod options;
mod planner;
mod prepare;
mod pulse;
mod put;
mod query;
mod refit;
mod result_rows;
mod results;
mod retention;
mod run;
mod selection;
mod sign;
mod sort;
mod staging;
mod target;
mod user_create;
mod user_file;
mod user_keys;
mod user_pages;
mod users;
mod verify;
mod watch;
mod webhooks;
mod worker;

pub use accept::{Limits, NewJob, Upload};
pub use anonymous::{AnonymousFile, AnonymousLimits};
pub use batch::Batch;
pub use browse::{BrowsedUsers, PageAt};
pub use caller::Caller;
pub use children::UndoRequest;
pub use clock::Clock;
pub use deliver::{Deliverer, DeliveryTick, ShowJob};
pub use engine::Engine;
pub use error::{EngineError, Result, chain};
pub use export::UserExport;
pub use fault::{Fault, Faults, OTHER_POINTS, POINTS};
pub use field_history::{FieldHistory, FieldHistoryEntry, NewFieldChange};
pub use fields::MakingFields;
pub use find_user::UserName;
pub use history::{HistoryEntry, HistoryPage, HistoryQuery, MadeChange, NewChange};
pub use idempotency::{Fingerprint, Reservation, Reserved, reused};
pub use job::{Input, Job};
pub use job_log::{JobDetails, JobLog};
pub use jobs::{JobPage, JobView};
pub use keys::{IssuedToken, KeyCheck, MadeKey, NewKey};
pub use metrics::Metrics;
#[cfg(feature = "testing")]
pub use muster_store::testing;
pub use muster_store::{
    ApiKey, Attempt, Community, Delivery, DeliveryFilter, FieldOrigin, JobFilter, Store, StoredAnswer, Verdict,
    Webhook, WebhookEdit,
};
pub use put::{PutEdit, PutUser, UserPut};
pub use query::{FoundUsers, UserQuery};
pub use results::{ErrorGroup, ResultFormat, StatusFilter};
pub use retention::Swept;
pub use run::Step;
pub use staging::Staging;
pub use target::{Targets, is_public};
pub use user_create::NewUser;
pub use user_keys::KeyEdit;
pub use user_pages::CountedUsers;
pub use users::{UserEdit, UserPage};
pub use verify::Verified;
pub use watch::WatchedJob;
pub use webhooks::{DeliveryPage, MadeWebhook, WebhookRequest};
pub use worker::{Tick, Worker};
