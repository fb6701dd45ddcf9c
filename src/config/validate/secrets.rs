//! Every secret in the file: is it there, and should it be there?

use super::Validator;
use crate::channel::preset::PresetRegistry;
use crate::config::codes;
use crate::config::secrets::Likeness;
use crate::config::source::Anchor;
use crate::model::yaml::Path;
use crate::model::{Finding, SecretSource};

/// Reports secrets that are missing, and warns of those that are in the file.
/// What a preset asks for and does not call secret may be there.
pub fn secrets(validator: &mut Validator<'_, '_>, presets: &PresetRegistry) {
    let open: Vec<Path> = open_values(validator, presets);
    let sites = validator.sites;
    for site in sites {
        if site.path.to_string().ends_with(".slack.token")
            && validator.secrets.read(&site.source).is_ok_and(|token| token.expose().trim().starts_with("xoxp-"))
        {
            let finding = Finding::warning(
                codes::DOUBTFUL_CHANNEL,
                format!("`{}` is a person's token: messages come from that person, and end when they leave", site.path),
            )
            .label("write the bot token, which begins with `xoxb-`");
            validator.report.add(finding, &site.path, Anchor::Value);
        }
        if site.path.to_string().ends_with(".teams.webhook")
            && validator.secrets.read(&site.source).is_ok_and(|address| is_connector(address.expose()))
        {
            let message = format!("`{}` is the address of an Office 365 connector, which Microsoft is retiring", site.path);
            let label = "make a workflow in Teams (*Send webhook alerts to a channel*), and write its address";
            validator.report.add(Finding::warning(codes::DOUBTFUL_CHANNEL, message).label(label), &site.path, Anchor::Value);
        }
        if let SecretSource::Literal(secret) = &site.source {
            // A hashed password is made to be in a file.
            if crate::config::PasswordHash::is_one(secret.expose()) || no_secret_store(secret.expose()) || open.contains(&site.path) {
                continue;
            }
            let label = match names_a_variable(secret.expose()) {
                true => "nothing puts a value in place of a variable's name: write `{ env: NAME }`",
                false => "write `{ env: NAME }` or `{ file: PATH }`, and keep the value there",
            };
            let finding = Finding::warning(codes::LITERAL_SECRET, format!("the secret `{}` is in the file", site.path)).label(label);
            validator.report.add(finding, &site.path, Anchor::Value);
            continue;
        }
        if !validator.secrets.real() && Likeness::of(&site.source) == Likeness::Secret {
            let finding =
                Finding::warning(codes::LITERAL_SECRET, format!("what is named in `{}` may be the secret itself", site.path)).label(NAME_IT);
            validator.report.add(finding, &site.path, Anchor::Value);
        }
        if let Err(why) = validator.secrets.read(&site.source) {
            let message = format!("the secret `{}` is missing: {why}", site.path);
            validator.report.error(codes::MISSING_SECRET, &site.path, Anchor::Value, message, help(&site.source));
        }
    }
}

/// What to do where a secret may be written in place of its name.
const NAME_IT: &str = "keep the value in an environment variable or a file, and write its name: `{ env: NAME }` or `{ file: PATH }`";

/// What to do about a secret that is missing. One that was written in place of its name is not repeated.
fn help(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) => match bare(name) {
            Some(bare) => format!("write the bare name: `{{ env: {bare} }}`"),
            None if Likeness::of(source) == Likeness::Name => format!("set {name}, or check with `--without-secrets`"),
            None => NAME_IT.into(),
        },
        SecretSource::File(path) if path.starts_with("~") => "`~` is not replaced here: write the whole path".into(),
        _ if Likeness::of(source) == Likeness::Name => "provide the file, or check with `--without-secrets`".into(),
        _ => NAME_IT.into(),
    }
}

/// `NAME` of `$NAME` and `${NAME}`, as shells write it.
fn bare(name: &str) -> Option<&str> {
    let rest = name.strip_prefix('$')?;
    let bare = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest);
    (!bare.is_empty() && bare.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')).then_some(bare)
}

/// Whether a text is only the name of a variable, as shells, Kubernetes, Windows and templates write it: `$NAME`, `$(NAME)`, `%NAME%`, `{{ name }}`.
fn names_a_variable(text: &str) -> bool {
    let between = |begin: &str, end: &str| text.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
    let is_name = |name: &str| name.len() >= 3 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    between("{{", "}}").is_some() || [("$(", ")"), ("%", "%"), ("$", "")].iter().any(|(begin, end)| between(begin, end).is_some_and(is_name))
}

/// Whether an address is on the host of the older connectors of Teams
/// (<https://devblogs.microsoft.com/microsoft365dev/retirement-of-office-365-connectors-within-microsoft-teams/>).
fn is_connector(address: &str) -> bool {
    let host = address.trim().split_once("://").and_then(|(_, rest)| rest.split(['/', '?', ':']).next());
    host.is_some_and(|host| host.to_ascii_lowercase().ends_with(".webhook.office.com"))
}

/// Where channels give their presets values that are no secrets.
fn open_values(validator: &Validator<'_, '_>, presets: &PresetRegistry) -> Vec<Path> {
    let mut found = Vec::new();
    for (name, channel) in &validator.file.channels {
        let Some((config, preset)) = channel.preset.as_ref().and_then(|config| Some((config, presets.get(&config.name)?))) else { continue };
        let params = Path::of("channels").key(name).key("preset").key("params");
        let open = config.params.keys().filter(|key| preset.parameters.get(*key).is_some_and(|parameter| !parameter.secret));
        found.extend(open.map(|key| params.key(key)));
    }
    found
}

/// A file's name, or a database's address without a password in it.
fn no_secret_store(text: &str) -> bool {
    let database =
        |text: &str| reqwest::Url::parse(text).is_ok_and(|url| url.password().is_none() && !url.query_pairs().any(|(key, _)| key == "password"));
    text.starts_with("sqlite:") || ((text.starts_with("postgres://") || text.starts_with("postgresql://")) && database(text))
}
