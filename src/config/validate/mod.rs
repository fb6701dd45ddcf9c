//! Validates what the file means, one concern per file, and turns it into what the plan is made of. Everything is validated, whatever was found before.

mod auth;
mod callbacks;
mod channels;
mod disabled;
mod escalations;
mod extras;
mod heartbeats;
mod included;
mod inputs;
mod intervals;
mod legacy;
mod matchers;
mod mutes;
mod people;
mod platforms;
mod rotas;
mod routes;
mod routing_tests;
mod secrets;
mod server;
mod shapes;
mod silence;
mod storms;
mod teams;
mod twins;
mod unreached;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use indexmap::IndexMap;

use super::codes;
use super::file::RoutesFile;
use super::net;
use super::report::Report;
use super::schema_check::SecretLocation;
use super::source::Anchor;
use super::suggest::{hint, listed};
use crate::channel::{PLATFORMS, Platform, SecretReader};
use crate::delivery::{PeoplePlan, Person};
use crate::model::yaml::Path;
use crate::model::{Finding, Secret, SecretSource, parse_duration};

pub use callbacks::callbacks;
pub use channels::channels;
pub use disabled::disabled;
pub use escalations::escalations;
pub use extras::extras;
pub use heartbeats::heartbeats;
pub use included::{included, may_name};
pub use inputs::{inputs, is_shipped_input};
pub use intervals::doubtful_intervals;
pub use legacy::legacy;
pub use matchers::intervals;
pub use mutes::mutes;
pub use people::{calendars, people};
pub use rotas::rotas;
pub use routes::routes;
pub use routing_tests::routing_tests;
pub use secrets::secrets;
pub use server::{link_key, server};
pub use shapes::shapes;
pub use silence::silence;
pub use storms::storms;
pub use teams::teams;
pub use twins::twins;
pub use unreached::unreached;

/// What every validation step needs.
pub struct Validator<'r, 'a> {
    /// Where findings go.
    pub report: &'r mut Report<'a>,
    /// The file's types.
    pub file: &'r RoutesFile,
    /// Every channel that the file names, readable or not, with its platform if it has exactly one.
    pub names: IndexMap<String, Option<&'static Platform>>,
    /// Resolves secrets.
    pub secrets: &'r dyn SecretReader,
    /// Every secret in the file.
    pub sites: &'r [SecretLocation],
    /// The folder that relative paths are relative to.
    pub folder: &'r std::path::Path,
    /// `--listen` or `WATCHFIRE_LISTEN`, which win over the file.
    pub listen: Option<&'r str>,
    /// People and rotas, once they are validated.
    pub people: PeoplePlan,
}

impl<'r, 'a> Validator<'r, 'a> {
    /// Looks around in the file before anything is validated.
    pub fn new(
        report: &'r mut Report<'a>,
        file: &'r RoutesFile,
        secrets: &'r dyn SecretReader,
        sites: &'r [SecretLocation],
        folder: &'r std::path::Path,
        listen: Option<&'r str>,
    ) -> Self {
        let root = report.source.root.as_ref();
        let names = root.and_then(|root| root.get("channels")).map(|channels| {
            let platform = |keys: &[crate::model::yaml::Entry]| {
                let mut found = PLATFORMS.iter().filter(|platform| keys.iter().any(|entry| entry.key == platform.name));
                found.next().filter(|_| found.next().is_none()).copied()
            };
            channels.entries().iter().map(|entry| (entry.key.clone(), platform(entry.value.entries()))).collect()
        });
        Self { report, file, names: names.unwrap_or_default(), secrets, sites, folder, listen, people: PeoplePlan::default() }
    }

    /// Whether a channel of that name exists; reports it if not.
    fn channel(&mut self, name: &str, path: &Path, what: &str) -> bool {
        if self.names.contains_key(name) {
            return included::may_lead(self, name, path, what);
        }
        // That there are none is one mistake, and is reported as one.
        if self.names.is_empty() {
            return false;
        }
        let known = || self.names.keys().map(String::as_str);
        let finding = Finding::error(codes::UNKNOWN_CHANNEL, format!("{what} a channel that does not exist"))
            .label(format!("no channel `{name}`{}", hint(name, known())))
            .note(format!("channels defined here: {}", listed(known())));
        self.report.add(finding, path, Anchor::Value);
        false
    }

    /// Whether a channel reaches a person, perhaps by an id that it looks up.
    fn reaches(&self, channel: &str, platform: &Platform, person: &Person) -> bool {
        let looks_up = self.file.channels.get(channel).and_then(|channel| Some(channel.blocks().first()?.1.looks_up()));
        person.is_reached(platform, looks_up.unwrap_or_default())
    }

    /// A duration within bounds, or the default; reports what is wrong.
    fn duration(&mut self, text: Option<&str>, path: &Path, default: Duration, least: Duration, most: Duration) -> Duration {
        let Some(text) = text else { return default };
        match parse_duration(text) {
            Err(error) => {
                let label = "write it like `30s`, `5m` or `1h30m`";
                self.report.error(codes::BAD_DURATION, path, Anchor::Value, error.to_string().trim_end_matches(&format!("; {label}")), label);
                default
            }
            Ok(duration) if duration < least || duration > most => {
                let words = crate::model::format_duration;
                let label = format!("write {} to {}", words(least), words(most));
                let which = if duration < least { "short" } else { "long" };
                self.report.error(codes::OUT_OF_RANGE, path, Anchor::Value, format!("`{text}` is too {which} for `{path}`"), label);
                default
            }
            Ok(duration) => duration,
        }
    }

    /// Networks; reports those that are none.
    fn networks(&mut self, texts: &[String], path: &Path) -> Vec<ipnet::IpNet> {
        let mut networks = Vec::new();
        for (ix, text) in texts.iter().enumerate() {
            match net::network(text) {
                Ok(network) => networks.push(network),
                Err(why) => {
                    self.report.error(codes::BAD_ADDRESS, &path.item(ix), Anchor::Value, format!("`{text}` is not a network"), why);
                }
            }
        }
        networks
    }

    /// The value of a secret; `None` when it is not there, which is reported already by the check of all secrets.
    fn secret(&self, source: &SecretSource) -> Option<Secret> {
        self.secrets.read(source).ok()
    }

    /// Reports a name that cannot be used in URLs, metrics and on command lines.
    fn name(&mut self, name: &str, path: &Path, spot: Anchor, what: &str) -> bool {
        // Marks are what some scripts write their vowels with.
        static PLAIN: LazyLock<Option<regex::Regex>> = LazyLock::new(|| regex::Regex::new(r"^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]{0,63}$").ok());
        let fine = PLAIN.as_ref().is_some_and(|plain| plain.is_match(name));
        if !fine {
            let label = "use letters of any script, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 64";
            let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            self.report.error(codes::BAD_NAME, path, spot, format!("`{name}` cannot be the name of {article} {what}"), label);
        }
        fine
    }
}

/// The names of a map of channels, for plans.
pub type Channels = IndexMap<String, Arc<crate::delivery::ChannelPlan>>;
