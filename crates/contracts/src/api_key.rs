//! The keys of the HTTP API, as they stand in the file that its operator keeps.
//!
//! ```text
//! # name  role  SHA-256 of the secret, in hex
//! game-server write 2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90
//! ```
//!
//! Whoever reads the file cannot use the API: a secret is never in it. Secrets are random, so one
//! round of SHA-256 keeps them as well as many would.

use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// What a key may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Read boards and players.
    Read,
    /// Send scores and name players.
    Write,
    /// See which keys there are and when they were used.
    Admin,
}

impl Role {
    /// The name in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a role: read, write or admin"))
    }
}

/// The SHA-256 of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretDigest(pub [u8; 32]);

impl SecretDigest {
    /// The digest of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Display for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SecretDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || "the digest must be the 64 hex digits of a SHA-256".to_owned();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fault());
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| fault())?;
        }
        Ok(Self(digest))
    }
}

/// One key: who it is for, what it may do, and how its secret is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Who uses it: 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`. Several keys may have one name, so
    /// that a new secret can come before the old one goes.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The digest of its secret.
    pub digest: SecretDigest,
}

impl ApiKey {
    /// The key of `name` whose secret has this digest.
    ///
    /// # Errors
    /// When the name is not one.
    pub fn new(name: &str, role: Role, digest: SecretDigest) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(allowed) {
            return Err(format!("a key's name must be 1 to {MAX_NAME_BYTES} of a-z, 0-9, `.`, `_`, `-`"));
        }
        Ok(Self { name: name.to_owned(), role, digest })
    }

    /// Reads a file of keys. Empty lines, and what follows a `#`, are skipped.
    ///
    /// # Errors
    /// Everything that is wrong with it, a line each. No fault repeats what the line says: it may
    /// hold a secret by mistake.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, String> {
        let (mut keys, mut faults) = (Vec::<Self>::new(), String::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let fault = match line.parse::<Self>() {
                Ok(key) if keys.iter().any(|known| known.digest == key.digest) => {
                    "the secret stands in an earlier line, too".to_owned()
                }
                Ok(key) => {
                    keys.push(key);
                    continue;
                }
                Err(fault) => fault,
            };
            let separator = if faults.is_empty() { "" } else { "\n" };
            write!(faults, "{separator}line {number}: {fault}").expect("a string takes everything");
        }
        if faults.is_empty() { Ok(keys) } else { Err(faults) }
    }
}

/// The key's line.
impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.role, self.digest)
    }
}

impl FromStr for ApiKey {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [name, role, digest] = parts.as_slice() else {
            return Err(format!("a key is `name role sha256`; this line has {} parts", parts.len()));
        };
        let role = role.parse().map_err(|_| "the role must be read, write or admin".to_owned())?;
        Self::new(name, role, digest.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_survives_its_line() {
        let key = ApiKey::new("game-1", Role::Write, SecretDigest::of(b"secret")).unwrap();
        let line = key.to_string();
        assert_eq!(line, "game-1 write 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
        assert_eq!(line.parse::<ApiKey>(), Ok(key));
    }

    #[test]
    fn roles_include_those_before_them() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
    }

    #[test]
    fn file_of_keys_may_hold_comments_and_two_keys_of_one_name() {
        let (old, new) = (SecretDigest::of(b"old"), SecretDigest::of(b"new"));
        let text = format!("# ours\n\ngame write {old}\n  game  write {new} # from May on\r\n");
        let keys = ApiKey::parse_file(&text).unwrap();
        let digests: Vec<_> = keys.iter().map(|key| (key.name.as_str(), key.digest)).collect();
        assert_eq!(digests, [("game", old), ("game", new)]);
        assert_eq!(ApiKey::parse_file(""), Ok(Vec::new()));
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_nothing_of_the_line() {
        let digest = SecretDigest::of(b"secret");
        let text = format!(
            "game write {digest}\nother read {digest}\ngame write hunter2\nGame write {digest}\n\
             game root {digest}\ngame hunter2\n"
        );
        let faults = ApiKey::parse_file(&text).unwrap_err();
        let lines: Vec<&str> = faults.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5", "line 6"]);
        assert!(!faults.contains("hunter2") && !faults.contains(&digest.to_string()), "{faults}");
    }
}
