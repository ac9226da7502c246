//! Players that are asked for by id.

use super::Api;
use super::answers::{
    BoardOrProblem, Entry, Nickname, OnBoard, PlayerAnswer, PlayerBoardsAnswer, PlayersAnswer, Stand,
    percentile,
};
use super::boards::NEVER;
use super::parameters::{self, BoardPath, IdPath, In, PlayerPath, RankParameter, WindowParameter};
use super::prepared::Prepared;
use crate::etag::IfNoneMatch;
use crate::problem::{Kind, Problem, RankUnknown, ReadProblems};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use board_store::{Place, Reading};
use boards::RankMode;
use contracts::PlayerId;
use futures_util::future::join_all;
use std::sync::Arc;
use tokio::{join, try_join};

/// That the player is not on the board.
pub(super) fn not_on(board: &str, player: &PlayerId) -> Problem {
    Problem::new(Kind::UnknownPlayer, format!("player `{player}` is not on board `{board}`"))
}

/// Where a player stands.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}/players/{id}",
    tag = "boards",
    security((), ("key" = [])),
    params(PlayerPath, RankParameter, WindowParameter),
    responses(
        (status = 200, description = "The player's row", body = PlayerAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
        RankUnknown,
    )
)]
pub(super) async fn player(
    State(api): State<Arc<Api>>,
    In(PlayerPath { board, id }): In<PlayerPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    api.boards.board(&board)?;
    let mode = parameters::of_player(uri.query())?;
    let player = parameters::player("id", id)?;
    let reading = match mode {
        RankMode::Ordinal => api.together.ask(player.clone()).await?,
        RankMode::Competition | RankMode::Dense => {
            let asked = [&player];
            let (reading, mut names) =
                try_join!(api.boards.places(&board, &asked, mode), api.boards.names.get(&asked))?;
            reading.map(|found| (found[0], names.remove(0)))
        }
    };
    let (place, name) = &reading.found;
    let place = place.ok_or_else(|| not_on(&board, &player))?;
    let answer = PlayerAnswer {
        entry: Entry::of_place(&player, place, name, reading.players),
        stand: Stand::of(&board, &reading),
    };
    Ok(Prepared::new(reading.version, &answer).unless(&has))
}

/// Where some players stand.
///
/// Up to 100 ids with commas between them, each percent-encoded: the list is split at its commas
/// first and decoded then, so a comma within an id is `%2C`. An id that is given twice is answered
/// once.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}/players",
    tag = "boards",
    security((), ("key" = [])),
    params(
        BoardPath,
        ("ids" = String, Query, example = "7,42", description = "The ids, each percent-encoded, with commas between", allow_reserved),
        RankParameter,
        WindowParameter,
    ),
    responses(
        (status = 200, description = "The rows of those who are on the board", body = PlayersAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
        RankUnknown,
    )
)]
pub(super) async fn players(
    State(api): State<Arc<Api>>,
    In(BoardPath { board }): In<BoardPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    api.boards.board(&board)?;
    let (players, mode) = parameters::of_players(uri.query())?;
    let players: Vec<&PlayerId> = players.iter().collect();
    let (reading, names) =
        try_join!(api.boards.places(&board, &players, mode), api.boards.names.get(&players))?;
    let mut answer =
        PlayersAnswer { stand: Stand::of(&board, &reading), entries: Vec::new(), not_found: Vec::new() };
    for ((player, place), name) in players.into_iter().zip(&reading.found).zip(&names) {
        match place {
            Some(place) => answer.entries.push(Entry::of_place(player, *place, name, reading.players)),
            None => answer.not_found.push(player),
        }
    }
    Ok(Prepared::new(reading.version, &answer).unless(&has))
}

/// Where a player stands on several boards.
///
/// A board that cannot be answered for, or that the player is not on, has a `problem` in its
/// place; the others are answered.
#[utoipa::path(
    get,
    path = "/v1/players/{id}/boards",
    tag = "boards",
    security((), ("key" = [])),
    params(
        IdPath,
        ("boards" = Option<String>, Query, nullable = false, allow_reserved,
         description = "The boards' names, each percent-encoded, with commas between; all boards without it"),
        RankParameter,
        WindowParameter,
    ),
    responses(
        (status = 200, description = "One item for each board, in the order asked", body = PlayerBoardsAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
    )
)]
pub(super) async fn player_boards(
    State(api): State<Arc<Api>>,
    In(IdPath { id }): In<IdPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let (boards, mode) = parameters::of_player_boards(uri.query())?;
    let player = parameters::player("id", id)?;
    let boards = boards.unwrap_or_else(|| vec![api.boards.default_name().to_owned()]);
    let asked = [&player];
    let readings = join_all(boards.iter().map(|board| api.boards.places(board, &asked, mode)));
    let (readings, names) = join!(readings, api.boards.names.get(&asked));
    let names = names?;
    let on_board = |(board, reading): (_, Result<Reading<Vec<Option<Place>>>, Problem>)| match reading
        .and_then(|reading| match reading.found[0] {
            Some(place) => Ok((place, reading)),
            None => Err(not_on(board, &player)),
        }) {
        Ok((Place { rank, ordinal, score }, reading)) => BoardOrProblem::Board(OnBoard {
            rank,
            score,
            percentile: percentile(ordinal, reading.players),
            stand: Stand::of(board, &reading),
        }),
        Err(problem) => BoardOrProblem::Problem { board, problem: problem.into() },
    };
    let answer = PlayerBoardsAnswer {
        user_id: player.as_str(),
        nickname: Nickname::of(&player, &names[0]),
        boards: boards.iter().map(String::as_str).zip(readings).map(on_board).collect(),
    };
    // Boards have no version in common; the bytes tell answers apart.
    Ok(Prepared::new(NEVER, &answer).unless(&has))
}
