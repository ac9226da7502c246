//! What time it is.

use std::sync::Arc;
use std::time::SystemTime;

/// The wall clock, which may step either way. Handed to whoever says what time it is; intervals
/// are measured by the monotonic clock instead.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
    }

    /// One that says the microseconds since the Unix epoch; for tests, which let it step.
    pub fn new(now_micros: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_micros))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn now_micros(&self) -> i64 {
        (self.0)()
    }
}
