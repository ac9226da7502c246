//! What is published of a board. Pure.

use board_store::{Page, Reading, Rows};
use contracts::{Snapshot, SnapshotEntry, Stages, Version};

/// The snapshot of a page as it is now, without the time of its publication.
///
/// Where the rows are not fit to be shown, those of `last` are, the last good snapshot: never an
/// empty or half board.
pub(crate) fn snapshot(
    board: &str,
    page: &Reading<Page>,
    names: Vec<Option<String>>,
    last: Option<&Snapshot>,
    now_ms: f64,
) -> Snapshot {
    let (user_list, players) = match last {
        Some(last) if page.state == Rows::Unfit => (last.user_list.clone(), last.players),
        _ => {
            let rows = page.found.rows.iter().zip(names);
            let entry = |(row, name): (&board_store::Row, _)| {
                SnapshotEntry::new(row.rank, &row.player, row.score, name)
            };
            (rows.map(entry).collect(), page.players)
        }
    };
    Snapshot {
        user_list,
        current_time_ms: now_ms,
        board: board.to_owned(),
        window: "all".to_owned(),
        version: page.version,
        players,
        rebuilding: page.state != Rows::Current,
        stages: page.found.stages.map(|stages| Stages { published_ms: now_ms, ..stages }),
    }
}

/// Whether viewers have something to see: other rows, another epoch, a rebuild begun or ended.
pub(crate) fn shows_something_new(last: Option<&Snapshot>, next: &Snapshot) -> bool {
    last.is_none_or(|last| {
        last.user_list != next.user_list
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
        let made = snapshot("b", &page(5, 1, Rows::Current), vec![Some("Zo".into())], None, 9.5);
        assert_eq!(made.user_list[0].nickname, "Zo");
        assert_eq!((made.current_time_ms, made.stages.unwrap().published_ms), (9.5, 9.5));
        let unnamed = snapshot("b", &page(5, 1, Rows::Current), vec![None], None, 9.5);
        assert_eq!(unnamed.user_list[0].nickname, "user-7");
    }

    #[test]
    fn last_good_rows_stay_while_the_board_is_rebuilt() {
        let good = snapshot("b", &page(5, 9, Rows::Current), vec![None], None, 1.0);
        let mut empty = page(0, 0, Rows::Unfit);
        empty.found.rows.clear();
        empty.players = 0;
        let shown = snapshot("b", &empty, vec![], Some(&good), 2.0);
        assert_eq!((shown.user_list.clone(), shown.players), (good.user_list.clone(), 1));
        assert!(shown.rebuilding && shows_something_new(Some(&good), &shown));
        let beside = snapshot("b", &page(5, 10, Rows::LastGood), vec![None], Some(&good), 2.0);
        assert_eq!((beside.user_list, beside.rebuilding), (good.user_list, true));
    }

    #[test]
    fn unchanged_top_shows_nothing_new() {
        let first = snapshot("b", &page(5, 1, Rows::Current), vec![None], None, 1.0);
        let same = snapshot("b", &page(5, 2, Rows::Current), vec![None], Some(&first), 2.0);
        let moved = snapshot("b", &page(6, 3, Rows::Current), vec![None], Some(&first), 3.0);
        let renamed = snapshot("b", &page(5, 2, Rows::Current), vec![Some("Zo".into())], Some(&first), 2.0);
        assert!(shows_something_new(None, &first));
        assert!(!shows_something_new(Some(&first), &same));
        assert!(shows_something_new(Some(&first), &moved));
        assert!(shows_something_new(Some(&first), &renamed));
    }
}
