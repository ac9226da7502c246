//! Erasing a player, and looking at a board.

use crate::{TestBoard, changes, field, player};
use board_store::{ErasedFromBoard, Peek};
use boards::Scope;
use boards::changes::{Change, Changes, Identified};
use contracts::Version;

fn double(board: &TestBoard, zset: &str, who: &str) -> Option<String> {
    board.redis(redis::cmd("ZSCORE").arg(zset).arg(who))
}

#[test]
fn peek_tells_where_a_board_stands() {
    let Some(board) = TestBoard::new() else { return };
    assert_eq!(board.block_on(board.store.peek()).unwrap(), None);
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 3)]).unwrap();
    let expected = Peek {
        version: Version { epoch: 1, version: 1 },
        rules: board.store.board().fingerprint(),
        rebuilding: false,
        offsets: [(field(0), 3), (field(1), 0)].into(),
    };
    assert_eq!(board.block_on(board.store.peek()).unwrap(), Some(expected));
    let state = format!("{{{}}}:state", board.store.board().name);
    let _: i64 = board.redis(redis::cmd("HSET").arg(state).arg("rebuilding").arg("log"));
    assert!(board.block_on(board.store.peek()).unwrap().unwrap().rebuilding);
}

#[test]
fn erased_player_stands_under_the_pseudonym_with_the_very_same_double() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let name = board.store.board().name.clone();
    let who = player(&format!("{name}-p"));
    board.apply(&changes(&[(who.as_str(), 5, 1), ("b", 7, 2)]), &[(0, 0, 3)]).unwrap();
    let nickname = board_store::NameChange { player: who.clone(), nickname: Some("Zo".into()), given_ms: 1 };
    board.block_on(board.store.give_names(&[nickname])).unwrap();
    let before = double(&board, &name, who.as_str()).unwrap();
    let rebuild = format!("{{{name}}}:rebuild");
    let _: i64 = board.redis(redis::cmd("ZADD").arg(&rebuild).arg("3.25").arg(who.as_str()));

    let pseudonym = player("erased-1");
    let found = board.block_on(board.store.find(&who, None)).unwrap();
    let expected = ErasedFromBoard { on_board: 1, in_rebuild: 1, merged: 0, named: true };
    assert_eq!(found, expected);
    assert_eq!(board.block_on(board.store.erase(&who, &pseudonym)).unwrap(), expected);
    assert_eq!(double(&board, &name, "erased-1"), Some(before));
    assert_eq!(double(&board, &rebuild, "erased-1").as_deref(), Some("3.25"));
    assert_eq!(board.rows(10), [("b".to_owned(), 7), ("erased-1".to_owned(), 5)]);
    let there: i64 = board.redis(redis::cmd("EXISTS").arg(format!("player:{who}")));
    assert_eq!((there, double(&board, &rebuild, who.as_str())), (0, None));
    let version = board.block_on(board.store.version()).unwrap().unwrap();
    assert_eq!(version, Version { epoch: 1, version: 2 });

    // Again: nothing to do, nothing changes.
    let nothing = ErasedFromBoard::default();
    assert_eq!(board.block_on(board.store.erase(&who, &pseudonym)).unwrap(), nothing);
    assert_eq!(board.block_on(board.store.version()).unwrap().unwrap(), version);
    assert_eq!(board.rows(10), [("b".to_owned(), 7), ("erased-1".to_owned(), 5)]);
}

#[test]
fn points_that_come_later_join_the_pseudonym_as_if_they_were_one_players() {
    // (units, second) before and after the first erasing.
    let cases = [
        ((5, 100), (7, 50)),
        ((5, 50), (-7, 100)),
        ((0, 10), (3, 1)),
        ((131_071, -3_000_000_000), (1, 60)),
        ((900_000_000, 7), (5, 700_000_000)),
        ((1_000_000_000, 7), (1_000_000_000, 2_000_000_000)),
    ];
    for ((first, at_first), (then, at_then)) in cases {
        let Some(board) = TestBoard::new() else { return };
        board.begin();
        let name = board.store.board().name.clone();
        let pseudonym = player("erased-1");
        let steps = [(first, at_first), (then, at_then)];
        for ((units, at), offset) in steps.into_iter().zip(0..) {
            // `twin` has the same events and is never erased.
            let batch = changes(&[("p", units, at), ("twin", units, at)]);
            board.apply(&batch, &[(0, offset, offset + 1)]).unwrap();
            let erased = board.block_on(board.store.erase(&player("p"), &pseudonym)).unwrap();
            assert_eq!((erased.on_board, erased.merged), (1, u64::from(offset == 1)));
        }
        assert_eq!(double(&board, &name, "erased-1"), double(&board, &name, "twin"), "{steps:?}");
    }
}

#[test]
fn resubmission_after_erasing_counts_for_nobody() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    for offset in 0..2 {
        let mut batch = Changes::default();
        batch.add_identified(Identified {
            player: player("p"),
            event_id: "x".into(),
            arrival_day: 10 + offset,
            scope: Scope::all_time(),
            change: Change::of(5, crate::second(1)),
        });
        board.apply(&batch, &[(0, offset, offset + 1)]).unwrap();
        board.block_on(board.store.erase(&player("p"), &player("erased-1"))).unwrap();
    }
    assert_eq!(board.rows(10), [("erased-1".to_owned(), 5)]);
}
