//! Who may watch, and until when.

use metrics::gauge;
use service::Stop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Viewers are sent away over at most this time, so that they do not all come back at once.
const FAREWELL_LONGEST: Duration = Duration::from_secs(2);
/// Few viewers need no such care: this much time for each of them is enough.
const FAREWELL_PER_VIEWER: Duration = Duration::from_millis(1);

/// The seats for viewers.
#[derive(Clone)]
pub struct Seats {
    free: Arc<Semaphore>,
    total: u32,
    taken_ever: Arc<AtomicU64>,
    stop: Stop,
}

/// One viewer's seat, free again when it is dropped.
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
    number: u64,
    seats: Seats,
}

impl Seats {
    /// `total` seats, which are to be left when `stop` is cancelled.
    #[must_use]
    pub fn new(total: u32, stop: Stop) -> Self {
        let free = Arc::new(Semaphore::new(to_usize(total)));
        Self { free, total, taken_ever: Arc::default(), stop }
    }

    /// A seat, while there are any and nobody is being sent away.
    pub(super) fn take(&self) -> Option<Seat> {
        if self.stop.is_cancelled() {
            return None;
        }
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        gauge!("controller_viewers").increment(1);
        let number = self.taken_ever.fetch_add(1, Ordering::Relaxed);
        Some(Seat { _permit: permit, number, seats: self.clone() })
    }

    /// How many seats are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        to_usize(self.total).saturating_sub(self.free.available_permits())
    }

    /// Waits until everybody has left. Nobody gets a seat from then on.
    pub async fn empty(&self) {
        // The error says that it was closed already: by another who waited here.
        drop(self.free.acquire_many(self.total).await);
        self.free.close();
    }
}

impl Seat {
    /// Returns when this viewer is to be sent away.
    pub(super) async fn farewell(&self) {
        self.seats.stop.cancelled().await;
        let viewers = u32::try_from(self.seats.taken()).unwrap_or(u32::MAX);
        let over = FAREWELL_PER_VIEWER.saturating_mul(viewers).min(FAREWELL_LONGEST);
        tokio::time::sleep(over.mul_f64(place_in_line(self.number))).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        gauge!("controller_viewers").decrement(1);
    }
}

/// From 0 to 1, evenly spread over any run of numbers: the fractions of multiples of the golden
/// ratio.
fn place_in_line(number: u64) -> f64 {
    let fraction = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    fraction as f64 / f64::from(u32::MAX)
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_come_back() {
        let seats = Seats::new(2, Stop::new());
        let (first, second) = (seats.take(), seats.take());
        assert!(first.is_some() && second.is_some() && seats.take().is_none());
        drop(first);
        assert_eq!(seats.taken(), 1);
        assert!(seats.take().is_some());
    }

    #[test]
    fn nobody_is_seated_while_everybody_is_sent_away() {
        let stop = Stop::new();
        let seats = Seats::new(2, stop.clone());
        stop.cancel();
        assert!(seats.take().is_none());
    }

    #[test]
    fn farewells_are_spread_evenly() {
        for first in [0, 1_000, u64::MAX - 500] {
            let mut tenths = [0u32; 10];
            for number in (0..1_000).map(|step| first.wrapping_add(step)) {
                let tenth = (0..10).rfind(|tenth| place_in_line(number) * 10.0 >= f64::from(*tenth));
                tenths[usize::try_from(tenth.unwrap()).unwrap()] += 1;
            }
            assert!(tenths.iter().all(|count| (90..=110).contains(count)), "{tenths:?}");
        }
    }
}
