//! `boardctl erase-player`
//!
//! Each step is harmless when it is done again, and the one that others build on comes before
//! them: the archive remembers the pseudonym before Redis uses it. So whatever cuts this off, doing
//! it again finishes it.

use crate::output::{Output, shown};
use crate::settings::{BoardSettings, PostgresSettings};
use anyhow::Context as _;
use archive_store::ArchiveStore;
use board_store::BoardStore;
use contracts::PlayerId;
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE, Topic};
use futures_util::future::try_join_all;
use pipeline::scan::extents;
use pipeline::{AckProducer, KafkaSettings, Message};
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often is looked whether the stores have read on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct ErasePlayer {
    /// The player's id
    #[arg(value_name = "ID", value_parser = player_id)]
    player: PlayerId,
    /// Only say what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before
    #[arg(long)]
    yes: bool,
    /// For how many seconds to wait until board and archive have read what is in the log now
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=3600))]
    wait: u64,
    #[command(flatten)]
    boards: BoardSettings,
    #[command(flatten)]
    postgres: PostgresSettings,
    #[command(flatten)]
    kafka: KafkaSettings,
}

fn player_id(text: &str) -> Result<PlayerId, String> {
    PlayerId::new(text).map_err(|refusal| refusal.message)
}

/// What was found, and unless it is a dry run erased.
#[derive(Debug, Serialize)]
struct Answer {
    player: PlayerId,
    /// `None` in a dry run when the player was never erased before.
    pseudonym: Option<PlayerId>,
    dry_run: bool,
    /// Whether boards and archive had read all that was in the log.
    caught_up: bool,
    archived_events: u64,
    archived_refused_records: u64,
    /// On any board, in any window.
    on_board: bool,
    in_rebuild: bool,
    had_nickname: bool,
    /// What still names the player.
    remains: &'static [&'static str],
}

const REMAINS: [&str; 4] = [
    "the log of game-score until its retention passes (7 days), older snapshots on leaderboard until \
     they are compacted, and the ids of events in Redis for 3 days; a board rebuilt from that log, and \
     every event of the player that is on its way or comes later, bring the id back as a new player: run \
     this again then, and once more when the retention has passed; the points join the same pseudonym",
    "dead letters of the player in game-score-dlq until its retention passes (30 days)",
    "refused records in the archive that name the player neither by their key nor in a readable user_id",
    "backups, and what others have copied",
];

pub(crate) async fn run(command: &ErasePlayer, output: Output) -> anyhow::Result<ExitCode> {
    let ErasePlayer { player, kafka, .. } = command;
    let boards = command.boards.stores()?;
    let archive = command.postgres.archive()?;
    let spinner = output.spinner("looking for the player");
    let found = archive.find(player).await.context("POSTGRES_URL")?;
    let in_redis = try_join_all(boards.iter().map(|board| board.find(player, found.pseudonym.as_ref())));
    let in_redis = in_redis.await.context("REDIS_URL")?;
    spinner.finish_and_clear();
    let mut answer = Answer {
        player: player.clone(),
        pseudonym: found.pseudonym,
        dry_run: command.dry_run,
        caught_up: false,
        archived_events: found.events,
        archived_refused_records: found.refused,
        on_board: in_redis.iter().any(|found| found.on_board > 0),
        in_rebuild: in_redis.iter().any(|found| found.in_rebuild > 0),
        had_nickname: in_redis.iter().any(|found| found.named),
        remains: &REMAINS,
    };
    if !command.dry_run {
        let question = format!(
            "{}\nThis cannot be taken back. Erase player {}?",
            found_lines(&answer),
            shown(player.as_str())
        );
        output.confirm(&question, command.yes)?;
        // The name first: what waits for the ranker waits while we do.
        forget_profile(kafka, player).await?;
        let spinner = output.spinner("waiting until boards and archive have read the log");
        answer.caught_up = wait_until_read(command, &boards, &archive).await?;
        spinner.set_message("erasing");
        let archived = archive.erase(player).await.context("POSTGRES_URL")?;
        let erased = try_join_all(boards.iter().map(|board| board.erase(player, &archived.pseudonym)));
        let erased = erased.await.context("REDIS_URL")?;
        spinner.finish_and_clear();
        answer = Answer {
            pseudonym: Some(archived.pseudonym),
            archived_events: archived.events,
            archived_refused_records: archived.refused,
            on_board: erased.iter().any(|erased| erased.on_board > 0),
            in_rebuild: erased.iter().any(|erased| erased.in_rebuild > 0),
            had_nickname: answer.had_nickname || erased.iter().any(|erased| erased.named),
            ..answer
        };
    }
    output.answer(&answer, lines);
    Ok(ExitCode::SUCCESS)
}

/// A tombstone on `player-profile`.
async fn forget_profile(kafka: &KafkaSettings, player: &PlayerId) -> anyhow::Result<()> {
    let producer = AckProducer::new(kafka, "boardctl", Duration::ZERO, pipeline::producer::Ack)
        .context("Kafka settings")?;
    let topic = kafka.topic(&PLAYER_PROFILE);
    let tombstone = Message { topic: &topic, key: player.as_str().as_bytes(), payload: None, headers: &[] };
    let sent = producer.send_all(&[tombstone]).await.map(drop);
    sent.with_context(|| format!("KAFKA_BROKERS {}: a tombstone to {topic}", kafka.kafka_brokers))
}

/// Waits until the stores have read what the log holds now; says whether they did. A store that
/// does not know a partition never began it, and is not waited for.
async fn wait_until_read(
    command: &ErasePlayer,
    boards: &[BoardStore],
    archive: &ArchiveStore,
) -> anyhow::Result<bool> {
    let (scores, profiles) =
        (log_ends(&command.kafka, GAME_SCORE).await?, log_ends(&command.kafka, PLAYER_PROFILE).await?);
    let begun = Instant::now();
    loop {
        let archived = archive.next_offsets().await.context("POSTGRES_URL")?;
        let ranked = try_join_all(boards.iter().map(BoardStore::peek)).await.context("REDIS_URL")?;
        let by_archive = scores.iter().all(|(partition, end)| {
            archived.get(&(command.kafka.topic(&GAME_SCORE), *partition)).is_none_or(|next| next >= end)
        });
        let by_boards = [(GAME_SCORE, &scores), (PLAYER_PROFILE, &profiles)].iter().all(|(topic, ends)| {
            ends.iter().all(|(partition, end)| {
                let field = format!("{}/{partition}", topic.name);
                ranked.iter().flatten().all(|peek| peek.offsets.get(&field).is_none_or(|next| next >= end))
            })
        });
        if by_archive && by_boards {
            return Ok(true);
        }
        if begun.elapsed() >= Duration::from_secs(command.wait) {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn log_ends(kafka: &KafkaSettings, topic: Topic) -> anyhow::Result<BTreeMap<i32, i64>> {
    let (settings, name) = (kafka.clone(), kafka.topic(&topic));
    let log = tokio::task::spawn_blocking(move || extents(&settings, &name)).await?;
    let log = log.with_context(|| format!("KAFKA_BROKERS {}", kafka.kafka_brokers))?;
    Ok(log.into_iter().map(|(partition, extent)| (partition, extent.to)).collect())
}

fn found_lines(answer: &Answer) -> String {
    let is = |there: bool| if there { "yes" } else { "no" };
    format!(
        "events in the archive: {}\nrefused records in the archive: {}\non the board: {}\nnickname in Redis: {}",
        answer.archived_events,
        answer.archived_refused_records,
        is(answer.on_board || answer.in_rebuild),
        is(answer.had_nickname)
    )
}

fn lines(answer: &Answer) -> String {
    let mut lines = vec![found_lines(answer)];
    if let Some(pseudonym) = &answer.pseudonym {
        lines.push(format!("pseudonym: {pseudonym}"));
    }
    if answer.dry_run {
        lines.push("nothing was changed".to_owned());
        return lines.join("\n");
    }
    lines.push("erased; the points stand under the pseudonym".to_owned());
    if !answer.caught_up {
        lines.push(
            "board or archive had not read all of the log yet: see `boardctl offsets`, and run this again when \
             they have"
                .to_owned(),
        );
    }
    lines.push("What still names the player:".to_owned());
    lines.extend(answer.remains.iter().map(|what| format!("- {what}")));
    lines.join("\n")
}
