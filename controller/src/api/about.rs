//! What boards there are.

use super::Api;
use super::answers::{ALL, BoardAnswer, BoardsAnswer, WindowAnswer};
use super::boards::Boards;
use super::parameters::{self, BoardPath, In};
use super::prepared::Prepared;
use crate::etag::IfNoneMatch;
use crate::problem::{Kind, Problem, ReadProblems};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use board_store::{BoardStore, Rows};
use contracts::Version;
use std::sync::Arc;

/// The boards of this deployment.
#[utoipa::path(
    get,
    path = "/v1/boards",
    tag = "boards",
    security((), ("key" = [])),
    responses(
        (status = 200, description = "Each board with its rules and sizes", body = BoardsAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
    )
)]
pub(super) async fn boards(
    State(api): State<Arc<Api>>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let answer = async {
        parameters::none(uri.query())?;
        let (version, board) = api.boards.described(&api.boards.store).await?;
        Ok(Prepared::new(version, &BoardsAnswer { boards: vec![board] }))
    };
    Ok(api.answers.get(&uri, api.boards.shown_version(), answer).await?.unless(&has))
}

/// One board: its rules, windows and sizes.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}",
    tag = "boards",
    security((), ("key" = [])),
    params(BoardPath),
    responses(
        (status = 200, description = "The board", body = BoardAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
    )
)]
pub(super) async fn board(
    State(api): State<Arc<Api>>,
    In(BoardPath { board }): In<BoardPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let answer = async {
        let store = api.boards.board(&board)?;
        parameters::none(uri.query())?;
        let (version, answer) = api.boards.described(store).await?;
        Ok(Prepared::new(version, &answer))
    };
    Ok(api.answers.get(&uri, api.boards.shown_version(), answer).await?.unless(&has))
}

impl Boards {
    /// What a board is. One that is being mended has the size that viewers were last shown.
    async fn described<'a>(&self, store: &'a BoardStore) -> Result<(Version, BoardAnswer<'a>), Problem> {
        let (version, players, rebuilding) = match self.look(store.all_time().stand(), ()).await {
            Ok(reading) => (reading.version, Some(reading.players), reading.state != Rows::Current),
            Err(problem) if problem.kind == Kind::BoardRebuilding => {
                let newest = self.newest.borrow();
                let players = newest.as_ref().map(|frame| frame.snapshot.players);
                (self.shown_version(), players, true)
            }
            Err(problem) => return Err(problem),
        };
        let window =
            WindowAnswer { window: ALL, epoch: version.epoch, version: version.version, players, rebuilding };
        Ok((version, BoardAnswer::of(store.board(), vec![window])))
    }
}
