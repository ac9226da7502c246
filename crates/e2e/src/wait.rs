//! Waiting for what must come true.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks `condition` again and again until it answers `Ok`.
///
/// # Panics
/// With the last answer, when `limit` has passed.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let begun = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(last) if begun.elapsed() > limit => panic!("not within {limit:?}: {what}; last seen: {last}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
