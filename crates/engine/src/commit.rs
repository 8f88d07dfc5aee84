//! Writes what was planned. Both jobs and single edits end here.

use crate::chunk::PlannedChunk;
use crate::error::Result;
use muster_core::id::Tenant;
use muster_store::{NewCommit, Transaction};

/// Writes users, keys, index and changes. False where the fields, a user or a key are not as planned any more; then the
/// transaction is to be given up and the rows are to be planned again, with the fields as they are now.
pub(crate) async fn write(
    tx: &mut Transaction,
    tenant: Tenant,
    planned: PlannedChunk,
    commit: &NewCommit<'_>,
) -> Result<bool> {
    if !planned.index.hold_fields(tx, tenant).await? || !tx.update_users(tenant, planned.updated).await? {
        return Ok(false);
    }
    // What rows were refused for, or did not have to change, must still be so.
    if !tx.are_at_versions(tenant, &planned.held).await? {
        return Ok(false);
    }
    if !tx.move_keys(tenant, &planned.moves).await? {
        return Ok(false);
    }
    tx.insert_users(tenant, planned.created).await?;
    planned.index.write(tx, tenant).await?;
    tx.insert_changes(tenant, commit, planned.sets, &planned.touched).await?;
    Ok(true)
}
