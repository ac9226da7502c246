//! Who plays how often.
//!
//! A few play a lot and most play little: player `k` of `n` has the weight `1/k^s` (Zipf). The
//! weights are whole numbers and the draw is a search in their sums, so the same random number
//! picks the same player on every machine. The power is made of products and square roots
//! only, which IEEE 754 rounds the same everywhere; `powf` differs between C libraries.

/// The weight of the first player. With ten million players the sum still fits.
const FIRST_WEIGHT: f64 = 1e12;
/// How many binary digits of the exponent's fraction count.
const FRACTION_BITS: u32 = 32;

/// How many binary digits of a random number the guide knows at most: 16 MB of it.
const MAX_GUIDE_BITS: u32 = 22;

/// A lottery in which each player holds tickets.
#[derive(Clone, Debug)]
pub struct Popularity {
    players: usize,
    /// `None` where all hold the same number.
    tickets: Option<Tickets>,
}

#[derive(Clone, Debug)]
struct Tickets {
    /// How many the players up to each one hold together.
    up_to: Vec<u64>,
    /// Where the search begins for random numbers with these first digits; it ends where that of the
    /// next ones begins. There are as many as players, so most draws find their player at once.
    guide: Vec<u32>,
    guide_bits: u32,
}

impl Popularity {
    /// `players` players, the k-th with a weight of `1 / k^exponent`; at least one ticket each.
    ///
    /// # Panics
    /// Without players: there would be nobody to draw.
    #[must_use]
    pub fn zipf(players: u32, exponent: f64) -> Self {
        assert!(players > 0, "a lottery needs players");
        let tickets = (exponent > 0.0).then(|| Tickets::zipf(players, exponent));
        Self { players: players as usize, tickets }
    }

    /// How many players there are.
    #[must_use]
    pub fn players(&self) -> usize {
        self.players
    }

    /// The player (counted from 1) that a uniformly drawn `random` picks.
    #[must_use]
    pub fn pick(&self, random: u64) -> usize {
        match &self.tickets {
            // A search among a million would be a fifth of what an event costs.
            None => index(scale(random, self.players as u64)) + 1,
            Some(tickets) => tickets.holder(random) + 1,
        }
    }
}

impl Tickets {
    fn zipf(players: u32, exponent: f64) -> Self {
        let up_to: Vec<u64> = (1..=players)
            .scan(0u64, |sum, rank| {
                *sum += tickets(f64::from(rank), exponent);
                Some(*sum)
            })
            .collect();
        let all = up_to.last().copied().unwrap_or(0);
        let guide_bits = players.next_power_of_two().trailing_zeros().clamp(1, MAX_GUIDE_BITS);
        let (mut first, mut remaining) = (0, up_to.iter().peekable());
        let first_of = |digits: u64| {
            let ticket = scale(digits << (u64::BITS - guide_bits), all);
            while remaining.next_if(|up_to| **up_to <= ticket).is_some() {
                first += 1;
            }
            first
        };
        let guide = (0..1 << guide_bits).map(first_of).chain([players]).collect();
        Self { up_to, guide, guide_bits }
    }

    /// Who holds the ticket that `random` draws, counted from 0.
    fn holder(&self, random: u64) -> usize {
        let all = self.up_to.last().copied().unwrap_or(0);
        let ticket = scale(random, all);
        let digits = index(random >> (u64::BITS - self.guide_bits));
        let (from, to) = (self.guide[digits] as usize, self.guide[digits + 1] as usize);
        from + self.up_to[from..to].partition_point(|up_to| *up_to <= ticket)
    }
}

/// `random` brought from the whole range of `u64` to `0..below`. The bias is under `below / 2^64`.
#[must_use]
pub fn scale(random: u64, below: u64) -> u64 {
    let product = u128::from(random) * u128::from(below);
    u64::try_from(product >> 64).expect("the upper half of a 128-bit product has 64 bits")
}

/// A place in what is kept of all players.
pub(super) fn index(number: u64) -> usize {
    usize::try_from(number).expect("places fit into memory")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 1 to 10^12")]
fn tickets(rank: f64, exponent: f64) -> u64 {
    (FIRST_WEIGHT / power(rank, exponent)).max(1.0) as u64
}

/// `base^exponent` for exponents from 0, by multiplication and repeated square roots.
fn power(base: f64, exponent: f64) -> f64 {
    let mut result = 1.0;
    let mut whole = exponent.floor();
    while whole > 0.0 {
        result *= base;
        whole -= 1.0;
    }
    let mut fraction = exponent.fract();
    let mut root = base;
    for _ in 0..FRACTION_BITS {
        if fraction == 0.0 {
            break;
        }
        root = root.sqrt();
        fraction *= 2.0;
        if fraction >= 1.0 {
            result *= root;
            fraction -= 1.0;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    fn frequencies(players: u32, exponent: f64, draws: u32) -> Vec<f64> {
        let popularity = Popularity::zipf(players, exponent);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut counts = vec![0.0; players as usize];
        for _ in 0..draws {
            counts[popularity.pick(rng.next_u64()) - 1] += 1.0 / f64::from(draws);
        }
        counts
    }

    #[test]
    fn players_are_drawn_as_zipf_says() {
        for exponent in [0.5, 1.0, 1.3, 2.0] {
            let expected: Vec<f64> = (1..=50).map(|rank| f64::from(rank).powf(-exponent)).collect();
            let sum: f64 = expected.iter().sum();
            for (rank, frequency) in frequencies(50, exponent, 400_000).into_iter().enumerate() {
                let expected = expected[rank] / sum;
                let deviation = (expected / 400_000.0).sqrt();
                assert!((frequency - expected).abs() < 5.0 * deviation, "s={exponent} rank={}", rank + 1);
            }
        }
    }

    #[test]
    fn exponent_zero_draws_all_alike() {
        for frequency in frequencies(10, 0.0, 200_000) {
            assert!((frequency - 0.1).abs() < 0.005, "{frequency}");
        }
    }

    #[test]
    fn both_ends_of_the_lottery_are_players() {
        let popularity = Popularity::zipf(1000, 1.0);
        assert_eq!(popularity.pick(0), 1);
        assert_eq!(popularity.pick(u64::MAX), 1000);
        assert_eq!(Popularity::zipf(1, 10.0).pick(u64::MAX), 1);
    }

    #[test]
    fn unlikely_players_still_hold_a_ticket() {
        let popularity = Popularity::zipf(100_000, 10.0);
        assert!(popularity.tickets.unwrap().up_to.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn ten_million_equal_players_fit() {
        assert_eq!(Popularity::zipf(10_000_000, 0.0).pick(u64::MAX), 10_000_000);
    }

    proptest! {
        #[test]
        fn guide_leads_to_whoever_holds_the_ticket(players in 1u32..5000, exponent in 0.0f64..3.0, random: u64) {
            let tickets = Tickets::zipf(players, exponent);
            let of_guide = u64::MAX << (u64::BITS - tickets.guide_bits);
            for random in [random, random & of_guide, random | !of_guide] {
                let ticket = scale(random, *tickets.up_to.last().unwrap());
                let holder = tickets.holder(random);
                prop_assert!(ticket < tickets.up_to[holder]);
                prop_assert!(holder == 0 || tickets.up_to[holder - 1] <= ticket);
            }
        }

        #[test]
        fn players_with_the_same_tickets_are_found_without_looking(players in 1u32..5000, random: u64) {
            let found = Popularity::zipf(players, 0.0).pick(random);
            prop_assert_eq!(found, Tickets::zipf(players, 0.0).holder(random) + 1);
        }

        #[test]
        fn power_is_that_of_the_standard_library(rank in 1u32..10_000_000, exponent in 0.0f64..5.0) {
            let (ours, theirs) = (power(f64::from(rank), exponent), f64::from(rank).powf(exponent));
            prop_assert!((ours / theirs - 1.0).abs() < 1e-7, "{} {}", ours, theirs);
        }
    }
}
