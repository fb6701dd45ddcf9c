//! How identities look, for those who wrote another text in the place of one.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::DeliveryId;

/// What an identity of a delivery, an event or a message looks like.
const ID: &str = "0198c5b2-7f6e-7c3a-9d41-5b8f0a2e6c17";

/// What is said of a text that identifies nothing of this kind: how an identity looks, and what lists those that there are.
pub fn no_id(what: &str, given: &str) -> String {
    let given: String = given.chars().take(60).collect();
    let (known_by, command) = match what {
        "event" => (format!("id, as {ID}"), "events"),
        "incident" => ("number, as 1842".to_owned(), "incidents"),
        _ => (format!("id, as {ID}"), "queue"),
    };
    format!("`{given}` is no {what}'s {known_by}; `watchfire {command} ls` and `/api/v1/{}` list those that are there", plural(what))
}

/// What lists of them are called in paths.
pub fn plural(what: &str) -> &'static str {
    match what {
        "event" => "events",
        "incident" => "incidents",
        _ => "deliveries",
    }
}

/// Identities of deliveries. An error names the text that is none, and its place in the list is known to who reads the list.
pub(super) fn delivery_ids<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<DeliveryId>, D::Error> {
    Ok(Vec::<Named>::deserialize(list)?.into_iter().map(|named| named.0).collect())
}

/// One that says how an identity looks where it is none.
struct Named(DeliveryId);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        text.deserialize_str(OfText)
    }
}

struct OfText;

impl Visitor<'_> for OfText {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a delivery's id, as {ID}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Named, E> {
        text.parse().map(Named).map_err(|_| E::custom(no_id("delivery", text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_identity_is_answered_with_how_one_looks() {
        let delivery = no_id("delivery", "nope");
        let looks = "id, as 0198c5b2-7f6e-7c3a-9d41-5b8f0a2e6c17";
        assert_eq!(delivery, format!("`nope` is no delivery's {looks}; `watchfire queue ls` and `/api/v1/deliveries` list those that are there"));
        let event = no_id("event", &"é".repeat(99));
        assert!(event.starts_with(&format!("`{}` is no event's {looks}; `watchfire events ls`", "é".repeat(60))), "{event}");
        let incident = no_id("incident", "nope");
        assert_eq!(incident, "`nope` is no incident's number, as 1842; `watchfire incidents ls` and `/api/v1/incidents` list those that are there");
    }
}
