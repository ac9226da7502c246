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

/// Which programs consume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumers {
    Real,
    Unfenced,
}

impl Consumers {
    fn spawn(self, stack: &mut Stack, name: &str, service: &str, environment: &[(&str, &str)]) {
        let role = service.trim_start_matches("score-");
        // An archiver that only does not compare is still stopped by the archive's primary key.
        let fence = if role == "archiver" { "at-most-once" } else { "off" };
        let unfenced = [("E2E_SERVICE", role), ("E2E_FENCE", fence)];
        match self {
            Self::Real => stack.spawn_as(service, name, environment),
            Self::Unfenced => stack.spawn_as("e2e-service", name, &[environment, &unfenced].concat()),
        }
    }
}

/// Replays the goals while each consumer is killed ten times and runs twice for half of the time,
/// the second in a group of its own, so that both want to write every record.
async fn replay_under_fire(infra: &Infra, file: &Path, consumers: Consumers) -> Stack {
    let mut stack = Stack::start(infra).await;
    let roles = [("score-ranker", "RANKER_GROUP"), ("score-archiver", "ARCHIVER_GROUP")];
    for (name, _) in roles {
        let (status, _) = stack.program(name).terminate(Duration::from_secs(15));
        assert!(status.success(), "{name}: {status}");
        consumers.spawn(&mut stack, name, name, &[]);
    }
    for (name, _) in roles {
        stack.ready(name).await;
    }
    let mut replay = Program::start(
        "replay",
        stack.dir(),
        stack.command("score-generator").arg("replay").arg(file).args(REPLAY).args(["--speed", SPEED]),
    );
    for round in 0..KILLS {
        tokio::time::sleep(BETWEEN_KILLS).await;
        for (name, group) in roles {
            let twin = format!("{name}-twin");
            match round {
                3 => consumers.spawn(&mut stack, &twin, name, &[(group, &twin)]),
                // A zombie: stopped until the group has given it up, then it goes on writing.
                5 => stack.program(&twin).signal(Signal::SIGSTOP),
                7 => stack.program(&twin).signal(Signal::SIGCONT),
                9 => stack.program(&twin).kill(),
                _ => {}
            }
            stack.program(name).kill();
            consumers.spawn(&mut stack, name, name, &[]);
        }
    }
    assert!(replay.wait(Duration::from_secs(120)).success(), "{}", replay.log());
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumers_lose_and_double_nothing() {
    let (Some(infra), Some(file)) = (Infra::from_env(), goals::file()) else { return };
    let stack = replay_under_fire(&infra, &file, Consumers::Real).await;
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
    let stack = replay_under_fire(&infra, &file, Consumers::Unfenced).await;
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
