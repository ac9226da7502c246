//! Players that are asked for by id.

use super::Api;
use super::answers::{
    BoardOrProblem, Entry, Nickname, OnBoard, PlayerAnswer, PlayerBoardsAnswer, PlayersAnswer, Stand,
    percentile,
};
use super::boards::{NEVER, Subject};
use super::parameters::{
    self, BoardPath, IdPath, In, PlayerBoardsQuery, PlayerPath, PlayersQuery, RankParameter, WindowParameter,
};
use super::prepared::Prepared;
use crate::etag::IfNoneMatch;
use crate::problem::{Kind, Problem, RankUnknown, ReadProblems};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use board_store::{Place, Reading};
use boards::RankMode;
use boards::windows::ALL;
use contracts::PlayerId;
use futures_util::future::join_all;
use std::sync::Arc;
use tokio::join;

/// That the player is not on the board.
pub(super) fn not_on(board: &str, subject: &Subject, player: &PlayerId) -> Problem {
    let within = match subject.window() {
        ALL => String::new(),
        window => format!(" in window `{window}`"),
    };
    Problem::new(Kind::UnknownPlayer, format!("player `{player}` is not on board `{board}`{within}"))
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
    let named = api.boards.named(&board)?;
    let (mode, window) = parameters::of_player(uri.query())?;
    let player = parameters::player("id", id)?;
    let subject = named.in_window(window.as_deref(), api.boards.now())?;
    let reading = match mode {
        // One that the archive may have to be asked about would keep the others waiting.
        RankMode::Ordinal if !api.boards.is_over(&subject) => {
            api.together.ask(subject.clone(), player.clone()).await?
        }
        _ => {
            let reading = api.boards.named_places(&subject, &[&player], mode).await?;
            reading.map(|mut found| found.remove(0))
        }
    };
    let (place, name) = &reading.found;
    let place = place.ok_or_else(|| not_on(&board, &subject, &player))?;
    let answer = PlayerAnswer {
        entry: Entry::of_place(&player, place, name.as_deref(), reading.players),
        stand: Stand::of(&board, subject.window(), &reading),
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
    let named = api.boards.named(&board)?;
    let PlayersQuery { players, mode, window } = PlayersQuery::read(uri.query())?;
    let subject = named.in_window(window.as_deref(), api.boards.now())?;
    let players: Vec<&PlayerId> = players.iter().collect();
    let reading = api.boards.named_places(&subject, &players, mode).await?;
    let stand = Stand::of(&board, subject.window(), &reading);
    let mut answer = PlayersAnswer { stand, entries: Vec::new(), not_found: Vec::new() };
    for (player, (place, name)) in players.into_iter().zip(&reading.found) {
        match *place {
            Some(place) => {
                answer.entries.push(Entry::of_place(player, place, name.as_deref(), reading.players));
            }
            None => answer.not_found.push(player),
        }
    }
    Ok(Prepared::new(reading.version, &answer).unless(&has))
}

/// Where a player stands on several boards.
///
/// A board that cannot be answered for, that does not keep the window, or that the player is not on, has a `problem` in its
/// place; the others are answered.
#[utoipa::path(
    get,
    path = "/v1/players/{id}/boards",
    tag = "boards",
    security((), ("key" = [])),
    params(
        IdPath,
        ("boards" = Option<String>, Query, nullable = false, allow_reserved,
         description = "The boards' names, each percent-encoded, with commas between; without it, all that are not per value"),
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
    let PlayerBoardsQuery { boards, mode, window } = PlayerBoardsQuery::read(uri.query())?;
    let player = parameters::player("id", id)?;
    let boards = boards.unwrap_or_else(|| {
        let whole = api.boards.set().iter().filter(|board| board.per_value.is_none());
        whole.map(|board| board.name.clone()).collect()
    });
    let (asked, now) = ([&player], api.boards.now());
    let places = boards.iter().map(async |board| {
        let subject = api.boards.named(board)?.in_window(window.as_deref(), now)?;
        let reading = api.boards.places(&subject, &asked, mode).await?;
        let place = reading.found[0].ok_or_else(|| not_on(board, &subject, &player))?;
        Ok((subject, reading.map(|_| place)))
    });
    // All of them are on their way at once.
    let (places, names) = join!(join_all(places), api.boards.names.get(&asked));
    let names = names?;
    let answer = PlayerBoardsAnswer {
        user_id: player.as_str(),
        nickname: Nickname::of(&player, names[0].as_deref()),
        boards: boards.iter().zip(&places).map(|(board, place)| on_board(board, place)).collect(),
    };
    // Boards have no version in common; the bytes tell answers apart.
    Ok(Prepared::new(NEVER, &answer).unless(&has))
}

fn on_board<'a>(board: &'a str, place: &'a Result<(Subject, Reading<Place>), Problem>) -> BoardOrProblem<'a> {
    match place {
        Ok((subject, reading)) => {
            let Place { rank, ordinal, score } = reading.found;
            let percentile = percentile(ordinal, reading.players);
            let stand = Stand::of(board, subject.window(), reading);
            BoardOrProblem::Board(OnBoard { stand, rank, score, percentile })
        }
        Err(problem) => BoardOrProblem::Problem { board, problem: problem.clone().into() },
    }
}
