//! Finding what is in the history: every combination of questions has the answer that reading everything would give, and
//! none is answered by reading everything.

use crate::harness::{Bench, actor, at, cases, change, job_id, text};
use jiff::Timestamp;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::user::{Change, User, changes_to_stored};
use muster_core::value::Value;
use muster_store::dialect::Dialect;
use muster_store::{ChangeSet, HistoryFilter, NewChangeSet, NewCommit, Touched, UserRow, testing};
use std::cmp::Reverse;

cases![
    every_question_has_the_answer_that_reading_everything_gives,
    no_question_is_answered_by_reading_everything,
    a_time_between_two_microseconds_is_not_rounded,
    change_sets_whose_fields_were_not_told_are_refused,
    a_history_from_before_is_found_after_the_migration,
];

const CITY: FieldNumber = FieldNumber(16);
const POINTS: FieldNumber = FieldNumber(17);

/// Three users. The first changes 200 times, mostly its points, alone and in jobs of which each touches several users;
/// the clock goes back now and then.
async fn set_up(bench: &Bench) -> (Tenant, FieldSet) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut users = bench.people(tenant, &["a@x.org", "b@x.org", "c@x.org"]).await;
    for step in 0..200i64 {
        let job = (step % 10 < 3).then(|| job_id((step / 50) as u8 + 1));
        let mut changed = vec![(0, points(&users[0], step))];
        if step % 20 == 2 {
            changed.push((1, vec![change(CITY, users[1].get(CITY), text(&step.to_string()))]));
            changed.push((0, vec![change(CITY, users[0].get(CITY), text(&step.to_string()))]));
            changed.push((2, points(&users[2], step)));
        }
        // Every seventh commit is half a minute behind its time.
        let second = 10 * step - if step % 7 == 0 { 35 } else { 0 };
        commit(bench, tenant, &mut users, &changed, (second, job), &fields).await;
    }
    (tenant, fields)
}

fn points(user: &User, step: i64) -> Vec<Change> {
    vec![change(POINTS, user.get(POINTS), Some(Value::Integer(1_000 + step)))]
}

/// Records change sets of several users in one commit.
async fn commit(
    bench: &Bench,
    tenant: Tenant,
    users: &mut [User],
    changed: &[(usize, Vec<Change>)],
    (second, job): (i64, Option<JobId>),
    fields: &FieldSet,
) {
    let (mut tx, reserved) = bench.store.begin_commit(tenant, 0).await.expect("a commit begins");
    let (mut touched, mut sets) = (Touched::default(), Vec::new());
    let planned: Vec<i64> = users.iter().map(|user| user.version).collect();
    for (index, changes) in changed {
        let user = &mut users[*index];
        user.apply(changes, at(second));
        touched.add(changes);
        let data = changes_to_stored(changes, fields);
        sets.push(NewChangeSet { user: user.id, version: user.version, line: 0, data });
    }
    let rows = users.iter().zip(planned).filter(|(user, planned)| user.version > *planned);
    let rows = rows.map(|(user, planned)| UserRow::new(user, planned, fields)).collect();
    assert!(tx.update_users(tenant, rows).await.expect("users are written"));
    let actor = actor();
    let commit = NewCommit { id: reserved.commit, at: at(second), job, actor: &actor };
    tx.insert_changes(tenant, &commit, sets, &touched).await.expect("changes are recorded");
    tx.commit().await.expect("it is committed");
}

/// All pages of what a filter finds.
async fn paged(bench: &Bench, tenant: Tenant, filter: &HistoryFilter, limit: u32, fields: &FieldSet) -> Vec<ChangeSet> {
    let (mut filter, mut found) = (filter.clone(), Vec::new());
    let mut read = bench.read().await;
    loop {
        let page = read.list_changes(tenant, &filter, limit, fields).await.expect("changes are listed");
        assert!(page.len() <= limit as usize);
        let Some(last) = page.last() else { return found };
        filter.before = Some(filter.place_of(last));
        found.extend(page);
    }
}

/// What a filter must find among all change sets.
fn expected(all: &[ChangeSet], filter: &HistoryFilter) -> Vec<ChangeSet> {
    let mut found = all.to_vec();
    found.retain(|set| {
        filter.user.is_none_or(|user| set.user == user)
            && filter.field.is_none_or(|field| set.changes.iter().any(|change| change.field == field))
            && filter.job.is_none_or(|job| set.commit.job == Some(job))
            && filter.since.is_none_or(|since| set.commit.at >= since)
            && filter.until.is_none_or(|until| set.commit.at < until)
    });
    match filter.user {
        Some(_) => found.sort_by_key(|set| Reverse(set.version)),
        None => found.sort_by_key(|set| Reverse((set.commit.at, set.seq))),
    }
    found
}

async fn every_question_has_the_answer_that_reading_everything_gives(bench: Bench) {
    let (tenant, fields) = set_up(&bench).await;
    let all = paged(&bench, tenant, &HistoryFilter::default(), 1_000, &fields).await;
    assert_eq!(all.len(), 3 + 200 + 30);
    let (mut asked, mut some) = (0, 0);
    for user in [None, Some(UserId(1)), Some(UserId(2)), Some(UserId(9))] {
        for field in [None, Some(CITY), Some(POINTS), Some(FieldNumber::EMAIL), Some(FieldNumber::DELETED)] {
            for job in [None, Some(job_id(1)), Some(job_id(4)), Some(job_id(9))] {
                for (since, until) in [(None, None), (Some(700), None), (None, Some(300)), (Some(500), Some(1_520))] {
                    let (since, until) = (since.map(at), until.map(at));
                    let filter = HistoryFilter { user, field, job, since, until, before: None };
                    let expected = expected(&all, &filter);
                    let limit = if expected.len() > 50 { 33 } else { 3 };
                    let found = paged(&bench, tenant, &filter, limit, &fields).await;
                    let places = |sets: &[ChangeSet]| sets.iter().map(|set| set.seq).collect::<Vec<_>>();
                    assert_eq!(places(&found), places(&expected), "{filter:?}");
                    asked += 1;
                    some += usize::from(!expected.is_empty());
                }
            }
        }
    }
    assert!(some > 60 && asked - some > 60, "{some} of {asked}");
}

async fn no_question_is_answered_by_reading_everything(bench: Bench) {
    bench.set_up().await;
    let plans = testing::history_plans(&bench.store).await;
    assert_eq!(plans.len(), 11);
    for (sql, plan) in plans {
        let text = plan.join("\n");
        let whole: Vec<&String> = match bench.store.dialect() {
            Dialect::Sqlite => {
                let set = |line: &str| line.contains("json_each") || line.contains("SCAN r");
                plan.iter().filter(|line| line.contains("SCAN") && !set(line) || line.contains("TEMP")).collect()
            }
            Dialect::Postgres => {
                plan.iter().filter(|line| line.contains("Seq Scan") || line.contains("Sort")).collect()
            }
        };
        assert!(whole.is_empty(), "{sql}\n{text}");
        let indexed =
            text.contains("USING INDEX") || text.contains("USING COVERING INDEX") || text.contains("PRIMARY KEY");
        assert!(indexed || text.contains("Index Cond"), "{sql}\n{text}");
        // A condition that is no part of the index would be tried on row after row. Blocks are so few that their times may be.
        assert!(!text.contains("Filter:") || sql.contains("newest_at"), "{sql}\n{text}");
        // A range has two ends.
        if sql.contains("<=") && bench.store.dialect() == Dialect::Sqlite {
            assert!(text.contains(">?") && text.contains("<?"), "{sql}\n{text}");
        }
    }
}

async fn a_time_between_two_microseconds_is_not_rounded(bench: Bench) {
    let tenant = bench.set_up().await;
    bench.people(tenant, &["a@x.org"]).await;
    let fields = bench.fields(tenant).await;
    let then = at(1);
    let later = then.checked_add(jiff::Span::new().nanoseconds(1)).expect("a time of our days");
    let count = async |since: Option<Timestamp>, until: Option<Timestamp>, user| {
        let filter = HistoryFilter { since, until, user, ..HistoryFilter::default() };
        bench.read().await.list_changes(tenant, &filter, 10, &fields).await.expect("changes are listed").len()
    };
    for user in [None, Some(UserId(1))] {
        assert_eq!(count(Some(then), None, user).await, 1);
        assert_eq!(count(Some(later), None, user).await, 0);
        assert_eq!(count(None, Some(then), user).await, 0);
        assert_eq!(count(None, Some(later), user).await, 1);
        assert_eq!(count(Some(later), Some(then), user).await, 0);
        assert_eq!(count(Some(Timestamp::MIN), Some(Timestamp::MAX), user).await, 1);
    }
}

async fn change_sets_whose_fields_were_not_told_are_refused(bench: Bench) {
    let tenant = bench.set_up().await;
    let users = bench.people(tenant, &["a@x.org"]).await;
    let (mut tx, reserved) = bench.store.begin_commit(tenant, 0).await.expect("a commit begins");
    let set = NewChangeSet { user: users[0].id, version: 2, line: 0, data: "[]".into() };
    let actor = actor();
    let commit = NewCommit { id: reserved.commit, at: at(2), job: None, actor: &actor };
    let refused = tx.insert_changes(tenant, &commit, vec![set], &Touched::default()).await;
    refused.expect_err("nobody could find it by its fields");
}

async fn a_history_from_before_is_found_after_the_migration(bench: Bench) {
    let first = match bench.store.dialect() {
        Dialect::Sqlite => include_str!("../../migrations/sqlite/0001_foundation.sql"),
        Dialect::Postgres => include_str!("../../migrations/postgres/0001_foundation.sql"),
    };
    testing::execute(&bench.store, first).await;
    let migrations = "CREATE TABLE schema_migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
                      INSERT INTO schema_migrations (number, name) VALUES (1, 'foundation')";
    testing::execute(&bench.store, migrations).await;
    let tenant = Tenant(1);
    let mut rows = format!(
        "INSERT INTO communities (tenant, id, name, created_at) VALUES ({0}, '{1}', 'Old', 0);
         INSERT INTO fields (tenant, number, id, key, name, kind, rules, built_in, archived, created_at) VALUES
             ({0}, 16, '{1}', 'city', 'City', 'text', '{{}}', FALSE, FALSE, 0),
             ({0}, 17, '{2}', 'points', 'Points', 'integer', '{{}}', FALSE, FALSE, 0);
         INSERT INTO users (tenant, id, version, email, deleted, field_values, created_at, updated_at)
         VALUES ({0}, 1, 70, NULL, FALSE, '{{}}', 0, 0);",
        tenant.0,
        "01".repeat(12),
        "02".repeat(12),
    );
    let job = job_id(3);
    for version in 1..=70 {
        let (seq, field) = (version * (1 << 20), if version == 5 { 16 } else { 17 });
        let (key, job) = (
            if field == 16 { "city" } else { "points" },
            if version == 7 { format!("'{job}'") } else { "NULL".into() },
        );
        rows += &format!(
            "INSERT INTO commits (tenant, id, at, job_id, actor) VALUES ({0}, {version}, {version}, {job}, '{{\"type\":\"system\",\"id\":\"\",\"name\":\"\"}}');
             INSERT INTO commit_fields (tenant, field, commit_id) VALUES ({0}, {field}, {version});
             INSERT INTO changes (tenant, seq, user_id, version, line, data)
             VALUES ({0}, {seq}, 1, {version}, 0, '[[\"{key}\",\"overwrite\",null,null]]');",
            tenant.0
        );
    }
    testing::execute(&bench.store, &rows).await;
    bench.store.migrate().await.expect("the schema is brought up to date");
    let fields = bench.fields(tenant).await;
    let all = paged(&bench, tenant, &HistoryFilter::default(), 1_000, &fields).await;
    assert_eq!(all.len(), 70);
    for user in [None, Some(UserId(1))] {
        for (field, job, count) in
            [(Some(CITY), None, 1), (Some(POINTS), None, 69), (None, Some(job), 1), (Some(CITY), Some(job), 0)]
        {
            let filter = HistoryFilter { user, field, job, ..HistoryFilter::default() };
            let found = paged(&bench, tenant, &filter, 9, &fields).await;
            assert_eq!(found, expected(&all, &filter), "{filter:?}");
            assert_eq!(found.len(), count, "{filter:?}");
        }
    }
}
