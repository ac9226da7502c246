//! Places, against their definitions.

use crate::support::{board, player};
use boards::ranking::{Bucket, RankMode, RankOfScore};
use boards::{Change, Reached, Standings};
use contracts::EventTime;
use proptest::prelude::*;

fn reached(second: i64) -> Reached {
    Reached::at(EventTime::from_micros(second * 1_000_000).unwrap())
}

/// Players 0, 1, 2, … with these totals and times.
fn standings(order: &str, rows: &[(i64, i64)]) -> Standings {
    let board = board(&format!("order = \"{order}\""));
    let mut standings = Standings::of(&board);
    for (index, (total, second)) in rows.iter().enumerate() {
        standings.change(player(&index.to_string()), Change::of(board.stored(*total), reached(*second)));
    }
    standings
}

fn ranks(standings: &Standings, mode: RankMode) -> Vec<u64> {
    standings.ranking().page(mode, 0, usize::MAX).into_iter().map(|row| row.rank).collect()
}

#[test]
fn three_ways_to_count_places() {
    let standings = standings("desc", &[(9, 1), (7, 2), (7, 1), (4, 1), (4, 2), (4, 3), (-1, 1)]);
    assert_eq!(ranks(&standings, RankMode::Ordinal), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ranks(&standings, RankMode::Competition), [1, 2, 2, 4, 4, 4, 7]);
    assert_eq!(ranks(&standings, RankMode::Dense), [1, 2, 2, 3, 3, 3, 4]);
    let ranking = standings.ranking();
    let place = |mode, player| ranking.place(mode, player).map(|row| (row.rank, row.total));
    assert_eq!(place(RankMode::Ordinal, "2"), Some((2, 7)), "whoever reached it first");
    assert_eq!(place(RankMode::Competition, "1"), Some((2, 7)));
    assert_eq!(place(RankMode::Dense, "6"), Some((4, -1)));
    assert_eq!(place(RankMode::Dense, "stranger"), None);
    assert_eq!(ranking.percentile("0"), Some(100.0));
    assert_eq!(ranking.percentile("6"), Some(100.0 / 7.0));
    assert_eq!(ranking.percentile("stranger"), None);
}

#[test]
fn rank_of_a_score_is_that_of_a_player_who_comes_now() {
    let standings = standings("desc", &[(9, 1), (7, 2), (7, 1), (4, 1)]);
    let rank = |total| {
        let RankOfScore { ordinal, competition, dense, players } = standings.ranking().rank_of_score(total);
        (ordinal, competition, dense, players)
    };
    assert_eq!(rank(10), (1, 1, 1, 0));
    assert_eq!(rank(9), (2, 1, 1, 1));
    assert_eq!(rank(8), (2, 2, 2, 0));
    assert_eq!(rank(7), (4, 2, 2, 2));
    assert_eq!(rank(-99), (5, 5, 4, 0));
    assert_eq!(Standings::default().ranking().rank_of_score(0).ordinal, 1);
}

#[test]
fn around_a_player_there_are_always_as_many_rows_as_can_be() {
    let rows: Vec<(i64, i64)> = (0..7).map(|index| (-index, 1)).collect();
    let standings = standings("desc", &rows);
    let around = |player: &str, size| -> Option<String> {
        let rows = standings.ranking().around(RankMode::Ordinal, player, size)?;
        Some(rows.iter().map(|row| row.player.as_str()).collect())
    };
    for (player, size, rows) in [
        ("3", 1, "3"),
        ("3", 2, "34"),
        ("3", 3, "234"),
        ("3", 4, "2345"),
        ("3", 5, "12345"),
        ("0", 3, "012"),
        ("1", 5, "01234"),
        ("5", 5, "23456"),
        ("6", 3, "456"),
        ("6", 2, "56"),
        ("6", 1, "6"),
        ("3", 7, "0123456"),
        ("3", 100, "0123456"),
        ("3", 0, ""),
    ] {
        assert_eq!(around(player, size).as_deref(), Some(rows), "{player} {size}");
    }
    assert_eq!(around("7", 3), None);
}

#[test]
fn distribution_has_parts_of_equal_width() {
    let bucket = |from, to, players| Bucket { from, to, players };
    let buckets = |totals: &[i64], parts| {
        let rows: Vec<(i64, i64)> = totals.iter().map(|total| (*total, 1)).collect();
        standings("desc", &rows).ranking().distribution(parts)
    };
    assert_eq!(buckets(&[0, 1, 9, 4, 5], 2), [bucket(0, 5, 3), bucket(5, 10, 2)]);
    assert_eq!(buckets(&[-3, 3], 3), [bucket(-3, 0, 1), bucket(0, 3, 0), bucket(3, 6, 1)]);
    assert_eq!(buckets(&[5, 5], 10), [bucket(5, 6, 2)]);
    assert_eq!(buckets(&[], 10), []);
    assert_eq!(buckets(&[1, 2], 0), []);
    let limit = boards::rules::MAX_TOTAL_UNITS;
    assert_eq!(buckets(&[-limit, limit], 2), [bucket(-limit, 1, 1), bucket(1, limit + 2, 1)]);
}

proptest! {
    #[test]
    fn answers_are_what_their_definitions_say(
        order in prop::sample::select(vec!["desc", "asc"]),
        // A total of nothing was reached never.
        rows in prop::collection::vec(
            (-4..5i64, 0..3i64).prop_map(|(total, second)| (total, if total == 0 { 0 } else { second })),
            0..30,
        ),
        total in -6..7i64,
        parts in 1..8usize,
        size in 1..12usize,
    ) {
        let standings = standings(order, &rows);
        let ranking = standings.ranking();
        let better = |one: i64, other: i64| if order == "desc" { one > other } else { one < other };
        let ahead_of = |total: i64| rows.iter().filter(|(other, _)| better(*other, total)).count() as u64;
        let totals_ahead_of = |total: i64| {
            let ahead: std::collections::BTreeSet<i64> =
                rows.iter().map(|(other, _)| *other).filter(|other| better(*other, total)).collect();
            ahead.len() as u64
        };
        let at = |total: i64| rows.iter().filter(|(other, _)| *other == total).count() as u64;
        // Ahead are: better totals, earlier times, greater names.
        let ordinal = |index: usize| {
            let (total, second) = rows[index];
            let ahead = rows.iter().enumerate().filter(|(other, (other_total, other_second))| {
                better(*other_total, total)
                    || (*other_total == total
                        && (*other_second, std::cmp::Reverse(other.to_string()))
                            < (second, std::cmp::Reverse(index.to_string())))
            });
            ahead.count() as u64 + 1
        };
        for (index, (total, _)) in rows.iter().enumerate() {
            let player = index.to_string();
            let place = |mode| ranking.place(mode, &player).unwrap().rank;
            prop_assert_eq!(place(RankMode::Competition), ahead_of(*total) + 1);
            prop_assert_eq!(place(RankMode::Dense), totals_ahead_of(*total) + 1);
            prop_assert_eq!(place(RankMode::Ordinal), ordinal(index));
            prop_assert_eq!(ranking.place(RankMode::Ordinal, &player).unwrap().total, *total);
            let share = 100.0 * (rows.len() as u64 + 1 - ordinal(index)) as f64 / rows.len() as f64;
            prop_assert_eq!(ranking.percentile(&player), Some(share));

            let around = ranking.around(RankMode::Ordinal, &player, size).unwrap();
            prop_assert_eq!(around.len(), size.min(rows.len()));
            let here = around.iter().position(|row| row.player.as_str() == player).unwrap();
            let (first, last) = (around[0].rank, around[around.len() - 1].rank);
            prop_assert_eq!(last - first + 1, around.len() as u64);
            let at_top = first == 1 && here <= (size - 1) / 2;
            let at_end = last == rows.len() as u64 && here >= (size - 1) / 2;
            prop_assert!(here == (size - 1) / 2 || at_top || at_end);
        }
        let rank = ranking.rank_of_score(total);
        prop_assert_eq!(rank.competition, ahead_of(total) + 1);
        prop_assert_eq!(rank.dense, totals_ahead_of(total) + 1);
        prop_assert_eq!(rank.players, at(total));
        prop_assert_eq!(rank.ordinal, ahead_of(total) + at(total) + 1);

        let buckets = ranking.distribution(parts);
        prop_assert_eq!(buckets.iter().map(|bucket| bucket.players).sum::<u64>(), rows.len() as u64);
        prop_assert!(buckets.windows(2).all(|pair| pair[0].to == pair[1].from));
        for Bucket { from, to, players } in &buckets {
            prop_assert_eq!(rows.iter().filter(|(total, _)| (*from..*to).contains(total)).count() as u64, *players);
        }
        let mut widths: Vec<i64> = buckets.iter().map(|bucket| bucket.to - bucket.from).collect();
        widths.dedup();
        prop_assert!(buckets.len() <= parts && widths.len() <= 1 && widths.iter().all(|width| *width > 0));
        let least = rows.iter().map(|(total, _)| *total).min();
        prop_assert_eq!(buckets.first().map(|bucket| bucket.from), least);

        let mut pages = Vec::new();
        for page in 0..=rows.len() / size {
            pages.extend(ranking.page(RankMode::Dense, page * size, size));
        }
        prop_assert_eq!(&pages, &ranking.page(RankMode::Dense, 0, usize::MAX));
        let names: Vec<String> = (0..rows.len() + 1).rev().map(|index| index.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let by_ids = ranking.by_ids(RankMode::Competition, &names);
        let one_by_one: Vec<_> = names.iter().map(|name| ranking.place(RankMode::Competition, name)).collect();
        prop_assert_eq!(by_ids, one_by_one);
    }
}
