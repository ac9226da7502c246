//! Rows that follow one another: pages from the top, and the rows around a player.

use super::answers::{AroundAnswer, Entry, Nickname, PageAnswer, Stand, percentile};
use super::boards::{Boards, Subject};
use super::cursor::Ranked;
use super::parameters::{
    self, AroundQuery, BoardPath, In, PlayerPath, RankParameter, TopQuery, WindowParameter,
};
use super::players::not_on;
use super::prepared::Prepared;
use super::{Api, cursor};
use crate::etag::IfNoneMatch;
use crate::problem::{Kind, Problem, RankUnknown, ReadProblems};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use board_store::{Page, Reading};
use boards::RankMode;
use contracts::{PlayerId, Snapshot, SnapshotEntry};
use std::sync::Arc;

/// A page from the top.
///
/// The cursor of the next page is a place between two rows: while scores move, no row is shown
/// twice for that and none is skipped, but for those that move past it.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}/top",
    tag = "boards",
    security((), ("key" = [])),
    params(
        BoardPath,
        ("limit" = Option<u32>, Query, nullable = false, description = "How many rows", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, nullable = false, description = "The `next` of the page before"),
        RankParameter,
        WindowParameter,
    ),
    responses(
        (status = 200, description = "The page", body = PageAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
        RankUnknown,
    )
)]
pub(super) async fn top(
    State(api): State<Arc<Api>>,
    In(BoardPath { board }): In<BoardPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let named = api.boards.named(&board)?;
    let answer = async {
        let TopQuery { limit, cursor, mode, window } = TopQuery::read(uri.query())?;
        let subject = named.in_window(window.as_deref(), api.boards.now())?;
        let ranked = Ranked::of(&board, subject.window());
        let after = cursor.map(|text| cursor::decode(&text, ranked)).transpose()?;
        let nothing = Page { stages: None, turned_to: None, rows: Vec::new(), has_more: false };
        let page = api.boards.look(
            &subject,
            |reader| reader.page(limit, after.as_ref(), mode),
            |past| past.page(limit, after.as_ref(), mode),
            nothing,
        );
        match page.await {
            Ok(page) => page_of(&api.boards, &board, &subject, &page).await,
            // What viewers have been shown. What comes after it cannot be asked for until the
            // board is back.
            Err(problem) if problem.kind == Kind::BoardRebuilding && after.is_none() => {
                let newest = api.boards.newest(subject.index).map(|newest| newest.borrow());
                let last = newest.as_ref().and_then(|newest| newest.as_ref());
                match last.filter(|frame| frame.snapshot.window == subject.window()) {
                    Some(frame) => Ok(last_good(&board, &frame.snapshot, limit, mode)),
                    None => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        }
    };
    Ok(api.answers.get(&uri, api.boards.shown_version(named.index), answer).await?.unless(&has))
}

async fn page_of(
    boards: &Boards,
    board: &str,
    subject: &Subject,
    page: &Reading<Page>,
) -> Result<Prepared, Problem> {
    let Page { rows, has_more, .. } = &page.found;
    let players: Vec<&PlayerId> = rows.iter().map(|row| &row.player).collect();
    let names = boards.names.get(&players).await?;
    let next = rows.last().filter(|_| *has_more);
    let ranked = Ranked::of(board, subject.window());
    let answer = PageAnswer {
        stand: Stand::of(board, subject.window(), page),
        entries: rows.iter().zip(&names).map(|(row, name)| Entry::of_row(row, name.as_deref())).collect(),
        next: next.map(|row| cursor::encode(&row.cursor(), ranked)),
        has_more: *has_more,
    };
    Ok(Prepared::new(page.version, &answer))
}

fn last_good(board: &str, last: &Snapshot, limit: usize, mode: RankMode) -> Prepared {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (row, place) in last.user_list.iter().zip(1..).take(limit) {
        let SnapshotEntry { score, nickname, user_id, .. } = row;
        let rank = match (entries.last(), mode) {
            (Some(above), RankMode::Competition | RankMode::Dense) if above.score == *score => above.rank,
            (Some(above), RankMode::Dense) => above.rank + 1,
            _ => place,
        };
        let nickname = Nickname::Given(nickname);
        entries.push(Entry { rank, score: *score, user_id, nickname, percentile: None, me: false });
    }
    let has_more = u64::try_from(entries.len()).is_ok_and(|shown| shown < last.players);
    let stand = Stand::of_last_good(board, last);
    Prepared::new(last.version, &PageAnswer { stand, entries, next: None, has_more })
}

/// The rows around a player.
///
/// `size` rows, or all there are. As many stand above the player as below, one less where `size`
/// is even; near an end of the board the other side makes up for what is missing.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}/players/{id}/around",
    tag = "boards",
    security((), ("key" = [])),
    params(
        PlayerPath,
        ("size" = Option<u32>, Query, nullable = false, description = "How many rows", minimum = 1, maximum = 100),
        RankParameter,
        WindowParameter,
    ),
    responses(
        (status = 200, description = "The rows", body = AroundAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
        RankUnknown,
    )
)]
pub(super) async fn around(
    State(api): State<Arc<Api>>,
    In(PlayerPath { board, id }): In<PlayerPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let named = api.boards.named(&board)?;
    let player = parameters::player("id", id)?;
    let AroundQuery { size, mode, window } = AroundQuery::read(uri.query())?;
    let subject = named.in_window(window.as_deref(), api.boards.now())?;
    let rows = api.boards.look(
        &subject,
        |reader| reader.around(&player, size, mode),
        |past| past.around(&player, size, mode),
        Vec::new(),
    );
    let rows = rows.await?;
    if rows.found.is_empty() {
        return Err(not_on(&board, &subject, &player));
    }
    let players: Vec<&PlayerId> = rows.found.iter().map(|row| &row.player).collect();
    let names = api.boards.names.get(&players).await?;
    let entries = rows.found.iter().zip(&names).map(|(row, name)| {
        let me = row.player == player;
        let percentile = me.then(|| percentile(row.ordinal, rows.players));
        Entry { me, percentile, ..Entry::of_row(row, name.as_deref()) }
    });
    let answer =
        AroundAnswer { stand: Stand::of(&board, subject.window(), &rows), entries: entries.collect() };
    Ok(Prepared::new(rows.version, &answer).unless(&has))
}
