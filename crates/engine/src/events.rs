//! What other systems are told of.
//!
//! An event is written in the transaction of what it tells of, so that neither happens without the other; sending it is
//! another matter (`deliver`). Where a community has no webhook for it, this costs one look at an index.

use crate::clock::delivery_id;
use crate::error::Result;
use jiff::Timestamp;
use muster_core::job::JobState;
use muster_core::webhook::EventType;
use muster_store::{JobRef, Transaction};

/// Records that a job has come to a state, for every webhook that wants to know. States of which nobody is told cost
/// nothing.
pub(crate) async fn record(tx: &mut Transaction, of: JobRef, state: JobState, at: Timestamp) -> Result<()> {
    let Some(event) = EventType::of(state) else {
        return Ok(());
    };
    let listeners = tx.list_listeners(of.tenant, event).await?;
    let deliveries: Vec<_> = listeners.into_iter().map(|webhook| (webhook, delivery_id())).collect();
    Ok(tx.insert_deliveries(of, event, at, &deliveries).await?)
}
