//! A server that applies a half of a write.

use crate::{TestBoard, begin, changes, field, second};
use board_store::{BoardStore, Fence, Opened, RedisSettings, Rows, Seen, StoreError, Write};
use boards::BoardSet;
use boards::RankMode;
use std::time::Duration;
use test_servers::OwnRedis;

#[test]
fn board_with_a_half_of_a_write_is_shown_to_nobody_and_rebuilt() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let version = board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 1)]).unwrap();
    let begun = board.stands().begun;
    // What a script does first, and no more.
    let name = &board.store.board().name;
    let _: i64 = board.redis(redis::cmd("HINCRBY").arg(format!("{{{name}}}:state")).arg("entered").arg(1));
    let twice = boards::order::sorted_set_score(10, second(1)).to_string();
    let _: i64 = board.redis(redis::cmd("ZADD").arg(name).arg(twice).arg("a"));

    assert_eq!(board.block_on(board.store.stands()).unwrap(), None);
    assert_eq!(board.page().state, Rows::Unfit);
    let standing = board.block_on(board.store.all_time().stand()).unwrap().unwrap();
    assert_eq!(standing.state, Rows::Unfit);
    let spans = [(field(0), 1, 2)];
    let more = changes(&[("a", 1, 2)]);
    let write = Write { changes: &more, spans: &spans, stages: None, newest: None };
    let refused = board.block_on(board.store.apply(Fence::On, begun, &[write]));
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");

    // Begun anew from the log, beside what is there.
    let seen = crate::seen_at(version);
    let stand = board.open(&seen, &[begin(0, 2), begin(1, 0)]);
    assert_eq!((stand.begun, stand.offsets[&field(0)]), (begun + 1, 0));
    board.apply(&changes(&[("a", 6, 2)]), &[(0, 0, 2)]).unwrap();
    assert_eq!((board.page().state, board.rows(10)), (Rows::Current, vec![("a".to_owned(), 6)]));
}

/// Takes the last bytes of what the server has written down.
fn lose(server: &OwnRedis, bytes: u64) {
    let file = server.folder().join("appendonlydir/appendonly.aof.1.incr.aof");
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

fn store(server: &OwnRedis) -> BoardStore {
    let settings = RedisSettings { redis_url: server.url().parse().unwrap() };
    BoardStore::new(&settings, BoardSet::default().default_board().clone()).unwrap()
}

/// Waits until the server answers: it may still be loading.
async fn sum(store: &BoardStore) -> i64 {
    loop {
        match store.all_time().page(10, None, RankMode::Ordinal).await {
            Ok(page) => return page.unwrap().found.rows.iter().map(|row| row.score.units()).sum(),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn append_only_file_that_was_cut_within_a_write_is_noticed_whenever_redis_applies_the_rest() {
    if test_servers::redis().is_none() {
        return;
    }
    let apply = async |store: &BoardStore, list: &[(&str, i64, i64)], partition: i32, from: i64| {
        let changes = changes(list);
        let spans = [(field(partition), from, from + 1)];
        let write = Write { changes: &changes, spans: &spans, stages: None, newest: None };
        store.apply(Fence::On, 1, &[write]).await.unwrap()
    };
    // Within the word EXEC, so that all of the write is left but its end; and within the write.
    for lost in [3, 90] {
        let mut server = OwnRedis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        let store = self::store(&server);
        let log = [begin(0, 0), begin(1, 0)];
        assert!(matches!(store.open(&Seen::default(), &log).await.unwrap(), Opened::Stands(_)));
        apply(&store, &[("a", 5, 1)], 0, 0).await;
        apply(&store, &[("a", 7, 2), ("b", 1, 2)], 0, 1).await;
        server.kill();
        lose(&server, lost);
        server.restart();
        let store = self::store(&server);
        assert_eq!(sum(&store).await, 5, "the write that was cut has no effect");
        assert_eq!(store.stands().await.unwrap().unwrap().offsets[&field(0)], 1);
        apply(&store, &[("a", 3, 3)], 1, 0).await;
        assert_eq!(sum(&store).await, 8);

        server.kill();
        server.restart();
        let store = self::store(&server);
        let sum = sum(&store).await;
        let stand = store.stands().await.unwrap();
        if sum == 8 {
            eprintln!("this server drops what was cut for good");
            assert_eq!(stand.unwrap().offsets[&field(0)], 1);
        } else {
            // What came first of the write is back, and its player b with it.
            assert_eq!((sum, stand), (9, None));
            assert_eq!(
                store.all_time().page(10, None, RankMode::Ordinal).await.unwrap().unwrap().state,
                Rows::Unfit
            );
        }
    }
}
