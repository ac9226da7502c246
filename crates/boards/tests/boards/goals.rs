//! The football example on real data, where they are: international goals, whose sums were
//! counted independently.

use crate::support::{boards, player, tagged};
use boards::{Arrival, Oracle};
use contracts::{EventTime, Score, ScoreEvent};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn file() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/goalscorers.csv");
    let file = std::env::var_os("GOALSCORERS_CSV").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !file.exists() {
        eprintln!("SKIPPED: {} is not there (GOALSCORERS_CSV)", file.display());
        return None;
    }
    Some(file)
}

#[test]
fn goals_by_decade_and_team_are_all_goals() {
    let Some(file) = file() else { return };
    let mut oracle = Oracle::new(boards(include_str!("../../../../examples/football.toml")));
    let mut by_decade: BTreeMap<String, i64> = BTreeMap::new();
    let mut by_team: BTreeMap<String, i64> = BTreeMap::new();
    let mut reader = csv::Reader::from_path(file).unwrap();
    for (row, offset) in reader.records().zip(0..) {
        let row = row.unwrap();
        let (date, team, scorer, own_goal) = (&row[0], &row[3], &row[4], &row[6]);
        if own_goal == "TRUE" || scorer.is_empty() || scorer == "NA" {
            continue;
        }
        let event = ScoreEvent {
            player: player(scorer),
            score: Score::new(1, 0),
            created_at: EventTime::parse_iso(date, "date").unwrap(),
            event_id: None,
            nickname: None,
            tags: BTreeMap::new(),
            unknown: BTreeMap::new(),
        };
        // A century of history, replayed in one day.
        let at = EventTime::parse_iso("2026-11-21", "t").unwrap();
        oracle.apply(&tagged(event, &[("team", team)]), Arrival { at, partition: 0, offset }).unwrap();
        *by_decade.entry(format!("{}0s", &date[..3])).or_default() += 1;
        *by_team.entry(team.to_owned()).or_default() += 1;
    }
    let goals = |board: &str, window: &str| -> i64 {
        oracle.view(board, window).unwrap().top(usize::MAX).iter().map(|row| row.total).sum()
    };
    let all = oracle.view("goals", "all").unwrap();
    let first: Vec<(String, i64)> =
        all.top(3).into_iter().map(|row| (row.player.to_string(), row.total)).collect();
    assert_eq!(
        first,
        [("Cristiano Ronaldo".into(), 124), ("Harry Kane".into(), 75), ("Lionel Messi".into(), 71)]
    );
    assert_eq!((all.players(), goals("goals", "all")), (14_853, 46_934));
    assert_eq!(by_decade.len(), 12);
    for (decade, count) in &by_decade {
        assert_eq!(goals("goals", decade), *count, "{decade}");
    }
    for (team, count) in &by_team {
        assert_eq!(goals(&format!("goals-by-team:{team}"), "all"), *count, "{team}");
    }
    assert_eq!(oracle.views().count(), 1 + by_decade.len() + by_team.len());
}
