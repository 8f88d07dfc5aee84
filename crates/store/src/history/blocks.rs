//! What is in the history of a user who has a long one, a block of versions at a time, so that what many other changes
//! hide is found without reading those. Users with fewer versions than a block has cost nothing.

use super::NewChangeSet;
use crate::Transaction;
use crate::connection::params;
use crate::error::Result;
use crate::rows::Rows;
use muster_core::id::{Tenant, UserId};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};

/// How many versions a block has: block `n` holds the versions from `n * BLOCK + 1` to `(n + 1) * BLOCK`.
pub(crate) const BLOCK: i64 = 64;

/// What every block has.
pub(crate) const ALL: &str = "all";

/// What a block has that touches this field.
pub(crate) fn of_field(key: &str) -> String {
    format!("field:{key}")
}

/// What a block has that this job changed.
pub(crate) fn of_job(job: &str) -> String {
    format!("job:{job}")
}

/// The times and facets of one block.
struct Block {
    oldest: i64,
    newest: i64,
    facets: BTreeSet<String>,
}

/// The blocks that these change sets make whole.
pub(super) fn completed(sets: &[NewChangeSet]) -> Vec<(UserId, i64)> {
    let last = sets.iter().filter(|set| set.version % BLOCK == 0);
    last.map(|set| (set.user, set.version / BLOCK - 1)).collect()
}

impl Transaction {
    /// Notes what is in blocks whose change sets are recorded.
    pub(super) async fn insert_blocks(&mut self, tenant: Tenant, whole: &[(UserId, i64)]) -> Result<()> {
        if whole.is_empty() {
            return Ok(());
        }
        let mut blocks: BTreeMap<(UserId, i64), Block> = BTreeMap::new();
        for (user, block, at, job, keys) in self.read_blocks(tenant, whole).await? {
            let new = || Block { oldest: at, newest: at, facets: BTreeSet::from([ALL.to_owned()]) };
            let block = blocks.entry((user, block)).or_insert_with(new);
            block.oldest = block.oldest.min(at);
            block.newest = block.newest.max(at);
            block.facets.extend(job.as_deref().map(of_job));
            block.facets.extend(keys.iter().map(|key| of_field(key)));
        }
        let facets =
            blocks.iter().flat_map(|(place, block)| block.facets.iter().map(move |facet| (place, block, facet)));
        let facets: Vec<_> = facets.collect();
        let rows = Rows::new()
            .int("user_id", facets.iter().map(|((user, _), _, _)| user.0).collect())
            .text("facet", facets.iter().map(|(_, _, facet)| (*facet).clone()).collect())
            .int("block", facets.iter().map(|((_, block), _, _)| *block).collect())
            .int("oldest_at", facets.iter().map(|(_, block, _)| block.oldest).collect())
            .int("newest_at", facets.iter().map(|(_, block, _)| block.newest).collect());
        let sql = "INSERT INTO user_blocks (tenant, user_id, facet, block, oldest_at, newest_at)
                   SELECT $1, r.user_id, r.facet, r.block, r.oldest_at, r.newest_at FROM {rows} AS r";
        self.execute_rows(sql, params![tenant.0], &rows).await.map(drop)
    }

    /// User, block, time, job and field keys of each change set in some blocks.
    async fn read_blocks(&mut self, tenant: Tenant, blocks: &[(UserId, i64)]) -> Result<Vec<BlockSet>> {
        let rows = Rows::new()
            .int("user_id", blocks.iter().map(|(user, _)| user.0).collect())
            .int("block", blocks.iter().map(|(_, block)| *block).collect());
        let join = self.dialect().join();
        let sql = format!(
            "SELECT c.user_id, r.block, m.at, m.job_id, c.data FROM {{rows}} AS r
             {join} changes AS c ON c.tenant = $1 AND c.user_id = r.user_id
                AND c.version > r.block * {BLOCK} AND c.version <= (r.block + 1) * {BLOCK}
             {join} commits AS m ON m.tenant = $1 AND m.id = c.seq / {}",
            super::COMMIT_SPAN
        );
        self.query_rows(&sql, params![tenant.0], &rows, |row| {
            let changes: Vec<(String, IgnoredAny, IgnoredAny, IgnoredAny)> = row.json(4)?;
            let keys = changes.into_iter().map(|(key, ..)| key).collect();
            Ok((UserId(row.int(0)?), row.int(1)?, row.int(2)?, row.opt_text(3)?.map(str::to_owned), keys))
        })
        .await
    }
}

type BlockSet = (UserId, i64, i64, Option<String>, Vec<String>);
