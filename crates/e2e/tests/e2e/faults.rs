//! Nothing lost or doubled while consumers are killed, stopped, and run twice.

use crate::truth::{board_in_redis, board_of, drained, every_offset_is_archived_once};
use e2e::goals::{self, GOALS, REPLAY};
use e2e::{Infra, Program, Stack};
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

/// How often each consumer is killed while the replay goes on.
const KILLS: usize = 10;
/// So that the last kill falls just before the replay's end: recent years have most of the goals.
const BETWEEN_KILLS: Duration = Duration::from_millis(3800);
/// Plays 110 years in about 40 seconds.
const SPEED: &str = "85000000";
/// A killed consumer's partitions move on after its session's end; the last kill's too.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// The programs that consume, and what each is started with.
struct Consumers {
    ranker: &'static str,
    archiver: &'static str,
}

const REAL: Consumers = Consumers { ranker: "score-ranker", archiver: "score-archiver" };
const UNFENCED: Consumers = Consumers { ranker: "ranker-unfenced", archiver: "archiver-unfenced" };

/// Replays the goals while each consumer is killed ten times and runs twice for half of the time,
/// the second in a group of its own, so that both want to write every record.
async fn replay_under_fire(infra: &Infra, file: &Path, consumers: &Consumers) -> Stack {
    let mut stack = Stack::start(infra).await;
    let roles = [
        ("score-ranker", consumers.ranker, "RANKER_GROUP"),
        ("score-archiver", consumers.archiver, "ARCHIVER_GROUP"),
    ];
    for (name, program, _) in roles {
        let (status, _) = stack.program(name).terminate(Duration::from_secs(15));
        assert!(status.success(), "{name}: {status}");
        stack.spawn_as(program, name, &[]);
    }
    for (name, ..) in roles {
        stack.ready(name).await;
    }
    let mut replay = Program::start(
        "replay",
        stack.dir(),
        stack.command("score-generator").arg("replay").arg(file).args(REPLAY).args(["--speed", SPEED]),
    );
    for round in 0..KILLS {
        tokio::time::sleep(BETWEEN_KILLS).await;
        for (name, program, group) in roles {
            let twin = format!("{name}-twin");
            match round {
                3 => stack.spawn_as(program, &twin, &[(group, &twin)]),
                // A zombie: stopped until the group has given it up, then it goes on writing.
                5 => stack.program(&twin).signal(Signal::SIGSTOP),
                7 => stack.program(&twin).signal(Signal::SIGCONT),
                9 => stack.program(&twin).kill(),
                _ => {}
            }
            stack.program(name).kill();
            stack.spawn_as(program, name, &[]);
        }
    }
    assert!(replay.wait(Duration::from_secs(120)).success(), "{}", replay.log());
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumers_lose_and_double_nothing() {
    let (Some(infra), Some(file)) = (Infra::from_env(), goals::file()) else { return };
    let stack = replay_under_fire(&infra, &file, &REAL).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, GOALS, GOALS, DRAIN_LIMIT).await;
    // Time for whoever would still count something twice.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stack.archived(&postgres).await, (GOALS, 0));
    assert_eq!(board_in_redis(&stack), board_of(&goals::oracle(&file)));
    every_offset_is_archived_once(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_fence_off_the_same_run_is_wrong() {
    let (Some(infra), Some(file)) = (Infra::from_env(), goals::file()) else { return };
    let stack = replay_under_fire(&infra, &file, &UNFENCED).await;
    let postgres = stack.postgres().await;
    // Right would be these; waited for as the other test does, but not insisted on.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let board = board_in_redis(&stack);
    let ranked: i64 = board.iter().map(|(_, goals)| goals).sum();
    assert!(ranked > GOALS, "the unfenced ranker counted {ranked} goals: nothing twice");
    assert_ne!(board, board_of(&goals::oracle(&file)));
    let archived = stack.archived(&postgres).await.0;
    assert_ne!(archived, GOALS, "the unfenced archiver lost and doubled nothing");
}
