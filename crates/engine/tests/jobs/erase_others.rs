//! What was said of others stays when somebody is erased who is called like a number that stands everywhere.

use crate::erase::{erase, file_code};
use crate::harness::{Bench, assert_ended, places};
use muster_core::Code;
use muster_core::field::{FieldType, NewField, Rules};
use muster_core::job::{JobKind, JobState};
use muster_engine::Faults;

/// Ann is `custom_id:7`, has the number 12 and the card `ann`.
const PEOPLE: &str = "Email,source,source_id,Member No,Card,Points\nann@x.org,custom_id,7,12,ann,7\n\
                      bob@x.org,custom_id,70,120,bob,7\njoann@x.org,crm,7,7,joann,12\n";

async fn set_up(bench: &Bench) {
    for (name, kind) in [("Member No", FieldType::Integer), ("Card", FieldType::Text)] {
        let rules = Rules { unique: true, ..Rules::default() };
        let new = NewField { key: None, name: name.into(), kind, rules };
        bench.engine.create_field(&bench.caller, &new).await.expect("the field can be made");
    }
    bench.import(PEOPLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentences_samples_and_files_of_others_stay() {
    for place in places().await {
        let bench = place.set_up_with(Faults::none()).await;
        set_up(&bench).await;
        let failing = "Email,Points,Member No\nbob@x.org,7.5,\nbob@x.org,7 or 12,\nnobody@x.org,7,\nbob@x.org,,7\n\
                       ann,7,\nbob@x.org,ann,\nmary-ann@x.org,7,\n";
        let failing = bench.update(failing).await.id;
        let sources = "source,source_id,Points\ncustom_id,70,7 points\ncrm,7,7\ncustom_id,77,7\n";
        let sources = bench.apply(JobKind::Update, &[("match_by", "external")], sources).await.id;
        let plan = bench.plan(JobKind::Update, &[], "Email,Points,Card\nbob@x.org,12,annie\njoann@x.org,7,\n").await.id;
        let mut before = Vec::new();
        for job in [failing, sources, plan] {
            before.push(bench.results(job).await);
        }
        let ann = bench.id_of("ann@x.org").await;
        assert_ended(&erase(&bench, ann).await, JobState::Completed);
        for (job, before) in [failing, sources, plan].into_iter().zip(before) {
            assert_eq!(bench.results(job).await, before);
            assert_eq!(file_code(&bench, job).await, None);
        }
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_the_person_goes_beside_what_does_not() {
    for place in places().await {
        let bench = place.set_up_with(Faults::none()).await;
        set_up(&bench).await;
        let by = |name: &'static str| [("match_by", name)];
        let jobs = [
            bench.apply(JobKind::Create, &by("external"), "source,source_id\ncustom_id,7\ncustom_id,70\n").await.id,
            bench.apply(JobKind::Update, &by("member_no"), "Member No,Points\n12,x\n120,x\n").await.id,
            bench.apply(JobKind::Update, &[], "Email,Card\nbob@x.org,ann\nbob@x.org,bob\n").await.id,
            bench.apply(JobKind::Update, &[], "Email,Notes\nbob@x.org,\nANN@x.org,\n").await.id,
        ];
        let ann = bench.id_of("ann@x.org").await;
        assert_ended(&erase(&bench, ann).await, JobState::Completed);
        for (i, job) in jobs.into_iter().enumerate() {
            assert_eq!(file_code(&bench, job).await, Some(Code::FileErased), "{i} {:?}", bench.job(job).await);
            let rows = bench.results(job).await;
            let said: Vec<&String> = rows.iter().map(|row| &row[row.len() - 2]).collect();
            for trace in ["custom_id:7\"", "\"12\"", "\"ann\"", "ann@x.org"] {
                assert!(!said.iter().any(|said| said.contains(trace)), "{said:?}");
            }
        }
        let blanked = "what was said about the row was erased";
        let said = async |job| {
            let rows = bench.results(job).await;
            rows.into_iter().map(|row| row[row.len() - 2].contains(blanked)).collect::<Vec<_>>()
        };
        assert_eq!(said(jobs[0]).await, [true, false], "the one who is called 70 exists, as is said of the row");
        assert_eq!(said(jobs[1]).await, [true, false]);
        assert_eq!(said(jobs[2]).await, [true, false]);
        bench.check().await;
    }
}
