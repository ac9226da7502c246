//! The boards of a run, and what the log makes of them in the end.

use crate::faults::invariants::{Invariant, Violations};
use anyhow::Context as _;
use boards::windows::ALL;
use boards::{Oracle, Standings, View};
use contracts::EventTime;
use contracts::topics::GAME_SCORE;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Events name one of so many teams, or none.
pub const TEAMS: u32 = 8;
/// Seasons begin one after the other from the start of the run.
const SEASONS: i64 = 60;
const SEASON_SECONDS: i64 = 20;

/// Those that are rebuilt in the end: the one that viewers see, and the one whose windows are kept.
pub(crate) const REBUILT: [&str; 2] = [GAME_SCORE.name, "rounds"];

/// (player, total), best first.
type Rows = Vec<(String, i64)>;

/// What `boards.toml` says in a run that begins then: the board that viewers see; seasons that
/// begin, end and leave Redis meanwhile; a best of each team and hour, with dense ranks.
#[must_use]
pub fn file(begun: EventTime) -> String {
    let mut text = format!(
        "[[board]]\nname = \"{}\"\n\n\
         [[board]]\nname = \"best\"\naggregate = \"best\"\nmatch = {{ team = \"{{team}}\" }}\n\
         windows = [\"all\", \"hour\"]\ndense_ranks = true\n\n\
         [[board]]\nname = \"rounds\"\nwindows = []\nallowed_lateness = \"3s\"\ngrace = \"10s\"\n",
        GAME_SCORE.name
    );
    for season in 0..SEASONS {
        let start = begun.saturating_add_seconds(season * SEASON_SECONDS);
        let end = start.saturating_add_seconds(SEASON_SECONDS);
        writeln!(text, "[[board.season]]\nname = \"s{season}\"\nstart = {start}\nend = {end}")
            .expect("a string takes everything");
    }
    text
}

/// What viewers must see.
pub(crate) fn top(oracle: &Oracle, limit: usize) -> Rows {
    oracle.view(GAME_SCORE.name, ALL).map(|standings| rows(standings, limit)).unwrap_or_default()
}

/// Holds every view against the log, player by player and in order: where it stands in Redis, and
/// where its final standings are kept. It must be in one of them.
///
/// # Errors
/// When a store does not answer.
pub(crate) async fn compare(
    oracle: &Oracle,
    redis_url: &str,
    postgres: &PgPool,
    violations: &Violations,
) -> anyhow::Result<Compared> {
    let mut redis = redis::Client::open(redis_url)?.get_multiplexed_async_connection().await?;
    let mut views = Vec::new();
    for (name, window, standings) in oracle.views() {
        let (board, value) = oracle.boards().find(&name).context("a board")?;
        let board = &oracle.boards()[board];
        let window_of_id = board.window_of_id(window).context("a window")?.into();
        let view = View { value: value.map(Into::into), window: window_of_id };
        let key = board_store::sorted_set(&board.name, &view);
        let found: Vec<(String, f64)> =
            redis::cmd("ZREVRANGE").arg(&[&*key, "0", "-1", "WITHSCORES"]).query_async(&mut redis).await?;
        let in_redis: Rows =
            found.into_iter().map(|(player, score)| (player, board.total_of(score))).collect();
        views.push((name, window, standings, in_redis));
    }
    // What was not in Redis any more must have been kept before.
    let mut finals = final_standings(postgres).await?;
    let mut compared = Compared::default();
    for (name, window, standings, in_redis) in views {
        let kept = finals.remove(&(name.clone(), window.to_owned()));
        let expected = rows(standings, usize::MAX);
        if !in_redis.is_empty() || kept.is_none() {
            compared.in_redis += 1;
            tell(&format!("{name} in {window}"), &in_redis, &expected, violations);
        }
        if let Some(kept) = kept {
            compared.finals += 1;
            tell(&format!("the final standings of {name} in {window}"), &kept, &expected, violations);
        }
    }
    for (name, window) in finals.into_keys() {
        let what = format!("final standings of {name} in {window} are kept, where nothing counts");
        violations.add(Invariant::BoardIsTheLog, what);
    }
    Ok(compared)
}

/// How many views were held against the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// In Redis.
    pub in_redis: u64,
    /// Final standings in the archive.
    pub finals: u64,
}

fn rows(standings: &Standings, limit: usize) -> Rows {
    standings.top(limit).into_iter().map(|row| (row.player.to_string(), row.total)).collect()
}

/// By board and window.
async fn final_standings(postgres: &PgPool) -> anyhow::Result<BTreeMap<(String, String), Rows>> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT board, window_id, user_id, score::bigint FROM analytics.final_standings \
         ORDER BY board, window_id, place",
    )
    .fetch_all(postgres)
    .await?;
    let mut finals: BTreeMap<_, Rows> = BTreeMap::new();
    for (board, window, player, total) in rows {
        finals.entry((board, window)).or_default().push((player, total));
    }
    Ok(finals)
}

/// Says what is wrong with a view, if anything is.
fn tell(view: &str, found: &Rows, expected: &Rows, violations: &Violations) {
    if found == expected {
        return;
    }
    let differ = found.iter().zip(expected).filter(|(found, expected)| found != expected);
    let totals = |rows: &Rows| rows.iter().cloned().collect::<BTreeMap<_, _>>();
    let (of_found, of_expected) = (totals(found), totals(expected));
    let wrong: Vec<_> = of_expected
        .iter()
        .filter(|(player, total)| of_found.get(*player) != Some(total))
        .map(|(player, total)| format!("{player}: {:?} instead of {total}", of_found.get(player)))
        .collect();
    violations.add(
        Invariant::BoardIsTheLog,
        format!(
            "{view}: {} players instead of {}, {} totals are wrong, {} places; {:?}; first places {:?}",
            found.len(),
            expected.len(),
            wrong.len(),
            differ.clone().count(),
            wrong.iter().take(5).collect::<Vec<_>>(),
            differ.take(3).collect::<Vec<_>>()
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use boards::BoardSet;

    #[test]
    fn file_is_one() {
        let begun = EventTime::parse_iso("2026-11-21T12:00:00.123456Z", "t").unwrap();
        let boards = BoardSet::parse(&file(begun)).unwrap();
        assert_eq!(boards.default_board().name, GAME_SCORE.name);
        let season = boards.get("rounds").unwrap().window_of_id("s1").unwrap();
        assert_eq!(season.start, begun.saturating_add_seconds(SEASON_SECONDS));
    }
}
