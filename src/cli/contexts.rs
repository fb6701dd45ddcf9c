//! `watchfire context add|use|ls|rm`: servers on other machines, by name, so that commands there need no routes.yaml. Tokens are not in the file: it names
//! the files that hold them.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::print::shown;
use super::{Common, ExitStatus};
use crate::config::nearest;

/// Name servers on other machines.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// Name the server of `--server`, with the token in `--token-file`. The first one is used at once.
    Add {
        /// Its name.
        name: String,
    },
    /// Use this server from now on, wherever no `--server`, `--config` or `--listen` says otherwise.
    Use {
        /// Its name.
        name: String,
    },
    /// List the servers; the one in use has a star.
    Ls,
    /// Forget a server.
    Rm {
        /// Its name.
        name: String,
    },
}

/// A server on another machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Its address, as `https://watchfire.example.com`.
    pub server: String,
    /// The file that holds the bearer token for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

impl Context {
    /// The bearer token; `None` where there is no file for it.
    pub fn token(&self) -> Result<Option<String>> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable("the token file", path, &error))?;
        let token = text.trim();
        ensure!(!token.is_empty(), "the token file {} is empty; write the bearer token into it", path.display());
        ensure!(token.chars().all(|c| c.is_ascii_graphic()), "the token file {} holds more than a token; write one line into it", path.display());
        Ok(Some(token.to_owned()))
    }
}

/// The user's file, and what `--json` prints.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Contexts {
    /// The name of the one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    contexts: BTreeMap<String, Context>,
}

/// Runs `context`.
pub fn run(common: &Common, command: &ContextCommand) -> Result<ExitStatus> {
    let path = place()?;
    let mut file = Contexts::read(&path)?;
    let text = match command {
        ContextCommand::Add { name } => {
            ensure!(!file.contexts.contains_key(name), "the context `{name}` is there; `watchfire context rm {name}` removes it");
            let Some(server) = &common.server else { bail!("name its address: --server https://watchfire.example.com") };
            let context = Context { server: address(server)?, token_file: common.token_file.as_deref().map(std::path::absolute).transpose()? };
            if context.token()?.is_some() {
                warn_in_the_clear(&context.server);
            }
            file.contexts.insert(name.clone(), context);
            let first = file.current.is_none();
            file.current.get_or_insert_with(|| name.clone());
            file.write(&path)?;
            format!("added {name}{}", if first { ", which is used from now on" } else { "" })
        }
        ContextCommand::Use { name } => {
            let context = file.named(name)?.clone();
            file.current = Some(name.clone());
            file.write(&path)?;
            note_override();
            format!("commands go to {}", context.server)
        }
        ContextCommand::Ls => {
            note_override();
            file.list()
        }
        ContextCommand::Rm { name } => {
            file.named(name)?;
            file.contexts.remove(name);
            file.current.take_if(|current| current == name);
            file.write(&path)?;
            format!("removed {name}")
        }
    };
    anstream::println!("{}", shown(common.json, &file, |_| text)?);
    Ok(ExitStatus::Success)
}

/// The server on another machine that a command is for; `None`: the one of routes.yaml.
pub fn chosen(common: &Common) -> Result<Option<Context>> {
    // A file of the environment is for a server without one: another server must not see its token.
    let said = common.token_file.clone().filter(|_| common.said.token_file);
    let with_token = |context: Context| Context { token_file: said.or(context.token_file).or_else(|| common.token_file.clone()), ..context };
    if let Some(server) = &common.server {
        return Ok(Some(with_token(Context { server: address(server)?, token_file: None })));
    }
    let found = match &common.context {
        Some(name) => Some(Contexts::read(&place()?)?.named(name)?.clone()),
        None if common.said.local => None,
        // Without a home there is no file.
        None => match place() {
            Ok(path) => match Contexts::read(&path) {
                Ok(file) => file.in_use()?.cloned(),
                Err(error) => {
                    anstream::eprintln!("no context is used: {error:#}");
                    None
                }
            },
            Err(_) => None,
        },
    };
    ensure!(found.is_some() || !common.said.token_file, "--token-file is for another machine's server; name it with --server or --context");
    Ok(found.map(with_token))
}

impl Contexts {
    fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Ok(Self::default()),
            Ok(text) => crate::model::yaml::read(&text).map_err(|errors| anyhow::anyhow!("{}: {}", path.display(), errors.join("\n"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unreadable("the contexts", path, &error)),
        }
    }

    /// Replaces the file as a whole; only its user reads it.
    fn write(&self, path: &Path) -> Result<()> {
        let what = || format!("{} cannot be written", path.display());
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(what)?;
        }
        let text = serde_yaml::to_string(self)?;
        let half = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
        let written = || {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&half, path)
        };
        written().inspect_err(|_| drop(std::fs::remove_file(&half))).with_context(what)
    }

    fn named(&self, name: &str) -> Result<&Context> {
        self.contexts.get(name).with_context(|| match nearest(name, self.contexts.keys().map(String::as_str)) {
            Some(near) => format!("there is no context `{name}`; did you mean `{near}`?"),
            None => format!("there is no context `{name}`; `watchfire context ls` lists them, `watchfire context add {name} --server URL` adds it"),
        })
    }

    fn in_use(&self) -> Result<Option<&Context>> {
        self.current.as_deref().map(|name| self.named(name)).transpose()
    }

    fn list(&self) -> String {
        if self.contexts.is_empty() {
            return "there are no contexts; `watchfire context add NAME --server URL --token-file FILE` adds one".into();
        }
        let row = |(name, context): (&String, &Context)| {
            let mark = if self.current.as_deref() == Some(name) { "*" } else { " " };
            let token = context.token_file.as_ref().map_or_else(|| "no token".to_owned(), |path| format!("token in {}", path.display()));
            format!("{mark} {name:<16} {}  ({token})", context.server)
        };
        self.contexts.iter().map(row).collect::<Vec<_>>().join("\n")
    }
}

/// Which variable of the environment decides in place of the context in use.
fn note_override() {
    let variables = ["WATCHFIRE_SERVER", "WATCHFIRE_CONTEXT", "WATCHFIRE_CONFIG", "WATCHFIRE_LISTEN"];
    if let Some(name) = variables.into_iter().find(|name| std::env::var_os(name).is_some()) {
        anstream::eprintln!("{name} is set and goes before the context in use; unset it to use the context");
    }
}

/// Warns when a token for this address can be read on the way.
pub fn warn_in_the_clear(server: &str) {
    let host = reqwest::Url::parse(server).ok().filter(|url| url.scheme() == "http").and_then(|url| Some(url.host_str()?.to_owned()));
    let Some(host) = host else { return };
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    if host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback()) {
        anstream::eprintln!("the token goes to {server} in the clear; use https where others share the network");
    }
}

/// Where the file is: in the user's own folder.
fn place() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    Ok(folder.context("neither HOME nor XDG_CONFIG_HOME is set; name the server with --server")?.join("watchfire/contexts.yaml"))
}

/// An address without what follows it.
fn address(text: &str) -> Result<String> {
    let help = "write it as https://watchfire.example.com, or with a port as http://10.0.0.5:9091";
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // A password must not be repeated.
    let url = url.with_context(|| format!("the address of the server is none; {help}"))?;
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the address holds a password; write the bearer token into a file, and name it with --token-file"
    );
    ensure!(url.query().is_none() && url.fragment().is_none(), "the address of the server ends with its path; {help}");
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn unreadable(what: &str, path: &Path, error: &std::io::Error) -> anyhow::Error {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
    };
    anyhow::anyhow!("{what} {} cannot be read: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_a_slash_and_never_with_a_password() {
        assert_eq!(address("https://w.example.com/").unwrap(), "https://w.example.com");
        assert_eq!(address("http://10.0.0.5:9091/alerts/").unwrap(), "http://10.0.0.5:9091/alerts");
        for wrong in ["w.example.com", "ftp://w.example.com", "https://w.example.com/?x=1", "localhost:9091"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        let said = address("https://ann:s3cret@w.example.com").unwrap_err().to_string();
        assert!(said.contains("--token-file") && !said.contains("s3cret"), "{said}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let context = |server: &str, token: Option<&str>| Context { server: server.into(), token_file: token.map(PathBuf::from) };
        let contexts = BTreeMap::from([
            ("prod: eu".to_owned(), context("https://w.example.com", Some("/home/ann/a token"))),
            ("test".to_owned(), context("http://127.0.0.1:9091", None)),
        ]);
        let file = Contexts { current: Some("test".into()), contexts };
        let read: Contexts = crate::model::yaml::read(&serde_yaml::to_string(&file).unwrap()).unwrap();
        assert_eq!(read, file);
        let said = read.named("tset").unwrap_err().to_string();
        assert!(said.contains("did you mean `test`"), "{said}");
    }
}
