//! What an isolate remembers of the database, by a key that other people choose: users, hosts.

use super::users::Read;

/// Entries remembered at most. At some 40 bytes each this is less than half a megabyte.
pub const MAX_CACHED: usize = 10_000;

/// Values that were read, by key.
///
/// Ordered, because a hash map's seed on wasm is the same everywhere: keys could be chosen that all collide. A list, because
/// the code of a tree, for each kind of key, is 5 kB of the Worker, and a new entry moves 200 kB at most, in microseconds.
#[derive(Debug, Default)]
pub struct Cache<K, V>(Vec<(K, Read<V>)>);

impl<K: Ord, V: Copy> Cache<K, V> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What was read last.
    pub fn get(&self, key: &K) -> Option<Read<V>> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, read)| *read)
    }

    /// Remembers what was read. A cache that is full starts again from nothing, which costs a read for each key that comes
    /// back.
    pub fn put(&mut self, key: K, read: Read<V>) {
        if self.0.len() >= MAX_CACHED {
            self.0.clear();
        }
        match self.find(&key) {
            Ok(at) => {
                if let Some((_, known)) = self.0.get_mut(at) {
                    *known = read;
                }
            }
            Err(at) => self.0.insert(at, (key, read)),
        }
    }

    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: u32) -> Read<u32> {
        Read { value, at: 1 }
    }

    #[test]
    fn a_cache_knows_the_last_value_of_each_key() {
        let mut cache = Cache::new();
        for key in [5, 1, 9, 1, 7] {
            cache.put(key, read(key));
        }
        cache.put(9, read(10));
        for (key, expected) in [(1, Some(1)), (5, Some(5)), (7, Some(7)), (9, Some(10)), (2, None)] {
            assert_eq!(cache.get(&key).map(|read| read.value), expected, "{key}");
        }
        assert_eq!(cache.0.len(), 4);
    }

    #[test]
    fn a_full_cache_starts_again_from_nothing() {
        let mut cache = Cache::new();
        let most = u32::try_from(MAX_CACHED).unwrap();
        for key in 0..=most {
            cache.put(key, read(key));
            assert!(cache.0.len() <= MAX_CACHED);
        }
        assert_eq!(cache.get(&0), None);
        assert_eq!(cache.get(&most), Some(read(most)));
    }
}
