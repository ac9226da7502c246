//! What a file means, in words.

use crate::support::{boards, time};

#[test]
fn boards_are_explained_as_they_stand_at_an_instant() {
    let set = boards(
        r#"
        [[board]]
        name = "game-score"

        [[board]]
        name = "laps"
        match = { ranked = "yes", track = "{track}" }
        aggregate = "best"
        order = "asc"
        decimals = 3
        min_score = 10
        max_score = 600
        windows = ["all", "day", "hour"]
        timezone = "Europe/Malta"
        future_limit = "30s"
        [[board.season]]
        name = "summer"
        start = 2026-06-01
        end = 2026-09-01
        [[board.season]]
        name = "winter"
        start = 2026-12-01
        end = 2027-03-01

        [[board]]
        name = "capped"
        max_score = 10
        max_total = 100
        tie_break = "player_id"
        windows = ["week"]
        allowed_lateness = "forever"
        "#,
    );
    let texts: Vec<String> = set.explain(time("2026-10-25T00:30Z")).iter().map(ToString::to_string).collect();
    assert_eq!(texts.join("\n"), include_str!("explained.txt").trim_end());
}
