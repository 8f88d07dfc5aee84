//! Fields that become indexed while users have values, and while others write.

use crate::harness::{Bench, Place, counts, drain, places};
use crate::together::{additions, between_plan_and_commit, people};
use muster_core::Code;
use muster_core::field::{Field, Index, Rules};
use muster_core::job::JobKind;
use muster_engine::{EngineError, Faults, UserQuery, Worker};
use serde_json::json;

impl Bench {
    async fn field(&self, key: &str) -> Field {
        let fields = self.engine.list_fields(&self.caller).await.expect("fields are listed");
        fields.find_by_key(key).expect("it is there").clone()
    }

    async fn index(&self, key: &str, indexed: bool) -> Result<Field, EngineError> {
        self.engine.set_indexed(&self.caller, self.field(key).await.id, indexed).await
    }

    /// How many users have these points, and how many were looked at to say so.
    async fn with_points(&self, points: i64) -> (usize, u64) {
        let filter = Some(json!({"points": points}).to_string());
        let query = UserQuery { filter, zero: &[], sort: None, values: None, limit: 1_000, cursor: None };
        let found = self.engine.query_users(&self.caller, &query).await.expect("it is answered");
        (found.users.len(), found.examined)
    }
}

async fn set_up(place: &Place, faults: &Faults) -> Bench {
    let bench = place.set_up_with(faults.clone()).await;
    bench.import(&people(700)).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_indexed_later_finds_those_who_had_a_value_before() {
    for place in places().await {
        let bench = set_up(&place, &Faults::none()).await;
        bench.edit("user3@x.org", "points", "77").await;
        let id = bench.id_of("user4@x.org").await;
        bench.edit("user4@x.org", "points", "77").await;
        bench.engine.delete_user(&bench.caller, id, None).await.expect("it is deleted");
        for round in 0..2 {
            assert_eq!(bench.index("points", true).await.expect("it is built").rules.index, Index::Ready, "{round}");
            assert_eq!(bench.with_points(77).await, (1, 1));
            bench.check().await;
        }
        bench.edit("user3@x.org", "points", "78").await;
        bench.edit("user5@x.org", "points", "null").await;
        assert_eq!((bench.with_points(77).await, bench.with_points(0).await.0), ((0, 0), 697));
        for _ in 0..2 {
            assert_eq!(bench.index("points", false).await.expect("it is dropped").rules.index, Index::None);
            assert_eq!(bench.with_points(78).await.0, 1);
            bench.check().await;
        }
        let refused = bench.index("addresses", true).await.expect_err("JSON has no order");
        assert_eq!(refused.public().code, Code::InvalidRequest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_making_broke_off_is_not_searched_and_can_be_completed() {
    for place in places().await {
        let bench = set_up(&place, &Faults::none()).await;
        let field = bench.field("points").await;
        let mut tx = bench.engine.store().begin().await.expect("the database answers");
        let rules = Rules { index: Index::Building, ..field.rules.clone() };
        tx.update_field(bench.caller.tenant, &Field { rules, ..field }).await.expect("it is marked");
        tx.commit().await.expect("it is committed");
        bench.edit("user3@x.org", "points", "77").await;
        assert_eq!(bench.with_points(0).await.0, 699);
        bench.check().await;
        assert_eq!(bench.index("points", true).await.expect("it is built").rules.index, Index::Ready);
        assert_eq!((bench.with_points(77).await, bench.with_points(0).await.0), ((1, 1), 699));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_was_planned_before_the_index_began_is_planned_again() {
    for place in places().await {
        let faults = Faults::none();
        let bench = set_up(&place, &faults).await;
        let job = between_plan_and_commit(&bench, &faults, &additions(800), async |bench| {
            bench.index("points", true).await.expect("it is built");
        })
        .await;
        assert_eq!(counts(&job)[1..3], [100, 700]);
        assert_eq!(bench.with_points(1).await, (800, 800));
        assert_eq!(bench.with_points(0).await, (0, 0));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_complete_though_jobs_and_edits_write_while_it_is_built_and_dropped() {
    for place in places().await {
        let bench = set_up(&place, &Faults::none()).await;
        for _ in 0..3 {
            bench.submit(JobKind::Import, &[], additions(900).as_bytes()).await.expect("it is accepted");
        }
        let mut worker = Worker::new(&bench.engine).expect("a worker");
        let work = tokio::spawn(async move { drain(&mut worker).await });
        let build = async {
            for indexed in [true, false, true] {
                bench.index("points", indexed).await.expect("it is done");
            }
        };
        let also = async {
            for i in 0..30 {
                bench.edit(&format!("user{i}@x.org"), "points", r#"{"op":"add","value":1}"#).await;
            }
        };
        let again = async { bench.index("points", true).await.map(drop) };
        let ((), (), again) = tokio::join!(build, also, again);
        again.expect("it is built");
        work.await.expect("it does not panic");
        bench.index("points", true).await.expect("it is built");
        bench.check().await;
        assert_eq!(bench.with_points(4).await.0 + bench.with_points(3).await.0, 900);
    }
}
