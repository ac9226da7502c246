//! Boards per value, and how many there may be.

use crate::{TestBoard, field, player, second};
use board_store::{BoardStore, Fence, Write};
use boards::changes::{Change, Changes, Identified};
use boards::rules::PerValue;
use boards::{Board, Scope, Window};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Events of one point each, in order: of which value, whose, with an id or without.
fn events(list: &[(&str, &str, Option<&str>)]) -> Changes {
    let windows = [Arc::new(Window::all())];
    let mut changes = Changes::default();
    for &(value, name, id) in list {
        let (player, change) = (player(name), Change::of(1, second(1)));
        match id {
            None => changes.add_in(Some(value), &windows, &player, change),
            Some(id) => changes.add_identified(Identified {
                player,
                event_id: id.into(),
                arrival_day: 0,
                scope: Scope::new(Some(value), &windows),
                change,
            }),
        }
    }
    changes
}

#[test]
fn values_beyond_the_bound_have_no_board_and_are_counted() {
    let Some(mut board) = TestBoard::new() else { return };
    let per_value = Some(PerValue { tag: "team".into(), max_values: 2 });
    let rules = Board { per_value, ..board.store.board().clone() };
    let settings = board_store::RedisSettings { redis_url: board.url.parse().unwrap() };
    board.store = board.block_on(async { BoardStore::new(&settings, rules).unwrap() });
    board.begin();
    let mut offset = 0;
    let mut without_room = |list: &[(&str, &str, Option<&str>)]| {
        let changes = events(list);
        let spans = [(field(0), offset, offset + 1)];
        offset += 1;
        let write = Write { changes: &changes, spans: &spans, stages: None, newest: None };
        board.block_on(board.store.apply(Fence::On, 1, &[write])).unwrap().without_room
    };
    assert_eq!(without_room(&[("a", "p", None)]), 0);
    // With room for one more value, the first of a batch has it; all others' entries are counted.
    assert_eq!(
        without_room(&[("b", "p", None), ("c", "p", None), ("c", "q", None), ("d", "p", Some("1"))]),
        3
    );
    // Whoever has a board keeps it, whoever has none never gets one.
    assert_eq!(without_room(&[("a", "q", Some("2")), ("b", "p", None), ("c", "p", None)]), 1);
    let name = &board.store.board().name;
    let values: BTreeSet<String> = board.redis(redis::cmd("SMEMBERS").arg(format!("{{{name}}}:values")));
    assert_eq!(values, ["a", "b"].map(String::from).into());
    let views: BTreeSet<String> = board.redis(redis::cmd("SMEMBERS").arg(format!("{{{name}}}:views")));
    assert_eq!(views, ["v:a", "v:b"].map(String::from).into());
    let players = |view: &str| -> Vec<String> {
        board.redis(redis::cmd("ZRANGE").arg(format!("{{{name}}}:{view}")).arg(0).arg(-1))
    };
    assert_eq!([players("v:a"), players("v:b"), players("v:c")], [vec!["p", "q"], vec!["p"], vec![]]);
}
