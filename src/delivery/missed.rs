//! Why somebody is not reached whom a message should mention.

use std::fmt;

use super::people::{Person, PersonName};
use crate::channel::directory::Why;
use crate::channel::{Address, Platform};
use crate::model::Language;
use crate::template::reason;

/// Why somebody is not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// Nobody is on call in this rota.
    NobodyOnCall(String),
    /// Nobody comes next in this rota.
    NobodyNext(String),
    /// The team has no people.
    NobodyInTeam(String),
    /// Nobody and no team has this name any more.
    Unknown(String),
    /// The person lacks the id or address under this key.
    NoId(PersonName, &'static str),
    /// The platform reaches nobody by name: the person, the name that readers see, and the platform.
    NobodyByName(PersonName, String, &'static str),
    /// The id could not be looked up: the person, and why.
    NotFound(PersonName, String),
}

impl Missed {
    /// What keeps a platform from reaching a person; `key` is what the person lacks.
    pub fn no_way(person: &Person, platform: &Platform, key: &'static str) -> Self {
        if key.is_empty() {
            Missed::NobodyByName(person.name.clone(), person.shown().to_owned(), platform.name)
        } else {
            Missed::NoId(person.name.clone(), key)
        }
    }

    /// What kept an id from being looked up.
    pub fn not_found(person: &Person, by: Address, platform: &Platform, why: &Why) -> Self {
        let by = match by {
            Address::Email => "email",
            Address::Mobile => "mobile",
        };
        let name = platform.name;
        let why = match why {
            Why::Unknown => format!("{name} knows nobody under this `{by}`"),
            Why::Refused => format!("{name} refused the id that it had named for this `{by}`"),
            Why::Late => format!("{name} did not answer in time"),
            Why::Failed(error) => format!("{name} could not be asked: {}", error.summary),
        };
        Missed::NotFound(person.name.clone(), why)
    }

    /// Whether a rota or a team has nobody, which is an alarm.
    pub fn is_vacant(&self) -> bool {
        matches!(self, Missed::NobodyOnCall(_) | Missed::NobodyNext(_) | Missed::NobodyInTeam(_))
    }

    /// In a language.
    pub fn text(&self, language: Language) -> String {
        if language == Language::En {
            return self.to_string();
        }
        match self {
            Missed::NobodyOnCall(rota) => format!("轮值表 `{rota}` 当前无人值班"),
            Missed::NobodyNext(rota) => format!("轮值表 `{rota}` 没有下一位"),
            Missed::NobodyInTeam(team) => format!("团队 `{team}` 没有成员"),
            Missed::Unknown(name) => format!("配置中已没有 `{name}`"),
            Missed::NoId(person, key) => format!("`{person}` 没有 `{key}`"),
            Missed::NobodyByName(_, person, platform) => format!("{platform} 无法按人通知，请另行通知 {person}"),
            Missed::NotFound(person, why) => format!("查不到 `{person}` 的 id：{}", reason(language, why)),
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::NobodyOnCall(rota) => write!(f, "nobody is on call in the rota `{rota}`"),
            Missed::NobodyNext(rota) => write!(f, "nobody comes next in the rota `{rota}`"),
            Missed::NobodyInTeam(team) => write!(f, "the team `{team}` has no people"),
            Missed::Unknown(name) => write!(f, "nobody and no team is called `{name}` any more"),
            Missed::NoId(person, key) => write!(f, "`{person}` has no `{key}`"),
            Missed::NobodyByName(_, person, platform) => write!(f, "{platform} reaches nobody by name: notify {person}"),
            Missed::NotFound(person, why) => write!(f, "the id of `{person}` is not found: {why}"),
        }
    }
}
