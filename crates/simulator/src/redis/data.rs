//! What a server holds: strings, hashes, sets and sorted sets by key.

use super::reply::Fault;
use super::sorted_set::SortedSet;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A string of Redis: any bytes. Copies share them.
pub type ByteString = Arc<[u8]>;
/// Field → value, in the order in which the fields came.
pub type Hash = IndexMap<ByteString, ByteString>;
/// Members, in byte order.
pub type Set = BTreeSet<ByteString>;

/// What stands under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    String(ByteString),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    SortedSet(SortedSet),
}

#[derive(Clone, Debug)]
struct Entry {
    value: Arc<Value>,
    expires_ms: Option<i64>,
}

/// All keys of a server. A copy shares the values until one of the two writes to them: it is
/// what a backup, or a server that lost its tail, comes back with.
#[derive(Clone, Debug, Default)]
pub struct Keyspace {
    entries: BTreeMap<ByteString, Entry>,
    now_ms: i64,
}

/// A kind of value that is made by its first write and gone with its last member.
pub(super) trait Container: Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
    fn is_empty(&self) -> bool;
}

macro_rules! container {
    ($kind:ident) => {
        impl Container for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$kind(found) = value { Some(found) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$kind(found) = value { Some(found) } else { None }
            }
            fn into_value(self) -> Value {
                Value::$kind(self)
            }
            fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }
    };
}
container!(Hash);
container!(Set);
container!(SortedSet);

impl Keyspace {
    /// The keys that have not expired, in byte order, with their values and the instants at
    /// which they expire, in ms.
    pub fn iter(&self) -> impl Iterator<Item = (&ByteString, &Value, Option<i64>)> {
        let alive = self.entries.iter().filter(|(_, entry)| self.is_alive(entry));
        alive.map(|(key, entry)| (key, &*entry.value, entry.expires_ms))
    }

    /// What stands under `key`, unless it has expired.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Value> {
        self.alive(key).map(|entry| &*entry.value)
    }

    /// The model's clock.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Sets the model's clock: keys whose time has come are gone.
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    fn is_alive(&self, entry: &Entry) -> bool {
        entry.expires_ms.is_none_or(|expires_ms| expires_ms > self.now_ms)
    }

    fn alive(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| self.is_alive(entry))
    }

    fn alive_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let now_ms = self.now_ms;
        self.entries.get_mut(key).filter(|entry| entry.expires_ms.is_none_or(|at| at > now_ms))
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.alive(key).is_some()
    }

    /// The value under `key` if it is of the kind asked for.
    pub(super) fn read<T: Container>(&self, key: &[u8]) -> Result<Option<&T>, Fault> {
        self.get(key).map(|value| T::of(value).ok_or(Fault::WRONG_TYPE)).transpose()
    }

    /// The value under `key`, made when it is not there.
    pub(super) fn write<T: Container>(&mut self, key: &[u8]) -> Result<&mut T, Fault> {
        if !self.contains(key) {
            self.put(key, T::default().into_value(), None);
        }
        let entry = self.entries.get_mut(key).expect("it was there or has just been made");
        T::of_mut(Arc::make_mut(&mut entry.value)).ok_or(Fault::WRONG_TYPE)
    }

    /// Takes something out of the value under `key`, and the key away if nothing is left.
    pub(super) fn take<T: Container, R: Default>(
        &mut self,
        key: &[u8],
        take: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Fault> {
        let Some(entry) = self.alive_mut(key) else { return Ok(R::default()) };
        let value = T::of_mut(Arc::make_mut(&mut entry.value)).ok_or(Fault::WRONG_TYPE)?;
        let taken = take(value);
        if value.is_empty() {
            self.entries.remove(key);
        }
        Ok(taken)
    }

    pub(super) fn put(&mut self, key: &[u8], value: Value, expires_ms: Option<i64>) {
        self.entries.insert(key.into(), Entry { value: Arc::new(value), expires_ms });
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let was_alive = self.contains(key);
        self.entries.remove(key);
        was_alive
    }

    /// Puts what stands under `from`, with its expiry, under `to` as well.
    pub(super) fn copy(&mut self, from: &[u8], to: &[u8]) {
        if let Some(entry) = self.alive(from).cloned() {
            self.entries.insert(to.into(), entry);
        }
    }

    /// `None`: no such key; `Some(None)`: it stays for good.
    pub(super) fn expires_ms(&self, key: &[u8]) -> Option<Option<i64>> {
        self.alive(key).map(|entry| entry.expires_ms)
    }

    pub(super) fn expire_at(&mut self, key: &[u8], at_ms: i64) -> bool {
        let now_ms = self.now_ms;
        let Some(entry) = self.alive_mut(key) else { return false };
        entry.expires_ms = Some(at_ms);
        if at_ms <= now_ms {
            self.entries.remove(key);
        }
        true
    }

    pub(super) fn persist(&mut self, key: &[u8]) -> bool {
        self.alive_mut(key).is_some_and(|entry| entry.expires_ms.take().is_some())
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}
