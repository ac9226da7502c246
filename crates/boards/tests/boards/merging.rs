//! Batch boundaries and the order of partitions do not matter.

use crate::support::{board, player, time};
use boards::changes::{Identified, Recency, day_of};
use boards::{Arrival, Board, Change, Changes, Reached, Scope, Standings};
use contracts::EventTime;
use proptest::prelude::*;

const PLAYERS: [&str; 4] = ["a", "b", "c", "é"];

/// An event with its place in the log; the offset is the index.
#[derive(Clone, Debug)]
struct Event {
    player: usize,
    units: i64,
    eighths: i64,
    partition: i32,
    id: Option<usize>,
}

/// Few scores and times, so that many are equal.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let units = prop_oneof![-3..4i64, -900..900i64];
    let event = (0..PLAYERS.len(), units, 0..12i64, 0..3i32, prop::option::weighted(0.2, 0..4usize));
    let event = event.prop_map(|(player, units, eighths, partition, id)| Event {
        player,
        units,
        eighths,
        partition,
        id,
    });
    prop::collection::vec(event, 1..60)
}

fn rules() -> impl Strategy<Value = Board> {
    let aggregate = prop::sample::select(vec!["sum", "best", "last", "count"]);
    let order = prop::sample::select(vec!["desc", "asc"]);
    let ties = prop::sample::select(vec!["first", "player_id"]);
    (aggregate, order, ties).prop_map(|(aggregate, order, ties)| {
        board(&format!("aggregate = \"{aggregate}\"\norder = \"{order}\"\ntie_break = \"{ties}\""))
    })
}

fn created_at(event: &Event) -> EventTime {
    EventTime::from_micros(time("2026-11-21").micros() + event.eighths * 125_000).unwrap()
}

fn change(board: &Board, offset: usize, event: &Event) -> Change {
    let at = time("2026-11-21T12:00Z");
    let arrival = Arrival { at, partition: event.partition, offset: i64::try_from(offset).unwrap() };
    let units = if board.aggregate == boards::rules::Aggregate::Count { 1 } else { event.units };
    board.change(units, created_at(event), arrival)
}

fn applied(board: &Board, log: &[(usize, Event)], batch: usize, with_ids: bool) -> Standings {
    let mut standings = Standings::of(board);
    for chunk in log.chunks(batch) {
        let mut changes = Changes::default();
        for (offset, event) in chunk {
            let (who, change) = (player(PLAYERS[event.player]), change(board, *offset, event));
            match event.id.filter(|_| with_ids) {
                None => changes.add(&who, change),
                Some(id) => changes.add_identified(Identified {
                    player: who,
                    event_id: id.to_string().into(),
                    arrival_day: day_of(time("2026-11-21")),
                    scope: Scope::all_time(),
                    change,
                }),
            }
        }
        standings.apply_changes(&changes);
    }
    standings
}

/// Players with their doubles, bit for bit, best first.
fn rows(standings: &Standings) -> Vec<(String, i64, u64)> {
    let double = |player: &str| standings.sorted_set_score(player).unwrap().to_bits();
    let rows = standings.top(usize::MAX).into_iter();
    rows.map(|row| (row.player.to_string(), row.total, double(row.player.as_str()))).collect()
}

/// What the definition says, without merging anything: total and reach time of a player's events.
fn by_definition(board: &Board, events: &[(usize, Event)]) -> (i64, Reached) {
    use boards::rules::{Aggregate, Order, TieBreak};
    let time = |event: &Event| Reached::at(created_at(event));
    let latest = |found: &mut dyn Iterator<Item = &Event>| found.map(time).max().unwrap_or(Reached::NEVER);
    let (total, reached) = match board.aggregate {
        Aggregate::Sum => (
            events.iter().map(|(_, event)| event.units).sum(),
            latest(&mut events.iter().map(|(_, event)| event).filter(|event| event.units != 0)),
        ),
        Aggregate::Count => {
            (i64::try_from(events.len()).unwrap(), latest(&mut events.iter().map(|(_, event)| event)))
        }
        Aggregate::Best => {
            let all = events.iter().map(|(_, event)| event.units);
            let best = if board.order == Order::Desc { all.max() } else { all.min() }.unwrap();
            let with_it = events.iter().filter(|(_, event)| event.units == best);
            (best, with_it.map(|(_, event)| time(event)).min().unwrap())
        }
        Aggregate::Last => {
            let newest = events
                .iter()
                .max_by_key(|(offset, event)| (created_at(event), *offset, event.partition))
                .map(|(_, event)| event)
                .unwrap();
            (newest.units, time(newest))
        }
    };
    (total, if board.tie_break == TieBreak::First { reached } else { Reached::NEVER })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn order_of_arrival_and_batch_boundaries_do_not_matter(
        board in rules(),
        (log, shuffled) in events().prop_flat_map(|events| {
            let log: Vec<(usize, Event)> = events.into_iter().enumerate().collect();
            (Just(log.clone()), Just(log).prop_shuffle())
        }),
        batch in 1..10usize,
        other_batch in 1..10usize,
    ) {
        let standings = applied(&board, &log, batch, false);
        prop_assert_eq!(rows(&applied(&board, &shuffled, other_batch, false)), rows(&standings));
        for (index, name) in PLAYERS.iter().enumerate() {
            let events: Vec<_> = log.iter().filter(|(_, event)| event.player == index).cloned().collect();
            let Some(total) = standings.total(name) else { prop_assert!(events.is_empty()); continue };
            let (expected, reached) = by_definition(&board, &events);
            prop_assert_eq!(total, expected);
            prop_assert_eq!(standings.sorted_set_score(name), Some(board.encode(expected, reached)));
        }
    }

    /// Ids are seen in the order of the log; batches within it do not matter.
    #[test]
    fn batch_boundaries_do_not_matter_where_events_have_ids(
        board in rules(),
        events in events(),
        batch in 1..10usize,
    ) {
        let log: Vec<(usize, Event)> = events.into_iter().enumerate().collect();
        prop_assert_eq!(rows(&applied(&board, &log, batch, true)), rows(&applied(&board, &log, 1, true)));
    }

    #[test]
    fn merging_is_commutative_and_associative(board in rules(), events in prop::collection::vec(events(), 1)) {
        let changes: Vec<Change> =
            events[0].iter().enumerate().map(|(offset, event)| change(&board, offset, event)).collect();
        for three in changes.windows(3) {
            let [a, b, c] = [three[0], three[1], three[2]];
            prop_assert_eq!(a.merge(b), b.merge(a));
            prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
        }
    }

    /// A total that stops at its limit does so wherever the batches end, while scores have one sign.
    #[test]
    fn totals_that_only_grow_stop_at_their_limit_in_any_order(
        (units, shuffled) in prop::collection::vec(0..60i64, 1..20)
            .prop_flat_map(|units| (Just(units.clone()), Just(units).prop_shuffle())),
        batch in 1..6usize,
        order in prop::sample::select(vec!["desc", "asc"]),
    ) {
        let board = board(&format!("max_score = 100\nmin_score = 0\nmax_total = 150\norder = \"{order}\""));
        let total = |units: &[i64], batch: usize| {
            let event = |units: &i64| Event { player: 0, units: *units, eighths: 0, partition: 0, id: None };
            let log: Vec<(usize, Event)> = units.iter().map(event).enumerate().collect();
            applied(&board, &log, batch, false).total("a")
        };
        prop_assert_eq!(total(&units, 1), Some(units.iter().sum::<i64>().min(150)));
        prop_assert_eq!(total(&shuffled, batch), total(&units, 1));
    }
}

/// The negative control: the same rows tell a board that takes what arrives last for the newest.
#[test]
fn newest_by_arrival_would_be_told() {
    let board = board("aggregate = \"last\"");
    let at = time("2026-11-21");
    let event = |units, seconds, offset| {
        let created_at = at.saturating_add_seconds(seconds);
        board.change(units, created_at, Arrival { at, partition: 0, offset })
    };
    let by_arrival = |changes: &[Change]| changes.last().unwrap().value();
    let merged = |changes: &[Change]| changes.iter().copied().reduce(Change::merge).unwrap().value();
    let (older, newer) = (event(1, 0, 9), event(2, 1, 5));
    assert_ne!(by_arrival(&[older, newer]), by_arrival(&[newer, older]));
    assert_eq!((merged(&[older, newer]), merged(&[newer, older])), (2, 2));
}

#[test]
fn newest_goes_by_time_then_offset_then_partition() {
    let at = |micros| EventTime::from_micros(micros).unwrap();
    let recency = |micros, offset, partition| Recency { created_at: at(micros), offset, partition };
    let mut order =
        [recency(2, 0, 0), recency(1, 9, 9), recency(1, 9, 10), recency(1, 10, 0), recency(-1, 99, 0)];
    order.sort();
    assert_eq!(
        order,
        [recency(-1, 99, 0), recency(1, 9, 9), recency(1, 9, 10), recency(1, 10, 0), recency(2, 0, 0)]
    );
}

#[test]
#[should_panic(expected = "are not of one board")]
fn changes_of_boards_that_aggregate_differently_do_not_merge() {
    let reached = Reached::NEVER;
    let _ = Change::of(1, reached).merge(Change::Best { value: 1, reached });
}

#[test]
fn day_of_an_arrival_begins_at_midnight_before_1970_too() {
    for (at, day) in [("1970-01-01T00:00:00", 0), ("1969-12-31T23:59:59", -1), ("1969-12-31T00:00:00", -1)] {
        assert_eq!(day_of(EventTime::parse_iso(at, "at").unwrap()), day, "{at}");
    }
}
