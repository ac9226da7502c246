//! `GET /v1/boards/{board}/events`: the snapshots of the websocket as Server-Sent Events.
//!
//! As there, a viewer has no queue: the connection takes the newest frame when it is done with the
//! one before. A viewer that takes nothing is closed by the server, like any client.

use super::feed::Newest;
use super::{Frame, Live};
use crate::api::parameters::{self, BoardPath, In};
use crate::problem::{Kind, Problem, ReadProblems};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use contracts::Version;
use futures_util::future::BoxFuture;
use futures_util::stream;
use metrics::counter;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// After how many milliseconds a viewer whose connection broke is to come back.
const RETRY_MS: u32 = 2_000;
/// What nobody shows: it tells a client, and whatever stands between, that the connection lives.
const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// Watches a board.
///
/// Each event's data is one snapshot, the newest at once and then whenever it changes, as on the
/// websocket. Its id is the board's epoch and version: with `Last-Event-ID` a viewer that has the
/// newest gets nothing until there is a newer one. Slow viewers skip. A board per value cannot be
/// watched (`not-live`).
#[utoipa::path(get, path = "/v1/boards/{board}/events", tag = "live", security((), ("key" = [])),
    params(
        BoardPath,
        ("Last-Event-ID" = Option<String>, Header, nullable = false, description = "The id of the newest event that was seen"),
    ),
    responses((status = 200, description = "Events until the viewer leaves", body = String,
        content_type = "text/event-stream"), ReadProblems))]
pub(super) async fn watch(
    State(live): State<Arc<Live>>,
    In(BoardPath { board }): In<BoardPath>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters::none(query.as_deref())?;
    let newest = live.of_board(&board)?;
    let seat = live
        .seats
        .take()
        .ok_or_else(|| Problem::new(Kind::TooManyViewers, "no more viewers are taken at the moment"))?;
    let viewer = Viewer {
        newest,
        farewell: Box::pin(async move { seat.farewell().await }),
        heartbeat: live.limits.ping_every,
        seen: headers.get("last-event-id").and_then(|id| parse_id(id.to_str().ok()?)),
        last_number: None,
        greeted: false,
    };
    let events = stream::unfold(viewer, |mut viewer| async {
        let next = viewer.next().await?;
        Some((Ok::<_, Infallible>(next), viewer))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((kind, Body::from_stream(events)).into_response())
}

/// A frame as an event. `text` may have line breaks, each of which begins a new line of data.
pub(super) fn event_of(frame: &Frame) -> Bytes {
    let Version { epoch, version } = frame.version();
    let mut event = format!("id: {epoch}-{version}\nevent: snapshot\n");
    for line in frame.text.split(['\n', '\r']) {
        event.extend(["data: ", line, "\n"]);
    }
    event.push('\n');
    event.into()
}

fn parse_id(id: &str) -> Option<Version> {
    let (epoch, version) = id.split_once('-')?;
    Some(Version { epoch: epoch.parse().ok()?, version: version.parse().ok()? })
}

/// One viewer's connection.
struct Viewer {
    newest: Newest,
    /// Holds the seat, and ends when it is to be left.
    farewell: BoxFuture<'static, ()>,
    heartbeat: Duration,
    /// What it had before it came.
    seen: Option<Version>,
    last_number: Option<u64>,
    greeted: bool,
}

impl Viewer {
    /// What it gets next; `None` when it is to leave.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.greeted, true) {
            // What is there already may be news to this viewer.
            self.newest.mark_changed();
            return Some(format!("retry: {RETRY_MS}\n\n").into());
        }
        loop {
            // Each branch waits for one thing and can be dropped without loss.
            tokio::select! {
                changed = self.newest.changed() => {
                    changed.ok()?;
                    let Some(frame) = self.newest.borrow_and_update().clone() else { continue };
                    if self.seen.is_none_or(|seen| frame.version() > seen) {
                        self.seen = None;
                        return Some(self.show(&frame));
                    }
                }
                () = sleep(self.heartbeat) => return Some(HEARTBEAT),
                () = &mut self.farewell => return None,
            }
        }
    }

    fn show(&mut self, frame: &Frame) -> Bytes {
        counter!("controller_frames_sent_total").increment(1);
        if let Some(last) = self.last_number.replace(frame.number) {
            counter!("controller_frames_skipped_total").increment(frame.number.saturating_sub(last + 1));
        }
        frame.event()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_the_snapshot_whatever_its_line_breaks() {
        let frame = Frame::decode(
            br#"{"user_list":[],"current_time_ms":1.0,"board":"b",
"window":"all","epoch":3,"version":14,"players":0}"#,
        )
        .unwrap();
        let event = event_of(&frame);
        let text = std::str::from_utf8(&event).unwrap();
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.join("\n"), frame.text.as_str());
        assert!(text.starts_with("id: 3-14\nevent: snapshot\ndata: {") && text.ends_with("}\n\n"), "{text}");
        assert_eq!(parse_id("3-14"), Some(frame.version()));
        assert_eq!(frame.event(), event);
        assert_eq!(frame.event().as_ptr(), frame.event().as_ptr(), "made once, for all viewers");
    }

    #[test]
    fn ids_that_are_not_ours_are_no_ids() {
        for id in ["", "3", "3-", "-3", "3-4-5", "a-b", "3,4"] {
            assert_eq!(parse_id(id), None, "{id}");
        }
    }
}
