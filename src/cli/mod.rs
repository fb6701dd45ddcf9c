//! The command line. Exit codes: 0 fine, 1 failed, 2 usage.

mod audit;
mod check;
mod contexts;
mod demo;
mod difference;
mod drill;
mod events;
mod examples;
mod explain;
mod goldens;
mod health;
mod import;
mod incidents;
mod init;
mod logging;
mod manual;
mod mute;
mod oncall;
mod online;
mod part;
mod password;
mod payloads;
mod print;
mod queue;
mod reload;
mod remote;
mod render;
mod route;
mod seen;
mod send;
mod serve;
mod service;
mod shell;
mod simulate;
mod state;
mod table;
mod transfer;
mod version;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::model::Verb;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Alert delivery gateway: Alertmanager and Grafana webhooks in; e-mail, Slack, DingTalk, WeCom and more out. Nothing lost, nothing silent.
#[derive(Debug, Parser)]
#[command(name = "watchfire", version, long_version = version::long(), about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes; shown behind what is its own.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file.
    #[arg(long, global = true, display_order = 900, default_value = "routes.yaml", env = "WATCHFIRE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Address to listen on (or of the running server), over `server.listen`.
    #[arg(long, global = true, display_order = 901, env = "WATCHFIRE_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// The address of a server on another machine, as `https://watchfire.example.com`.
    #[arg(long, global = true, display_order = 902, env = "WATCHFIRE_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// The file that holds the bearer token for it.
    #[arg(long, global = true, display_order = 903, env = "WATCHFIRE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A server that `watchfire context add` named.
    #[arg(long, global = true, display_order = 904, env = "WATCHFIRE_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Print JSON: the API's answer, where the command asks it.
    #[arg(long, global = true, display_order = 905)]
    pub json: bool,
    /// Which of them were said where.
    #[arg(skip)]
    pub said: Said,
}

/// Where options of [`Common`] come from: the command line goes before the environment, and both before a context in use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    /// `--config` or `--listen`, on the command line or by the environment: no context in use counts.
    pub local: bool,
    /// `--server` or `--context`, on the command line.
    pub remote: bool,
    /// `--token-file`, on the command line.
    pub token_file: bool,
    /// `--listen`, on the command line.
    pub listen: bool,
    /// `--config`, on the command line.
    pub config: bool,
}

impl Common {
    /// What the command line names goes before what the environment names.
    ///
    /// # Errors
    /// `--server` and `--context` are two servers.
    fn settle(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let named = |id: &str| typed(id) || matches.value_source(id) == Some(ValueSource::EnvVariable);
        if typed("server") && typed("context") {
            let why = "`--server` and `--context` both name a server; keep one of them";
            return Err(Cli::command().error(clap::error::ErrorKind::ArgumentConflict, why));
        }
        let is_here = typed("config") || typed("listen");
        if !typed("server") && (typed("context") || is_here) {
            self.server = None;
        }
        if !typed("context") && (typed("server") || is_here) {
            self.context = None;
        }
        self.said = Said {
            local: named("config") || named("listen"),
            remote: typed("server") || typed("context"),
            token_file: typed("token_file"),
            listen: typed("listen"),
            config: typed("config"),
        };
        Ok(())
    }

    /// The same with the file that a command names by itself. `--config` beside it is wrong usage, which ends the program.
    fn with_config(&self, file: &Path) -> Self {
        if self.said.config {
            let why = "FILE and `--config` both name a configuration; keep one of them";
            Cli::command().error(clap::error::ErrorKind::ArgumentConflict, why).exit();
        }
        Self { config: file.to_owned(), ..self.clone() }
    }

    /// Refuses `--server` and `--context` where a command is about this machine's configuration.
    fn refuse_remote(&self, command: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.said.remote,
            "`watchfire {command}` is about the configuration on this machine; leave out --server and --context, and name a file with --config"
        );
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default).
    Serve(serve::ServeArgs),
    /// Show what Watchfire does, with alerts of its own: no sender, credential or configuration is needed.
    Demo(demo::DemoArgs),
    /// Check the configuration and show every mistake.
    Check(check::CheckArgs),
    /// Show where labels are routed, and why.
    Route(route::RouteArgs),
    /// Show what would be sent for a payload, page by page.
    Render(render::RenderArgs),
    /// Really send one message and print the platform's answer.
    Send(send::SendArgs),
    /// Look at, retry, drop and move deliveries.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Look at what came in, also at what had no delivery.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Look at incidents: what goes on, since when, and who was notified.
    #[command(subcommand)]
    Incidents(incidents::IncidentsCommand),
    /// Say that somebody is on an incident: it rings no more for what fires now.
    Ack(incidents::ActArgs),
    /// Say that nobody is on an incident any more: it rings.
    Unack(incidents::ActArgs),
    /// Say that somebody is on an incident until a time; then it rings again.
    Snooze(incidents::SnoozeArgs),
    /// Snooze an incident, and have its Alertmanager be silent about it until then.
    Silence(incidents::SnoozeArgs),
    /// End the silence of an incident: it rings.
    Unsilence(incidents::ActArgs),
    /// End an incident here, whatever its sender says; what fires afterwards opens it again.
    Close(incidents::ActArgs),
    /// Hand an incident on: the next step of its escalation comes at once.
    Escalate(incidents::ActArgs),
    /// Run an escalation, or try the buttons of a channel, with messages that are marked as a drill.
    #[command(subcommand, alias = "test")]
    Drill(drill::DrillCommand),
    /// Name servers on other machines, and choose the one that commands go to.
    #[command(subcommand)]
    Context(contexts::ContextCommand),
    /// Show whether the running server is ready, and what needs somebody.
    Status,
    /// List the channels with their state.
    Channels,
    /// List the nodes that share the store.
    Nodes,
    /// List the heartbeats: when each was last seen.
    Heartbeats,
    /// Have the running server read its configuration again, and show what changed. A wrong one changes nothing.
    Reload,
    /// Mute channels for a while, end mutes, list them.
    #[command(subcommand)]
    Mute(mute::MuteCommand),
    /// Show who is on call, and put somebody else on call for a while.
    Oncall(oncall::OnCallArgs),
    /// Look at what people did by hand, and at what they were refused.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What a storm of alerts would become on each channel: messages, digests, delays. Sends nothing.
    Simulate(simulate::SimulateArgs),
    /// Why was this (not) sent: routes, target, message, attempts, what happens next.
    Explain(explain::ExplainArgs),
    /// Write a consistent copy of the store to a file, while it runs.
    Backup(queue::BackupArgs),
    /// Move everything from a SQLite file to a PostgreSQL database.
    MigrateStore(transfer::TransferArgs),
    /// Write a first configuration for the platforms of your choice.
    Init(init::InitArgs),
    /// Turn an Alertmanager configuration into a routes.yaml and the few lines that remain of it.
    Import(import::ImportArgs),
    /// List the platforms.
    Platforms(check::PlatformsArgs),
    /// Read a password from standard input and print its hash for `server.auth`.
    HashPassword,
    /// Print the JSON Schema of routes.yaml, for editors, or the reference of its keys.
    Schema(SchemaArgs),
    /// Print the description of the HTTP API (OpenAPI 3.1).
    Openapi,
    /// Print completions for a shell.
    Completions(shell::CompletionsArgs),
    /// Print the names of the channels, for the scripts of `completions`.
    #[command(hide = true)]
    ChannelNames(shell::NamesArgs),
    /// Print the manual page of the program or of a command, or write all of them.
    Man(manual::ManArgs),
    /// Ask the running server whether it is healthy (for containers without a shell).
    Health,
}

impl Command {
    /// Whether its own options ask for another form than JSON.
    fn asks_otherwise(&self) -> bool {
        match self {
            Self::Render(args) => args.html.is_some(),
            Self::Platforms(args) => args.markdown,
            Self::Schema(args) => args.markdown,
            _ => false,
        }
    }

    /// Whether there is no JSON of it: what it prints is for a terminal, a shell or a file.
    fn prints_text(&self) -> bool {
        matches!(
            self,
            Self::Serve(_) | Self::Demo(_) | Self::Init(_) | Self::HashPassword | Self::Completions(_) | Self::ChannelNames(_) | Self::Man(_)
        )
    }
}

/// Options of `schema`.
#[derive(Debug, Args)]
struct SchemaArgs {
    /// Print a reference of all keys as Markdown instead: `docs/configuration.md`.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// What a command came to.
pub enum ExitStatus {
    /// Exit 0.
    Success,
    /// Exit 1, the reason is printed already.
    Failure,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.common.settle(&matches).unwrap_or_else(|error| error.exit());
    if cli.common.json && cli.command.as_ref().is_none_or(|command| command.prints_text() || command.asks_otherwise()) {
        Cli::command().error(clap::error::ErrorKind::ArgumentConflict, "this prints no JSON; leave out --json").exit();
    }
    crate::channel::kit::install_crypto();
    match run(cli) {
        Ok(ExitStatus::Success) => ExitCode::SUCCESS,
        Ok(ExitStatus::Failure) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody may read it; that is no reason to end in another way.
            let _ = writeln!(anstream::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitStatus> {
    let common = cli.common;
    match cli.command.unwrap_or(Command::Serve(serve::ServeArgs::default())) {
        Command::Serve(args) => serve::run(&common, &args),
        Command::Demo(args) => demo::run(&common, &args),
        Command::Check(args) => check::run(&common, &args),
        Command::Route(args) => route::run(&common, &args),
        Command::Render(args) => render::run(&common, &args),
        Command::Send(args) => send::run(&common, &args),
        Command::Queue(command) => queue::run(&common, &command),
        Command::Events(command) => events::run(&common, &command),
        Command::Incidents(command) => incidents::run(&common, &command),
        Command::Ack(args) => incidents::act(&common, Verb::Ack, &args),
        Command::Unack(args) => incidents::act(&common, Verb::Unack, &args),
        Command::Snooze(args) => incidents::act_for(&common, Verb::Snooze, &args),
        Command::Silence(args) => incidents::act_for(&common, Verb::Silence, &args),
        Command::Unsilence(args) => incidents::act(&common, Verb::Unsilence, &args),
        Command::Close(args) => incidents::act(&common, Verb::Close, &args),
        Command::Escalate(args) => incidents::act(&common, Verb::Escalate, &args),
        Command::Drill(command) => drill::run(&common, &command),
        Command::Context(command) => contexts::run(&common, &command),
        Command::Status => state::status(&common),
        Command::Channels => state::channels(&common),
        Command::Nodes => state::nodes(&common),
        Command::Heartbeats => state::heartbeats(&common),
        Command::Reload => reload::run(&common),
        Command::Mute(command) => mute::run(&common, &command),
        Command::Oncall(args) => oncall::run(&common, &args),
        Command::Audit(command) => audit::run(&common, &command),
        Command::Simulate(args) => simulate::run(&common, &args),
        Command::Explain(args) => explain::run(&common, &args),
        Command::Backup(args) => queue::backup(&common, &args),
        Command::MigrateStore(args) => transfer::run(&common, &args),
        Command::Init(args) => init::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::ChannelNames(args) => shell::channel_names(&args),
        Command::Man(args) => manual::run(&args),
        Command::Import(args) => import::run(&common, &args),
        Command::Platforms(args) => Ok(check::platforms(&common, &args)),
        Command::Openapi => {
            anstream::println!("{}", crate::http::openapi::document());
            Ok(ExitStatus::Success)
        }
        Command::HashPassword => password::run(),
        Command::Schema(args) => {
            print_schema(&args);
            Ok(ExitStatus::Success)
        }
        Command::Health => health::run(&common),
    }
}

/// Writes a file that must not exist yet.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write};
    let told = |error: std::io::Error| {
        let named = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists if path.is_dir() => anyhow::anyhow!("{named} is a folder; name a file with --out"),
            ErrorKind::AlreadyExists => anyhow::anyhow!("{named} exists and is not overwritten; move it away, or name another file with --out"),
            ErrorKind::NotFound => anyhow::anyhow!("{named} cannot be written: its folder does not exist; make it, or name another file with --out"),
            ErrorKind::PermissionDenied => anyhow::anyhow!("{named} cannot be written: this user may not; choose another folder with --out"),
            _ => anyhow::anyhow!("{named} cannot be written: {}", error.to_string().split(" (os error").next().unwrap_or_default()),
        }
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(told)?;
    file.write_all(text.as_bytes()).map_err(told)
}

fn print_schema(args: &SchemaArgs) {
    if args.markdown {
        anstream::print!("{}", crate::config::reference());
    } else {
        anstream::print!("{}", crate::config::schema_text());
    }
}

/// Whether the program would understand this command line: for the commands that documents show. Without the program's name.
///
/// # Errors
/// What is wrong, as the program would say it.
pub fn parses(arguments: &[String]) -> Result<(), String> {
    let name = std::iter::once("watchfire".to_owned());
    Cli::try_parse_from(name.chain(arguments.iter().cloned())).map(|_| ()).or_else(|error| {
        use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
        if matches!(error.kind(), DisplayHelp | DisplayVersion) { Ok(()) } else { Err(error.to_string()) }
    })
}

/// A runtime for commands that wait for something.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// The configuration, for commands; `secrets`: whether tokens are needed.
fn load(common: &Common, secrets: bool) -> anyhow::Result<crate::config::Loaded> {
    let options = crate::config::LoadOptions { secrets, listen: common.listen.clone(), ..Default::default() };
    crate::config::load(&common.config, &options).map_err(|findings| anyhow::anyhow!("{}", crate::config::report(&findings)))
}
