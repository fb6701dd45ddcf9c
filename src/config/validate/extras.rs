//! The small blocks: store, zone, language, severity, dedup, retention, own alarms.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Validator;
use crate::config::codes;
use crate::config::file::NamesBlock;
use crate::config::net::size;
use crate::config::settings::StoreSettings;
use crate::config::source::Anchor;
use crate::config::suggest::hint;
use crate::delivery::{IncidentsPlan, RetentionPlan, SelfMonitoringPlan};
use crate::model::yaml::Path;
use crate::model::{Finding, NameRules, SecretSource, SeverityScale, Shown};
use crate::store::PostgresStore;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What the small blocks say.
pub struct Extras {
    /// Where events and deliveries are kept.
    pub store: StoreSettings,
    /// The zone times are shown in.
    pub time_zone: TimeZone,
    /// How labels become severities.
    pub scale: SeverityScale,
    /// Which labels and annotations messages list.
    pub shown: Shown,
    /// Within which a repeat is a duplicate; zero turns it off.
    pub dedup_window: Duration,
    /// Senders that are replicas of one site, each with the site's name.
    pub sites: BTreeMap<String, String>,
    /// How long deliveries are kept.
    pub retention: RetentionPlan,
    /// Where Watchfire's own alarms go.
    pub self_monitoring: SelfMonitoringPlan,
    /// How incidents ring, go on and end.
    pub incidents: IncidentsPlan,
}

/// Validates the small blocks.
pub fn extras(validator: &mut Validator<'_, '_>) -> Extras {
    let file = validator.file;
    let self_path = Path::of("self_monitoring").key("to");
    let self_to = file.self_monitoring.to.as_ref().map(|to| to.list().to_vec()).unwrap_or_default();
    for (ix, name) in self_to.iter().enumerate() {
        let path =
            if matches!(file.self_monitoring.to, Some(crate::config::file::OneOrMany::One(_))) { self_path.clone() } else { self_path.item(ix) };
        validator.channel(name, &path, "`self_monitoring.to` names");
    }
    let zero = Duration::ZERO;
    let default = RetentionPlan::default();
    let retention = Path::of("retention");
    Extras {
        store: store(validator),
        time_zone: zone(validator),
        scale: scale(validator),
        shown: shown(validator),
        dedup_window: validator.duration(file.dedup.window.as_deref(), &Path::of("dedup").key("window"), 2 * MINUTE, zero, DAY),
        sites: sites(validator),
        retention: RetentionPlan {
            sent: validator.duration(file.retention.sent.as_deref(), &retention.key("sent"), default.sent, 60 * MINUTE, CENTURY),
            dead: validator.duration(file.retention.dead.as_deref(), &retention.key("dead"), default.dead, 60 * MINUTE, CENTURY),
            max_bytes: file.retention.max_size.as_deref().map_or(0, |text| bytes(validator, text, &retention.key("max_size"), 16 << 20)),
        },
        self_monitoring: SelfMonitoringPlan {
            to: self_to,
            backlog: validator.duration(
                file.self_monitoring.backlog.as_deref(),
                &Path::of("self_monitoring").key("backlog"),
                15 * MINUTE,
                zero,
                CENTURY,
            ),
        },
        incidents: incidents(validator),
    }
}

fn incidents(validator: &mut Validator<'_, '_>) -> IncidentsPlan {
    let (file, default) = (&validator.file.incidents, IncidentsPlan::default());
    let path = Path::of("incidents");
    IncidentsPlan {
        repeat: validator.duration(file.repeat.as_deref(), &path.key("repeat"), default.repeat, MINUTE, CENTURY),
        reopen_within: validator.duration(file.reopen_within.as_deref(), &path.key("reopen_within"), default.reopen_within, Duration::ZERO, DAY),
        stale_after: validator.duration(file.stale_after.as_deref(), &path.key("stale_after"), default.stale_after, 5 * MINUTE, CENTURY),
        remind_after: validator.duration(file.remind_after.as_deref(), &path.key("remind_after"), default.remind_after, MINUTE, CENTURY),
        ack_expires: validator.duration(file.ack_expires.as_deref(), &path.key("ack_expires"), default.ack_expires, MINUTE, CENTURY),
    }
}

/// Which site each sender belongs to: one, whose name is no other sender's.
fn sites(validator: &mut Validator<'_, '_>) -> BTreeMap<String, String> {
    let mut sites: BTreeMap<String, String> = BTreeMap::new();
    for (site, senders) in &validator.file.sources {
        let path = Path::of("sources").key(site);
        for sender in senders.list() {
            let told = match sites.insert(sender.clone(), site.clone()) {
                Some(other) if other != *site => format!("it belongs to `{other}` already; a sender belongs to one site"),
                _ if sender.trim().is_empty() => "name a sender: a credential's name, or what `?source=` says".to_owned(),
                _ if sender != site && validator.file.sources.contains_key(sender) => {
                    format!("`{sender}` is itself a site; what its senders send would be taken for two sites' own")
                }
                _ => continue,
            };
            validator.report.error(codes::NOT_ALLOWED, &path, Anchor::Value, format!("`sources.{site}` cannot hold `{sender}`"), told);
        }
    }
    sites
}

/// A size of at least `least` bytes; `least` when it is none, which is reported.
pub(super) fn bytes(validator: &mut Validator<'_, '_>, text: &str, path: &Path, least: u64) -> u64 {
    match size(text) {
        Ok(bytes) if bytes >= least => bytes,
        Ok(_) => {
            validator.report.error(
                codes::OUT_OF_RANGE,
                path,
                Anchor::Value,
                format!("`{text}` is too small for `{path}`"),
                format!("write at least {least} bytes"),
            );
            least
        }
        Err(why) => {
            validator.report.error(codes::BAD_SIZE, path, Anchor::Value, format!("`{text}` is not a size"), why);
            least
        }
    }
}

fn store(validator: &mut Validator<'_, '_>) -> StoreSettings {
    let file = |validator: &Validator<'_, '_>, path: &str| StoreSettings::Sqlite(validator.folder.join(path));
    let Some(source) = validator.file.store.clone() else { return file(validator, "watchfire.db") };
    let literal = matches!(source, SecretSource::Literal(_));
    // One that is missing was reported already.
    let Some(url) = validator.secret(&source) else { return file(validator, "watchfire.db") };
    if !literal && !validator.secrets.real() {
        return StoreSettings::Postgres(url);
    }
    if url.expose().starts_with("postgres://") || url.expose().starts_with("postgresql://") {
        if let Err(error) = PostgresStore::check_url(&url) {
            validator.report.error(codes::BAD_ADDRESS, &Path::of("store"), Anchor::Value, "`store` is no database", error.to_string());
        }
        return StoreSettings::Postgres(url);
    }
    match url.expose().strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
        Some(path) if !path.is_empty() => file(validator, path),
        _ => {
            // What is there may be an address with a password in it: it is not repeated.
            let label = "write `sqlite:watchfire.db`, or `postgres://user:password@host:5432/name`, best as `{ env: DATABASE_URL }`";
            validator.report.error(codes::BAD_ADDRESS, &Path::of("store"), Anchor::Value, "`store` is not a store that is known here", label);
            file(validator, "watchfire.db")
        }
    }
}

fn zone(validator: &mut Validator<'_, '_>) -> TimeZone {
    let Some(name) = validator.file.time_zone.as_deref() else { return TimeZone::UTC };
    TimeZone::get(name).unwrap_or_else(|_| {
        validator.report.error(codes::BAD_ZONE, &Path::of("time_zone"), Anchor::Value, format!("there is no time zone `{name}`"), zone_help(name));
        TimeZone::UTC
    })
}

/// The zone of that name; reports one that there is not.
pub(super) fn zone_of(validator: &mut Validator<'_, '_>, name: &str, path: &Path) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|_| {
        validator.report.error(codes::BAD_ZONE, path, Anchor::Value, format!("there is no time zone `{name}`"), zone_help(name));
        TimeZone::UTC
    })
}

/// What to write instead of a time zone that does not exist.
pub(super) fn zone_help(name: &str) -> String {
    const GENERAL: &str = "write an IANA name such as `Asia/Shanghai` or `UTC`";
    if name == "Local" {
        let here = jiff::tz::TimeZone::system().iana_name().map(|zone| format!(": this machine's is `{zone}`")).unwrap_or_default();
        return format!("it is whatever the machine has; write its IANA name{here}");
    }
    let known = || jiff::tz::db().available().map(|zone| zone.to_string());
    if !name.contains('/') {
        // `CST` is several zones, and none of them is `CET`; `Etc/GMT+8` is west of Greenwich.
        let city = name.replace(' ', "_");
        let near = known().find(|zone| zone.rsplit_once('/').is_some_and(|(area, last)| area != "Etc" && last.eq_ignore_ascii_case(&city)));
        return near.map_or_else(|| format!("{GENERAL}; abbreviations and offsets are no zones"), |zone| format!("did you mean `{zone}`?"));
    }
    let slips = |zone: &String| strsim::damerau_levenshtein(&zone.to_lowercase(), &name.to_lowercase());
    let near = known().min_by_key(slips).filter(|zone| slips(zone) <= 2);
    near.map_or_else(|| GENERAL.to_owned(), |zone| format!("did you mean `{zone}`?"))
}

fn shown(validator: &mut Validator<'_, '_>) -> Shown {
    let file = validator.file;
    let default = Shown::default();
    Shown {
        labels: names(validator, "labels", &file.labels, default.labels),
        annotations: names(validator, "annotations", &file.annotations, default.annotations),
    }
}

/// The default rules with what a block adds. An entry that changes nothing is a finding: its author expects that it does.
fn names(validator: &mut Validator<'_, '_>, key: &str, block: &NamesBlock, default: NameRules) -> NameRules {
    let path = Path::of(key);
    let mut idle = |list: &str, ix: usize, name: &str, why: &str| {
        let finding = Finding::warning(codes::IDLE_NAME, format!("`{name}` under `{key}.{list}` changes nothing")).label(why);
        validator.report.add(finding, &path.key(list).item(ix), Anchor::Value);
    };
    let lists = [("hide", block.hide.as_slice()), ("show", block.show.as_slice()), ("first", block.first.as_deref().unwrap_or_default())];
    for (list, names) in lists {
        for (ix, name) in names.iter().enumerate() {
            if names[..ix].contains(name) {
                idle(list, ix, name, "it is there twice");
            } else if list == "hide" && block.show.contains(name) {
                idle(list, ix, name, "`show` has it, too, and wins");
            } else if list == "hide" && default.hides(name) {
                idle(list, ix, name, "it is hidden by default");
            } else if list == "first" && (block.hide.contains(name) || default.hides(name)) && !block.show.contains(name) {
                idle(list, ix, name, "it is hidden; `show` would list it");
            }
        }
    }
    let hide = default.hide.into_iter().chain(block.hide.iter().cloned()).collect();
    NameRules { hide, show: block.show.clone(), first: block.first.clone().unwrap_or(default.first) }
}

fn scale(validator: &mut Validator<'_, '_>) -> SeverityScale {
    let block = &validator.file.severity;
    let path = Path::of("severity");
    let default = ["critical", "error", "warning", "info"].map(str::to_owned).to_vec();
    let order = block.order.as_ref().unwrap_or(&default);
    let distinct: BTreeSet<String> = order.iter().map(|value| value.to_lowercase()).collect();
    if distinct.len() != order.len() || order.len() < 2 {
        let label = "name at least two values, each once, from most to least severe";
        validator.report.error(codes::BAD_SCALE, &path.key("order"), Anchor::Value, "`severity.order` does not make a scale", label);
    }
    for (alias, target) in &block.aliases {
        if !distinct.contains(&target.to_lowercase()) {
            let label = format!("`{target}` is not in `order`{}", hint(target, order.iter().map(String::as_str)));
            validator.report.error(
                codes::BAD_SCALE,
                &path.key("aliases").key(alias),
                Anchor::Value,
                format!("the alias `{alias}` means nothing"),
                label,
            );
        }
    }
    let label = block.label.as_deref().unwrap_or("severity");
    if label.is_empty() {
        validator.report.error(
            codes::BAD_SCALE,
            &path.key("label"),
            Anchor::Value,
            "`severity.label` is empty",
            "name the label that holds the severity",
        );
    }
    let aliases: Vec<(String, String)> = block.aliases.iter().map(|(alias, target)| (alias.clone(), target.clone())).collect();
    SeverityScale::new(label, order, &aliases)
}
