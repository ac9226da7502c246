//! Reads, held against what the words say, counted over all rows of the oracle.

use crate::{TestBoard, begin, changes, field, player, second};
use board_store::{
    BoardStore, Bucket, Cursor, DENSE_RANK_LIMIT, Fence, Opened, Page, Place, RankOf, Reading, RedisSettings,
    Row, Rows, Seen, Source, Stand, StoreError, Write, sorted_set,
};
use boards::calendar::Period;
use boards::changes::{Change, Changes};
use boards::rules::{Aggregate, MAX_TOTAL_UNITS, Order};
use boards::{Board, RankMode, Standing, Standings, View};
use contracts::{PlayerId, Version};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::sync::Arc;

const MODES: [RankMode; 3] = [RankMode::Ordinal, RankMode::Competition, RankMode::Dense];
const PLAYERS: [&str; 12] = ["a", "b", "c/d", "e f", "é", "🎯", "10", "9", "B", "~", "a\u{301}", "אב"];

/// What must be read: all rows of a board in their order.
struct Truth {
    board: Board,
    /// Player, total, and the double in the sorted set.
    rows: Vec<(PlayerId, i64, f64)>,
}

impl Truth {
    fn of(board: &Board, oracle: &Standings) -> Self {
        let row = |row: Standing| {
            let double = oracle.sorted_set_score(row.player.as_str()).unwrap();
            (row.player, row.total, double)
        };
        Self { board: board.clone(), rows: oracle.top(usize::MAX).into_iter().map(row).collect() }
    }

    fn players(&self) -> u64 {
        self.rows.len().try_into().unwrap()
    }

    fn having(&self, is_so: impl Fn(i64) -> bool) -> u64 {
        self.rows.iter().filter(|(_, total, _)| is_so(*total)).count().try_into().unwrap()
    }

    fn totals_above(&self, total: i64) -> u64 {
        let totals: BTreeSet<i64> =
            self.rows.iter().map(|row| row.1).filter(|other| *other > total).collect();
        totals.len().try_into().unwrap()
    }

    fn rank(&self, at: usize, mode: RankMode) -> u64 {
        let total = self.rows[at].1;
        1 + match mode {
            RankMode::Ordinal => u64::try_from(at).unwrap(),
            RankMode::Competition => self.having(|other| other > total),
            RankMode::Dense => self.totals_above(total),
        }
    }

    fn row(&self, at: usize, mode: RankMode) -> Row {
        let (player, total, double) = &self.rows[at];
        Row {
            rank: self.rank(at, mode),
            ordinal: u64::try_from(at).unwrap() + 1,
            player: player.clone(),
            score: self.board.score(*total),
            sorted_set_score: *double,
        }
    }

    /// The first rows that stand after the cursor, wherever that is by now.
    fn page(&self, limit: usize, after: Option<&Cursor>, mode: RankMode) -> (Vec<Row>, bool) {
        let is_after = |at: &usize| {
            let (player, _, double) = &self.rows[*at];
            after.is_none_or(|cursor| {
                (*double, player.as_str().as_bytes())
                    < (cursor.sorted_set_score, cursor.player.as_str().as_bytes())
            })
        };
        let rest: Vec<usize> = (0..self.rows.len()).filter(is_after).collect();
        (rest.iter().take(limit).map(|at| self.row(*at, mode)).collect(), rest.len() > limit)
    }

    /// Of all slices of that length with the player in them, the one in which the number of rows
    /// above the player is nearest to the half that is wanted.
    fn around(&self, at: usize, size: usize, mode: RankMode) -> Vec<Row> {
        let length = size.min(self.rows.len());
        let start = (0..=self.rows.len() - length)
            .filter(|start| (*start..start + length).contains(&at))
            .min_by_key(|start| (at - start).abs_diff((size - 1) / 2))
            .unwrap();
        (start..start + length).map(|at| self.row(at, mode)).collect()
    }

    fn place(&self, who: &PlayerId, mode: RankMode) -> Option<Place> {
        let at = self.rows.iter().position(|row| row.0 == *who)?;
        let Row { rank, ordinal, score, .. } = self.row(at, mode);
        Some(Place { rank, ordinal, score })
    }

    fn distribution(&self, buckets: i64) -> Vec<Bucket> {
        let totals = self.rows.iter().map(|row| row.1);
        let (Some(least), Some(greatest)) = (totals.clone().min(), totals.max()) else { return Vec::new() };
        let width = (greatest - least) / buckets + 1;
        let mut made = Vec::new();
        let mut from = least;
        while from <= greatest {
            let to = from + width - 1;
            made.push(Bucket {
                from: self.board.score(from),
                to: self.board.score(to),
                players: self.having(|total| (from..=to).contains(&total)),
            });
            from = to + 1;
        }
        made
    }

    fn rank_of(&self, units: i64) -> RankOf {
        RankOf {
            players_at: self.having(|total| total == units),
            ordinal: 1 + self.having(|total| total >= units),
            competition: 1 + self.having(|total| total > units),
            dense: Some(1 + self.totals_above(units)),
        }
    }
}

/// Some events, and what is asked once they are applied.
#[derive(Clone, Debug)]
struct Moment {
    /// Player, units, second.
    events: Vec<(usize, i64, i64)>,
    limit: usize,
    size: usize,
    buckets: usize,
    units: i64,
    asked: Vec<usize>,
}

fn moment() -> impl Strategy<Value = Moment> {
    // Few totals, so that there are ties; and some at the ends of what there can be.
    let units = || {
        prop_oneof![
            8 => -3..4i64,
            1 => -300_000..300_000i64,
            1 => prop_oneof![Just(MAX_TOTAL_UNITS), Just(-MAX_TOTAL_UNITS)],
        ]
    };
    // The last is beyond the times that are told apart: its double is the total itself.
    let seconds = prop_oneof![0..5i64, Just(9_000_000_000)];
    let events = proptest::collection::vec((0..PLAYERS.len(), units(), seconds), 0..14);
    let asked = proptest::collection::vec(0..PLAYERS.len(), 0..5);
    (events, 1..5usize, 1..15usize, 1..12usize, units(), asked).prop_map(
        |(events, limit, size, buckets, units, asked)| Moment { events, limit, size, buckets, units, asked },
    )
}

/// Reads everything there is to read and compares.
async fn check(
    board: &TestBoard,
    truth: &Truth,
    moment: &Moment,
    cursor: Option<&Cursor>,
) -> Result<(), TestCaseError> {
    let view = || board.store.all_time();
    let asked: Vec<PlayerId> = moment.asked.iter().map(|at| player(PLAYERS[*at])).collect();
    let asked = &asked;
    // All at once: one round trip for the connection.
    let by_mode = join_all(MODES.map(async |mode| {
        tokio::join!(
            view().page(moment.limit, None, mode),
            view().page(moment.limit, cursor, mode),
            view().places(asked, mode),
            join_all(asked.iter().map(|who| view().around(who, moment.size, mode))),
        )
    }));
    let (by_mode, distribution, rank_of) =
        tokio::join!(by_mode, view().distribution(moment.buckets), view().rank_of(moment.units));
    let players = truth.players();
    for (mode, (top, page, places, around)) in MODES.into_iter().zip(by_mode) {
        for (read, after) in [(top, None), (page, cursor)] {
            let Reading { found: Page { rows, has_more, .. }, players: counted, state, .. } =
                read.unwrap().unwrap();
            prop_assert_eq!(
                (rows, has_more),
                truth.page(moment.limit, after, mode),
                "{:?} {:?}",
                mode,
                after
            );
            prop_assert_eq!((counted, state), (players, Rows::Current));
        }
        let expected: Vec<_> = asked.iter().map(|who| truth.place(who, mode)).collect();
        prop_assert_eq!(places.unwrap().unwrap().found, expected, "{:?}", mode);
        for (who, around) in asked.iter().zip(around) {
            let at = truth.rows.iter().position(|row| row.0 == *who);
            let expected = at.map(|at| truth.around(at, moment.size, mode)).unwrap_or_default();
            prop_assert_eq!(around.unwrap().unwrap().found, expected, "{:?} {}", mode, who);
        }
    }
    let buckets = i64::try_from(moment.buckets).unwrap();
    let read = distribution.unwrap().unwrap().found;
    prop_assert!(read.len() <= moment.buckets);
    prop_assert_eq!(read.iter().map(|bucket| bucket.players).sum::<u64>(), players);
    prop_assert_eq!(read, truth.distribution(buckets));
    prop_assert_eq!(rank_of.unwrap().unwrap().found, truth.rank_of(moment.units));
    Ok(())
}

#[test]
fn reads_are_what_the_words_say_whatever_was_played() {
    let Some(board) = TestBoard::new() else { return };
    // Another 10,000 sequences with every run; each is read whole up to four times.
    let mut runner = TestRunner::new(ProptestConfig { cases: 10_000, ..ProptestConfig::default() });
    let strategy = proptest::collection::vec(moment(), 1..5);
    let name = board.store.board().name.clone();
    let mut connection = redis::Client::open(board.url.as_str()).unwrap().get_connection().unwrap();
    let mut forget = move || {
        let keys = ["state", "offsets", "targets"].map(|part| format!("{{{name}}}:{part}"));
        redis::cmd("DEL").arg(&name).arg(&keys).query::<i64>(&mut connection).unwrap();
    };
    let forget = std::cell::RefCell::new(&mut forget);
    runner
        .run(&strategy, |moments| {
            (forget.borrow_mut())();
            board.block_on(async {
                board.store.open(&Seen::default(), &[begin(0, 0)]).await.unwrap();
                let mut oracle = Standings::default();
                let mut cursor: Option<Cursor> = None;
                for (offset, moment) in (0..).zip(&moments) {
                    let mut batch = Changes::default();
                    for &(who, units, at) in &moment.events {
                        batch.add(&player(PLAYERS[who]), Change::of(units, second(at)));
                    }
                    oracle.apply_changes(&batch);
                    let spans = [(field(0), offset, offset + 1)];
                    let write = Write { changes: &batch, spans: &spans, stages: None, newest: None };
                    board.store.apply(Fence::On, 1, &[write]).await.unwrap();
                    let truth = Truth::of(board.store.board(), &oracle);
                    // A cursor from before these events is still a place on the board.
                    check(&board, &truth, moment, cursor.as_ref()).await?;
                    let (rows, _) = truth.page(moment.limit, cursor.as_ref(), RankMode::Ordinal);
                    cursor = rows.last().map(Row::cursor);
                }
                Ok(())
            })
        })
        .unwrap();
}

#[test]
fn dense_ranks_are_known_up_to_the_limit_and_no_further() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    let limit = i64::try_from(DENSE_RANK_LIMIT).unwrap();
    let mut batch = Changes::default();
    // Two players at each of the totals limit + 9, limit + 8, …, 0.
    for units in 0..limit + 10 {
        for pair in ["x", "y"] {
            batch.add(&player(&format!("{pair}{units}")), Change::of(units, second(1)));
        }
    }
    board.apply(&batch, &[(0, 0, 1)]).unwrap();
    // The last total whose rank is known, and the one below.
    let (known, beyond) = (player("x10"), player("x9"));
    let view = || board.store.all_time();
    let places = |players: &[&PlayerId]| {
        let read = board.block_on(view().places(players.iter().copied(), RankMode::Dense));
        read.map(|read| read.unwrap().found.into_iter().map(|place| place.unwrap().rank).collect::<Vec<_>>())
    };
    let top = player(&format!("y{}", limit + 9));
    assert_eq!(places(&[&known, &top]).unwrap(), [DENSE_RANK_LIMIT, 1]);
    assert!(matches!(places(&[&top, &beyond]), Err(StoreError::DenseRankUnknown)));
    let around = |who, size| board.block_on(view().around(who, size, RankMode::Dense));
    assert!(matches!(around(&beyond, 1), Err(StoreError::DenseRankUnknown)));
    // Ranks are counted along the rows from the first, so they may go on beyond it.
    let rows = around(&known, 9).unwrap().unwrap().found;
    let last = rows.last().unwrap();
    assert_eq!((last.rank, last.score.units()), (DENSE_RANK_LIMIT + 2, 8));
    let rank_of = |units| board.block_on(view().rank_of(units)).unwrap().unwrap().found.dense;
    assert_eq!((rank_of(10), rank_of(9)), (Some(DENSE_RANK_LIMIT), None));
}

#[test]
fn board_that_is_half_there_says_so_whatever_is_read() {
    let Some(board) = TestBoard::new() else { return };
    let view = || board.store.all_time();
    let who = player("a");
    let states = || {
        board.block_on(async {
            let (page, around, places, distribution, rank_of, stand) = tokio::join!(
                view().page(10, None, RankMode::Ordinal),
                view().around(&who, 3, RankMode::Ordinal),
                view().places([&who], RankMode::Ordinal),
                view().distribution(3),
                view().rank_of(1),
                view().stand(),
            );
            [
                page.unwrap().map(|read| (read.version, read.state)),
                around.unwrap().map(|read| (read.version, read.state)),
                places.unwrap().map(|read| (read.version, read.state)),
                distribution.unwrap().map(|read| (read.version, read.state)),
                rank_of.unwrap().map(|read| (read.version, read.state)),
                stand.unwrap().map(|read| (read.version, read.state)),
            ]
        })
    };
    assert_eq!(states(), [None; 6]);
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    let version = Version { epoch: 1, version: 1 };
    assert_eq!(states(), [Some((version, Rows::Current)); 6]);
    let state = format!("{{{}}}:state", board.store.board().name);
    for (mode, worth) in [("rewind", Rows::Unfit), ("log", Rows::LastGood), ("archive", Rows::LastGood)] {
        let _: i64 = board.redis(redis::cmd("HSET").arg(&state).arg("rebuilding").arg(mode));
        assert_eq!(states(), [Some((version, worth)); 6], "{mode}");
    }
    // A half of a write came after all.
    let _: i64 = board.redis(redis::cmd("HINCRBY").arg(&state).arg("entered").arg(1));
    assert_eq!(states(), [Some((version, Rows::Unfit)); 6]);
    let _: i64 = board.redis(redis::cmd("HINCRBY").arg(&state).arg("entered").arg(-1));
    // Nothing good is left.
    let _: i64 = board.redis(redis::cmd("DEL").arg(&board.store.board().name));
    assert_eq!(states(), [Some((version, Rows::Unfit)); 6]);
}

#[test]
fn rows_that_other_rules_made_are_shown_to_nobody_who_would_read_them_wrongly() {
    let Some(board) = TestBoard::new() else { return };
    board.begin();
    board.apply(&changes(&[("a", 5, 1)]), &[(0, 0, 2)]).unwrap();
    let rules = board.store.board().clone();
    let settings = RedisSettings { redis_url: board.url.parse().unwrap() };
    let store = |rules: Board| board.block_on(async { BoardStore::new(&settings, rules).unwrap() });
    let read = |store: &BoardStore| {
        let page = board.block_on(store.all_time().page(10, None, RankMode::Ordinal)).unwrap().unwrap();
        page.state
    };
    // What counts may have changed; what a total means has not.
    let same = store(Board { aggregate: Aggregate::Best, max_score: 7, ..rules.clone() });
    let others = [
        store(Board { decimals: 1, ..rules.clone() }),
        store(Board { order: Order::Asc, ..rules.clone() }),
        store(Board { dense_ranks: true, ..rules.clone() }),
    ];
    let states = || (read(&board.store), read(&same), others.each_ref().map(read));
    assert_eq!(states(), (Rows::Current, Rows::Current, [Rows::Foreign; 3]));
    let standing = |store: &BoardStore| board.block_on(store.all_time().stand()).unwrap().unwrap().state;
    let sizes = |store: &BoardStore| board.block_on(store.sizes(&[View::all_time()])).unwrap().unwrap().state;
    assert_eq!((standing(&others[0]), sizes(&others[0])), (Rows::Foreign, Rows::Foreign));

    // While it is rebuilt by the new rules, readers see what the old ones made.
    let tenths = &others[0];
    let log = [begin(0, 2), begin(1, 0)];
    let nothing_seen = Seen::default();
    let rebuilt = tenths.rebuild(&Source::Log, None, &nothing_seen, &log);
    assert!(board.block_on(rebuilt).unwrap().is_some());
    let Opened::Stands(Stand { begun, .. }) = board.block_on(tenths.open(&nothing_seen, &log)).unwrap()
    else {
        panic!("it stands");
    };
    assert_eq!(states(), (Rows::LastGood, Rows::LastGood, [Rows::Foreign; 3]));
    let (more, spans) = (changes(&[("a", 50, 1)]), [(field(0), 0, 2)]);
    let write = Write { changes: &more, spans: &spans, stages: None, newest: None };
    board.block_on(tenths.apply(Fence::On, begun, &[write])).unwrap();
    assert_eq!(states(), (Rows::Foreign, Rows::Foreign, [Rows::Current, Rows::Foreign, Rows::Foreign]));
}

#[test]
fn view_that_is_rightly_empty_is_so_while_the_board_is_rebuilt_beside() {
    let Some(mut board) = TestBoard::new() else { return };
    let rules = Board { periods: vec![Period::Day], all_time: false, ..board.store.board().clone() };
    let view = |id: &str| View { value: None, window: rules.window_of_id(id).unwrap().into() };
    let (played, begun) = (view("2026-11-20"), view("2026-11-21"));
    let settings = RedisSettings { redis_url: board.url.parse().unwrap() };
    board.store = board.block_on(async { BoardStore::new(&settings, rules.clone()).unwrap() });
    board.begin();
    let mut changes = Changes::default();
    changes.add_in(None, &[Arc::clone(&played.window)], &player("a"), Change::of(5, second(1)));
    board.apply(&changes, &[(0, 0, 1)]).unwrap();
    let state = format!("{{{}}}:state", rules.name);
    let _: i64 = board.redis(redis::cmd("HSET").arg(&state).arg("rebuilding").arg("log"));
    let read = |view: &View| {
        let page = board.store.view(view).page(10, None, RankMode::Ordinal);
        let page = board.block_on(page).unwrap().unwrap();
        (page.state, page.found.rows.len())
    };
    let sizes = || {
        let sizes = board.block_on(board.store.sizes(&[played.clone(), begun.clone()])).unwrap().unwrap();
        (sizes.state, sizes.found)
    };
    assert_eq!((read(&played), read(&begun)), ((Rows::LastGood, 1), (Rows::LastGood, 0)));
    assert_eq!(sizes(), (Rows::LastGood, vec![1, 0]));
    // Nothing good is left.
    let set = sorted_set(&rules.name, &played).into_owned();
    let _: i64 = board.redis(redis::cmd("DEL").arg(set).arg(format!("{{{}}}:views", rules.name)));
    assert_eq!((read(&played), read(&begun)), ((Rows::Unfit, 0), (Rows::Unfit, 0)));
    assert_eq!(sizes(), (Rows::Unfit, vec![0, 0]));
}
