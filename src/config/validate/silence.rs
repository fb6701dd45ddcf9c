//! `silence:`, the Alertmanagers that can be asked to be silent.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Validator;
use crate::channel::alertmanager::Alertmanager;
use crate::channel::kit::HttpClients;
use crate::channel::preset::PresetRegistry;
use crate::channel::{BuildContext, Problem};
use crate::config::codes;
use crate::config::source::Anchor;
use crate::delivery::SilencePlan;
use crate::model::SecretSource;
use crate::model::yaml::Path;

/// Validates `silence:` and returns the clusters that can be asked. Without secrets those that need one are left out.
pub fn silence(validator: &mut Validator<'_, '_>, presets: &PresetRegistry, http: &HttpClients) -> SilencePlan {
    let file = validator.file;
    let mut clusters: BTreeMap<String, Vec<Alertmanager>> = BTreeMap::new();
    for (ix, config) in file.silence.alertmanager.iter().enumerate() {
        let path = Path::of("silence").key("alertmanager").item(ix);
        if validator.report.is_blamed(&path) {
            continue;
        }
        if config.source.as_ref().is_some_and(|source| source.trim().is_empty()) {
            let label = "name a sender or a site, or leave it out for all that no other entry names";
            validator.report.error(codes::BAD_SILENCE, &path.key("source"), Anchor::Value, "a site without a name", label);
        }
        let cx = BuildContext { channel: "", timeout: Duration::ZERO, proxy: None, secrets: validator.secrets, http, presets };
        match config.build(&cx) {
            Ok(server) => clusters.entry(config.source.clone().unwrap_or_default()).or_default().push(server),
            Err(problems) => {
                // What is said of a secret that is missing is said where secrets are validated.
                let is_about_secret = |problem: &Problem| {
                    let at = path.dotted(&problem.path);
                    validator.sites.iter().any(|site| at == site.path && matches!(site.source, SecretSource::Env(_) | SecretSource::File(_)))
                };
                let told: Vec<Problem> = problems.into_iter().filter(|problem| !is_about_secret(problem)).collect();
                for problem in told {
                    let at = path.dotted(&problem.path);
                    validator.report.error(codes::BAD_SILENCE, &at, Anchor::Value, format!("`{at}`: {}", problem.message), problem.help);
                }
            }
        }
    }
    SilencePlan::new(clusters.into_iter().map(|(source, servers)| (source, servers.into_iter().collect())).collect())
}
