//! How often one client may ask.

use super::ALLOWANCE_HEADERS;
use axum::http::{HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many allowances are remembered: about 10 MB.
const MAX_REMEMBERED: usize = 100_000;
/// How often, at the most, those that are whole again are forgotten. A sweep takes a few
/// milliseconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Whose allowance it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Allowance {
    /// A client's: its IPv4 address, or the network of its IPv6 address, within which it can have
    /// any address it likes.
    Address(IpAddr),
    /// Of all keys of a name.
    Key(String),
}

impl Allowance {
    pub(super) fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }

    pub(super) fn of_key(name: &str) -> Self {
        Self::Key(name.to_owned())
    }
}

type Limiter<C> = RateLimiter<Allowance, DefaultKeyedStateStore<Allowance>, C, StateInformationMiddleware>;

/// The same rate for each allowance.
pub struct Rates<C: Clock + Clone = DefaultClock> {
    limiter: Option<Limiter<C>>,
    clock: C,
    remembered: usize,
    swept_at: Mutex<Option<C::Instant>>,
}

impl Rates {
    /// So many requests a second, and as many at once; 0 means any number.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        NonZeroU32::new(requests)
            .map_or_else(Self::unlimited, |requests| Self::of(Quota::per_second(requests)))
    }

    /// Any number.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::with(None, DefaultClock::default(), MAX_REMEMBERED)
    }

    /// What `quota` says.
    #[must_use]
    pub fn of(quota: Quota) -> Self {
        Self::with(Some(quota), DefaultClock::default(), MAX_REMEMBERED)
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with(quota: Option<Quota>, clock: C, remembered: usize) -> Self {
        let limiter = quota.map(|quota| {
            Limiter::new(quota, DefaultKeyedStateStore::default(), clock.clone()).with_middleware()
        });
        Self { limiter, clock, remembered, swept_at: Mutex::new(None) }
    }

    /// Takes one request out of the allowance; `None` when there is no limit.
    pub(super) fn take(&self, allowance: &Allowance) -> Option<Spent> {
        let limiter = self.limiter.as_ref()?;
        if limiter.len() >= self.remembered && !self.sweep(limiter) {
            return Some(Spent::nothing_left());
        }
        Some(match limiter.check_key(allowance) {
            Ok(left) => Spent::of(left.quota(), left.remaining_burst_capacity(), None),
            Err(refused) => Spent::of(refused.quota(), 0, Some(refused.wait_time_from(self.clock.now()))),
        })
    }

    /// Forgets the allowances that are whole again; says whether there is room now.
    fn sweep(&self, limiter: &Limiter<C>) -> bool {
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let due = |last| governor::clock::Reference::duration_since(&now, last) >= SWEEP_EVERY.into();
        if swept_at.is_none_or(due) {
            limiter.retain_recent();
            *swept_at = Some(now);
        }
        limiter.len() < self.remembered
    }
}

/// What a request has left of an allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spent {
    limit: u32,
    remaining: u32,
    whole_after: Duration,
    refused: Option<Duration>,
}

impl Spent {
    fn of(quota: Quota, remaining: u32, refused: Option<Duration>) -> Self {
        let limit = quota.burst_size().get();
        let missing = limit.saturating_sub(remaining);
        Self { limit, remaining, whole_after: quota.replenish_interval() * missing, refused }
    }

    /// For those who cannot be remembered.
    fn nothing_left() -> Self {
        Self { limit: 0, remaining: 0, whole_after: SWEEP_EVERY, refused: Some(SWEEP_EVERY) }
    }

    /// How long to wait, where there was nothing left.
    pub(super) fn refused(&self) -> Option<Duration> {
        self.refused
    }

    /// The one of which less is left.
    pub(super) fn smaller(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).min_by_key(|spent| (spent.refused.is_none(), spent.remaining))
    }

    /// `RateLimit-Limit` and `-Remaining`, in requests, and `-Reset`, in seconds until the
    /// allowance is whole.
    pub(super) fn headers(&self) -> [(HeaderName, HeaderValue); 3] {
        let [limit, remaining, reset] = ALLOWANCE_HEADERS;
        let seconds = whole_seconds(self.whole_after);
        [(limit, self.limit.into()), (remaining, self.remaining.into()), (reset, seconds.into())]
    }
}

/// Rounded up, so that nobody comes back too early.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn rates(requests: u32, remembered: usize) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_second(NonZeroU32::new(requests).unwrap());
        (Rates::with(Some(quota), clock.clone(), remembered), clock)
    }

    fn key(name: &str) -> Allowance {
        Allowance::of_key(name)
    }

    #[test]
    fn allowance_is_spent_refused_and_refilled() {
        let (rates, clock) = rates(2, 10);
        let first = rates.take(&key("a")).unwrap();
        assert_eq!((first.limit, first.remaining, first.refused), (2, 1, None));
        assert_eq!(rates.take(&key("a")).unwrap().remaining, 0);
        let refused = rates.take(&key("a")).unwrap();
        assert_eq!(refused.refused.map(whole_seconds), Some(1));
        assert_eq!(refused.headers()[2].1, "1");
        assert_eq!(rates.take(&key("b")).unwrap().refused, None, "another's is another's");
        clock.advance(Duration::from_millis(500));
        assert_eq!(rates.take(&key("a")).unwrap().refused, None);
        assert!(rates.take(&key("a")).unwrap().refused.is_some());
    }

    #[test]
    fn memory_is_bounded_and_those_who_have_rested_make_room() {
        let (rates, clock) = rates(1, 3);
        for name in ["a", "b", "c"] {
            assert_eq!(rates.take(&key(name)).unwrap().refused, None);
        }
        for stranger in 0..100 {
            assert!(rates.take(&key(&stranger.to_string())).unwrap().refused.is_some());
        }
        assert_eq!(rates.limiter.as_ref().unwrap().len(), 3);
        clock.advance(Duration::from_secs(5));
        assert_eq!(rates.take(&key("d")).unwrap().refused, None);
        assert_eq!(rates.limiter.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn zero_means_any_number() {
        assert_eq!(Rates::per_second(0).take(&key("a")), None);
        assert!(Rates::per_second(1).take(&key("a")).is_some());
    }

    #[test]
    fn one_client_has_one_allowance_whatever_its_address() {
        let of = |text: &str| Allowance::of_address(text.parse().unwrap());
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::9"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
