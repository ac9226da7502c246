//! What holds for every plain request: so many at once, so large, so long; and it is counted.

use crate::problem::{Kind, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// The largest body, where nothing else is said.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long an answer may take. Reads give up well before that; writes that wait for their body,
/// for Kafka and for the board do, too.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// How many requests may still be taken on.
#[derive(Clone)]
pub struct InFlight {
    free: Arc<Semaphore>,
    limit: Duration,
    body_bytes: usize,
    meters: Arc<Meters>,
}

/// The meters of each path and status there was, looked up once.
#[derive(Default)]
struct Meters(RwLock<HashMap<String, HashMap<StatusCode, Meter>>>);

#[derive(Clone)]
struct Meter {
    requests: Counter,
    seconds: Histogram,
}

impl InFlight {
    /// Room for so many requests.
    #[must_use]
    pub fn new(requests: u32) -> Self {
        let free = Arc::new(Semaphore::new(usize::try_from(requests).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { free, limit: REQUEST_LIMIT, body_bytes: MAX_BODY_BYTES, meters: Arc::default() }
    }

    /// The same room, for requests with larger bodies.
    pub(crate) fn with_body(&self, body_bytes: usize) -> Self {
        Self { body_bytes, ..self.clone() }
    }
}

/// Takes the request on, or says at once that it is not.
pub(crate) async fn take_on(State(in_flight): State<InFlight>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = in_flight.answer(request, next).await.unwrap_or_else(Problem::into_response);
    let path = path.as_ref().map_or("other", MatchedPath::as_str);
    in_flight.meters.count(path, response.status(), begun.elapsed());
    response
}

impl Meters {
    fn count(&self, path: &str, status: StatusCode, took: Duration) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let meter = known.get(path).and_then(|of_path| of_path.get(&status)).cloned();
        drop(known);
        let meter = meter.unwrap_or_else(|| {
            let meter = Meter {
                requests: counter!("controller_requests_total",
                    "path" => path.to_owned(), "status" => status.as_str().to_owned()),
                seconds: histogram!("controller_request_seconds", "path" => path.to_owned()),
            };
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.entry(path.to_owned()).or_default().insert(status, meter.clone());
            meter
        });
        meter.requests.increment(1);
        meter.seconds.record(took);
    }
}

impl InFlight {
    async fn answer(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let Ok(_seat) = self.free.try_acquire() else {
            return Err(Problem::new(Kind::TooManyRequests, "no more requests are taken on at the moment"));
        };
        if announced_bytes(&request) > self.body_bytes {
            let detail = format!("at most {} bytes are taken", self.body_bytes);
            return Err(Problem::new(Kind::BodyTooLarge, detail));
        }
        let late = |_| Problem::new(Kind::TimedOut, format!("no answer within {:?}", self.limit));
        timeout(self.limit, next.run(request)).await.map_err(late)
    }
}

/// What the request says of its body's size; one that says nothing is cut off while it is read.
fn announced_bytes(request: &Request) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    /// `/slow` answers when it is told to.
    fn router(in_flight: InFlight) -> (Router, Arc<Notify>) {
        let go = Arc::new(Notify::new());
        let slow = {
            let go = Arc::clone(&go);
            async move || go.notified().await
        };
        let router = Router::new().route("/slow", get(slow)).route("/fast", get(async || "ok"));
        (router.layer(from_fn_with_state(in_flight, take_on)), go)
    }

    fn ask(path: &str) -> Request {
        Request::get(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn one_request_too_many_is_told_at_once() {
        let in_flight = InFlight::new(1);
        let (router, go) = router(in_flight.clone());
        let first = tokio::spawn(router.clone().oneshot(ask("/slow")));
        while in_flight.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let second = router.clone().oneshot(ask("/fast")).await.unwrap();
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.headers()[header::RETRY_AFTER], "1");
        go.notify_one();
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
        assert_eq!(router.oneshot(ask("/fast")).await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn late_answer_is_given_up_and_its_room_is_free_again() {
        let in_flight = InFlight { limit: Duration::from_millis(10), ..InFlight::new(1) };
        let (router, _go) = router(in_flight.clone());
        let response = router.oneshot(ask("/slow")).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(in_flight.free.available_permits(), 1);
    }

    #[tokio::test]
    async fn large_body_is_refused_before_it_is_read() {
        let (router, _go) = router(InFlight::new(1));
        let mut request = ask("/fast");
        request.headers_mut().insert(header::CONTENT_LENGTH, (MAX_BODY_BYTES + 1).into());
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
