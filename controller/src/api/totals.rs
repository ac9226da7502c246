//! The totals of a board, whoever has them.

use super::Api;
use super::answers::{DistributionAnswer, RankOfAnswer, Ranks, Stand};
use super::parameters::{self, BoardPath, In, WindowParameter};
use super::prepared::Prepared;
use crate::etag::IfNoneMatch;
use crate::problem::{Problem, ReadProblems};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use board_store::RankOf;
use std::sync::Arc;

/// How a board's scores are spread.
///
/// A histogram with exact counts. The ranges are of one width, a whole number of the board's
/// smallest steps; the first begins at the least score, the last holds the greatest. There are as
/// many as that takes, at most `buckets`. Both edges of a range belong to it.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}/distribution",
    tag = "boards",
    security((), ("key" = [])),
    params(
        BoardPath,
        ("buckets" = Option<u32>, Query, nullable = false, description = "How many ranges at most", minimum = 1, maximum = 100),
        WindowParameter,
    ),
    responses(
        (status = 200, description = "The histogram", body = DistributionAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
    )
)]
pub(super) async fn distribution(
    State(api): State<Arc<Api>>,
    In(BoardPath { board }): In<BoardPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let named = api.boards.named(&board)?;
    let answer = async {
        let (buckets, window) = parameters::of_distribution(uri.query())?;
        let subject = named.in_window(window.as_deref(), api.boards.now())?;
        let reading = api.boards.look(
            &subject,
            |reader| reader.distribution(buckets),
            |past| past.distribution(buckets),
            Vec::new(),
        );
        let reading = reading.await?;
        let answer = DistributionAnswer {
            stand: Stand::of(&board, subject.window(), &reading),
            buckets: reading.found.iter().copied().map(Into::into).collect(),
        };
        Ok(Prepared::new(reading.version, &answer))
    };
    Ok(api.answers.get(&uri, api.boards.shown_version(named.index), answer).await?.unless(&has))
}

/// The rank that a score would have.
#[utoipa::path(
    get,
    path = "/v1/boards/{board}/rank-of",
    tag = "boards",
    security((), ("key" = [])),
    params(
        BoardPath,
        ("score" = f64, Query, description = "The score, with no more decimals than the board keeps"),
        WindowParameter,
    ),
    responses(
        (status = 200, description = "Its rank, counted in three ways", body = RankOfAnswer<'_>),
        (status = 304, description = "As the `ETag` in `If-None-Match` says"),
        ReadProblems,
    )
)]
pub(super) async fn rank_of(
    State(api): State<Arc<Api>>,
    In(BoardPath { board }): In<BoardPath>,
    uri: Uri,
    has: IfNoneMatch,
) -> Result<Response, Problem> {
    let named = api.boards.named(&board)?;
    let (units, window) = parameters::of_rank_of(uri.query(), named.rules)?;
    let subject = named.in_window(window.as_deref(), api.boards.now())?;
    let first = RankOf { players_at: 0, ordinal: 1, competition: 1, dense: Some(1) };
    let score = named.rules.score(units);
    let reading =
        api.boards.look(&subject, |reader| reader.rank_of(units), |past| past.rank_of(score), first).await?;
    let RankOf { players_at, ordinal, competition, dense } = reading.found;
    let answer = RankOfAnswer {
        stand: Stand::of(&board, subject.window(), &reading),
        score,
        ranks: Ranks { ordinal, competition, dense },
        players_at,
    };
    Ok(Prepared::new(reading.version, &answer).unless(&has))
}
