//! What the people in a room see, and what made a sound: the messages that a platform keeps, to be edited, answered and deleted.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Messages and sounds that are kept: a test of millions must not fill the memory.
const KEEP: usize = 50_000;

/// A message as its platform keeps it.
#[derive(Debug, Clone, Default)]
pub struct Post {
    /// What a person reads.
    pub text: String,
    /// The first message of the thread that it is in.
    pub parent: Option<String>,
    /// The credential that posted it: no other may edit it.
    pub author: String,
    /// When it was posted, on the fake's monotonic clock.
    pub posted_ms: u64,
    /// How often it was edited.
    pub edits: u32,
    /// What else the platform compares or needs of it.
    pub extra: String,
}

/// The rooms of one platform.
#[derive(Debug, Default)]
pub struct Transcript {
    posts: BTreeMap<u64, (String, Post)>,
    places: HashMap<String, u64>,
    rang: VecDeque<String>,
    counter: u64,
}

impl Transcript {
    /// A new message; `rings` when it makes a sound.
    pub fn post(&mut self, id: impl Into<String>, post: Post, rings: bool) {
        let id = id.into();
        if rings {
            self.ring(&post.text);
        }
        self.counter += 1;
        self.delete(&id);
        self.places.insert(id.clone(), self.counter);
        self.posts.insert(self.counter, (id, post));
        if self.posts.len() > KEEP
            && let Some((_, (oldest, _))) = self.posts.pop_first()
        {
            self.places.remove(&oldest);
        }
    }

    /// Something made a sound.
    pub fn ring(&mut self, text: &str) {
        self.rang.push_back(text.to_owned());
        if self.rang.len() > KEEP {
            self.rang.pop_front();
        }
    }

    /// How many were posted.
    pub fn posted(&self) -> u64 {
        self.counter
    }

    /// The message of that id.
    pub fn get(&self, id: &str) -> Option<&Post> {
        Some(&self.posts.get(self.places.get(id)?)?.1)
    }

    /// Changes a message in its place. No edit makes a sound.
    pub fn edit(&mut self, id: &str, change: impl FnOnce(&mut Post)) {
        if let Some((_, post)) = self.places.get(id).and_then(|place| self.posts.get_mut(place)) {
            post.edits += 1;
            change(post);
        }
    }

    /// Deletes a message; whether it was there.
    pub fn delete(&mut self, id: &str) -> bool {
        self.places.remove(id).and_then(|place| self.posts.remove(&place)).is_some()
    }

    /// Somebody deletes everything.
    pub fn delete_all(&mut self) {
        self.posts.clear();
        self.places.clear();
    }

    /// Every message with its id, in order of their posting.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Post)> {
        self.posts.values().map(|(id, post)| (id.as_str(), post))
    }

    /// What a person reads now, in order.
    pub fn texts(&self) -> Vec<String> {
        self.posts.values().map(|(_, post)| post.text.clone()).collect()
    }

    /// What made a sound, in order, whether it is still there or not.
    pub fn rang(&self) -> Vec<String> {
        self.rang.iter().cloned().collect()
    }
}
