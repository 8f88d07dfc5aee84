//! What the kinds of jobs do, and by what they find users.

use crate::harness::{Bench, assert_ended, counts, places};
use muster_core::Code;
use muster_core::field::{FieldType, NewField, Rules};
use muster_core::job::{JobKind, JobState};

const PEOPLE: &str = "Email,First Name,Points\nann@x.org,Ann,10\nbob@x.org,Bob,5\n";

/// Adds a unique field.
async fn add_code(bench: &Bench) {
    let rules = Rules { unique: true, ..Rules::default() };
    let new = NewField { key: None, name: "Card".into(), kind: FieldType::Text, rules };
    bench.engine.create_field(&bench.caller, &new).await.expect("the field can be made");
}

#[tokio::test(flavor = "multi_thread")]
async fn create_makes_users_and_fails_on_those_who_exist() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let text = "email,points\nnew@x.org,1\nANN@x.org,2\nNEW@x.org,3\n";
        let job = bench.apply(JobKind::Create, &[], text).await;
        assert_ended(&job, JobState::Completed);
        assert_eq!(bench.verdicts(job.id).await, ["created", "failed user_exists", "failed user_exists"]);
        assert_eq!(bench.value("new@x.org", "points").await.as_deref(), Some("1"));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("10"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_hides_users_and_restore_brings_them_back_as_they_were() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let (before, ann) = (bench.users().await, bench.id_of("ann@x.org").await);
        let job = bench.apply(JobKind::Delete, &[], "email\nann@x.org\nnobody@x.org\nAnn@x.org\n").await;
        let verdicts = ["updated", "failed user_not_found", "failed user_not_found"];
        assert_eq!(bench.verdicts(job.id).await, verdicts);
        assert_eq!(bench.users().await.len(), 1);
        bench.check().await;

        // Who is deleted is nobody to an import.
        let job = bench.import("email,points\nann@x.org,1\n").await;
        assert_eq!(counts(&job)[1], 1);
        let job = bench.apply(JobKind::Restore, &[], "email\nann@x.org\nbob@x.org\nnobody@x.org\n").await;
        let verdicts = ["failed not_unique", "unchanged", "failed user_not_found"];
        assert_eq!(bench.verdicts(job.id).await, verdicts, "somebody else has the email now");
        let job = bench.apply(JobKind::Delete, &[], "email\nann@x.org\n").await;
        assert_eq!(counts(&job)[2], 1);
        let job = bench.apply(JobKind::Restore, &[], "email\nann@x.org\n").await;
        assert_eq!(bench.verdicts(job.id).await, ["failed ambiguous_match"], "two deleted users had it");
        let text = format!("id\n{ann}\n{ann}\n");
        let job = bench.apply(JobKind::Restore, &[("match_by", "id")], &text).await;
        assert_eq!(bench.verdicts(job.id).await, ["updated", "unchanged"]);
        assert_eq!(bench.users().await, before);
        assert_eq!(bench.id_of("ann@x.org").await, ann);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_their_identities_in_other_systems() {
    for place in places().await {
        let bench = place.set_up().await;
        let external = [("match_by", "external")];
        let text = "source,source_id,identity_language,email,points\n\
                    crm,7,,ann@x.org,1\ncrm,8,de,bob@x.org,2\ncrm,8,en,,3\nshop,7,,,4\n,7,,x@x.org,\n";
        let job = bench.apply(JobKind::Import, &external, text).await;
        let verdicts = ["created", "created", "created", "created", "failed missing_key"];
        assert_eq!(bench.verdicts(job.id).await, verdicts);

        let text = "Source,Source ID,identity_language,points,email\n\
                    CRM, 7 ,,10,\ncrm,8,,20,\ncrm,8,DE,30,\ncrm,9,,40,\nshop,7,,50,Bob@x.org\ncrm,7,,11,ANN@x.org\n";
        let job = bench.apply(JobKind::Update, &external, text).await;
        let verdicts = [
            "updated",
            "failed ambiguous_match",
            "updated",
            "failed user_not_found",
            "failed ambiguous_match",
            "updated",
        ];
        assert_eq!(bench.verdicts(job.id).await, verdicts);
        assert_eq!(bench.value("ANN@x.org", "points").await.as_deref(), Some("11"));
        assert_eq!(bench.value("bob@x.org", "points").await.as_deref(), Some("30"));

        // Identities can be given to users who are named by something else.
        let text = "email,source,source_id\nann@x.org,shop,1\nann@x.org,crm,7\nbob@x.org,shop,7\n";
        let job = bench.update(text).await;
        assert_eq!(bench.verdicts(job.id).await, ["updated", "unchanged", "failed ambiguous_match"]);
        let job = bench.apply(JobKind::Update, &external, "source,source_id,points\nshop,1,77\n").await;
        assert_eq!(counts(&job)[2], 1);
        assert_eq!(bench.value("ANN@x.org", "points").await.as_deref(), Some("77"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_and_made_by_a_unique_field() {
    for place in places().await {
        let bench = place.set_up().await;
        let refused = bench.submit(JobKind::Update, &[("match_by", "card")], b"card\nx\n").await;
        assert_eq!(refused.expect_err("there is no such field").public().code, Code::InvalidOption);
        add_code(&bench).await;
        let text = "Card,Email,Points\nA-1,ann@x.org,1\nA-2,,2\nA-1,,3\n";
        let job = bench.apply(JobKind::Import, &[("match_by", "card")], text).await;
        assert_eq!(bench.verdicts(job.id).await, ["created", "created", "updated"]);
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("3"));
        let job = bench.update("email,card\nann@x.org,A-2\n").await;
        assert_eq!(bench.verdicts(job.id).await, ["failed not_unique"]);
        let job = bench.update("email,card\nann@x.org,A-3\n").await;
        assert_eq!(counts(&job)[2], 1);
        let job = bench.apply(JobKind::Delete, &[("match_by", "card")], "card\nA-1\nA-3\n").await;
        assert_eq!(bench.verdicts(job.id).await, ["failed user_not_found", "updated"]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rows_that_claim_the_same_value_the_lowest_record_wins() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("email\na@x.org\nb@x.org\nc@x.org\n").await;
        let mut ids = Vec::new();
        for email in ["a@x.org", "b@x.org", "c@x.org"] {
            ids.push(bench.id_of(email).await);
        }
        // The user of the last row comes first where rows are sorted by user.
        let text = format!(
            "id,email,points\n{c},new@x.org,1\n{a},NEW@x.org,2\n{b},b@x.org,3\n{b},other@x.org,4\n{c},new@x.org,5\n",
            a = ids[0],
            b = ids[1],
            c = ids[2]
        );
        let job = bench.apply(JobKind::Update, &[("match_by", "id")], &text).await;
        let verdicts = ["updated", "failed not_unique", "updated", "updated", "updated"];
        assert_eq!(bench.verdicts(job.id).await, verdicts);
        assert_eq!(bench.id_of("new@x.org").await, ids[2]);
        assert_eq!(bench.value("a@x.org", "points").await, None, "a row that fails does nothing");

        // Swaps inside one job are refused, whoever comes first.
        let text = format!("id,email\n{},b@x.org\n{},a@x.org\n", ids[0], ids[1]);
        let job = bench.apply(JobKind::Update, &[("match_by", "id")], &text).await;
        assert_eq!(bench.verdicts(job.id).await[1], "failed not_unique");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_value_already_keeps_it_though_a_row_before_claims_it_for_another() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("email,points\na@x.org,1\nb@x.org,1\n").await;
        let (a, b) = (bench.id_of("a@x.org").await, bench.id_of("b@x.org").await);
        let text = format!("id,email,points\n{b},a@x.org,2\n{a},A@x.org,3\n");
        let job = bench.apply(JobKind::Update, &[("match_by", "id")], &text).await;
        assert_eq!(bench.verdicts(job.id).await, ["failed not_unique", "updated"]);
        assert_eq!(bench.value("A@x.org", "points").await.as_deref(), Some("3"));
        let job = bench.apply(JobKind::Delete, &[("match_by", "id")], &text).await;
        assert_eq!(counts(&job)[2], 2, "who is deleted claims nothing");
        bench.check().await;
    }
}
