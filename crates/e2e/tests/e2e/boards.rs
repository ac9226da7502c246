//! Many boards on real data: the football example, over HTTP, against the oracle.

use boards::{Board, BoardSet, Oracle, RankMode, Standing, Standings};
use e2e::goals::{self, REPLAY_WITH_TEAMS, TOP_TEN};
use e2e::stack::PATIENCE;
use e2e::{Infra, Service, Stack, Viewer, until};
use serde_json::{Value, json};
use std::path::Path;

type Row = (u64, String, f64);

/// Percent-encoded, for any place in a path or query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn entries(page: &Value) -> Vec<Row> {
    let row = |entry: &Value| {
        let player = entry["user_id"].as_str().unwrap_or_default().to_owned();
        (entry["rank"].as_u64().unwrap_or(0), player, entry["score"].as_f64().unwrap_or(f64::NAN))
    };
    page["entries"].as_array().map(|entries| entries.iter().map(row).collect()).unwrap_or_default()
}

/// One of the boards, in a window.
struct View<'a> {
    stack: &'a Stack,
    board: &'a Board,
    name: &'a str,
    window: &'a str,
    standings: &'a Standings,
}

impl View<'_> {
    fn get(&self, below: &str, query: &str) -> Value {
        let (name, window) = (encoded(self.name), encoded(self.window));
        let (_, answer) = self.stack.get(&format!("/v1/boards/{name}{below}?window={window}{query}"));
        answer
    }

    fn rows(&self, rows: &[Standing]) -> Vec<Row> {
        let row = |row: &Standing| (row.rank, row.player.to_string(), self.board.score(row.total).to_f64());
        rows.iter().map(row).collect()
    }

    /// Everything that is asked about it is answered as the oracle says; the first difference otherwise.
    fn compare(&self) -> Result<(), String> {
        let ranking = self.standings.ranking();
        let differs = |what: &str, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
            Err(format!("{what} of {} in {}: {found:?} instead of {expected:?}", self.name, self.window))
        };
        for mode in [RankMode::Ordinal, RankMode::Competition] {
            let rank = format!("&rank={}", mode.as_str());
            let page = self.get("/top", &format!("&limit=100{rank}"));
            let expected = self.rows(&ranking.page(mode, 0, 100));
            if entries(&page) != expected || page["players"] != ranking.players() {
                return differs("top", &page, &expected);
            }
            let middle = &ranking.page(mode, ranking.players() / 2, 1)[0].player;
            let below = format!("/players/{}/around", encoded(middle.as_str()));
            let around = self.get(&below, &format!("&size=5{rank}"));
            let expected = self.rows(&ranking.around(mode, middle.as_str(), 5).unwrap_or_default());
            if entries(&around) != expected {
                return differs("rows around one", &around, &expected);
            }
        }
        let rank_of = self.get("/rank-of", "&score=3");
        let expected = ranking.rank_of_score(3);
        if (&rank_of["ranks"]["ordinal"], &rank_of["players_at"])
            != (&json!(expected.ordinal), &json!(expected.players))
        {
            return differs("rank of 3", &rank_of, &expected);
        }
        let counts: Vec<u64> = ranking.distribution(10).iter().map(|bucket| bucket.players).collect();
        let distribution = self.get("/distribution", "&buckets=10");
        let found: Option<Vec<u64>> = distribution["buckets"]
            .as_array()
            .map(|buckets| buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).collect());
        if found.as_ref() != Some(&counts) {
            return differs("distribution", &distribution, &counts);
        }
        Ok(())
    }
}

/// Waits until every view is answered for as the oracle says; how many there are.
pub(crate) async fn every_view_is_as_the_oracle_says(stack: &Stack, oracle: &Oracle) -> usize {
    let mut compared = 0;
    for (name, window, standings) in oracle.views() {
        let (index, _) = oracle.boards().find(&name).unwrap();
        let board = &oracle.boards()[index];
        let view = View { stack, board, name: &name, window, standings };
        until("the view is right", PATIENCE, async || view.compare()).await;
        compared += 1;
    }
    compared
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_of_a_century_are_ranked_by_decade_and_by_team() {
    let (Some(infra), Some(csv)) = (Infra::from_env(), goals::file()) else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/football.toml");
    let stack = Stack::of_boards(&infra, &file).await;
    let mut viewer = Viewer::connect(&stack.live_url()).await;
    let replay =
        stack.command("score-generator").arg("replay").arg(&csv).args(REPLAY_WITH_TEAMS).output().unwrap();
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));

    let oracle = goals::oracle_of(BoardSet::load(&file).unwrap(), &csv);
    let compared = every_view_is_as_the_oracle_says(&stack, &oracle).await;
    // All time, twelve decades, and a few hundred teams.
    assert!(compared > 200, "{compared}");

    let wanted = TOP_TEN.map(|(name, goals)| (name.to_owned(), goals));
    let frame = viewer.expect(PATIENCE, |frame| frame.rows() == wanted).await;
    assert_eq!((frame.snapshot().board.as_str(), frame.snapshot().window.as_str()), ("goals", "all"));
    let (_, messi) =
        stack.get("/v1/players/Lionel%20Messi/boards?boards=goals,goals-by-team:Argentina,goals-by-team");
    assert_eq!(messi["boards"][0]["score"], 71);
    assert_eq!(messi["boards"][1]["score"], 71);
    assert_eq!(messi["boards"][2]["problem"]["type"], "/problems/unknown-board");
    let (status, problem) = stack.get("/v1/boards/goals-by-team:Uruguay/events");
    assert_eq!((status, problem["type"].as_str()), (404, Some("/problems/not-live")));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_beyond_the_bound_are_counted_archived_and_ranked_elsewhere() {
    let Some(infra) = Infra::from_env() else { return };
    let mut stack = Stack::bare(&infra).await;
    let file = stack.dir().join("boards.toml");
    let boards = "[[board]]\nname = \"game-score\"\n\n\
                  [[board]]\nname = \"team\"\nmatch = { team = \"{team}\" }\nmax_values = 2\n";
    std::fs::write(&file, boards).unwrap();
    for service in [Service::Ranker, Service::Archiver, Service::Controller] {
        stack.spawn(service, service.program(), &[("BOARDS_FILE", file.to_str().unwrap())]);
        stack.ready(service.program()).await;
    }
    let send = async |teams: &[&str]| {
        let event =
            |team: &&str| format!(r#"{{"score":1,"user_id":"p","tags":{{"team":"{team}"}}}}"#).into_bytes();
        // One partition: which values come first is certain.
        stack.produce(&teams.iter().map(|team| (b"p".to_vec(), Some(event(team)))).collect::<Vec<_>>()).await;
    };
    let ranked = async |total: i64| {
        until("all are ranked", PATIENCE, async || {
            let (_, player) = stack.get("/v1/boards/game-score/players/p");
            if player["score"] == total { Ok(()) } else { Err(player.to_string()) }
        })
        .await;
    };
    let without_room = || -> Option<f64> {
        let name = r#"ranker_without_room_total{board="team"} "#;
        stack.metrics("score-ranker").lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
    };
    send(&["reds", "blues", "reds"]).await;
    ranked(3).await;
    assert_eq!(without_room(), None);
    send(&["greens"]).await;
    ranked(4).await;
    until("it is counted", PATIENCE, async || match without_room() {
        Some(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    send(&["reds", "greens"]).await;
    ranked(6).await;
    until("each is counted", PATIENCE, async || match without_room() {
        Some(2.0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    for (team, total) in [("reds", Some(3)), ("blues", Some(1)), ("greens", None)] {
        let (_, page) = stack.get(&format!("/v1/boards/team:{team}/top"));
        assert_eq!(page["entries"][0]["score"].as_i64(), total, "{page}");
        assert_eq!(page["players"], u64::from(total.is_some()), "{page}");
    }
    let postgres = stack.postgres().await;
    let archived = "SELECT count(*) FROM leaderboard.game_score WHERE tags->>'team' = 'greens'";
    until("all are archived", PATIENCE, async || match stack.archived(&postgres).await {
        (6, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(sqlx::query_scalar::<_, i64>(archived).fetch_one(&postgres).await.unwrap(), 2);
}
