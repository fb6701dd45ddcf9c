//! What the query of a bridge's address says: names and values, whom a parameter names, and whom `at` pings.

use std::collections::HashSet;

use crate::channel::Reach;
use crate::channel::kit::phone;
use crate::http::pairs::pairs;
use crate::model::{Mentions, Recipient};

/// The names and values of a query.
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        Self(pairs(query).collect())
    }

    /// Whom a parameter names, each once and as many as may be ([`most`]); `prefix` is what the channel writes before their addresses.
    pub(super) fn people(&self, parameter: &'static str, reach: Reach, prefix: &str) -> People {
        let mut people = People { parameter, reach, to: Vec::new(), cut: false };
        let mut seen = HashSet::new();
        for text in self.get(parameter).split([',', '|']).map(str::trim).filter(|text| !text.is_empty()) {
            let one = Recipient::new(format!("{prefix}{text}"));
            if !seen.insert(address_of(reach, text)) {
                continue;
            }
            if people.to.len() == most(reach) || !one.is_sound() || text.chars().any(char::is_control) {
                people.cut = true;
                continue;
            }
            people.to.push(one);
        }
        people
    }

    /// A value; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// Whom a parameter names.
pub(super) struct People {
    pub(super) parameter: &'static str,
    /// What their addresses are: a channel takes them that reaches people by these.
    pub(super) reach: Reach,
    pub(super) to: Vec<Recipient>,
    /// Whether it names more than [`most`], or what is no address.
    pub(super) cut: bool,
}

/// What an address is, in whatever way it is written.
fn address_of(reach: Reach, text: &str) -> String {
    match reach {
        Reach::Mobile => phone::e164(text).unwrap_or_else(|| text.to_owned()),
        Reach::Email => text.to_ascii_lowercase(),
        _ => text.to_owned(),
    }
}

/// People that one parameter names at most. Of each mobile number the store is asked what it was sent; WeCom takes 1,000 members in one request
/// (<https://developer.work.weixin.qq.com/document/path/90236>).
fn most(reach: Reach) -> usize {
    if reach == Reach::Mobile { 50 } else { 1000 }
}

/// People that one address pings at most.
const MAX_PINGED: usize = 50;

/// Whom `at` pings: everybody, mobile numbers, or ids of the platform. What can be neither is left out: anybody may have written the address.
pub(super) fn mentions(at: &str) -> Option<Mentions> {
    let mut mentions = Mentions::default();
    let sound = |one: &&str| (1..=128).contains(&one.len()) && one.chars().all(|c| c.is_alphanumeric() || "_-.@+".contains(c));
    for one in at.split([',', '|']).map(str::trim).filter(sound).take(MAX_PINGED) {
        let digits = one.trim_start_matches('+');
        match one {
            "all" | "@all" => mentions.all = true,
            _ if phone::mainland_mobile(one).is_some() => mentions.mobiles.push(one.to_owned()),
            _ if digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_digit()) => mentions.mobiles.push(one.to_owned()),
            _ => mentions.users.push(one.to_owned()),
        }
    }
    Some(mentions).filter(|mentions| !mentions.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_pings_numbers_people_or_everybody() {
        let read = mentions("13800000001, zhangsan|+8613900000002,all").unwrap();
        assert_eq!((read.all, read.mobiles, read.users), (true, vec!["13800000001".into(), "+8613900000002".into()], vec!["zhangsan".to_owned()]));
        assert_eq!(mentions("0086-138-1234-5678").unwrap().mobiles, ["0086-138-1234-5678"]);
        assert_eq!(mentions(" , "), None);
        assert_eq!(mentions("x></at>[Log in](https://evil.example)<at id=y"), None, "markup names nobody");
        assert_eq!(mentions(&"ann,".repeat(1000)).unwrap().users.len(), MAX_PINGED);
    }

    #[test]
    fn a_parameter_names_so_many_people_and_only_addresses() {
        let many: Vec<String> = (0..5000).map(|n| (13_800_000_000_u64 + n).to_string()).collect();
        let list = |list: &str| {
            let people = Query(vec![("phone".into(), list.into())]).people("phone", Reach::Mobile, "");
            (people.to, people.cut)
        };
        let (to, cut) = list(&many.join(","));
        assert_eq!((to.len(), &to[0], cut), (50, &Recipient::new("13800000000"), true));
        assert_eq!(list(&many[..50].join("|")).0.len(), 50);
        assert!(!list(&many[..50].join("|")).1, "fifty are not too many");
        assert_eq!(list("13800000000,+8613800000000,8613800000000").0, [Recipient::new("13800000000")], "one number in three ways");
        let members = Query(vec![("wxuser".into(), many.join("|"))]).people("wxuser", Reach::Id("wecom"), "");
        assert_eq!((members.to.len(), members.cut), (1000, true));
        let long = many[..400].join(";");
        assert_eq!(list(&format!("{long},13800000000,1380\u{1}0")), (vec![Recipient::new("13800000000")], true), "what is no address is left out");
        assert_eq!(list(&long), (Vec::new(), true));
        assert_eq!(list("13800000000, 13800000000"), (vec![Recipient::new("13800000000")], false));
    }
}
