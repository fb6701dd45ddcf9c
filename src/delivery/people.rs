//! People: how a message reaches one of them, and what they may do by the buttons of messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::channel::registry::Who;
use crate::channel::{Address, Platform, Presser, Reach};
use crate::model::{Language, Mentions, Recipient, Severity, UnixMs, Verb};
use crate::route::TimeInterval;

/// The name of a person in the configuration.
pub type PersonName = Arc<str>;

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name in the configuration.
    pub name: PersonName,
    /// The name that readers see, where it is not the same.
    pub full_name: Option<String>,
    /// The language of what is sent to them alone; `None`: the channel's.
    pub language: Option<Language>,
    /// The mail address.
    pub email: Option<String>,
    /// The mobile number, as E.164: `+8613800000000`.
    pub mobile: Option<String>,
    /// The ids on platforms, by the keys that [`Reach`] names.
    pub ids: BTreeMap<&'static str, String>,
    /// When steps of escalations leave them alone.
    pub quiet: Option<Quiet>,
}

/// When steps of escalations leave somebody alone.
#[derive(Debug, Clone)]
pub struct Quiet {
    /// In any of these.
    pub intervals: Vec<Arc<TimeInterval>>,
    /// What is at least so severe reaches them anyway.
    pub unless: Severity,
}

/// How a message is sent so that it reaches somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To this recipient.
    To(Recipient),
    /// To the channel's own recipients, with this mention.
    Mention(Mentions),
}

impl Person {
    /// The name that readers see.
    pub fn shown(&self) -> &str {
        self.full_name.as_deref().unwrap_or(&self.name)
    }

    /// The id under a key; `email` is the mail address.
    fn id(&self, key: &str) -> Option<&str> {
        if key == "email" { self.email.as_deref() } else { self.ids.get(key).map(String::as_str) }
    }

    /// Whether a step leaves the person alone, of which the most severe alert has this rank.
    pub fn is_quiet(&self, rank: i64, at: UnixMs) -> bool {
        let holds = |quiet: &Quiet| rank > quiet.unless.rank() && quiet.intervals.iter().any(|interval| interval.contains(at.timestamp()));
        self.quiet.as_ref().is_some_and(holds)
    }

    /// The address by which a channel looks up the person's id, of those that it can.
    pub fn looked_up_by(&self, addresses: &[Address]) -> Option<(Address, &str)> {
        let of = |address: Address| match address {
            Address::Email => self.email.as_deref(),
            Address::Mobile => self.mobile.as_deref(),
        };
        addresses.iter().find_map(|address| Some((*address, of(*address)?)))
    }

    /// Whether a platform can reach the person, perhaps by an id that is looked up by one of these addresses.
    pub fn is_reached(&self, platform: &Platform, looks_up: &[Address]) -> bool {
        self.way(platform).is_ok() || self.looked_up_by(looks_up).is_some()
    }

    /// How a platform reaches the person, by an id that was looked up.
    pub fn way_by(&self, platform: &Platform, id: String) -> Result<Way, &'static str> {
        match platform.pings.person {
            Reach::Id(_) => Ok(Way::To(Recipient::new(id))),
            Reach::Mention(_) => Ok(Way::Mention(Mentions { users: vec![id], ..Mentions::default() })),
            Reach::Mobile | Reach::Email | Reach::Nobody => self.way(platform),
        }
    }

    /// How a platform reaches the person. The error is the key in `people:` that is missing; empty where the platform reaches nobody by name.
    pub fn way(&self, platform: &Platform) -> Result<Way, &'static str> {
        let to = |address: &Option<String>, key| address.as_deref().map(|address| Way::To(Recipient::new(address))).ok_or(key);
        match platform.pings.person {
            Reach::Mobile => to(&self.mobile, "mobile"),
            Reach::Email => to(&self.email, "email"),
            Reach::Id(key) => self.id(key).map(|id| Way::To(Recipient::new(id))).ok_or(key),
            Reach::Mention(key) => {
                let mention = |users: Vec<String>, mobiles: Vec<String>| Way::Mention(Mentions { users, mobiles, ..Mentions::default() });
                let mobile = || self.mobile.clone().filter(|_| platform.pings.pings_mobiles());
                let by_id = self.id(key).map(|id| mention(vec![id.to_owned()], Vec::new()));
                by_id.or_else(|| mobile().map(|mobile| mention(Vec::new(), vec![dialled(&mobile)]))).ok_or(key)
            }
            Reach::Nobody => Err(""),
        }
    }
}

/// A mobile number as the Chinese platforms mention it: those of the mainland without the country's code.
fn dialled(number: &str) -> String {
    number.strip_prefix("+86").unwrap_or(number).to_owned()
}

/// The people of the configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct People(IndexMap<PersonName, Person>);

impl People {
    /// The person of that name.
    pub fn get(&self, name: &str) -> Option<&Person> {
        self.0.get(name)
    }

    /// The name of that person as readers see it.
    pub fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.get(name).map_or(name, Person::shown)
    }

    /// The person to whom a platform writes by this recipient.
    pub fn written_to(&self, platform: &Platform, recipient: &Recipient) -> Option<&Person> {
        self.0.values().find(|person| matches!(person.way(platform), Ok(Way::To(one)) if one == *recipient))
    }

    /// The person whom a platform knows by this id.
    pub fn of_id(&self, platform: &Platform, id: &str) -> Option<&Person> {
        let is_it = |person: &&Person| match platform.pings.person {
            Reach::Mobile => person.mobile.as_deref() == Some(id),
            Reach::Email => person.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(id)),
            Reach::Id(key) | Reach::Mention(key) => person.id(key) == Some(id),
            Reach::Nobody => false,
        };
        self.0.values().find(is_it)
    }

    /// The person whose mail address or mobile number this is.
    pub fn of_recipient(&self, recipient: &Recipient) -> Option<&Person> {
        let is = |address: &Option<String>| address.as_deref().is_some_and(|address| recipient.is(address));
        self.0.values().find(|person| is(&person.email) || is(&person.mobile))
    }

    /// Whether somebody has an id of this platform, by which a press is known to be theirs.
    pub fn has_ids_of(&self, platform: &Platform) -> bool {
        self.0.values().any(|person| match platform.pings.person {
            Reach::Mobile => person.mobile.is_some(),
            Reach::Email => person.email.is_some(),
            Reach::Id(key) | Reach::Mention(key) => person.id(key).is_some(),
            Reach::Nobody => false,
        })
    }

    /// Whether readers take this name for a person's.
    pub fn is_named(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.values().any(|person| person.name.to_lowercase() == name || person.shown().to_lowercase() == name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

impl FromIterator<Person> for People {
    fn from_iter<I: IntoIterator<Item = Person>>(people: I) -> Self {
        Self(people.into_iter().map(|person| (person.name.clone(), person)).collect())
    }
}

/// Who may press which button of a channel's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionsPlan {
    /// Ack, unack, snooze and escalate.
    pub ack: Who,
    /// Silence and unsilence.
    pub silence: Who,
    /// Mute and unmute.
    pub mute: Who,
    /// Close.
    pub close: Who,
}

impl Default for ActionsPlan {
    fn default() -> Self {
        Self { ack: Who::Anyone, silence: Who::Known, mute: Who::Nobody, close: Who::Known }
    }
}

/// Why somebody may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The person belongs to another organisation.
    Foreign,
    /// Only people of the configuration may, and none of them has this id.
    Unknown,
    /// Nobody may, on this channel.
    Nobody,
}

impl ActionsPlan {
    /// Who may do this.
    pub fn who(self, verb: Verb) -> Who {
        match verb {
            Verb::Ack | Verb::Unack | Verb::Snooze | Verb::Escalate => self.ack,
            Verb::Silence | Verb::Unsilence => self.silence,
            Verb::Mute | Verb::Unmute => self.mute,
            Verb::Close => self.close,
        }
    }

    /// Whether somebody may do this by the button of a message of that platform, and who it is, where the configuration knows the person.
    pub fn may(self, verb: Verb, presser: &Presser, people: &People, platform: &Platform) -> Result<Option<PersonName>, Why> {
        if presser.foreign {
            return Err(Why::Foreign);
        }
        let known = people.of_id(platform, &presser.id).map(|person| person.name.clone());
        match (self.who(verb), known) {
            (Who::Nobody, _) => Err(Why::Nobody),
            (Who::Known, None) => Err(Why::Unknown),
            (Who::Anyone | Who::Known, known) => Ok(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::platform;

    fn ann() -> Person {
        Person {
            name: "ann".into(),
            full_name: Some("Ann Lee".into()),
            language: None,
            email: Some("Ann@example.com".into()),
            mobile: Some("+8613800000000".into()),
            ids: [("slack", "U1"), ("telegram", "42"), ("wecom", "ann")].map(|(key, id)| (key, id.to_owned())).into(),
            quiet: None,
        }
    }

    #[test]
    fn each_platform_reaches_a_person_in_its_way() {
        let to = |address: &str| Ok(Way::To(Recipient::new(address)));
        let users = |id: &str| Ok(Way::Mention(Mentions { users: vec![id.into()], ..Mentions::default() }));
        let bob = Person { name: "bob".into(), full_name: None, language: None, email: None, mobile: None, ids: BTreeMap::new(), quiet: None };
        for (name, way, missing) in [
            ("twilio_sms", to("+8613800000000"), "mobile"),
            ("aliyun_voice", to("+8613800000000"), "mobile"),
            ("dingtalk_call", to("+8613800000000"), "mobile"),
            ("email", to("Ann@example.com"), "email"),
            ("wecom", to("ann"), "wecom"),
            ("slack", users("U1"), "slack"),
            ("telegram", users("42"), "telegram"),
            ("wecom_robot", users("ann"), "wecom"),
            ("teams", users("Ann@example.com"), "email"),
            ("dingtalk", Ok(Way::Mention(Mentions { mobiles: vec!["13800000000".into()], ..Mentions::default() })), "dingtalk"),
            ("discord", Err("discord"), "discord"),
            ("feishu", Err("feishu"), "feishu"),
            ("zulip", Err("zulip"), "zulip"),
            ("webhook", Err(""), ""),
            ("pagerduty", Err(""), ""),
        ] {
            let platform = platform(name).unwrap();
            assert_eq!((ann().way(platform), bob.way(platform)), (way, Err(missing)), "{name}");
        }
    }

    #[test]
    fn people_are_shown_by_their_names_and_found_by_what_they_are_written_to() {
        let people: People = [ann()].into_iter().collect();
        assert_eq!((people.shown("ann"), people.shown("bob")), ("Ann Lee", "bob"));
        let found = |name: &str, to: &str| people.written_to(platform(name).unwrap(), &Recipient::new(to)).map(|person| &*person.name);
        assert_eq!(
            (found("twilio_sms", "+8613800000000"), found("wecom", "ann"), found("email", "Ann@example.com")),
            (Some("ann"), Some("ann"), Some("ann"))
        );
        assert_eq!((found("email", "ann"), found("slack", "U1")), (None, None), "a mention is no recipient");
        let linked = |to: &str| people.of_recipient(&Recipient::new(to)).map(|person| &*person.name);
        assert_eq!(["ann@EXAMPLE.com", "+8613800000000", "ann", "U1"].map(linked), [Some("ann"), Some("ann"), None, None]);
        assert_eq!(["ann", "ANN", "ann lee", "an", "Ann Lee 2", ""].map(|name| people.is_named(name)), [true, true, true, false, false, false]);
    }

    #[test]
    fn who_may_press_what() {
        let people: People = [ann()].into_iter().collect();
        let slack = platform("slack").unwrap();
        let presser = |id: &str, foreign| Presser { id: id.into(), name: "A".into(), foreign };
        let (ann, other, guest) = (presser("U1", false), presser("U2", false), presser("U1", true));
        let default = ActionsPlan::default();
        let closed = ActionsPlan { ack: Who::Nobody, silence: Who::Anyone, mute: Who::Known, close: Who::Nobody };
        let known = Ok(Some(PersonName::from("ann")));
        for (plan, verb, presser, wanted) in [
            (default, Verb::Ack, &ann, known.clone()),
            (default, Verb::Ack, &other, Ok(None)),
            (default, Verb::Unack, &other, Ok(None)),
            (default, Verb::Snooze, &other, Ok(None)),
            (default, Verb::Close, &ann, known.clone()),
            (default, Verb::Close, &other, Err(Why::Unknown)),
            (default, Verb::Silence, &other, Err(Why::Unknown)),
            (default, Verb::Mute, &ann, Err(Why::Nobody)),
            (closed, Verb::Mute, &ann, known.clone()),
            (closed, Verb::Unmute, &other, Err(Why::Unknown)),
            (default, Verb::Ack, &guest, Err(Why::Foreign)),
            (closed, Verb::Ack, &ann, Err(Why::Nobody)),
            (closed, Verb::Snooze, &ann, Err(Why::Nobody)),
            (closed, Verb::Silence, &other, Ok(None)),
            (closed, Verb::Close, &ann, Err(Why::Nobody)),
        ] {
            assert_eq!(plan.may(verb, presser, &people, slack), wanted, "{verb:?} by {presser:?} with {plan:?}");
        }
        // The same id on another platform is somebody else.
        assert_eq!(default.may(Verb::Close, &ann, &people, platform("discord").unwrap()), Err(Why::Unknown));
        assert_eq!(default.may(Verb::Close, &presser("42", false), &people, platform("telegram").unwrap()), known);
    }
}
