//! Where secret values come from: the environment, files beside the configuration, the configuration itself; or placeholders when none are wanted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::source::looks_random;
use crate::channel::SecretReader;
use crate::channel::kit::PLACEHOLDER;
use crate::model::{Secret, SecretSource, unreadable};

/// The most a secret file may hold; certificates and keys are read by the same way.
const MAX_FILE: u64 = 256 * 1024;

/// Reads environment variables; tests give one of their own.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The process's own environment. A variable that is not UTF-8 counts as not set.
pub fn process_environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok())
}

/// Whether what is under `env` or `file` is a name. A secret that was written in place of one must not be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It reads as one.
    Name,
    /// It may be one, or a password.
    Doubtful,
    /// It is hardly one.
    Secret,
}

impl Likeness {
    /// Of a secret that is elsewhere; what is in the file itself has no name.
    pub(super) fn of(source: &SecretSource) -> Self {
        match source {
            SecretSource::Env(name) => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                let is_lower_with_digits = name.contains(|c: char| c.is_ascii_lowercase()) && name.contains(|c: char| c.is_ascii_digit());
                match name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit()) {
                    false => Self::Secret,
                    true if !is_lower_with_digits => Self::Name,
                    true if looks_random(name) => Self::Secret,
                    true => Self::Doubtful,
                }
            }
            SecretSource::File(path) => {
                let text = path.to_string_lossy();
                let is_secret = text.contains("://") || (!text.contains(['/', '.']) && looks_random(&text));
                if is_secret { Self::Secret } else { Self::Name }
            }
            SecretSource::Literal(_) | SecretSource::Invalid(_) => Self::Name,
        }
    }
}

/// What a source names, in a sentence: the variable, or the file.
fn called(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) if Likeness::of(source) == Likeness::Name => format!("environment variable {name}"),
        SecretSource::File(path) if Likeness::of(source) == Likeness::Name => format!("file {}", path.display()),
        SecretSource::File(_) => "the file that it names".to_owned(),
        _ => "the environment variable that it names".to_owned(),
    }
}

/// A value without the line break that most editors, and `echo`, put at its end.
fn without_line_break(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// Reads the real values, and remembers which files it read.
pub struct RealSecrets {
    folder: PathBuf,
    env: Environment,
    files: Mutex<BTreeSet<PathBuf>>,
}

impl RealSecrets {
    /// `folder` is what relative paths are relative to.
    pub fn new(folder: &Path, env: Environment) -> Self {
        Self { folder: folder.to_owned(), env, files: Mutex::default() }
    }

    /// The files that were asked for, there or not: a change of any of them changes the configuration.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn read_file(&self, path: &Path) -> Result<Secret, String> {
        let full = self.folder.join(path);
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(full.clone());
        let named = called(&SecretSource::File(path.to_owned()));
        let about = |error: std::io::Error| format!("{named} {}", unreadable(&error));
        let meta = std::fs::metadata(&full).map_err(about)?;
        if meta.is_dir() {
            return Err(format!("{named} is a folder, not a file"));
        }
        if meta.len() > MAX_FILE {
            return Err(format!("{named} is larger than {} KiB", MAX_FILE / 1024));
        }
        let bytes = std::fs::read(&full).map_err(about)?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{named} is not text (UTF-8)"))?;
        // Some editors begin a file with a mark.
        let text = without_line_break(text.strip_prefix('\u{feff}').unwrap_or(&text));
        if text.is_empty() {
            return Err(format!("{named} is empty"));
        }
        Ok(Secret::new(text))
    }
}

impl SecretReader for RealSecrets {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::Env(name) => match (self.env)(name).as_deref().map(without_line_break) {
                Some("") => Err(format!("{} is empty", called(source))),
                Some(value) => Ok(Secret::new(value)),
                None => Err(format!("{} is not set", called(source))),
            },
            SecretSource::File(path) => self.read_file(path),
            SecretSource::Invalid(why) => Err((*why).to_owned()),
        }
    }
}

/// Returns a placeholder for every secret that is not in the configuration itself.
pub struct Placeholders;

impl SecretReader for Placeholders {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::Invalid(why) => Err((*why).to_owned()),
            // The same source always yields the same text, so that one credential is still one outlet.
            SecretSource::Env(name) => Ok(Secret::new(format!("{PLACEHOLDER}env-{name}"))),
            SecretSource::File(path) => Ok(Secret::new(format!("{PLACEHOLDER}file-{}", path.display()))),
        }
    }

    fn real(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_where_the_source_says() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hunter2\r\n").unwrap();
        std::fs::write(folder.path().join("two"), "a\n\n").unwrap();
        std::fs::write(folder.path().join("marked"), "\u{feff}hunter2\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        std::fs::write(folder.path().join("large"), vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        let env: Environment = Arc::new(|name| match name {
            "SET" => Some("value".into()),
            "LINE" => Some("value\r\n".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        });
        let secrets = RealSecrets::new(folder.path(), env);
        let file = |name: &str| secrets.read(&SecretSource::File(name.into()));
        assert_eq!(file("token").unwrap().expose(), "hunter2");
        assert_eq!(file("two").unwrap().expose(), "a\n", "one line break is trimmed, not all");
        assert_eq!(file("marked").unwrap().expose(), "hunter2");
        for (name, word) in [("empty", "empty"), ("binary", "UTF-8"), ("large", "larger"), ("none", "does not exist"), (".", "folder")] {
            assert!(file(name).unwrap_err().contains(word), "{name}");
        }
        let env = |name: &str| secrets.read(&SecretSource::Env(name.into()));
        assert_eq!(env("SET").unwrap().expose(), "value");
        assert_eq!(env("LINE").unwrap().expose(), "value", "as of a file");
        assert_eq!(env("EMPTY").unwrap_err(), "environment variable EMPTY is empty");
        assert_eq!(env("UNSET").unwrap_err(), "environment variable UNSET is not set");
        assert_eq!(secrets.files().len(), 8, "missing files are watched too");
    }

    #[test]
    fn a_secret_in_place_of_its_name_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = RealSecrets::new(folder.path(), Arc::new(|_| None));
        let env = |name: &str| secrets.read(&SecretSource::Env(name.into())).unwrap_err();
        for secret in ["p4ssw0rd!horse", "Sommer2026", "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0", "xoxb-1234-abcdefghijklmnop", "$TOKEN", "a b"]
        {
            assert_eq!(env(secret), "the environment variable that it names is not set", "{secret}");
        }
        for name in ["TOKEN", "SLACK_TOKEN_OF_THE_TEAM_2", "smtp_password", "my-token", "app.token"] {
            assert_eq!(env(name), format!("environment variable {name} is not set"));
        }
        let file = |path: &str| secrets.read(&SecretSource::File(path.into())).unwrap_err();
        for secret in ["https://hooks.slack.com/services/T0/B0/x", "0123456789abcdef0123456789abcdef"] {
            assert_eq!(file(secret), "the file that it names does not exist", "{secret}");
        }
        assert_eq!(file("secrets/0123456789abcdef0123456789abcdef"), "file secrets/0123456789abcdef0123456789abcdef does not exist");
    }

    #[test]
    fn placeholders_are_told_apart_and_are_not_real() {
        let read = |source: SecretSource| Placeholders.read(&source).unwrap();
        assert_ne!(read(SecretSource::Env("A".into())), read(SecretSource::Env("B".into())));
        assert_eq!(read(SecretSource::Env("A".into())), read(SecretSource::Env("A".into())));
        assert!(!Placeholders.real());
        assert!(Placeholders.read(&SecretSource::Invalid("x")).is_err());
    }
}
