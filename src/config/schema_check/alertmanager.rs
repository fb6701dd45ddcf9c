//! Alertmanager's keys that this file has in no form, so that a route that was copied from alertmanager.yml is answered with what to do about it.
//! Those that only have another name here are in [`super::renamed`]. Beside them are keys of routes that somebody looks for on a channel.

use super::renamed::is_at;
use crate::model::yaml::Path;

const GROUPS: &str = "Alertmanager groups: leave it in alertmanager.yml";
const REPEATS: &str = "Alertmanager repeats: leave it in alertmanager.yml; how often a repeat rings is `incidents.repeat`";
const MUTES: &str = "write it as `on_mute` of a route, or of an entry of `mutes`";

/// Where a key was, as in [`super::renamed::RENAMED`]; Alertmanager's key
/// (<https://prometheus.io/docs/alerting/latest/configuration/>); what to do about it here.
pub(in crate::config) const ALERTMANAGER: &[(&[&str], &str, &str)] = &[
    (&[], "global", "leave it in alertmanager.yml: here each channel has its own address and credential"),
    (&[], "group_by", GROUPS),
    (&[], "group_interval", GROUPS),
    (&[], "group_wait", GROUPS),
    (&[], "inhibit_rules", "Alertmanager inhibits: leave it in alertmanager.yml"),
    (&[], "match", "write it as `matchers` of a route below `route`"),
    (&[], "match_re", "write it as `matchers` of a route below `route`"),
    (&[], "receiver", "write it as `to` below `route`"),
    (&[], "receivers", "write each as a channel below `channels`; `watchfire import alertmanager.yml --stdout` prints them"),
    (&[], "repeat_interval", REPEATS),
    (&[], "routes", "write it below `route`"),
    (&["channels", "*"], "group_by", GROUPS),
    (&["channels", "*"], "group_interval", GROUPS),
    (&["channels", "*"], "group_wait", GROUPS),
    (&["channels", "*"], "muted", MUTES),
    (&["channels", "*"], "on_mute", MUTES),
    (&["channels", "*"], "repeat_interval", REPEATS),
    (&["route", "**"], "group_by", GROUPS),
    (&["route", "**"], "group_interval", GROUPS),
    (&["route", "**"], "group_wait", GROUPS),
    (&["route", "**"], "repeat_interval", REPEATS),
];

/// What to do about a key of Alertmanager that is unknown in the mapping at `path`.
pub(super) fn alertmanagers(path: &Path, key: &str) -> Option<&'static str> {
    ALERTMANAGER.iter().find(|(place, theirs, _)| *theirs == key && is_at(path.steps(), place)).map(|(_, _, advice)| *advice)
}
