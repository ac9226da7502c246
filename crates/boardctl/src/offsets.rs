//! `boardctl offsets`

use crate::output::{Output, number, table};
use crate::settings::{BoardSettings, PostgresSettings};
use board_store::{BoardStore, Peek};
use contracts::topics::{GAME_SCORE, PLAYER_PROFILE};
use futures_util::future::try_join_all;
use pipeline::KafkaSettings;
use pipeline::scan::{Extent, extents};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Offsets {
    #[command(flatten)]
    boards: BoardSettings,
    #[command(flatten)]
    postgres: PostgresSettings,
    #[command(flatten)]
    kafka: KafkaSettings,
}

#[derive(Debug, Serialize)]
struct Answer {
    /// Those that Redis knows.
    boards: Vec<BoardAnswer>,
    partitions: Vec<Row>,
    /// What could not be asked, and what is not as it should be.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct BoardAnswer {
    board: String,
    epoch: u64,
    version: u64,
    rebuilding: bool,
    rules: String,
}

/// A partition. A lag is the number of records that are in the log and not in the store.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Row {
    /// Without the deployment's prefix.
    topic: &'static str,
    partition: i32,
    log_begin: Option<i64>,
    log_end: Option<i64>,
    /// Of the board that is the least far.
    board_offset: Option<i64>,
    board_lag: Option<i64>,
    archive_offset: Option<i64>,
    archive_lag: Option<i64>,
}

/// topic without prefix, partition
type At = (&'static str, i32);

pub(crate) async fn run(command: &Offsets, output: Output) -> anyhow::Result<ExitCode> {
    let Offsets { boards, postgres, kafka } = command;
    let (stores, archive) = (boards.stores()?, postgres.archive()?);
    let mut problems = Vec::new();
    // The log last, so that no store can have read beyond its end.
    let peeks = try_join_all(stores.iter().map(BoardStore::peek));
    let (peeks, archived) = tokio::join!(peeks, archive.next_offsets());
    let [scores, profiles] = [GAME_SCORE, PLAYER_PROFILE].map(|topic| {
        let (kafka, name) = (kafka.clone(), kafka.topic(&topic));
        tokio::task::spawn_blocking(move || extents(&kafka, &name))
    });
    let logs = [(GAME_SCORE.name, scores.await?), (PLAYER_PROFILE.name, profiles.await?)];

    let peeks = peeks.unwrap_or_else(|error| {
        problems.push(format!("REDIS_URL: {error}"));
        Vec::new()
    });
    let archived = archived.unwrap_or_else(|error| {
        problems.push(format!("POSTGRES_URL: {error}"));
        BTreeMap::new()
    });
    let mut log = BTreeMap::new();
    for (topic, found) in logs {
        match found {
            Ok(found) => {
                log.extend(found.into_iter().map(|(partition, extent)| ((topic, partition), extent)));
            }
            Err(error) => problems.push(format!("KAFKA_BROKERS {}: {error:#}", kafka.kafka_brokers)),
        }
    }
    let mut ranked = BTreeMap::new();
    for (at, offset) in peeks.iter().flatten().flat_map(|peek| by_partition(peek, kafka)) {
        let least = ranked.entry(at).or_insert(offset);
        *least = offset.min(*least);
    }
    let archived = archived
        .into_iter()
        .filter_map(|((topic, partition), next)| Some(((short(kafka, &topic)?, partition), next)))
        .collect();
    let partitions = rows(&log, &ranked, &archived);
    problems.extend(partitions.iter().flat_map(faults));
    let board = |(store, peek): (&BoardStore, Option<Peek>)| {
        let Peek { version, rules, rebuilding, .. } = peek?;
        let board = store.board().name.clone();
        Some(BoardAnswer { board, epoch: version.epoch, version: version.version, rebuilding, rules })
    };
    let boards = stores.iter().zip(peeks).filter_map(board).collect();
    let answer = Answer { boards, partitions, problems };
    output.answer(&answer, lines);
    Ok(if answer.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The topic of that full name among those that are shown.
fn short(kafka: &KafkaSettings, name: &str) -> Option<&'static str> {
    [GAME_SCORE, PLAYER_PROFILE].iter().find(|topic| kafka.topic(topic) == name).map(|topic| topic.name)
}

fn by_partition(peek: &Peek, kafka: &KafkaSettings) -> Vec<(At, i64)> {
    let at = |field: &str| {
        let (topic, partition) = field.rsplit_once('/')?;
        // Redis has the names without the prefix.
        let topic = short(kafka, &format!("{}{topic}", kafka.topic_prefix))?;
        Some((topic, partition.parse().ok()?))
    };
    peek.offsets.iter().filter_map(|(field, offset)| Some((at(field)?, *offset))).collect()
}

fn rows(log: &BTreeMap<At, Extent>, ranked: &BTreeMap<At, i64>, archived: &BTreeMap<At, i64>) -> Vec<Row> {
    let all: BTreeSet<&At> = log.keys().chain(ranked.keys()).chain(archived.keys()).collect();
    let row = |at: &At| {
        let extent = log.get(at);
        let end = extent.map(|extent| extent.to);
        let (board, archive) = (ranked.get(at).copied(), archived.get(at).copied());
        Row {
            topic: at.0,
            partition: at.1,
            log_begin: extent.map(|extent| extent.from),
            log_end: end,
            board_offset: board,
            board_lag: end.zip(board).map(|(end, offset)| end - offset),
            archive_offset: archive,
            archive_lag: end.zip(archive).map(|(end, offset)| end - offset),
        }
    };
    all.into_iter().map(row).collect()
}

/// Stores that can never go on from where they stand.
fn faults(row: &Row) -> Vec<String> {
    let (Some(begin), Some(end)) = (row.log_begin, row.log_end) else { return Vec::new() };
    [("the board", row.board_offset), ("the archive", row.archive_offset)]
        .into_iter()
        .filter_map(|(who, offset)| {
            let offset = offset?;
            let what = if offset > end {
                format!("stands at {offset}, beyond the log's end {end}: the topic was made anew, or another is read")
            } else if offset < begin {
                format!("stands at {offset}, but the log begins at {begin}: {} records are gone", begin - offset)
            } else {
                return None;
            };
            Some(format!("{}/{}: {who} {what}", row.topic, row.partition))
        })
        .collect()
}

fn lines(answer: &Answer) -> String {
    let mut lines = Vec::new();
    for BoardAnswer { board, epoch, version, rebuilding, rules } in &answer.boards {
        let rebuilding = if *rebuilding { ", rebuilding" } else { "" };
        lines.push(format!("board {board}: epoch {epoch}, version {version}{rebuilding} ({rules})"));
    }
    if answer.boards.is_empty() {
        lines.push("no board in Redis".to_owned());
    }
    let cells: Vec<[String; 8]> = answer
        .partitions
        .iter()
        .map(|row| {
            [
                row.topic.to_owned(),
                row.partition.to_string(),
                number(row.log_begin),
                number(row.log_end),
                number(row.board_offset),
                number(row.board_lag),
                number(row.archive_offset),
                number(row.archive_lag),
            ]
        })
        .collect();
    lines.push(table(
        ["topic", "partition", "log begin", "log end", "board", "lag", "archive", "lag"],
        &cells,
    ));
    lines.extend(answer.problems.iter().map(|problem| format!("problem: {problem}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At = ("game-score", 3);

    fn row(board: Option<i64>, archive: Option<i64>) -> Row {
        let of = |offset: Option<i64>| offset.map(|offset| (AT, offset)).into_iter().collect();
        let log = BTreeMap::from([(AT, Extent { from: 10, to: 20 })]);
        rows(&log, &of(board), &of(archive)).remove(0)
    }

    #[test]
    fn lag_is_what_the_log_has_and_the_store_has_not() {
        let row = row(Some(20), Some(13));
        assert_eq!((row.board_lag, row.archive_lag), (Some(0), Some(7)));
        assert_eq!(faults(&row), [""; 0]);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let alone = row(None, Some(10));
        assert_eq!((alone.board_offset, alone.board_lag, alone.archive_lag), (None, None, Some(10)));
        let without_log = rows(&BTreeMap::new(), &BTreeMap::from([(AT, 5)]), &BTreeMap::new());
        assert_eq!((without_log[0].log_end, without_log[0].board_lag), (None, None));
        assert_eq!(without_log[0].board_offset, Some(5));
        assert_eq!(faults(&without_log[0]), [""; 0]);
    }

    #[test]
    fn stores_that_cannot_go_on_are_told() {
        let faults = faults(&row(Some(21), Some(9)));
        assert!(faults[0].contains("game-score/3: the board stands at 21, beyond"), "{faults:?}");
        assert!(
            faults[1].contains("the archive stands at 9, but the log begins at 10: 1 records"),
            "{faults:?}"
        );
    }
}
