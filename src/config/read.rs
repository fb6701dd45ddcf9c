//! From the checked value to the file's types. The schema check has reported nearly everything; what only the types themselves can find is reported here, and
//! the piece it is in is left out so that the rest can still be checked.

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::codes;
use super::file::RoutesFile;
use super::report::Report;
use super::source::Anchor;
use crate::channel::ChannelConfig;
use crate::model::yaml::Path;

/// Reads the file; every piece that cannot be read has a finding.
pub fn read(value: Option<Value>, report: &mut Report<'_>) -> RoutesFile {
    let Some(Value::Mapping(mut all)) = value else {
        return RoutesFile::default();
    };
    if let Some(Value::Mapping(channels)) = all.get_mut("channels") {
        retain(channels, &Path::of("channels"), report, |channel, path, report| {
            let Err(error) = ChannelConfig::deserialize(channel.clone()) else { return true };
            // Which of its keys is it?
            let Value::Mapping(keys) = channel else { return report_unreadable(path, &error, report) };
            let faulty = keys.iter().find(|(key, value)| ChannelConfig::deserialize(single(key, value)).is_err());
            match faulty.and_then(|(key, _)| key.as_str()) {
                Some(key) => report_unreadable(&path.key(key), &error, report),
                None => report_unreadable(path, &error, report),
            }
        });
    }
    match RoutesFile::deserialize(Value::Mapping(all.clone())) {
        Ok(file) => file,
        Err(_) => {
            let mut sound = Mapping::new();
            for (key, value) in &all {
                match RoutesFile::deserialize(single(key, value)) {
                    Ok(_) => {
                        sound.insert(key.clone(), value.clone());
                    }
                    Err(error) => {
                        report_unreadable(&Path::of(key.as_str().unwrap_or_default()), &error, report);
                    }
                }
            }
            RoutesFile::deserialize(Value::Mapping(sound)).unwrap_or_default()
        }
    }
}

fn retain(map: &mut Mapping, path: &Path, report: &mut Report<'_>, keep: impl Fn(&Value, &Path, &mut Report<'_>) -> bool) {
    map.retain(|key, value| keep(value, &path.key(key.as_str().unwrap_or_default()), report));
}

fn single(key: &Value, value: &Value) -> Value {
    let mut map = Mapping::new();
    map.insert(key.clone(), value.clone());
    Value::Mapping(map)
}

/// Always `false`: the piece is not to be kept.
fn report_unreadable(path: &Path, error: &serde_yaml::Error, report: &mut Report<'_>) -> bool {
    if !report.is_blamed_inside(path) {
        report.error(codes::WRONG_TYPE, path, Anchor::Value, format!("`{path}` cannot be read"), error.to_string());
    }
    false
}
