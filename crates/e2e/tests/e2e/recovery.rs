//! Healing: rebuilds, stores that are away for long, and how soon work goes on.

use crate::sampling::{Sampling, Whole};
use crate::truth::{board_in_redis, drained, every_offset_is_archived_once, top_is};
use contracts::topics::{GAME_SCORE, GAME_SCORE_DLQ};
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, Viewer, until};
use pipeline::scan::extents;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a store is away.
const AWAY: Duration = Duration::from_secs(120);

fn one(user: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    (user.to_string().into_bytes(), Some(format!(r#"{{"score":1,"user_id":{user}}}"#).into_bytes()))
}

fn boardctl(stack: &Stack, arguments: &[&str]) -> (bool, String) {
    let output = stack.command("boardctl").args(arguments).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// The log of scores loses everything that it has.
async fn empty_log(stack: &Stack) {
    let kafka = stack.kafka();
    let ends = extents(&kafka, &kafka.topic(&GAME_SCORE)).unwrap();
    let ends: BTreeMap<i32, i64> =
        ends.into_iter().map(|(partition, extent)| (partition, extent.to)).collect();
    pipeline::admin::delete_records(&kafka, &GAME_SCORE, &ends).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn board_beyond_the_logs_reach_is_rebuilt_from_the_archive_by_itself() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    let mut records: Vec<_> = (0..3000).map(|event| one(event % 3)).collect();
    // Counts once, before and after.
    let identified = br#"{"score":50,"user_id":1,"event_id":"x","nickname":"Zo"}"#;
    records.push((b"1".to_vec(), Some(identified.to_vec())));
    records.push((b"2".to_vec(), Some(b"poison".to_vec())));
    stack.produce(&records).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, 3001, 3050, PATIENCE).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let whole = |frame: &e2e::viewer::Frame| frame.rows().iter().map(|row| row.1).sum::<i64>() == 3050;
    let before = viewer.expect(PATIENCE, whole).await.snapshot();

    top_is(&stack, &[("1", 1050), ("2", 1000), ("0", 1000)]).await;
    empty_log(&stack).await;
    let sampling = Sampling::begin(&stack, Whole::exactly(&[("1", 1050), ("2", 1000), ("0", 1000)]));
    let () = stack.redis(&["FLUSHALL"]);
    let mut frames = Vec::new();
    let after = viewer
        .expect(PATIENCE, |frame| {
            frames.push(frame.snapshot());
            frame.snapshot().version.epoch > before.version.epoch && !frame.snapshot().rebuilding
        })
        .await
        .snapshot();
    assert!(frames.iter().all(|frame| frame.user_list.len() == 3), "half a board was shown: {frames:?}");
    assert_eq!(after.user_list, before.user_list, "with its names");
    let answers = sampling.end();
    assert!(answers.last_good > 0 && answers.later > 0, "nobody asked meanwhile: {answers:?}");
    stack.produce(&[(b"1".to_vec(), Some(identified.to_vec())), one(1)]).await;
    top_is(&stack, &[("1", 1051), ("2", 1000), ("0", 1000)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn board_is_right_at_every_moment_of_a_rebuild_by_command() {
    let Some(infra) = Infra::from_env() else { return };
    let stack = Stack::start(&infra).await;
    stack.produce(&(0..30_000).map(|event| one(event % 3)).collect::<Vec<_>>()).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, 30_000, 30_000, PATIENCE).await;
    let board = [("2", 10_000), ("1", 10_000), ("0", 10_000)];
    top_is(&stack, &board).await;
    let before = board_in_redis(&stack);
    for source in ["kafka", "archive"] {
        let sampling = Sampling::begin(&stack, Whole::exactly(&board));
        let (ok, text) = boardctl(&stack, &["rebuild", "--from", source, "--json"]);
        let sampled = sampling.end();
        assert!(ok, "{text}");
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!((&answer["players"], &answer["done"]), (&3.into(), &true.into()), "{text}");
        assert_eq!(board_in_redis(&stack), before);
        eprintln!("{source}: {sampled:?}; {}", answer["seconds"]);
    }
    empty_log(&stack).await;
    let (ok, text) = boardctl(&stack, &["rebuild", "--from", "kafka"]);
    assert!(!ok && text.contains("--from archive"), "{text}");
}

/// How much memory a process has, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

async fn set_connections(admin: &PgPool, database: &str, allowed: bool) {
    let alter = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {allowed}");
    sqlx::query(AssertSqlSafe(alter)).execute(admin).await.unwrap();
    if !allowed {
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .execute(admin)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_away_for_two_minutes_costs_no_record_and_no_rank() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    stack.produce(&(0..1000).map(|event| one(event % 3)).collect::<Vec<_>>()).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, 1000, 1000, PATIENCE).await;
    postgres.close().await;
    let admin = PgPool::connect(&infra.postgres).await.unwrap();
    let database = stack.postgres_url();
    let database = database.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    set_connections(&admin, &database, false).await;
    let since = Instant::now();
    let mut sent = 1000;
    // More than the archiver may hold.
    let heavy = vec![b' '; 4000];
    while since.elapsed() < AWAY {
        let records: Vec<_> = (0..500)
            .map(|event| {
                let (key, payload) = one(event % 3);
                (key, payload.map(|payload| [payload, heavy.clone()].concat()))
            })
            .collect();
        stack.produce(&records).await;
        sent += 500;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    until("ranks go on", PATIENCE, async || {
        let ranked: i64 = board_in_redis(&stack).iter().map(|(_, total)| total).sum();
        if ranked == sent { Ok(()) } else { Err(format!("{ranked} of {sent}")) }
    })
    .await;
    assert_eq!(stack.readiness("score-archiver").0, 503);
    let memory = resident(stack.program("score-archiver").pid());
    eprintln!("the archiver has {} MB after {sent} records", memory / 1_000_000);
    assert!(memory < 250_000_000, "{memory} bytes");
    set_connections(&admin, &database, true).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, sent, sent, PATIENCE).await;
    every_offset_is_archived_once(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_were_paused_when_the_group_dealt_anew_go_on() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    stack.produce(&(0..60).map(one).collect::<Vec<_>>()).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, 60, 60, PATIENCE).await;
    let mut lock = postgres.begin().await.unwrap();
    let rows = sqlx::query("SELECT 1 FROM leaderboard.consumer_offset FOR UPDATE");
    rows.execute(&mut *lock).await.unwrap();
    // More than four batches and the records that may wait for them.
    let heavy: Vec<_> =
        (0..12_000_u32).map(|key| (key.to_le_bytes().to_vec(), Some(vec![b'{'; 8000]))).collect();
    stack.produce(&heavy).await;
    until("the archiver has as much as it may hold", PATIENCE, async || {
        let metrics = stack.metrics("score-archiver");
        if metrics.contains("pipeline_paused 1") { Ok(()) } else { Err(metrics) }
    })
    .await;
    stack.spawn(Service::Archiver, "score-archiver-2", &[]);
    stack.ready("score-archiver-2").await;
    lock.rollback().await.unwrap();
    until("what waited is archived", PATIENCE, async || match stack.archived(&postgres).await {
        (60, 12_000) => Ok(()),
        other => Err(format!("{other:?} good and refused")),
    })
    .await;
    every_offset_is_archived_once(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_away_for_two_minutes_stops_no_archive_and_viewers_are_told() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    stack.produce(&(0..1000).map(|event| one(event % 3)).collect::<Vec<_>>()).await;
    let postgres = stack.postgres().await;
    drained(&stack, &postgres, 1000, 1000, PATIENCE).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    viewer.expect(PATIENCE, |frame| frame.rows().iter().map(|row| row.1).sum::<i64>() == 1000).await;
    let sampling =
        Sampling::begin(&stack, Whole::or_more(&[("0", 334), ("1", 333), ("2", 333)], i64::from(u16::MAX)));
    stack.stop_redis();
    let since = Instant::now();
    until("the page is told", PATIENCE, async || match stack.get("/readyz") {
        (503, _) => Ok(()),
        (status, body) => Err(format!("{status}: {body}")),
    })
    .await;
    let mut sent = 1000;
    while since.elapsed() < AWAY {
        stack.produce(&(0..100).map(|event| one(event % 3)).collect::<Vec<_>>()).await;
        sent += 100;
        // The viewer stays, and keeps what it has.
        let frame = viewer.next(Duration::from_secs(2)).await;
        assert!(frame.is_none_or(|frame| frame.rows().len() == 3));
    }
    until("the archive goes on", PATIENCE, async || {
        let archived = stack.archived(&postgres).await.0;
        if archived == sent { Ok(()) } else { Err(format!("{archived} of {sent}")) }
    })
    .await;
    stack.start_redis();
    let seen =
        viewer.expect(PATIENCE, |frame| frame.rows().iter().map(|row| row.1).sum::<i64>() == sent).await;
    assert!(!seen.snapshot().rebuilding);
    drained(&stack, &postgres, sent, sent, PATIENCE).await;
    let answers = sampling.end();
    assert!(answers.current > 0 && answers.later > 0, "nobody asked meanwhile: {answers:?}");
    until("everything is ready", PATIENCE, async || match stack.get("/readyz") {
        (200, _) => Ok(()),
        (status, body) => Err(format!("{status}: {body}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_without_its_tail_shows_less_only_under_a_new_epoch_and_never_half_a_board() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let mut shown = async |total: i64, epochs: std::ops::RangeFrom<u64>| {
        let whole = |frame: &e2e::viewer::Frame| {
            let snapshot = frame.snapshot();
            let sum: i64 = frame.rows().iter().map(|row| row.1).sum();
            !snapshot.rebuilding && epochs.contains(&snapshot.version.epoch) && sum == total
        };
        viewer.expect(PATIENCE, whole).await.snapshot().version.epoch
    };
    stack.produce(&(0..3000).map(|event| one(event % 3)).collect::<Vec<_>>()).await;
    shown(3000, 1..).await;
    let _: String = stack.redis(&["SAVE"]);
    let uneven = |event: usize| one([0, 0, 0, 1, 1, 2][event % 6]);
    stack.produce(&(0..30_000).map(uneven).collect::<Vec<_>>()).await;
    let epoch = shown(33_000, 1..).await;
    let board = [("0", 16_000), ("1", 11_000), ("2", 6000)];
    top_is(&stack, &board).await;
    let saved = Whole::or_more(&[("0", 1000), ("1", 1000), ("2", 1000)], 30_000);
    let sampling = Sampling::begin(&stack, Whole::exactly(&board).until_after(epoch, saved));
    stack.kill_redis();
    stack.start_redis();
    shown(33_000, epoch + 1..).await;
    top_is(&stack, &board).await;
    let answers = sampling.end();
    assert!(answers.current > 0 && answers.later > 0, "nobody asked meanwhile: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_soon_after_a_kill_and_after_a_restart() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    for service in [Service::Ranker, Service::Archiver] {
        let twin = format!("{}-2", service.program());
        stack.spawn(service, &twin, &[]);
        stack.ready(&twin).await;
    }
    let postgres = stack.postgres().await;
    let mut sent = 0;
    for (how, graceful) in [("a kill", false), ("a restart", true)] {
        for service in [Service::Ranker, Service::Archiver] {
            let name = service.program();
            // To every partition.
            let records: Vec<_> = (0..60).map(one).collect();
            stack.produce(&records).await;
            sent += 60;
            drained(&stack, &postgres, sent, sent, PATIENCE).await;
            if graceful {
                let (status, _) = stack.program(name).terminate(Duration::from_secs(12));
                assert!(status.success(), "{name}: {status}");
                stack.spawn(service, name, &[]);
            } else {
                stack.program(name).kill();
            }
            let since = Instant::now();
            stack.produce(&records).await;
            sent += 60;
            drained(&stack, &postgres, sent, sent, PATIENCE).await;
            // The session's time-out is 2 s here. Speed is reported, not demanded.
            eprintln!("{name}: every partition goes on {:.1} s after {how}", since.elapsed().as_secs_f64());
            if !graceful {
                stack.spawn(service, name, &[]);
                stack.ready(name).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_waits_for_the_dead_letters_topic_without_spinning() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::start(&infra).await;
    stack.produce(&[one(1)]).await;
    top_is(&stack, &[("1", 1)]).await;
    let (status, _) = stack.program("score-ranker").terminate(Duration::from_secs(12));
    assert!(status.success());
    pipeline::admin::delete_topics(&stack.kafka(), &[GAME_SCORE_DLQ]).await.unwrap();
    stack.produce(&[(b"1".to_vec(), Some(b"poison".to_vec())), one(1)]).await;
    stack.spawn(Service::Ranker, "score-ranker", &[]);
    until("the ranker says what it waits for", PATIENCE, async || match stack.readiness("score-ranker") {
        (503, body) if body.contains("dead letters") => Ok(()),
        (status, body) => Err(format!("{status}: {body}")),
    })
    .await;
    // Neither skipped nor tried without end.
    assert_eq!(board_in_redis(&stack), [("1".to_owned(), 1)]);
    let rewinds: f64 = stack
        .metrics("score-ranker")
        .lines()
        .filter(|line| line.starts_with("pipeline_rewinds_total"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum();
    assert!((1.0..20.0).contains(&rewinds), "{rewinds} rewinds");
    pipeline::admin::create_topics(&stack.kafka(), &[GAME_SCORE_DLQ], 1).await.unwrap();
    top_is(&stack, &[("1", 2)]).await;
    let kafka = stack.kafka();
    let letters = extents(&kafka, &kafka.topic(&GAME_SCORE_DLQ)).unwrap();
    assert!(letters.values().map(|extent| extent.to).sum::<i64>() >= 1);
}
