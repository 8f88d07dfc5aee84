//! The fields of a community.

use crate::connection::{Row, params};
use crate::error::{Result, StoreError};
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::actor::Actor;
use muster_core::field::{Field, FieldNumber, FieldSet, FieldType, FieldsEpoch, Rules};
use muster_core::id::{FieldId, Tenant};

/// When a field was made and by whom, and when it was changed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOrigin {
    /// The field.
    pub number: FieldNumber,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it; none for those that came with the product, or were made before this was kept.
    pub created_by: Option<Actor>,
    /// When somebody changed it last; none: nobody did since this is kept.
    pub updated_at: Option<Timestamp>,
}

const COLUMNS: &str = "number, id, key, name, kind, rules, built_in, archived";

fn field(row: &Row<'_>) -> Result<Field> {
    let number = u16::try_from(row.int(0)?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let kind = serde_json::from_value(row.text(4)?.into()).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Field {
        number: FieldNumber(number),
        id: row.parsed(1)?,
        key: row.string(2)?,
        name: row.string(3)?,
        kind,
        rules: row.json(5)?,
        built_in: row.bool(6)?,
        archived: row.bool(7)?,
    })
}

impl Connection {
    /// Every field of the community, archived ones too.
    pub async fn list_fields(&mut self, tenant: Tenant) -> Result<FieldSet> {
        let sql = format!(
            "SELECT {COLUMNS}, (SELECT fields_epoch FROM communities WHERE tenant = $1)
             FROM fields WHERE tenant = $1 ORDER BY number"
        );
        let mut epoch = 0;
        let read = |row: &Row<'_>| {
            epoch = row.int(8)?;
            field(row)
        };
        let fields = self.query(&sql, params![tenant.0], read).await?;
        Ok(FieldSet::new(fields).at(epoch))
    }

    /// The communities that have fewer built-in fields than these.
    pub async fn list_lacking_built_in_fields(&mut self, count: usize) -> Result<Vec<Tenant>> {
        let sql = "SELECT c.tenant FROM communities AS c
                   WHERE (SELECT count(*) FROM fields AS f WHERE f.tenant = c.tenant AND f.built_in) < $1 ORDER BY c.tenant";
        self.query(sql, params![count as i64], |row| row.int(0).map(Tenant)).await
    }
}

impl Connection {
    /// Where each field of the community comes from.
    pub async fn list_field_origins(&mut self, tenant: Tenant) -> Result<Vec<FieldOrigin>> {
        let sql = "SELECT number, created_at, created_by, updated_at FROM fields WHERE tenant = $1 ORDER BY number";
        let read = |row: &Row<'_>| {
            let number = u16::try_from(row.int(0)?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let (created_by, updated_at) = (row.opt_json(2)?, row.opt_time(3)?);
            Ok(FieldOrigin { number: FieldNumber(number), created_at: row.time(1)?, created_by, updated_at })
        };
        self.query(sql, params![tenant.0], read).await
    }
}

impl Transaction {
    /// Whether everything that writers must know about the fields is as it was in this set, and stays so until the
    /// transaction ends. Where not, what was planned by it is to be planned again.
    pub async fn hold_fields(&mut self, tenant: Tenant, fields: FieldsEpoch) -> Result<bool> {
        let lock = self.dialect().share();
        let sql = format!("SELECT fields_epoch FROM communities WHERE tenant = $1 {lock}");
        Ok(self.query_one(&sql, params![tenant.0], |row| row.int(0)).await? == fields.0)
    }

    /// Writes a field's name, type and rules and whether it is archived. Everybody who writes users must know of it: it waits
    /// for those who write by what was, makes others wait until the transaction ends, and makes who planned before plan
    /// again.
    pub async fn update_field(&mut self, tenant: Tenant, field: &Field) -> Result<()> {
        let sql = "UPDATE communities SET fields_epoch = fields_epoch + 1 WHERE tenant = $1";
        self.execute(sql, params![tenant.0]).await?;
        let rules = serde_json::to_string(&field.rules).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let sql = "UPDATE fields SET name = $3, kind = $4, rules = $5, archived = $6 WHERE tenant = $1 AND number = $2";
        let (number, kind) = (i64::from(field.number.0), field.kind.as_str());
        self.execute(sql, params![tenant.0, number, &field.name, kind, &rules, field.archived]).await.map(drop)
    }

    /// Keeps who made a field just now.
    pub async fn set_field_maker(&mut self, tenant: Tenant, number: FieldNumber, maker: &Actor) -> Result<()> {
        let maker = serde_json::to_string(maker).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let sql = "UPDATE fields SET created_by = $3, updated_at = created_at WHERE tenant = $1 AND number = $2";
        self.execute(sql, params![tenant.0, i64::from(number.0), &maker]).await.map(drop)
    }

    /// Keeps that somebody changed a field.
    pub async fn touch_field(&mut self, tenant: Tenant, number: FieldNumber, now: Timestamp) -> Result<()> {
        let sql = "UPDATE fields SET updated_at = $3 WHERE tenant = $1 AND number = $2";
        self.execute(sql, params![tenant.0, i64::from(number.0), now.as_microsecond()]).await.map(drop)
    }

    /// Waits until nobody else changes the fields of the community, so that what was checked stays true.
    pub async fn lock_fields(&mut self, tenant: Tenant) -> Result<()> {
        let sql = "UPDATE counters SET next_field = next_field WHERE tenant = $1";
        self.execute(sql, params![tenant.0]).await.map(drop)
    }

    /// Adds a field with the next number of the community.
    #[expect(clippy::too_many_arguments, reason = "they are the columns of the row")]
    pub async fn insert_field(
        &mut self,
        tenant: Tenant,
        id: FieldId,
        key: &str,
        name: &str,
        kind: FieldType,
        rules: &Rules,
        built_in: bool,
        now: Timestamp,
    ) -> Result<Field> {
        let next = "UPDATE counters SET next_field = next_field + 1 WHERE tenant = $1 RETURNING next_field - 1";
        let number = self.query_one(next, params![tenant.0], |row| row.int(0)).await?;
        let rules = serde_json::to_string(rules).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let sql = format!(
            "INSERT INTO fields (tenant, number, id, key, name, kind, rules, built_in, archived, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE, $9) RETURNING {COLUMNS}"
        );
        let id = id.to_string();
        let now = now.as_microsecond();
        self.query_one(&sql, params![tenant.0, number, &id, key, name, kind.as_str(), &rules, built_in, now], field)
            .await
    }
}
