//! Writes that come again.

use crate::TestBoard;
use board_store::Claimed;
use boards::Reached;
use boards::changes::{Change, Changes};
use contracts::{EventTime, PlayerId};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn one_of_two_does_the_write_and_both_get_its_answer() {
    let Some(board) = TestBoard::new() else { return };
    let write = uuid::Uuid::new_v4().to_string();
    let claim =
        |digest: &str, token: &str| board.block_on(board.store.claim(&write, digest, token, LONG)).unwrap();
    let Claimed::Ours(ours) = claim("d1", "a") else { panic!("nobody has it yet") };
    assert_eq!(claim("d1", "b"), Claimed::InWork);
    assert_eq!(claim("d2", "b"), Claimed::OtherBody);
    board.block_on(board.store.remember(&ours, "202 {\"a b\":1}", LONG)).unwrap();
    assert_eq!(claim("d1", "b"), Claimed::Done("202 {\"a b\":1}".into()));
    assert_eq!(claim("d2", "b"), Claimed::OtherBody);
    board.redis::<u8>(redis::cmd("DEL").arg(format!("idempotency:{write}")));
}

#[test]
fn claim_that_was_given_up_or_has_run_out_is_another_s_to_make() {
    let Some(board) = TestBoard::new() else { return };
    let write = uuid::Uuid::new_v4().to_string();
    let claim = |token: &str, limit| board.block_on(board.store.claim(&write, "d", token, limit)).unwrap();
    let Claimed::Ours(first) = claim("a", LONG) else { panic!("nobody has it yet") };
    board.block_on(board.store.release(&first)).unwrap();
    let Claimed::Ours(second) = claim("b", Duration::from_millis(1)) else { panic!("it was given up") };
    std::thread::sleep(Duration::from_millis(50));
    let Claimed::Ours(third) = claim("c", LONG) else { panic!("it has run out") };
    // Whoever is late changes nothing.
    board.block_on(board.store.release(&second)).unwrap();
    board.block_on(board.store.remember(&second, "late", LONG)).unwrap();
    assert_eq!(claim("d", LONG), Claimed::InWork);
    board.block_on(board.store.remember(&third, "done", LONG)).unwrap();
    assert_eq!(claim("d", LONG), Claimed::Done("done".into()));
    board.redis::<u8>(redis::cmd("DEL").arg(format!("idempotency:{write}")));
}

#[test]
fn places_are_given_in_the_order_asked_for() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let mut changes = Changes::default();
    for (second, total) in (1..).zip([30i64, 10, 20, 20]) {
        let player = PlayerId::new(format!("p{second}")).unwrap();
        let change = Change::of(total, Reached::at(EventTime::from_micros(second * 1_000_000).unwrap()));
        changes.add(player, change);
    }
    board.apply(&changes, &[(0, 0, 4)]).unwrap();
    let players: Vec<_> = ["p4", "nobody", "p1", "p3", "p2"].map(|id| PlayerId::new(id).unwrap()).into();
    let found = board.block_on(board.store.places(&players)).unwrap().unwrap();
    let totals: Vec<_> =
        found.iter().map(|place| place.as_ref().map(|(rank, score)| (*rank, score.units()))).collect();
    assert_eq!(totals, [Some((3, 20)), None, Some((1, 30)), Some((2, 20)), Some((4, 10))]);
    assert_eq!(board.block_on(board.store.places(&[])).unwrap(), Some(Vec::new()));
}
