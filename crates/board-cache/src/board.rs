//! What is published of a board. Pure.

use board_store::{Page, Reading, Rows};
use contracts::{Snapshot, SnapshotEntry, Stages, Version};

/// The snapshot of a page of the window of that id as it is now.
///
/// Where the rows are not fit to be shown, those of `last` are, the last good snapshot: never an
/// empty or half board.
pub(crate) fn snapshot(
    board: &str,
    window: &str,
    page: &Reading<Page>,
    names: Vec<Option<String>>,
    last: Option<&Snapshot>,
    now_ms: f64,
) -> Snapshot {
    let (user_list, players, window) = match last {
        Some(last) if !page.state.are_fit() => (last.user_list.clone(), last.players, last.window.as_str()),
        _ => {
            let rows = page.found.rows.iter().zip(names);
            let entry = |(row, name): (&board_store::Row, _)| {
                SnapshotEntry::new(row.rank, &row.player, row.score, name)
            };
            (rows.map(entry).collect(), page.players, window)
        }
    };
    Snapshot {
        user_list,
        current_time_ms: now_ms,
        board: board.to_owned(),
        window: window.to_owned(),
        version: page.version,
        players,
        rebuilding: page.state != Rows::Current,
        stages: page.found.stages.map(|stages| Stages { published_ms: now_ms, ..stages }),
    }
}

/// Whether viewers have something to see: other rows, another window or epoch, a rebuild begun or
/// ended.
pub(crate) fn shows_something_new(last: Option<&Snapshot>, next: &Snapshot) -> bool {
    last.is_none_or(|last| {
        last.user_list != next.user_list
            || last.window != next.window
            || last.version.epoch != next.version.epoch
            || last.rebuilding != next.rebuilding
    })
}

/// Where a snapshot stands; before everything when there is none.
pub(crate) fn version_of(snapshot: Option<&Snapshot>) -> Version {
    snapshot.map_or(Version { epoch: 0, version: 0 }, |snapshot| snapshot.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use board_store::Row;
    use contracts::{PlayerId, Score};

    fn page(total: i64, version: u64, state: Rows) -> Reading<Page> {
        let player = PlayerId::new("7").unwrap();
        Reading {
            version: Version { epoch: 1, version },
            state,
            players: 1,
            found: Page {
                turned_to: None,
                stages: Some(Stages {
                    created_ms: 1.0,
                    in_kafka_ms: 2.0,
                    applied_ms: 3.0,
                    published_ms: 0.0,
                }),
                rows: vec![Row {
                    rank: 1,
                    ordinal: 1,
                    player,
                    score: Score::new(total, 0),
                    sorted_set_score: 0.0,
                }],
                has_more: false,
            },
        }
    }

    #[test]
    fn snapshot_carries_rows_names_and_when_it_was_published() {
        let made = snapshot("b", "all", &page(5, 1, Rows::Current), vec![Some("Zo".into())], None, 9.5);
        assert_eq!(made.user_list[0].nickname, "Zo");
        assert_eq!((made.current_time_ms, made.stages.unwrap().published_ms), (9.5, 9.5));
        let unnamed = snapshot("b", "all", &page(5, 1, Rows::Current), vec![None], None, 9.5);
        assert_eq!(unnamed.user_list[0].nickname, "user-7");
    }

    #[test]
    fn last_good_rows_stay_while_the_board_is_rebuilt() {
        let good = snapshot("b", "all", &page(5, 9, Rows::Current), vec![None], None, 1.0);
        let mut empty = page(0, 0, Rows::Unfit);
        empty.found.rows.clear();
        empty.players = 0;
        let shown = snapshot("b", "all", &empty, vec![], Some(&good), 2.0);
        assert_eq!((shown.user_list.clone(), shown.players), (good.user_list.clone(), 1));
        assert!(shown.rebuilding && shows_something_new(Some(&good), &shown));
        let beside = snapshot("b", "all", &page(5, 10, Rows::LastGood), vec![None], Some(&good), 2.0);
        assert_eq!((beside.user_list, beside.rebuilding), (good.user_list, true));
    }

    #[test]
    fn another_window_shows_something_new_and_last_good_rows_are_of_theirs() {
        let mut empty = page(0, 2, Rows::Current);
        empty.found.rows.clear();
        let first = snapshot("b", "2026-11-21", &empty, vec![], None, 1.0);
        let next = snapshot("b", "2026-11-22", &empty, vec![], Some(&first), 2.0);
        assert!(next.window == "2026-11-22" && shows_something_new(Some(&first), &next));
        empty.state = Rows::Unfit;
        let unfit = snapshot("b", "2026-11-22", &empty, vec![], Some(&first), 2.0);
        assert_eq!(unfit.window, "2026-11-21");
    }

    #[test]
    fn unchanged_top_shows_nothing_new() {
        let first = snapshot("b", "all", &page(5, 1, Rows::Current), vec![None], None, 1.0);
        let same = snapshot("b", "all", &page(5, 2, Rows::Current), vec![None], Some(&first), 2.0);
        let moved = snapshot("b", "all", &page(6, 3, Rows::Current), vec![None], Some(&first), 3.0);
        let renamed =
            snapshot("b", "all", &page(5, 2, Rows::Current), vec![Some("Zo".into())], Some(&first), 2.0);
        assert!(shows_something_new(None, &first));
        assert!(!shows_something_new(Some(&first), &same));
        assert!(shows_something_new(Some(&first), &moved));
        assert!(shows_something_new(Some(&first), &renamed));
    }
}
