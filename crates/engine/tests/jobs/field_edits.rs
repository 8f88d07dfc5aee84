//! Fields that change after users have values, with jobs before, beside and after.

use crate::harness::{Bench, assert_ended, places};
use crate::together::people;
use muster_core::field::{Field, FieldType, NewField, Rules};
use muster_core::field_edit::FieldEdit;
use muster_core::job::{JobKind, JobState};
use muster_core::{Code, Patch};
use muster_engine::{EngineError, Fault, Faults, HistoryQuery};
use std::sync::Arc;
use tokio::sync::Notify;

fn as_type(kind: FieldType) -> FieldEdit {
    FieldEdit { kind: Some(kind), ..FieldEdit::default() }
}

fn unique(unique: bool) -> FieldEdit {
    FieldEdit { unique: Some(unique), ..FieldEdit::default() }
}

impl Bench {
    async fn field_named(&self, key: &str) -> Field {
        let fields = self.engine.list_fields(&self.caller).await.expect("fields are listed");
        fields.find_by_key(key).expect("it is there").clone()
    }

    async fn edit_field(&self, key: &str, edit: &FieldEdit) -> Result<Field, Code> {
        let edited = self.engine.edit_field(&self.caller, self.field_named(key).await.id, edit).await;
        edited.map_err(|error: EngineError| error.public().code)
    }

    async fn make(&self, name: &str, kind: FieldType) {
        let new = NewField { key: None, name: name.into(), kind, rules: Rules::default() };
        self.engine.create_field(&self.caller, &new).await.expect("the field can be made");
    }

    /// What the history says of a field, newest first: old and new as the API shows them.
    async fn story(&self, email: &str, key: &str) -> Vec<String> {
        let query = HistoryQuery {
            user: Some(self.id_of(email).await),
            field: Some(key.to_owned()),
            limit: 100,
            ..HistoryQuery::default()
        };
        let page = self.engine.history(&self.caller, &query).await.expect("it is read");
        let wire =
            |value: &Option<muster_core::value::Value>| muster_core::user::wire_or_null(value.as_ref()).to_string();
        page.entries.iter().map(|entry| format!("{} {}", wire(&entry.change.old), wire(&entry.change.new))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_changes_there_and_back_and_the_history_reads_on() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.make("Level", FieldType::Text).await;
        bench.import("Email,Level\na@x.org,high\nb@x.org,7\nc@x.org,\n").await;
        let deleted = bench.id_of("b@x.org").await;
        let first = bench.update("Email,Level\na@x.org,12\n").await;
        bench.engine.delete_user(&bench.caller, deleted, None).await.expect("it is deleted");
        for kind in [
            FieldType::Integer,
            FieldType::Decimal,
            FieldType::Currency,
            FieldType::LongText,
            FieldType::Json,
            FieldType::Text,
            FieldType::Integer,
        ] {
            assert_eq!(bench.edit_field("level", &as_type(kind)).await.expect("it fits").kind, kind);
            assert_eq!(bench.value("a@x.org", "level").await.as_deref(), Some("12"));
            assert_eq!(bench.story("a@x.org", "level").await.len(), 2, "{kind}");
            bench.check().await;
        }
        assert_eq!(bench.story("a@x.org", "level").await, ["\"high\" 12", "null \"high\""]);
        bench.engine.restore_user(&bench.caller, deleted).await.expect("it is restored");
        assert_eq!(bench.value("b@x.org", "level").await.as_deref(), Some("7"), "deleted users are kept up");
        // What the job found is no number, so it cannot come back.
        let undo = bench.undo(first.id).await;
        assert_eq!(bench.verdicts(undo.id).await, ["skipped changed_since_job"]);
        let second = bench.update("Email,Level,Level_op\na@x.org,5,add\n").await;
        assert_eq!(bench.value("a@x.org", "level").await.as_deref(), Some("17"));
        bench.undo(second.id).await;
        assert_eq!(bench.value("a@x.org", "level").await.as_deref(), Some("12"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_rewritten_with_the_type_and_goes_where_it_cannot_be() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.make("Level", FieldType::Text).await;
        bench.import("Email,Level\na@x.org,12\nb@x.org,7\n").await;
        let indexed = FieldEdit { indexed: Some(true), ..as_type(FieldType::Integer) };
        assert!(bench.edit_field("level", &indexed).await.expect("it fits").is_index_ready());
        for kind in [FieldType::Text, FieldType::Decimal] {
            assert!(bench.edit_field("level", &as_type(kind)).await.expect("it fits").is_index_ready());
            bench.check().await;
        }
        assert!(bench.edit_field("level", &as_type(FieldType::Json)).await.expect("it fits").rules.index.is_none());
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_becomes_unique_where_its_values_are_and_names_users_then() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.make("Card", FieldType::Text).await;
        bench.import("Email,Card\na@x.org,one\nb@x.org,two\nc@x.org,\nd@x.org,two\n").await;
        let refused = bench.engine.edit_field(&bench.caller, bench.field_named("card").await.id, &unique(true)).await;
        let refused = refused.expect_err("two have the same").public();
        assert_eq!((refused.code, refused.errors[0].code), (Code::ValuesDoNotFit, Code::NotUnique));
        assert!(refused.errors[0].message.contains("user 4: has the value of user 2, \"two\""), "{refused:?}");
        bench.check().await;
        let gone = bench.id_of("d@x.org").await;
        bench.engine.delete_user(&bench.caller, gone, None).await.expect("it is deleted");
        bench.edit_field("card", &unique(true)).await.expect("those who are deleted hold nothing");
        bench.check().await;
        let by_card = bench.apply(JobKind::Update, &[("match_by", "card")], "Card,Points\ntwo,5\n").await;
        assert_eq!((by_card.counts.updated, bench.value("b@x.org", "points").await.as_deref()), (1, Some("5")));
        bench.edit_field("card", &unique(false)).await.expect("it may");
        bench.check().await;
        let restored = bench.engine.restore_user(&bench.caller, gone).await;
        assert!(restored.is_ok(), "nobody holds the value any more");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_job_names_stays_as_it_is() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.make("Level", FieldType::Text).await;
        bench.import("Email,Level\na@x.org,12\n").await;
        let level = bench.field_named("level").await;
        let rename = FieldEdit { name: Some("Rank".into()), ..FieldEdit::default() };
        for (file, named) in [("Email,Level\na@x.org,13\n", true), ("Email,Points\na@x.org,1\n", false)] {
            let job = bench.submit(JobKind::Update, &[], file.as_bytes()).await.expect("it is accepted");
            let edited = bench.edit_field("level", &as_type(FieldType::Integer)).await;
            assert_eq!(edited.as_ref().err(), named.then_some(&Code::FieldInUse), "{file}");
            if named {
                assert_eq!(bench.edit_field("level", &rename).await, Err(Code::FieldInUse));
                let archived = bench.engine.archive_field(&bench.caller, level.id, false).await;
                assert_eq!(archived.expect_err("it is in use").public().code, Code::FieldInUse);
            }
            bench.run().await;
            assert_ended(&bench.job(job.id).await, JobState::Completed);
        }
        assert_eq!(bench.value("a@x.org", "level").await.as_deref(), Some("13"));
        let records = b"{\"email\":\"a@x.org\",\"values\":{\"points\":2}}\n";
        bench.submit(JobKind::Update, &[], records).await.expect("it is accepted");
        let narrowed = FieldEdit { min: Patch::Set(1.into()), ..FieldEdit::default() };
        assert_eq!(bench.edit_field("level", &narrowed).await, Err(Code::FieldInUse), "records may name any field");
        bench.run().await;
        bench.edit_field("level", &narrowed).await.expect("nothing is open");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_takes_the_values_of_everybody_and_the_history_keeps_them() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&people(2_500)).await;
        bench
            .edit_field("points", &FieldEdit { required: Some(true), indexed: Some(true), ..FieldEdit::default() })
            .await
            .expect("all have some");
        let deleted = bench.id_of("user7@x.org").await;
        bench.engine.delete_user(&bench.caller, deleted, None).await.expect("it is deleted");
        let field = bench.field_named("points").await;
        for _ in 0..2 {
            bench.engine.archive_field(&bench.caller, field.id, true).await.expect("nothing is open");
            bench.check().await;
        }
        bench.engine.restore_field(&bench.caller, field.id).await.expect("it is archived");
        bench.engine.restore_user(&bench.caller, deleted).await.expect("it is deleted");
        assert!(bench.users().await.values().all(|values| !values.contains_key("points")));
        assert_eq!(bench.story("user7@x.org", "points").await, ["0 null", "null 0"]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_goes_on_where_its_caller_goes_away_or_its_process_died() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        bench.import(&people(5_000)).await;
        let field = bench.field_named("points").await;
        let left = async || bench.users().await.values().filter(|values| values.contains_key("points")).count();
        let wake = Arc::new(Notify::new());
        faults.plan("purge.committed", 0, Fault::Stall(wake.clone()));
        let (engine, caller) = (bench.engine.clone(), bench.caller.clone());
        let request = tokio::spawn(async move { engine.archive_field(&caller, field.id, true).await });
        while bench.engine.is_passing("purge.committed") {
            tokio::task::yield_now().await;
        }
        request.abort();
        assert!(request.await.is_err(), "nobody waits any more");
        assert_eq!(left().await, 3_000);
        // It dies with the second batch, and is asked for again.
        faults.plan("purge.committed", 0, Fault::Crash);
        wake.notify_one();
        while bench.engine.is_passing("purge.committed") {
            tokio::task::yield_now().await;
        }
        assert_eq!(left().await, 1_000);
        bench.check().await;
        bench.engine.archive_field(&bench.caller, field.id, true).await.expect("it goes on");
        assert_eq!(left().await, 0);
        bench.check().await;
    }
}
