//! The live boards: `GET /live-updates/leaderboard` for the default board, and every board that is not
//! per value as Server-Sent Events.
//!
//! A record of the topic `leaderboard` becomes a [`Frame`], the [`Feed`] keeps the newest of each
//! board, and every viewer shows that whenever it changes. Viewers sit on [`Seats`]: so many, no more.

mod frame;

mod feed;

mod origin;
mod seats;
mod viewer;

mod events;

pub use feed::{Feed, Newest};
pub use frame::Frame;
pub use origin::Origins;
pub use seats::Seats;

use crate::access::{Gate, admit};
use crate::api::boards::named;
use crate::problem::{Kind, Problem};
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use boards::BoardSet;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use viewer::Viewer;

/// The largest message that a viewer may send. They have nothing to say on this path.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The default of 128 KiB, taken for every viewer at once, is meant for those who listen.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// What a viewer is held to.
#[derive(Clone, Copy, Debug)]
pub struct ViewerLimits {
    /// How often it is pinged.
    pub ping_every: Duration,
    /// How long nothing may be heard of it: two pings unanswered, and some time.
    pub silence: Duration,
    /// How long taking one frame may last.
    pub write: Duration,
    /// How many messages it may send between two pings.
    pub messages_per_ping: u32,
}

impl Default for ViewerLimits {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(20),
            silence: Duration::from_secs(45),
            write: Duration::from_secs(10),
            messages_per_ping: 60,
        }
    }
}

/// The live boards and who may see them.
pub struct Live {
    /// The boards.
    pub boards: BoardSet,
    /// The frames of each, in their order; of boards per value there are none.
    pub newest: Vec<Option<Newest>>,
    /// The seats.
    pub seats: Seats,
    /// Whose pages may connect.
    pub origins: Origins,
    /// What viewers are held to.
    pub limits: ViewerLimits,
}

impl Live {
    /// The frames of the default board, which is never per value.
    fn of_default(&self) -> Newest {
        self.newest[0].clone().expect("the default board is not per value")
    }

    /// The frames of the board that the API calls so.
    fn of_board(&self, name: &str) -> Result<Newest, Problem> {
        let (index, _) = named(&self.boards, name)?;
        self.newest[index].clone().ok_or_else(|| {
            let detail =
                format!("board `{name}` is one of many, for each value of a tag: it can only be read");
            Problem::new(Kind::NotLive, detail)
        })
    }

    pub(crate) fn routes(self, gate: Gate) -> OpenApiRouter {
        OpenApiRouter::new()
            .route("/live-updates/leaderboard", get(connect))
            .routes(routes!(events::watch))
            .layer(from_fn_with_state(gate, admit))
            .with_state(Arc::new(self))
    }
}

async fn connect(
    State(live): State<Arc<Live>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| Problem::new(Kind::UpgradeRequired, rejection.body_text()))?;
    if !live.origins.allow(&headers) {
        return Err(Problem::new(Kind::OriginNotAllowed, "ALLOWED_ORIGINS does not list it"));
    }
    let seat = live
        .seats
        .take()
        .ok_or_else(|| Problem::new(Kind::TooManyViewers, "no more viewers are taken at the moment"))?;
    let (newest, limits) = (live.of_default(), live.limits);
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        // A frame goes out at once.
        .write_buffer_size(0)
        .on_upgrade(async move |socket| Viewer::new(socket, limits).watch(newest, &seat).await))
}
