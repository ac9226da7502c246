//! Writes that come again.

use crate::TestBoard;
use board_store::Claimed;
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
