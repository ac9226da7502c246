//! Start and end of the programs.

use crate::sampling::{Sampling, Whole};
use crate::truth::{board_in_redis, top_is};
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, Viewer};
use std::time::Duration;

/// A process may take this long to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// A point, always earned at the same instant: equal totals stand in the order of the ids.
fn one(user: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let event = format!(r#"{{"score":1,"user_id":{user},"created_at":"2026-01-01T00:00:00"}}"#);
    (user.to_string().into_bytes(), Some(event.into_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_every_service_within_ten_seconds_and_loses_nothing() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    stack.produce(&(0..5000).map(|event| one(event % 50)).collect::<Vec<_>>()).await;
    for service in Service::ALL {
        let name = service.program();
        let (status, took) = stack.program(name).terminate(DRAIN_LIMIT + Duration::from_secs(2));
        assert!(status.success(), "{name}: {status}\n{}", stack.program(name).log());
        eprintln!("{name} drained in {took:?}");
    }
    // The viewer is told, not left hanging.
    let begun = std::time::Instant::now();
    while viewer.next(Duration::from_secs(5)).await.is_some() {}
    assert!(begun.elapsed() < Duration::from_secs(5), "the connection was left open");
    for service in Service::ALL {
        stack.spawn(service, service.program(), &[]);
    }
    for service in Service::ALL {
        stack.ready(service.program()).await;
    }
    let postgres = stack.postgres().await;
    crate::truth::drained(&stack, &postgres, 5000, 5000, PATIENCE).await;
    assert_eq!(stack.archived(&postgres).await.0, 5000);
    assert!(board_in_redis(&stack).iter().all(|(_, total)| *total == 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_wait_for_stores_that_are_away_and_start_in_any_order() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    let nowhere = format!("127.0.0.1:{}", free_ports::kept());
    let (redis, postgres) = (format!("redis://{nowhere}"), format!("postgres://nobody@{nowhere}/none"));
    stack.spawn(Service::Controller, "controller", &[("REDIS_URL", &redis)]);
    stack.spawn(Service::BoardCache, "board-cache", &[("REDIS_URL", &redis)]);
    stack.spawn(Service::Ranker, "score-ranker", &[("REDIS_URL", &redis)]);
    stack.spawn(Service::Archiver, "score-archiver", &[("POSTGRES_URL", &postgres)]);
    stack.produce(&[one(7)]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for service in Service::ALL {
        let name = service.program();
        // Alive, not ready, and it says what is missing.
        let report = stack.readiness(name);
        assert_eq!(report.0, 503, "{name}: {}", report.1);
        let (status, _) = stack.program(name).terminate(DRAIN_LIMIT + Duration::from_secs(2));
        assert!(status.success(), "{name}: {status}\n{}", stack.program(name).log());
    }
    for service in Service::ALL {
        stack.spawn(service, service.program(), &[]);
    }
    top_is(&stack, &[("7", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emptied_redis_under_running_services_is_rebuilt_and_nobody_ever_sees_half_a_board() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    stack.produce(&(0..30_000).map(|event| one(event % 3)).collect::<Vec<_>>()).await;
    let board = [("2", 10_000), ("1", 10_000), ("0", 10_000)];
    top_is(&stack, &board).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    // Not before the viewer has seen the board whole is there a last good state to keep.
    let before =
        viewer.expect(PATIENCE, |frame| frame.rows().iter().filter(|row| row.1 == 10_000).count() == 3).await;
    let before = before.snapshot();
    let sampling = Sampling::begin(&stack, Whole::or_more(&board, 1));
    let () = stack.redis(&["FLUSHALL"]);
    stack.produce(&[one(9)]).await;
    let mut frames = Vec::new();
    let after = viewer
        .expect(PATIENCE, |frame| {
            frames.push(frame.snapshot());
            !frame.snapshot().rebuilding && frame.rows().len() == 4
        })
        .await
        .snapshot();
    assert!(frames.iter().all(|frame| frame.user_list.len() >= 3), "an empty board was shown");
    assert!(frames.windows(2).all(|pair| pair[0].version <= pair[1].version), "a frame went back");
    assert_eq!(after.version.epoch, before.version.epoch + 1);
    let total: i64 = board_in_redis(&stack).iter().map(|(_, total)| total).sum();
    assert_eq!(total, 30_001);
    let answers = sampling.end();
    assert!(answers.last_good > 0 && answers.later > 0, "nobody asked meanwhile: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_end_a_service_with_every_reason() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::bare(&infra).await;
    let bad = stack.dir().join("bad.toml");
    std::fs::write(&bad, "[[board]]\nname = \"A B\"\ntop = 0\n").unwrap();
    for service in Service::ALL {
        let output = stack
            .command(service.program())
            .env("BOARDS_FILE", &bad)
            .env("ADMIN_ADDR", "127.0.0.1:0")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text}");
        assert!(text.contains("bad.toml:2") && text.contains("bad.toml:3"), "{}: {text}", service.program());
    }
    let secret = stack
        .command("score-ranker")
        .env("REDIS_URL", "redis:://:hunter2@")
        .env("ADMIN_ADDR", "127.0.0.1:0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&secret.stderr).into_owned();
    assert!(!secret.status.success() && text.contains("REDIS_URL") && !text.contains("hunter2"), "{text}");
}
