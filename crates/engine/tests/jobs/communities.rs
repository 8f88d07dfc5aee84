//! The fields that every community has.

use crate::harness::places;
use muster_core::field::{BUILT_IN, FieldType, NewField, Rules};
use muster_store::testing;

#[tokio::test(flavor = "multi_thread")]
async fn a_community_gets_the_built_in_fields_that_came_after_it_and_keeps_its_own() {
    for place in places().await {
        let bench = place.set_up().await;
        // As it was before the product knew these.
        testing::execute(bench.engine.store(), "DELETE FROM fields WHERE key IN ('score', 'status')").await;
        let own = NewField { key: None, name: "STATUS".into(), kind: FieldType::Integer, rules: Rules::default() };
        let own = bench.engine.create_field(&bench.caller, &own).await.expect("the name is free");
        for _ in 0..2 {
            bench.engine.add_built_in_fields().await.expect("they are added");
            let fields = bench.engine.list_fields(&bench.caller).await.expect("they are listed");
            assert_eq!(fields.iter().filter(|field| field.built_in).count(), BUILT_IN.len() - 1);
            let score = fields.find_by_key("score").expect("it was added");
            assert!(score.number > own.number, "numbers are never given twice");
            assert_eq!((score.kind, score.built_in), (FieldType::Integer, true));
            assert_eq!(fields.find_by_key("status"), Some(&own));
        }
    }
}
