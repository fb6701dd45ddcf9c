//! What a platform calls a message that it accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The ids by which a platform finds a message again that it accepted, to edit, answer, withdraw or look it up: by the names that its API has for
/// them, as `channel` and `ts` for Slack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PlatformIds(BTreeMap<String, String>);

/// The name of an id that was stored before ids had names.
const UNNAMED: &str = "id";
/// The name under which the ids of further copies of a message are kept, as JSON.
const COPIES: &str = "copies";
/// The names under which platforms say in which room a message is: Slack, Telegram and Feishu, Discord. Other ids may count per room.
const ROOMS: [&str; 3] = ["channel", "chat_id", "channel_id"];
/// Copies of a message that are known: the platform accepted it so often, and the answers were lost.
const MAX_COPIES: usize = 3;

impl PlatformIds {
    /// One id; none when there is no value.
    pub fn one(name: &str, value: impl Into<Option<String>>) -> Self {
        Self::default().and(name, value)
    }

    /// With another id; without it when there is no value.
    pub fn and(mut self, name: &str, value: impl Into<Option<String>>) -> Self {
        if let Some(value) = value.into().filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Whether the platform named none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The only one, where the platform has one id for a message.
    pub fn single(&self) -> Option<&str> {
        if self.0.len() == 1 { self.0.values().next().map(String::as_str) } else { None }
    }

    /// The id of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The ids of each copy of the message, its own first.
    pub fn all(&self) -> Vec<Self> {
        let mut own = self.clone();
        let copies: Vec<Self> = own.0.remove(COPIES).and_then(|copies| serde_json::from_str(&copies).ok()).unwrap_or_default();
        std::iter::once(own).chain(copies).filter(|ids| !ids.is_empty()).collect()
    }

    fn of_all(all: Vec<Self>) -> Self {
        let mut all = all.into_iter();
        let own = all.next().unwrap_or_default();
        let copies: Vec<Self> = all.take(MAX_COPIES).collect();
        let copies = (!copies.is_empty()).then(|| serde_json::json!(copies).to_string());
        own.and(COPIES, copies)
    }

    /// With those of one more copy; they are its own where there were none. Of more than three copies the first three are kept.
    pub fn with_copy(&self, copy: &Self) -> Self {
        let mut all = self.all();
        if !all.contains(copy) {
            all.push(copy.clone());
        }
        Self::of_all(all)
    }

    /// Without its own, which are gone: those of its first copy take their place.
    pub fn without_own(&self) -> Self {
        Self::of_all(self.all().into_iter().skip(1).collect())
    }

    /// The room in which the message is, where its platform names one.
    pub fn room(&self) -> Option<&str> {
        ROOMS.iter().find_map(|name| self.get(name))
    }

    /// Whether both name the same room.
    pub fn shares_room(&self, other: &Self) -> bool {
        self.room().is_some() && self.room() == other.room()
    }

    /// Whether both are of one message, of which one may not say in which room it is.
    pub fn is_same_message(&self, other: &Self) -> bool {
        let one_room = self.room().is_none() || other.room().is_none() || self.shares_room(other);
        let (own, others) = (self.without_room(), other.without_room());
        one_room && !own.is_empty() && own == others
    }

    /// Whether both have ids of the same names, whatever they say of the room: they are of one platform and one time.
    pub fn is_named_as(&self, other: &Self) -> bool {
        self.without_room().keys().eq(other.without_room().keys())
    }

    fn without_room(&self) -> BTreeMap<&str, &str> {
        self.iter().filter(|(name, _)| *name != COPIES && !ROOMS.contains(name)).collect()
    }

    /// As a store keeps them: a JSON object; `None` when there are none.
    pub fn to_stored(&self) -> Option<String> {
        (!self.is_empty()).then(|| serde_json::json!(self.0).to_string())
    }

    /// From what a store keeps. A text that is no such object is the only id, from the time before ids had names.
    pub fn from_stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self::one(UNNAMED, text.to_owned()))
    }

    /// The ids by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_store_and_what_was_stored_as_text_stays_readable() {
        let slack = PlatformIds::one("channel", "C1".to_owned()).and("ts", "1.5".to_owned()).and("thread_ts", None);
        let stored = slack.to_stored().unwrap();
        assert_eq!(stored, r#"{"channel":"C1","ts":"1.5"}"#);
        assert_eq!(PlatformIds::from_stored(&stored), slack);
        assert_eq!((slack.single(), PlatformIds::one("sid", "SM1".to_owned()).single()), (None, Some("SM1")));
        for text in ["1795489200.000100", "4711", "\"quoted\"", "[1]", "{\"a\":1}", "null"] {
            assert_eq!(PlatformIds::from_stored(text), PlatformIds::one("id", text.to_owned()), "{text}");
        }
        assert_eq!(PlatformIds::one("id", String::new()).to_stored(), None);
    }

    #[test]
    fn the_copies_of_a_message_are_kept_with_it() {
        let id = |ts: &str| PlatformIds::one("channel", "C1".to_owned()).and("ts", ts.to_owned());
        let one = id("1.0");
        assert_eq!((one.all(), PlatformIds::default().all()), (vec![id("1.0")], Vec::new()));
        assert_eq!((PlatformIds::default().with_copy(&one), one.with_copy(&one)), (one.clone(), one.clone()));
        let two = one.with_copy(&id("2.0"));
        assert_eq!((two.all(), two.get("ts")), (vec![id("1.0"), id("2.0")], Some("1.0")));
        assert_eq!(PlatformIds::from_stored(&two.to_stored().unwrap()), two);
        assert_eq!((two.without_own(), one.without_own()), (id("2.0"), PlatformIds::default()));
        let many = (2..9).fold(one.clone(), |ids, n| ids.with_copy(&id(&format!("{n}.0"))));
        assert_eq!(many.all(), ["1.0", "2.0", "3.0", "4.0"].map(id));
    }

    #[test]
    fn a_room_is_shared_by_its_own_name_only() {
        let slack = |channel: &str, ts: &str| PlatformIds::one("channel", channel.to_owned()).and("ts", ts.to_owned());
        let telegram = |chat: &str, id: &str| PlatformIds::one("chat_id", chat.to_owned()).and("message_id", id.to_owned());
        let feishu = |id: &str| PlatformIds::one("message_id", id.to_owned());
        assert!(
            slack("C1", "1.0").shares_room(&slack("C1", "7.0")) && slack("C1", "1.0").with_copy(&slack("C1", "2.0")).shares_room(&slack("C1", "7.0"))
        );
        assert!(telegram("-1001", "57").shares_room(&telegram("-1001", "58")));
        // Telegram counts messages by chat: the same number in another chat is another message.
        assert!(!telegram("-1001", "57").shares_room(&telegram("-1002", "57")) && !slack("C1", "1.0").shares_room(&slack("C2", "1.0")));
        assert!(!feishu("om_1").shares_room(&feishu("om_1")) && !telegram("-1001", "57").shares_room(&feishu("57")), "no room is named");
        // Feishu's messages were stored without their room once.
        let there = |id: &str| feishu(id).and("chat_id", "oc_1".to_owned());
        assert!(feishu("om_1").is_same_message(&there("om_1")) && there("om_1").is_same_message(&there("om_1")));
        assert!(!feishu("om_1").is_same_message(&there("om_2")) && !telegram("-1001", "57").is_same_message(&telegram("-1002", "57")));
        assert!(feishu("om_1").is_named_as(&there("om_2")) && !PlatformIds::one("id", "57".to_owned()).is_named_as(&telegram("-1001", "57")));
    }
}
