//! What players are called.

use super::languages::{LANGUAGES, Order};

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
/// How many names there are, in one script and in many.
const PAIRS: u64 = 64 * 64;
/// Names of each kind that a language has, of 16.
const OF_A_LANGUAGE: u64 = 16;

/// The names of one run's players: other seeds deal the names out otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    step: u64,
    offset: u64,
    of_the_world: bool,
}

impl Names {
    /// The names that go with a seed, in Latin script.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Fibonacci hashing spreads small seeds. An odd step visits all 4096 pairs once.
        let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { step: (spread >> 40) | 1, offset: spread >> 20, of_the_world: false }
    }

    /// The names that go with a seed, in sixteen languages and their scripts; given name and family
    /// name are of one language and stand in its order.
    #[must_use]
    pub fn of_the_world(seed: u64) -> Self {
        Self { of_the_world: true, ..Self::new(seed) }
    }

    /// Appends player `player`'s name (counted from 1); no two players have the same.
    pub fn write(self, player: u64, out: &mut Vec<u8>) {
        let index = player.wrapping_sub(1);
        let pair = index.wrapping_mul(self.step).wrapping_add(self.offset) % PAIRS;
        let (first, between, last) = if self.of_the_world {
            let language = &LANGUAGES[place(pair / (OF_A_LANGUAGE * OF_A_LANGUAGE))];
            let given = language.given[place(pair / OF_A_LANGUAGE % OF_A_LANGUAGE)];
            let family = language.family[place(pair % OF_A_LANGUAGE)];
            match language.order {
                Order::GivenFirst => (given, " ", family),
                Order::FamilyFirst(between) => (family, between, given),
            }
        } else {
            (GIVEN[place(pair / 64)], " ", FAMILY[place(pair % 64)])
        };
        for part in [first, between, last] {
            out.extend_from_slice(part.as_bytes());
        }
        let round = index / PAIRS;
        if round > 0 {
            out.extend_from_slice(format!(" {}", round + 1).as_bytes());
        }
    }
}

fn place(index: u64) -> usize {
    usize::try_from(index).expect("an index below 64")
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
            for names in [Names::new(seed), Names::of_the_world(seed)] {
                let all: HashSet<String> = (1..=20_000).map(|player| name(names, player)).collect();
                assert_eq!(all.len(), 20_000, "{names:?}");
            }
        }
    }

    #[test]
    fn names_need_no_escaping_in_json_and_are_never_too_long() {
        let of_the_world =
            LANGUAGES.iter().flat_map(|language| language.given.iter().chain(&language.family));
        for text in GIVEN.iter().chain(&FAMILY).chain(of_the_world) {
            assert!(!text.contains(['"', '\\']) && !text.chars().any(char::is_control), "{text}");
            assert!(text.len() < 40);
        }
    }

    #[test]
    fn names_of_the_world_stand_in_the_order_of_their_language() {
        let all: HashSet<String> = (1..=4096).map(|player| name(Names::of_the_world(7), player)).collect();
        for expected in ["Łukasz Wójcik", "佐藤 さくら", "김서연", "王芳", "مريم التميمي", "Nguyễn Minh"]
        {
            assert!(all.contains(expected), "{expected}");
        }
    }

    #[test]
    fn seeds_deal_names_out_otherwise() {
        assert_ne!(name(Names::new(1), 1), name(Names::new(2), 1));
        assert_eq!(name(Names::new(1), 1), name(Names::new(1), 1));
    }
}
