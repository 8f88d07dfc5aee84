//! What became of the rows of a chunk, kept as one blob for each chunk until the job ends.

use crate::connection::params;
use crate::error::Result;
use crate::{Connection, JobRef, Transaction};

impl Transaction {
    /// Keeps the outcomes of the chunk that begins at this cursor.
    pub async fn insert_outcomes(&mut self, of: JobRef, cursor: u64, data: &[u8]) -> Result<()> {
        let sql = "INSERT INTO job_outcomes (tenant, job_id, cursor, data) VALUES ($1, $2, $3, $4)";
        self.execute(sql, params![of.tenant.0, &of.id.to_string(), cursor as i64, data]).await.map(drop)
    }
}

impl Connection {
    /// The outcomes of the last chunk that begins before this cursor.
    pub async fn last_outcomes(&mut self, of: JobRef, before: u64) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT data FROM job_outcomes WHERE tenant = $1 AND job_id = $2 AND cursor < $3
                   ORDER BY cursor DESC LIMIT 1";
        let id = of.id.to_string();
        self.query_opt(sql, params![of.tenant.0, &id, before as i64], |row| row.bytes(0)).await
    }

    /// The outcomes of the next chunk at or after this cursor, and its cursor.
    pub async fn next_outcomes(&mut self, of: JobRef, cursor: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let sql = "SELECT cursor, data FROM job_outcomes WHERE tenant = $1 AND job_id = $2 AND cursor >= $3
                   ORDER BY cursor LIMIT 1";
        let id = of.id.to_string();
        self.query_opt(sql, params![of.tenant.0, &id, cursor as i64], |row| Ok((row.int(0)? as u64, row.bytes(1)?)))
            .await
    }
}
