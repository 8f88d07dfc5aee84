//! The server is killed again and again at moments that nobody chose, until a large job is done all the same.
//!
//! The moments come from a seed, which is printed; `MUSTER_TEST_SEED` sets it. What a server has done at such a moment is
//! still up to the machine, so a seed makes a failure likely again, not certain.

use crate::client::Client;
use crate::files::{changes, people};
use crate::home::{Backend, Home, Server, backends};
use crate::script::calm;
use crate::state::inspect;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

const USERS: usize = 12_000;
const ROWS: usize = 30_000;
/// How often the server is killed while it runs the job, at most.
const KILLS: usize = 12;
/// How long a server may live that is killed after a time.
const LIFE_MS: std::ops::Range<u64> = 0..400;

/// When a server is killed.
#[derive(Debug)]
enum Moment {
    /// After so many more rows are reported to be done.
    Rows(u64),
    /// After so long.
    Time(Duration),
}

impl Moment {
    /// Times and rows take turns: a job that is claimed five times without progress is given up, and rows are progress.
    fn choose(random: &mut StdRng, turn: usize) -> Self {
        match turn % 3 {
            0 => Self::Rows(random.random_range(1..ROWS as u64 / 8)),
            _ => Self::Time(Duration::from_millis(random.random_range(LIFE_MS))),
        }
    }

    /// Waits for the moment. False where the job ended before.
    async fn wait(&self, client: &Client, job: &str, before: u64) -> bool {
        match self {
            // The one place where a test sleeps: a moment at which nothing in particular happens is what it is about.
            Self::Time(time) => {
                tokio::time::sleep(*time).await;
                true
            }
            Self::Rows(rows) => loop {
                let (done, ended) = progress(client, job).await;
                if ended || done >= before + rows {
                    break !ended;
                }
            },
        }
    }
}

/// How many rows are done, and whether the job has ended.
async fn progress(client: &Client, job: &str) -> (u64, bool) {
    let job = client.get(&format!("/v1/jobs/{job}")).await;
    let done = job["progress"]["rows_done"].as_u64().expect("it is a number");
    (done, !job["finished_at"].is_null())
}

fn seed() -> u64 {
    let given = std::env::var("MUSTER_TEST_SEED").ok();
    #[expect(clippy::disallowed_methods, reason = "another one each time, and it is printed")]
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("MUSTER_TEST_SEED is a number"));
    eprintln!("MUSTER_TEST_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    let files = [("people", people(USERS)), ("changes", changes(USERS, ROWS))];
    let seed = seed();
    let backends = backends().await;
    let dying = backends.iter().map(|backend| die_often(*backend, &files, seed));
    let reference = Home::new(Backend::Sqlite).await;
    let (reference, states) = tokio::join!(calm(&reference, &files), futures_util::future::join_all(dying));
    for (backend, state) in backends.iter().zip(states) {
        reference.assert_same(&state, &format!("on {backend:?} with MUSTER_TEST_SEED={seed}"));
    }
}

async fn die_often(backend: Backend, files: &[(&str, String); 2], seed: u64) -> crate::state::State {
    let mut random = StdRng::seed_from_u64(seed ^ backend as u64);
    let home = Home::new(backend).await;
    let [(people, first), (changes, second)] = files;
    let mut server = home.serve(&[]).await;
    let key = home.make_key().await;
    let client = server.client(&key);
    client.make_points().await;
    let job = client.submit(people, first).await.expect("the server lives");
    client.ended(&job).await.expect("the server lives");

    let job = client.submit(changes, second).await.expect("the server lives");
    let (mut before, mut kills) = (0, 0);
    while kills < KILLS {
        let moment = Moment::choose(&mut random, kills);
        if !moment.wait(&server.client(&key), &job, before).await {
            break;
        }
        (server, before) = reborn(&home, server, &key, &job, before).await;
        kills += 1;
    }
    eprintln!("killed {kills} times on {backend:?}");
    assert!(kills > 0, "the job ended before anybody was killed");
    server.client(&key).ended(&job).await.expect("the server lives");
    inspect(&home, server, &key).await
}

/// Kills the server and starts it again. What was reported to be done is done.
async fn reborn(home: &Home, server: Server, key: &str, job: &str, before: u64) -> (Server, u64) {
    server.process.kill().await;
    let server = home.serve(&[]).await;
    let (done, _) = progress(&server.client(key), job).await;
    assert!(done >= before, "{before} rows were done, and now {done}");
    (server, done)
}
