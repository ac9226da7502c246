//! What boards there are.

use super::Api;
use super::answers::{BoardAnswer, BoardsAnswer, WindowAnswer};
use super::boards::{Boards, NEVER, Named};
use super::parameters::{self, BoardPath, In};
use super::prepared::Prepared;
use crate::etag::IfNoneMatch;
use crate::problem::{Kind, Problem, ReadProblems};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use board_store::Rows;
use boards::{View, Window};
use contracts::Version;
use futures_util::future::try_join_all;
use std::sync::Arc;

/// The boards of this deployment.
///
/// Boards per value are one item, without sizes.
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
        let boards = api.boards.set().iter().enumerate().map(async |(index, rules)| {
            let (_, board) = api.boards.described(&rules.name, Named { index, value: None, rules }).await?;
            Ok::<_, Problem>(board)
        });
        let boards = try_join_all(boards).await?;
        // Boards have no version in common; the bytes tell answers apart.
        Ok(Prepared::new(NEVER, &BoardsAnswer { boards }))
    };
    Ok(api.answers.get(&uri, api.boards.shown_versions(), answer).await?.unless(&has))
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
    let named = api.boards.named(&board)?;
    let answer = async {
        parameters::none(uri.query())?;
        let (version, answer) = api.boards.described(&board, named).await?;
        Ok(Prepared::new(version, &answer))
    };
    Ok(api.answers.get(&uri, api.boards.shown_version(named.index), answer).await?.unless(&has))
}

impl Boards {
    /// What the board is that the API calls so. One that is being mended has the size that viewers
    /// were last shown.
    async fn described<'b>(
        &'b self,
        name: &'b str,
        board: Named<'b>,
    ) -> Result<(Version, BoardAnswer<'b>), Problem> {
        let Named { index, value, rules } = board;
        let windows = rules.windows_at(self.now());
        let has_sizes = value.is_some() == rules.per_value.is_some();
        let views: Vec<View> = windows
            .iter()
            .filter(|_| has_sizes)
            .map(|window| View { value: value.map(Into::into), window: Arc::new(window.clone()) })
            .collect();
        let reading = self.look_at(index, self.store(index).sizes(&views), vec![0; views.len()]).await;
        let (version, sizes, rebuilding) = match reading {
            Ok(reading) => (reading.version, reading.found, reading.state != Rows::Current),
            Err(problem) if problem.kind == Kind::BoardRebuilding => {
                (self.shown_version(index), Vec::new(), true)
            }
            Err(problem) => return Err(problem),
        };
        let players = |(at, window): (usize, &Window)| {
            let last = rebuilding.then(|| self.last_size(index, window)).flatten();
            sizes.get(at).copied().or(last)
        };
        let windows = windows
            .iter()
            .enumerate()
            .map(|(at, window)| WindowAnswer::of(rules, window, version, players((at, window)), rebuilding));
        Ok((version, BoardAnswer::of(name, rules, windows.collect())))
    }

    /// How many players viewers were last shown to be in a window.
    fn last_size(&self, index: usize, window: &Window) -> Option<u64> {
        let newest = self.newest(index)?.borrow();
        newest
            .as_ref()
            .filter(|frame| *frame.snapshot.window == *window.id)
            .map(|frame| frame.snapshot.players)
    }
}
