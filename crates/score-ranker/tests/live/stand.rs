//! Where the boards of a sink stand, each for itself.

use crate::{Alone, Live};
use board_store::{Begin, BoardStore, Seen, Source};
use boards::BoardSet;
use pipeline::sink::{LogBounds, Step};
use pipeline::{Partition, Record, Sink as _, WriteError};
use redis::aio::ConnectionManager;
use score_ranker::RankSink;
use std::collections::BTreeMap;

const SCORES: Partition = Partition { topic: 0, number: 0 };

/// Two boards of a test's own, removed when it ends.
struct Boards {
    live: Live,
    boards: BoardSet,
    prefix: String,
}

impl Boards {
    fn new() -> Option<Self> {
        let live = Live::new()?;
        let prefix = format!("test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let text = format!("[[board]]\nname = \"{prefix}-a\"\n[[board]]\nname = \"{prefix}-b\"\n");
        Some(Self { live, boards: BoardSet::parse(&text).unwrap(), prefix })
    }

    fn store(&self, board: usize) -> BoardStore<ConnectionManager> {
        BoardStore::with_connection(self.live.connection.clone(), self.boards[board].clone())
    }

    fn open(
        &self,
        sink: &RankSink<Alone, ConnectionManager>,
        high: i64,
    ) -> Result<BTreeMap<Partition, i64>, WriteError> {
        let log = [LogBounds { partition: SCORES, low: 0, high }];
        self.live.runtime.block_on(sink.open(&[SCORES], &log))
    }

    fn positions(&self, sink: &RankSink<Alone, ConnectionManager>) -> BTreeMap<Partition, i64> {
        self.live.runtime.block_on(sink.positions(&[SCORES])).unwrap()
    }

    /// A point for `p` at that offset.
    fn write(&self, sink: &RankSink<Alone, ConnectionManager>, offset: i64) -> Result<(), WriteError> {
        let mut step = Step { batch: score_ranker::Batch::default(), spans: Vec::new(), records: 1 };
        let event = sink.decode(&Record {
            partition: SCORES,
            offset,
            timestamp_ms: Some(1_700_000_000_000 + offset),
            key: None,
            payload: Some(br#"{"score":1,"user_id":"p"}"#),
        });
        sink.fold(&mut step.batch, event);
        step.spans = vec![pipeline::sink::Span { partition: SCORES, from: offset, to: offset + 1 }];
        self.live.runtime.block_on(sink.write(vec![step]))
    }

    fn total(&self, board: usize) -> Option<i64> {
        let score: Option<f64> = self.live.redis(&["ZSCORE", &self.boards[board].name, "p"]);
        score.map(|score| self.boards[board].total_of(score))
    }
}

impl Drop for Boards {
    fn drop(&mut self) {
        self.live.remove(&self.prefix);
    }
}

#[test]
fn board_that_stands_beyond_the_log_is_named_though_another_does_not() {
    let Some(boards) = Boards::new() else { return };
    let sink = boards.live.sink(&boards.boards);
    boards.open(&sink, 0).unwrap();
    for offset in 0..5 {
        boards.write(&sink, offset).unwrap();
    }
    // The topic was made anew, and the first board rebuilt.
    let log = [Begin { field: "game-score/0".to_owned(), low: 0, high: 2 }];
    let (store, seen) = (boards.store(0), Seen::default());
    boards.live.runtime.block_on(store.rebuild(&Source::Log, None, &seen, &log)).unwrap().unwrap();
    let refused = boards.open(&boards.live.sink(&boards.boards), 2).unwrap_err();
    let second = &boards.boards[1].name;
    assert!(matches!(&refused, WriteError::Impossible(why) if why.contains(&**second)), "{refused}");
    assert_eq!(boards.open(&boards.live.sink(&boards.boards), 5).unwrap(), [(SCORES, 0)].into());
}

#[test]
fn others_go_on_while_someone_fills_a_board_and_it_joins_them_when_that_has_ended() {
    let Some(boards) = Boards::new() else { return };
    let sink = boards.live.sink(&boards.boards);
    boards.open(&sink, 0).unwrap();
    boards.write(&sink, 0).unwrap();
    let (store, log) = (boards.store(1), [Begin { field: "game-score/0".to_owned(), low: 0, high: 1 }]);
    let source = Source::Archive { token: "someone".to_owned() };
    let seen = Seen::default();
    let filling = boards.live.runtime.block_on(store.rebuild(&source, None, &seen, &log)).unwrap().unwrap();

    assert!(matches!(boards.write(&sink, 1), Err(WriteError::Fenced(_))), "it was begun anew");
    let open = boards.open(&sink, 3).unwrap();
    assert_eq!(open[&SCORES], boards.positions(&sink)[&SCORES]);
    for offset in open[&SCORES]..3 {
        boards.write(&sink, offset).unwrap();
    }
    assert_eq!((boards.total(0), boards.total(1)), (Some(3), Some(1)), "readers see the second as it was");
    assert_eq!(boards.positions(&sink), [(SCORES, 3)].into());

    let ends = [("game-score/0".to_owned(), 1)].into();
    boards.live.runtime.block_on(store.filled(filling, &ends)).unwrap();
    assert_eq!(boards.positions(&sink), BTreeMap::new(), "to be opened anew");
    assert_eq!(boards.open(&sink, 3).unwrap(), [(SCORES, 1)].into());
    for offset in 1..3 {
        boards.write(&sink, offset).unwrap();
    }
    // The archive had nothing of it.
    assert_eq!((boards.total(0), boards.total(1)), (Some(3), Some(2)));
}
