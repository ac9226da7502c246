//! Random boards and events, for the tests of those who keep, read and verify boards.
//!
//! Few players, values and ids, and times about the end of a week, of a month, an hour that comes twice
//! or one that does not come, so that ties, resubmissions, late events and windows that turn are in
//! nearly every case. Totals stay below
//! 2^17: beyond, a sum that falls may remember a coarser time (ARCHITECTURE.md).

use boards::{Arrival, BoardSet};
use contracts::{EventTime, ScoreEvent};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many partitions the log has.
pub const PARTITIONS: i32 = 2;
/// Whose events there are.
pub const PLAYERS: [&str; 5] = ["a", "é", "b/c", "10", "9"];
const TEAMS: [&str; 4] = ["reds", "blue:s", "50%", "🎯"];
/// When events begin to happen; windows of some kind turn in the hours after.
const BEGINNINGS_MICROS: [i64; 5] = [
    // Twice for one: an hour comes twice in Berlin (2026-10-24T21:30Z).
    1_792_877_400_000_000,
    1_792_877_400_000_000,
    // An hour does not come in Berlin (2026-03-28T22:30Z).
    1_774_737_000_000_000,
    // A month ends (2026-02-28T21:30Z).
    1_772_314_200_000_000,
    // A week ends (2026-11-29T21:30Z).
    1_795_987_800_000_000,
];

/// What a `[[board]]` says besides its name.
pub fn rules() -> impl Strategy<Value = String> {
    let aggregate = select(vec!["sum", "best", "last", "count"]);
    let order = select(vec!["desc", "asc"]);
    let ties = select(vec!["first", "first", "player_id"]);
    let windows = select(vec![
        r#"["all"]"#,
        r#"["all"]"#,
        r#"["day"]"#,
        r#"["all", "hour", "day"]"#,
        r#"["week", "month", "all"]"#,
    ]);
    let zone = select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]);
    let lateness = select(vec!["1h", "0s", "2d", "forever"]);
    let per_value = select(vec!["", "", "match = { team = \"{team}\" }\n", "match = { ranked = \"yes\" }\n"]);
    let season = prop::option::of(Just(
        "[[board.season]]\nname = \"autumn\"\nstart = 2026-10-25T00:30:00Z\nend = 2026-10-25T02:00:00Z\n",
    ));
    (aggregate, order, ties, windows, zone, lateness, per_value, season, any::<bool>()).prop_map(
        |(aggregate, order, ties, windows, zone, lateness, per_value, season, dense)| {
            let decimals = if aggregate == "count" { "" } else { "decimals = 1\n" };
            format!(
                "aggregate = \"{aggregate}\"\norder = \"{order}\"\ntie_break = \"{ties}\"\nwindows = {windows}\n\
                 timezone = \"{zone}\"\nallowed_lateness = \"{lateness}\"\ndense_ranks = {dense}\n{decimals}{per_value}{}",
                season.unwrap_or_default()
            )
        },
    )
}

/// One board called `{prefix}-a`, which is not per value, or a second one called `{prefix}-b`, too.
pub fn boards(prefix: &str) -> impl Strategy<Value = BoardSet> + use<> {
    let prefix = prefix.to_owned();
    let first = rules().prop_filter("the first board is not per value", |rules| !rules.contains("{team}"));
    (first, prop::option::weighted(0.4, rules())).prop_map(move |(first, second)| {
        let mut text = format!("[[board]]\nname = \"{prefix}-a\"\n{first}");
        if let Some(second) = second {
            let _ = write!(text, "[[board]]\nname = \"{prefix}-b\"\n{second}");
        }
        BoardSet::parse(&text).expect("the rules are valid")
    })
}

/// A record of the log: an event that every board can take which is for it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When Kafka took it, in milliseconds since the Unix epoch.
    pub arrived_ms: i64,
    /// The event as JSON.
    pub payload: String,
}

impl Logged {
    /// Where it stands, and when it came there.
    ///
    /// # Panics
    /// Never: its time is within the years that events have.
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        Arrival {
            at: EventTime::from_millis(self.arrived_ms).expect("a time of our days"),
            partition: self.partition,
            offset: self.offset,
        }
    }

    /// The event.
    ///
    /// # Panics
    /// Never: it is one.
    #[must_use]
    pub fn event(&self) -> ScoreEvent {
        ScoreEvent::decode(Some(self.payload.as_bytes()), self.arrival().at).expect("it is an event")
    }
}

/// An event, as it is dealt.
#[derive(Clone, Debug)]
struct Dealt {
    player: usize,
    /// In tenths.
    score: i64,
    /// In eighths of a second after the beginning.
    created: i64,
    /// How many seconds later it arrives.
    later: i64,
    id: Option<u8>,
    team: Option<usize>,
    ranked: bool,
}

fn dealt() -> impl Strategy<Value = Dealt> {
    let score = prop_oneof![-30..30i64, Just(0), -3_000..3_000i64];
    let created = prop_oneof![0..5 * 3600 * 8i64, select(vec![0, 12_000 * 8, 12_600 * 8 - 1, 12_600 * 8])];
    let later = prop_oneof![0..10i64, select(vec![3599, 3600, 90_000, 200_000])];
    let (id, team) = (prop::option::weighted(0.3, 0..4u8), prop::option::of(0..TEAMS.len()));
    (0..PLAYERS.len(), score, created, later, id, team, any::<bool>()).prop_map(
        |(player, score, created, later, id, team, ranked)| Dealt {
            player,
            score,
            created,
            later,
            id,
            team,
            ranked,
        },
    )
}

/// The logs of up to `records` events. A player's events are in one partition.
pub fn logs(records: usize) -> impl Strategy<Value = Vec<Logged>> {
    let events = prop::collection::vec(dealt(), 1..=records);
    (select(BEGINNINGS_MICROS.to_vec()), events).prop_map(|(beginning, events)| {
        let mut ends = BTreeMap::new();
        events.iter().map(|event| logged(event, beginning, &mut ends)).collect()
    })
}

fn logged(event: &Dealt, beginning_micros: i64, ends: &mut BTreeMap<i32, i64>) -> Logged {
    let partition = i32::try_from(event.player).expect("few players") % PARTITIONS;
    let end = ends.entry(partition).or_default();
    let offset = std::mem::replace(end, *end + 1);
    let created = beginning_micros + event.created * 125_000;
    let created_at = EventTime::from_micros(created).expect("a time of our days");
    let (whole, tenth) = (event.score.abs() / 10, event.score.abs() % 10);
    let sign = if event.score < 0 { "-" } else { "" };
    let mut payload = format!(
        r#"{{"user_id":"{}","score":{sign}{whole}.{tenth},"created_at":"{created_at}""#,
        PLAYERS[event.player]
    );
    if let Some(id) = event.id {
        let _ = write!(payload, r#","event_id":"e{id}""#);
    }
    let team = event.team.map(|team| format!(r#""team":"{}""#, TEAMS[team]));
    let ranked = event.ranked.then(|| r#""ranked":"yes""#.to_owned());
    let tags: Vec<String> = team.into_iter().chain(ranked).collect();
    let _ = write!(payload, r#","tags":{{{}}}}}"#, tags.join(","));
    Logged { partition, offset, arrived_ms: created / 1000 + event.later * 1000, payload }
}
