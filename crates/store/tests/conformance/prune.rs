//! The history that is over its time, of one community and nobody else's.

use crate::harness::{Bench, at, cases, change, job_id, text};
use muster_core::field::FieldNumber;
use muster_core::id::{Tenant, UserId};
use muster_core::user::User;
use muster_core::value::Value;
use muster_store::{HistoryFilter, OldCommit, Opening, testing};

cases![
    old_commits_are_listed_oldest_first_with_their_sizes,
    old_sets_of_users_are_listed_up_to_a_version_of_each,
    openings_are_put_in_the_place_of_earlier_ones,
    what_is_pruned_is_gone_and_all_else_is_found_as_before,
    whole_blocks_go_and_those_that_are_cut_stay,
    jobs_that_lost_history_are_noted_once,
    an_open_job_that_needs_the_history_is_seen,
];

const CITY: FieldNumber = FieldNumber(16);
const POINTS: FieldNumber = FieldNumber(17);

/// Two users of second 1 in one commit; the first got points at 10 by job 1 and a city at 30, the second a city at 20.
async fn set_up(bench: &Bench) -> (Tenant, Vec<User>) {
    let tenant = bench.set_up().await;
    let mut users = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    let points = [change(POINTS, None, Some(Value::Integer(3)))];
    bench.change(tenant, &mut users[0], &points, 10, Some(job_id(1))).await;
    let city = [change(CITY, None, text("Rome"))];
    bench.change(tenant, &mut users[1], &city, 20, None).await;
    bench.change(tenant, &mut users[0], &city, 30, None).await;
    (tenant, users)
}

async fn old(bench: &Bench, tenant: Tenant, second: i64, limit: u32) -> Vec<OldCommit> {
    bench.read().await.list_old_commits(tenant, at(second), limit).await.expect("they are listed")
}

async fn old_commits_are_listed_oldest_first_with_their_sizes(bench: Bench) {
    let (tenant, _) = set_up(&bench).await;
    let stranger = bench.community(2).await;
    bench.people(stranger, &["a@x.org"]).await;
    let sizes = async |second, limit| {
        let listed = old(&bench, tenant, second, limit).await;
        listed.into_iter().map(|commit| (commit.at, commit.sets)).collect::<Vec<_>>()
    };
    assert_eq!(sizes(30, 9).await, [(at(1), 2), (at(10), 1), (at(20), 1)]);
    assert_eq!(sizes(99, 2).await, [(at(1), 2), (at(10), 1)]);
    assert!(sizes(1, 9).await.is_empty(), "the time itself is not over");
}

async fn old_sets_of_users_are_listed_up_to_a_version_of_each(bench: Bench) {
    let (tenant, users) = set_up(&bench).await;
    let fields = bench.fields(tenant).await;
    let commits = old(&bench, tenant, 15, 9).await;
    let mut read = bench.read().await;
    let until = read.list_last_versions(tenant, &commits).await.expect("they are listed");
    assert_eq!(until, [(users[0].id, 2), (users[1].id, 1)]);
    let sets = read.list_old_sets(tenant, &until, &fields).await.expect("they are listed");
    let places: Vec<_> = sets.iter().map(|set| (set.user.0, set.version, set.at, set.job)).collect();
    assert_eq!(places, [(1, 1, at(1), None), (1, 2, at(10), Some(job_id(1))), (2, 1, at(1), None)]);
    assert_eq!(sets[1].changes, [change(POINTS, None, Some(Value::Integer(3)))]);
    let stranger = bench.community(2).await;
    assert!(read.list_old_sets(stranger, &until, &fields).await.expect("they are listed").is_empty());
    assert!(read.list_last_versions(stranger, &commits).await.expect("they are listed").is_empty());
}

fn opening(user: UserId, version: i64, city: &str) -> Opening {
    Opening { user, version, at: at(version), changes: vec![change(CITY, None, text(city))] }
}

async fn openings_are_put_in_the_place_of_earlier_ones(bench: Bench) {
    let tenant = bench.set_up().await;
    let stranger = bench.community(2).await;
    let fields = bench.fields(tenant).await;
    let mut tx = bench.begin().await;
    let first = [opening(UserId(1), 4, "Rome"), opening(UserId(2), 5, "Oslo")];
    tx.put_openings(tenant, &first, &fields).await.expect("they are put");
    tx.put_openings(tenant, &[opening(UserId(1), 9, "Bern")], &fields).await.expect("it is put");
    tx.commit().await.expect("it is committed");
    let mut read = bench.read().await;
    let all = [UserId(2), UserId(1), UserId(3)];
    let listed = read.list_openings(tenant, &all, &fields).await.expect("they are listed");
    assert_eq!(listed, [opening(UserId(1), 9, "Bern"), opening(UserId(2), 5, "Oslo")]);
    assert_eq!(read.count_openings(tenant).await.expect("they are counted"), 2);
    assert!(read.list_openings(stranger, &all, &fields).await.expect("they are listed").is_empty());
    assert_eq!(read.count_openings(stranger).await.expect("they are counted"), 0);
}

async fn what_is_pruned_is_gone_and_all_else_is_found_as_before(bench: Bench) {
    let (tenant, users) = set_up(&bench).await;
    let stranger = bench.community(2).await;
    bench.people(stranger, &["a@x.org"]).await;
    let fields = bench.fields(tenant).await;
    let commits = old(&bench, tenant, 15, 9).await;
    let until = bench.read().await.list_last_versions(tenant, &commits).await.expect("they are listed");
    let mut tx = bench.begin().await;
    assert_eq!(tx.delete_old_sets(tenant, &until).await.expect("they go"), 3);
    tx.delete_old_commits(tenant, &commits[1], &fields).await.expect("they go");
    tx.commit().await.expect("it is committed");

    let list = async |filter: HistoryFilter| {
        let sets = bench.read().await.list_changes(tenant, &filter, 9, &fields).await.expect("they are listed");
        sets.iter().map(|set| (set.user.0, set.version)).collect::<Vec<_>>()
    };
    let all = HistoryFilter::default();
    assert_eq!(list(all.clone()).await, [(1, 3), (2, 2)]);
    assert_eq!(list(HistoryFilter { field: Some(CITY), ..all.clone() }).await, [(1, 3), (2, 2)]);
    assert!(list(HistoryFilter { field: Some(POINTS), ..all.clone() }).await.is_empty());
    assert!(list(HistoryFilter { job: Some(job_id(1)), ..all.clone() }).await.is_empty());
    assert_eq!(list(HistoryFilter { user: Some(users[0].id), ..all.clone() }).await, [(1, 3)]);
    assert_eq!(old(&bench, tenant, 99, 9).await.iter().map(|commit| commit.at).collect::<Vec<_>>(), [at(20), at(30)]);
    let touched = format!("SELECT CAST(count(*) AS TEXT) FROM commit_fields WHERE tenant = {}", tenant.0);
    assert_eq!(testing::strings(&bench.store, &touched).await, ["2"]);
    let fields = bench.fields(stranger).await;
    let theirs = bench.read().await.list_changes(stranger, &all, 9, &fields).await.expect("they are listed");
    assert_eq!(theirs.len(), 1, "another community's history stays");
}

async fn whole_blocks_go_and_those_that_are_cut_stay(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut users = bench.people(tenant, &["a@x.org"]).await;
    for second in 2..=130 {
        let changes = [change(CITY, users[0].values.get(CITY).cloned(), text(&second.to_string()))];
        bench.change(tenant, &mut users[0], &changes, second, None).await;
    }
    let user = users[0].id;
    let blocks = async || {
        let sql = "SELECT CAST(block AS TEXT) FROM user_blocks WHERE facet = 'all' ORDER BY block";
        testing::strings(&bench.store, sql).await
    };
    assert_eq!(blocks().await, ["0", "1"]);
    for (version, left) in [(63, &["0", "1"][..]), (64, &["1"]), (100, &["1"])] {
        let mut tx = bench.begin().await;
        tx.delete_old_sets(tenant, &[(user, version)]).await.expect("they go");
        tx.commit().await.expect("it is committed");
        assert_eq!(blocks().await, left, "{version}");
    }
    let fields = bench.fields(tenant).await;
    let filter = HistoryFilter { user: Some(user), field: Some(CITY), ..HistoryFilter::default() };
    let sets = bench.read().await.list_changes(tenant, &filter, 99, &fields).await.expect("they are listed");
    assert_eq!(sets.iter().map(|set| set.version).collect::<Vec<_>>(), (101..=130).rev().collect::<Vec<_>>());
}

async fn jobs_that_lost_history_are_noted_once(bench: Bench) {
    let tenant = bench.set_up().await;
    let stranger = bench.community(2).await;
    let (one, two) = (bench.submit(tenant, 1, None).await, bench.submit(tenant, 2, None).await);
    for (tenant, second) in [(stranger, 10), (tenant, 20), (tenant, 30)] {
        let mut tx = bench.begin().await;
        tx.note_history_expired(tenant, &[one.id, job_id(9)], at(second)).await.expect("it is noted");
        tx.commit().await.expect("it is committed");
    }
    assert_eq!(bench.job(one).await.history_expired_at, Some(at(20)));
    assert_eq!(bench.job(two).await.history_expired_at, None);
}

async fn an_open_job_that_needs_the_history_is_seen(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let has = async |tenant| bench.begin().await.is_history_needed(tenant).await.expect("it is read");
    assert!(!has(tenant).await);
    testing::execute(&bench.store, &format!("UPDATE jobs SET undoes = 'job_x' WHERE id = '{}'", of.id)).await;
    assert!(has(tenant).await && !has(bench.community(2).await).await);
    testing::execute(&bench.store, "UPDATE jobs SET undoes = NULL, kind = 'erase'").await;
    assert!(has(tenant).await);
    testing::execute(&bench.store, "DELETE FROM job_queue").await;
    assert!(!has(tenant).await, "it has ended");
}
