//! The real data: international football goals, and what is known about them independently.

use boards::{Arrival, BoardSet, Oracle, Standings};
use contracts::{EventTime, PlayerId, Score, ScoreEvent};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The top ten scorers, counted independently of this project.
pub const TOP_TEN: [(&str, i64); 10] = [
    ("Cristiano Ronaldo", 124),
    ("Harry Kane", 75),
    ("Lionel Messi", 71),
    ("Robert Lewandowski", 69),
    ("Romelu Lukaku", 67),
    ("Edin Džeko", 58),
    ("Kylian Mbappé", 55),
    ("Erling Haaland", 53),
    ("Aleksandar Mitrović", 52),
    ("Luis Suárez", 51),
];
/// Goals that count.
pub const GOALS: i64 = 46_934;
/// Goals whose scorer is not known.
pub const REFUSED: usize = 44;
/// Scorers that are known.
pub const SCORERS: u64 = 14_853;

/// Where the file is, or `None` where it is not: said aloud.
#[must_use]
pub fn file() -> Option<PathBuf> {
    let file = std::env::var_os("GOALSCORERS_CSV").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/goalscorers.csv"),
        PathBuf::from,
    );
    if file.exists() {
        return file.canonicalize().ok();
    }
    eprintln!("SKIPPED: {} is not there (GOALSCORERS_CSV)", file.display());
    None
}

/// How the generator is told to read it.
pub const REPLAY: [&str; 4] =
    ["--map", "user_id=scorer,created_at=date,score=1", "--where", "own_goal=FALSE"];

/// How the generator is told to read it for boards that match on the team.
pub const REPLAY_WITH_TEAMS: [&str; 4] = [
    "--map",
    "user_id=scorer,nickname=scorer,created_at=date,score=1,tags.team=team",
    "--where",
    "own_goal=FALSE",
];

/// The standings that the goals make, folded by the oracle, from the file itself.
///
/// # Panics
/// When the file is not what it is known to be.
#[must_use]
pub fn oracle(file: &Path) -> Standings {
    let mut standings = Standings::default();
    each_goal(file, |event, arrival| standings.apply(event, arrival).expect("a goal counts"));
    assert_eq!(u64::try_from(standings.players()), Ok(SCORERS));
    standings
}

/// What the goals make of these boards.
///
/// # Panics
/// As [`oracle`].
#[must_use]
pub fn oracle_of(boards: BoardSet, file: &Path) -> Oracle {
    let mut oracle = Oracle::new(boards);
    each_goal(file, |event, arrival| {
        oracle.apply(event, arrival).expect("a goal counts");
    });
    oracle
}

fn each_goal(file: &Path, mut on_goal: impl FnMut(&ScoreEvent, Arrival)) {
    let mut reader = csv::Reader::from_path(file).expect("the file");
    for record in reader.records() {
        let record = record.expect("a row");
        let (date, team, scorer, own_goal) = (&record[0], &record[3], &record[4], &record[6]);
        if own_goal == "TRUE" || scorer.is_empty() || scorer == "NA" {
            continue;
        }
        let event = ScoreEvent {
            player: PlayerId::new(scorer).expect("a name"),
            score: Score::new(1, 0),
            created_at: EventTime::parse_iso(date, "date").expect("a date"),
            event_id: None,
            nickname: None,
            tags: BTreeMap::from([("team".to_owned(), team.to_owned())]),
            unknown: BTreeMap::new(),
        };
        // Goals have no id and are added up: neither when nor where they arrive matters, but for
        // the limit to the future.
        let arrival = Arrival { at: event.created_at, partition: 0, offset: 0 };
        on_goal(&event, arrival);
    }
}
