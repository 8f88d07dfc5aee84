//! Writes what was planned. Both jobs and single edits end here.

use crate::chunk::PlannedChunk;
use crate::error::Result;
use muster_core::id::Tenant;
use muster_store::{NewCommit, Transaction};

/// Writes users, keys and changes. False where a user or a key is not as planned any more; then the transaction is to be
/// given up and the rows are to be planned again.
pub(crate) async fn write(
    tx: &mut Transaction,
    tenant: Tenant,
    planned: PlannedChunk,
    commit: &NewCommit<'_>,
) -> Result<bool> {
    if !tx.update_users(tenant, planned.updated).await? {
        return Ok(false);
    }
    if !tx.move_keys(tenant, &planned.moves).await? {
        return Ok(false);
    }
    tx.insert_users(tenant, planned.created).await?;
    tx.insert_changes(tenant, commit, planned.sets, &planned.touched).await?;
    Ok(true)
}
