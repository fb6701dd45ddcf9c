//! Every secret in the file: is it there, and should it be there?

use super::Judge;
use crate::config::codes;
use crate::config::source::Spot;
use crate::model::{Finding, SecretSource};

/// Tells about secrets that are missing, and warns of those that stand in the file.
pub fn secrets(judge: &mut Judge<'_, '_>) {
    let sites = judge.sites;
    for site in sites {
        if let SecretSource::Literal(secret) = &site.source {
            // A hashed password is made to stand in a file.
            if crate::config::PasswordHash::is_one(secret.expose()) {
                continue;
            }
            let finding = Finding::warning(codes::LITERAL_SECRET, format!("the secret `{}` stands in the file", site.path))
                .label("write `{ env: NAME }` or `{ file: PATH }`, and keep the value there");
            judge.report.add(finding, &site.path, Spot::Value);
            continue;
        }
        if let Err(why) = judge.secrets.read(&site.source) {
            let help = match &site.source {
                SecretSource::Env(name) => format!("set {name}, or check with `--without-secrets`"),
                _ => "provide the file, or check with `--without-secrets`".into(),
            };
            judge.report.error(codes::MISSING_SECRET, &site.path, Spot::Value, format!("the secret `{}` is missing: {why}", site.path), help);
        }
    }
}
