//! The server dies at every named point, in the first job that passes it or in a later one.

use crate::files::{changes, people};
use crate::home::{Backend, Home, backends};
use crate::script::{Dying, calm};
use futures_util::{StreamExt, stream};
use muster_engine::POINTS;

/// How many servers run side by side.
const SIDE_BY_SIDE: usize = 3;

fn files() -> [(&'static str, String); 2] {
    [("people", people(2_000)), ("changes", changes(2_000, 3_200))]
}

/// How often each point is passed before the server dies there. Each job passes the points of accepting, preparing and
/// finishing once, and those of applying at least twice, for its first chunk has 1,000 rows and the next at most twice as many.
fn passes(point: &str) -> &'static [u32] {
    match point.split_once('.') {
        Some(("apply", _)) => &[0, 1, 3],
        Some(("prepare", _)) => &[0, 1],
        _ => &[1],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_point_leaves_what_another_brings_to_the_same_end() {
    let files = files();
    let reference = calm(&Home::new(Backend::Sqlite).await, &files).await;
    let mut cases = Vec::new();
    for backend in backends().await {
        for point in POINTS {
            cases.extend(passes(point).iter().map(|passes| (backend, *point, *passes)));
        }
    }
    let (files, reference) = (&files, &reference);
    let run = async |(backend, point, passes)| {
        let when = format!("killed at {point}:{passes} on {backend:?}");
        let home = Home::new(backend).await;
        let mut dying = Dying::start(&home, &format!("{point}:{passes}")).await;
        dying.run(files).await;
        let (state, accepted) = dying.inspect().await;
        reference.assert_same(&state, &when);
        match point {
            // The job is inserted together with its answer.
            "accept.writing" | "accept.staged" | "accept.inserted" | "accept.answered" => {
                assert_eq!(accepted, [false], "{when}");
            }
            "accept.committed" => assert_eq!(accepted, [true], "{when}"),
            // The job may be claimed before its client hears of it.
            _ => assert!(accepted.iter().all(|accepted| *accepted), "{when}"),
        }
    };
    stream::iter(cases).map(run).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_which_nobody_dies_is_the_same_on_every_database() {
    let files = files();
    let mut states = Vec::new();
    for backend in backends().await {
        states.push(calm(&Home::new(backend).await, &files).await);
    }
    states.windows(2).for_each(|pair| pair[0].assert_same(&pair[1], "on the other database"));
}
