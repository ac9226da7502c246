//! What players are called.

/// Given names and family names: 64 × 64, no two pairs alike.
const GIVEN: [&str; 64] = [
    "Ada", "Aisha", "Alba", "Amara", "Anders", "Ángel", "Anouk", "Arjun", "Astrid", "Ayumi", "Beatriz",
    "Bilal", "Björn", "Bruno", "Camille", "Chiara", "Chidi", "Dalia", "Daniel", "Deniz", "Dmitri", "Elif",
    "Emeka", "Emma", "Farah", "Felipe", "Freya", "Gabriel", "Giulia", "Hana", "Hugo", "Ines", "Ivan",
    "Jasper", "Jiho", "José", "Jun", "Kaia", "Karim", "Leila", "Léo", "Liam", "Linh", "Lucía", "Mateo",
    "Mei", "Mila", "Nadia", "Noah", "Nora", "Olu", "Omar", "Paula", "Priya", "Ravi", "Rosa", "Samir",
    "Sofia", "Tariq", "Thandi", "Tomás", "Yara", "Zoë", "Zuzana",
];
const FAMILY: [&str; 64] = [
    "Abela",
    "Adeyemi",
    "Ahmed",
    "Andersson",
    "Baker",
    "Bauer",
    "Bianchi",
    "Borg",
    "Carter",
    "Castillo",
    "Çelik",
    "Chen",
    "Costa",
    "Cruz",
    "Da Silva",
    "Dubois",
    "Eriksen",
    "Farrugia",
    "Fernández",
    "Fischer",
    "García",
    "Grech",
    "Haddad",
    "Hansen",
    "Horvat",
    "Ibrahim",
    "Ito",
    "Jansen",
    "Johnson",
    "Kaya",
    "Kim",
    "Kovács",
    "Kowalski",
    "Larsen",
    "Lee",
    "Lopez",
    "Martin",
    "Mbeki",
    "Mensah",
    "Meyer",
    "Moreau",
    "Müller",
    "Nakamura",
    "Nguyen",
    "Nowak",
    "O'Brien",
    "Okafor",
    "Okonkwo",
    "Patel",
    "Pereira",
    "Petrov",
    "Popescu",
    "Rossi",
    "Sato",
    "Schmidt",
    "Sharma",
    "Singh",
    "Smith",
    "Tanaka",
    "Vella",
    "Walker",
    "Wang",
    "Yilmaz",
    "Zammit",
];
const PAIRS: u64 = 64 * 64;

/// The names of one run's players: other seeds deal the names out otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    step: u64,
    offset: u64,
}

impl Names {
    /// The names that go with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Fibonacci hashing spreads small seeds. An odd step visits all 4096 pairs once.
        let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { step: (spread >> 40) | 1, offset: spread >> 20 }
    }

    /// Appends player `player`'s name (counted from 1); no two players have the same.
    pub fn write(self, player: u64, out: &mut Vec<u8>) {
        let index = player.wrapping_sub(1);
        let pair = index.wrapping_mul(self.step).wrapping_add(self.offset) % PAIRS;
        let (given, family) = (entry(&GIVEN, pair / 64), entry(&FAMILY, pair % 64));
        out.extend_from_slice(given.as_bytes());
        out.push(b' ');
        out.extend_from_slice(family.as_bytes());
        let round = index / PAIRS;
        if round > 0 {
            out.extend_from_slice(format!(" {}", round + 1).as_bytes());
        }
    }
}

fn entry(names: &[&'static str; 64], index: u64) -> &'static str {
    names[usize::try_from(index).expect("an index below 64")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn name(names: Names, player: u64) -> String {
        let mut out = Vec::new();
        names.write(player, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_two_players_share_a_name() {
        for seed in [0, 1, 42, u64::MAX] {
            let all: HashSet<String> = (1..=20_000).map(|player| name(Names::new(seed), player)).collect();
            assert_eq!(all.len(), 20_000, "seed {seed}");
        }
    }

    #[test]
    fn names_need_no_escaping_in_json_and_are_never_too_long() {
        for text in GIVEN.iter().chain(&FAMILY) {
            assert!(!text.contains(['"', '\\']) && !text.chars().any(char::is_control), "{text}");
            assert!(text.len() < 40);
        }
    }

    #[test]
    fn seeds_deal_names_out_otherwise() {
        assert_ne!(name(Names::new(1), 1), name(Names::new(2), 1));
        assert_eq!(name(Names::new(1), 1), name(Names::new(1), 1));
    }
}
