//! The history.

use crate::harness::{Bench, actor, at, cases, change, job_id, text};
use muster_core::field::FieldNumber;
use muster_core::id::{Tenant, UserId};
use muster_core::user::{Change, User};
use muster_core::value::Value;
use muster_store::{ChangeSet, HistoryFilter, Place, Touched};

cases![
    a_change_set_is_read_back_as_it_was_recorded,
    the_history_of_everybody_is_newest_first_in_the_order_of_commits,
    the_history_of_a_user_is_in_the_order_of_its_versions_and_comes_in_pages,
    the_history_is_narrowed_by_field_job_and_time,
    a_field_is_not_mistaken_for_a_value_or_for_a_longer_key,
    links_are_listed_in_the_order_of_users_and_versions_in_pages,
    a_version_of_a_user_has_one_change_set,
];

const CITY: FieldNumber = FieldNumber(16);
const POINTS: FieldNumber = FieldNumber(17);

/// Two users; the first got points at second 10 by job 1 and a city at 20, the second a city at 15 by job 1.
async fn set_up(bench: &Bench) -> (Tenant, Vec<User>) {
    let tenant = bench.set_up().await;
    let mut users = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    let points = [change(POINTS, None, Some(Value::Integer(3)))];
    bench.change(tenant, &mut users[0], &points, 10, Some(job_id(1))).await;
    let city = [change(CITY, None, text("Rome"))];
    bench.change(tenant, &mut users[1], &city, 15, Some(job_id(1))).await;
    bench.change(tenant, &mut users[0], &city, 20, None).await;
    (tenant, users)
}

async fn list(bench: &Bench, tenant: Tenant, filter: &HistoryFilter, limit: u32) -> Vec<ChangeSet> {
    let fields = bench.fields(tenant).await;
    let sets = bench.read().await.list_changes(tenant, filter, limit, &fields).await;
    sets.expect("changes are listed")
}

/// For each change set the user and the version.
fn places(sets: &[ChangeSet]) -> Vec<(i64, i64)> {
    sets.iter().map(|set| (set.user.0, set.version)).collect()
}

async fn a_change_set_is_read_back_as_it_was_recorded(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut users = bench.people(tenant, &["a@x.org"]).await;
    let changes = vec![
        change(CITY, None, text("\"x\",[\"points\",")),
        change(POINTS, None, Some(Value::Integer(i64::MAX))),
        change(FieldNumber::EMAIL, text("a@x.org"), None),
    ];
    bench.change(tenant, &mut users[0], &changes, 7, Some(job_id(4))).await;
    let sets = list(&bench, tenant, &HistoryFilter::default(), 10).await;
    let set = &sets[0];
    assert_eq!((set.user, set.version, set.line, &set.changes), (users[0].id, 2, 0, &changes));
    assert_eq!((set.commit.at, set.commit.job), (at(7), Some(job_id(4))));
    assert_eq!(set.commit.actor, actor());
    assert_eq!((sets[1].line, sets[1].commit.job), (2, None));
}

async fn the_history_of_everybody_is_newest_first_in_the_order_of_commits(bench: Bench) {
    let (tenant, _) = set_up(&bench).await;
    let sets = list(&bench, tenant, &HistoryFilter::default(), 100).await;
    assert_eq!(places(&sets), [(1, 3), (2, 2), (1, 2), (2, 1), (1, 1)]);
    assert!(sets.is_sorted_by(|a, b| a.seq > b.seq));
    let mut filter = HistoryFilter::default();
    let mut paged = Vec::new();
    loop {
        let page = list(&bench, tenant, &filter, 2).await;
        let Some(last) = page.last() else { break };
        filter.before = Some(filter.place_of(last));
        paged.extend(page);
    }
    assert_eq!(paged, sets, "pages show each once");
}

async fn the_history_of_a_user_is_in_the_order_of_its_versions_and_comes_in_pages(bench: Bench) {
    let (tenant, users) = set_up(&bench).await;
    let mut filter = HistoryFilter { user: Some(users[0].id), ..HistoryFilter::default() };
    assert_eq!(places(&list(&bench, tenant, &filter, 100).await), [(1, 3), (1, 2), (1, 1)]);
    assert_eq!(places(&list(&bench, tenant, &filter, 2).await), [(1, 3), (1, 2)]);
    filter.before = Some(Place::Version(2));
    assert_eq!(places(&list(&bench, tenant, &filter, 2).await), [(1, 1)]);
    filter.user = Some(UserId(99));
    assert_eq!(places(&list(&bench, tenant, &filter, 2).await), []);
}

async fn the_history_is_narrowed_by_field_job_and_time(bench: Bench) {
    let (tenant, users) = set_up(&bench).await;
    let all = HistoryFilter::default();
    let by_field = HistoryFilter { field: Some(CITY), ..all.clone() };
    let by_email = HistoryFilter { field: Some(FieldNumber::EMAIL), ..all.clone() };
    let by_job = HistoryFilter { job: Some(job_id(1)), ..all.clone() };
    let by_both = HistoryFilter { field: Some(CITY), ..by_job.clone() };
    let by_user = HistoryFilter { user: Some(users[0].id), ..by_field.clone() };
    let by_user_and_job = HistoryFilter { user: Some(users[0].id), ..by_job.clone() };
    let since = HistoryFilter { since: Some(at(15)), ..all.clone() };
    let until = HistoryFilter { until: Some(at(15)), ..all.clone() };
    let between = HistoryFilter { since: Some(at(10)), ..until.clone() };
    let nothing = HistoryFilter { job: Some(job_id(9)), ..all.clone() };
    let cases: [(&HistoryFilter, &[(i64, i64)]); 10] = [
        (&by_field, &[(1, 3), (2, 2)]),
        (&by_email, &[(2, 1), (1, 1)]),
        (&by_job, &[(2, 2), (1, 2)]),
        (&by_both, &[(2, 2)]),
        (&by_user, &[(1, 3)]),
        (&by_user_and_job, &[(1, 2)]),
        (&since, &[(1, 3), (2, 2)]),
        (&until, &[(1, 2), (2, 1), (1, 1)]),
        (&between, &[(1, 2)]),
        (&nothing, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(places(&list(&bench, tenant, filter, 100).await), expected, "{filter:?}");
    }
}

async fn a_field_is_not_mistaken_for_a_value_or_for_a_longer_key(bench: Bench) {
    let (tenant, mut users) = set_up(&bench).await;
    // The key of one field inside the value of another; and both fields in one commit, in different sets.
    let tricky = [change(CITY, text("Rome"), text("[\"points\",\"add\",1,2]"))];
    bench.change(tenant, &mut users[1], &tricky, 30, None).await;
    let filter = HistoryFilter { field: Some(POINTS), ..HistoryFilter::default() };
    assert_eq!(places(&list(&bench, tenant, &filter, 100).await), [(1, 2)]);
}

async fn links_are_listed_in_the_order_of_users_and_versions_in_pages(bench: Bench) {
    let (tenant, _) = set_up(&bench).await;
    let fields = bench.fields(tenant).await;
    let (mut after, mut seen) = ((UserId(0), 0), Vec::new());
    loop {
        let links = bench.read().await.list_links(tenant, after, 2, &fields).await.expect("links are listed");
        let Some(last) = links.last() else { break };
        after = (last.user, last.version);
        seen.extend(links.into_iter().map(|link| (link.user.0, link.version, link.changes)));
    }
    let versions: Vec<(i64, i64)> = seen.iter().map(|(user, version, _)| (*user, *version)).collect();
    assert_eq!(versions, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]);
    let last: &Vec<Change> = &seen[4].2;
    assert_eq!(last, &[change(CITY, None, text("Rome"))]);
}

async fn a_version_of_a_user_has_one_change_set(bench: Bench) {
    let (tenant, users) = set_up(&bench).await;
    let (mut tx, reserved) = bench.store.begin_commit(tenant, 0).await.expect("a commit begins");
    let set = muster_store::NewChangeSet { user: users[0].id, version: 3, line: 0, data: "[]".into() };
    let mut touched = Touched::default();
    touched.add(&[change(CITY, None, None)]);
    let actor = actor();
    let commit = muster_store::NewCommit { id: reserved.commit, at: at(40), job: None, actor: &actor };
    let recorded = tx.insert_changes(tenant, &commit, vec![set], &touched).await;
    recorded.expect_err("the history of a user has no two third versions");
}
