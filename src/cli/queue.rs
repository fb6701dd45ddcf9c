//! `watchfire queue ls|show|retry|drop|move` and `watchfire backup`.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::part::Part;
use super::print::{self, time};
use super::remote::Remote;
use super::table::{Table, cell, number, state, text};
use super::{Common, ExitStatus, block_on, contexts};
use crate::api::{
    BackupRequest, BackupResponse, Channels, CreatedDelivery, Deliveries, DeliveriesRequest, DeliveryResponse, DropResponse, RequeueResponse,
};
use crate::config::nearest;
use crate::model::DeliveryId;
use crate::store::DeliveryRow;

/// How often the list is asked for again.
const LOOK: Duration = Duration::from_secs(2);

/// The list.
const COLUMNS: Table<6> =
    Table([text("DELIVERY", 36), text("BORN", 20), text("STATE", 8), text("CHANNEL", 16), number("TRIES", 5), text("TITLE, REASON", 13)]);

/// Look at, retry, drop and move deliveries.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List deliveries, newest first; a search reads 50,000 of them at a time, says how far back it went, and goes on with --cursor.
    Ls(Filter),
    /// Show one delivery: event, message, every attempt with the platform's answer.
    Show {
        /// Delivery id.
        id: String,
    },
    /// Send again what is dead, dropped, skipped, expired or unknown, with the templates as they are now; what is muted or waits for its next try goes when
    /// its turn comes.
    Retry(Which),
    /// End deliveries for good.
    Drop {
        #[command(flatten)]
        which: Which,
        /// Why; kept with them.
        #[arg(long)]
        reason: String,
    },
    /// Send deliveries to another channel instead.
    Move {
        #[command(flatten)]
        which: Which,
        /// The channel.
        #[arg(long)]
        to: String,
    },
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only this channel.
    #[arg(long)]
    channel: Option<String>,
    /// Only these states: waiting, deferred, sent, dead, dropped, skipped, expired, unknown.
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// Only those that this message carried.
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Only those whose title or reason holds this text.
    #[arg(long)]
    text: Option<String>,
    #[command(flatten)]
    part: Part,
    /// Print what is new or has changed among the newest `--limit`, until it is interrupted; with --json one delivery a line.
    #[arg(long, conflicts_with = "cursor")]
    follow: bool,
}

/// Deliveries by id, or all that match.
#[derive(Debug, Args)]
pub struct Which {
    /// Delivery ids.
    ids: Vec<String>,
    /// All deliveries in this state instead (with --channel, only its).
    #[arg(long, conflicts_with = "ids")]
    all: Option<String>,
    /// With --all: only this channel.
    #[arg(long, requires = "all")]
    channel: Option<String>,
}

/// Runs a queue command.
pub fn run(common: &Common, command: &QueueCommand) -> Result<ExitStatus> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = match command {
            QueueCommand::Ls(filter) if filter.follow => follow(&remote, filter, common.json).await,
            QueueCommand::Ls(filter) => ls(&remote, filter, common.json).await,
            QueueCommand::Show { id } => show(&remote, id, common.json).await,
            QueueCommand::Retry(which) => each(&remote, which, Action::Retry, common.json).await,
            QueueCommand::Drop { which, reason } => each(&remote, which, Action::Drop { reason: reason.clone() }, common.json).await,
            QueueCommand::Move { which, to } => each(&remote, which, Action::Move { to: to.clone() }, common.json).await,
        };
        remote.close().await;
        match result {
            // A reader that stops early (`| head`) is no failure.
            Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => Ok(ExitStatus::Success),
            result => result,
        }
    })?
}

async fn ls(remote: &Remote, filter: &Filter, as_json: bool) -> Result<ExitStatus> {
    let found: Deliveries = remote.get(&format!("/api/v1/deliveries?{}", filter.query())).await?;
    if as_json {
        anstream::println!("{}", serde_json::to_string(&found)?);
        return Ok(ExitStatus::Success);
    }
    if found.deliveries.is_empty() {
        anstream::println!("no deliveries match{}", unknown_channel(remote, filter.channel.as_deref()).await);
    } else if let Some(header) = COLUMNS.header() {
        writeln!(anstream::stdout(), "{header}")?;
    }
    found.deliveries.iter().try_for_each(|row| print_row(row, false))?;
    if let Some(next) = found.next {
        writeln!(anstream::stdout(), "{}", print::more(next, found.searched_back_to.map(time)))?;
    }
    Ok(ExitStatus::Success)
}

/// That no channel is called so, and which has a similar name; nothing where that is not known.
async fn unknown_channel(remote: &Remote, name: Option<&str>) -> String {
    let Some(name) = name else { return String::new() };
    let Ok(found) = remote.get::<Channels>("/api/v1/channels").await else { return String::new() };
    if found.channels.iter().any(|one| one.name == name) {
        return String::new();
    }
    let near = nearest(name, found.channels.iter().map(|one| one.name.as_str())).map(|near| format!("; did you mean `{near}`?"));
    format!(": there is no channel `{name}`{}", near.unwrap_or_default())
}

fn print_row(row: &DeliveryRow, as_json: bool) -> io::Result<()> {
    if as_json {
        return writeln!(anstream::stdout(), "{}", serde_json::to_string(row)?);
    }
    let title = row.reason.as_ref().map_or_else(|| row.title.clone(), |reason| format!("{}  {reason}", row.title));
    let cells = [cell(row.id), cell(time(row.born_at)), state(row.state.as_str()), cell(&row.channel), cell(row.tries), cell(title)];
    writeln!(anstream::stdout(), "{}", COLUMNS.row(cells))
}

/// Prints deliveries as they come and change, oldest first. A server that does not answer for a while is asked again; a refusal ends it.
async fn follow(remote: &Remote, filter: &Filter, as_json: bool) -> Result<ExitStatus> {
    anyhow::ensure!(remote.is_server(), "no server runs, so nothing changes; `watchfire queue ls` without --follow shows what there is");
    let path = format!("/api/v1/deliveries?{}", filter.query());
    let mut found: Deliveries = remote.get(&path).await?;
    if let Some(header) = COLUMNS.header().filter(|_| !as_json) {
        writeln!(anstream::stdout(), "{header}")?;
    }
    let mut shown = HashMap::new();
    let mut is_first = true;
    loop {
        let known = std::mem::take(&mut shown);
        // What came between two looks may be more than a look holds.
        if !is_first && found.deliveries.len() == filter.part.limit && found.deliveries.iter().all(|row| !known.contains_key(&row.id)) {
            anstream::eprintln!("more came than the {} that are shown; raise --limit", found.deliveries.len());
        }
        is_first = false;
        for row in found.deliveries.iter().rev() {
            if known.get(&row.id) != Some(&(row.state, row.tries)) {
                print_row(row, as_json)?;
            }
            shown.insert(row.id, (row.state, row.tries));
        }
        found = loop {
            tokio::time::sleep(LOOK).await;
            match remote.get_again(&path).await? {
                Ok(found) => break found,
                Err(error) => anstream::eprintln!("{error:#}; it is asked again"),
            }
        };
    }
}

async fn show(remote: &Remote, id: &str, as_json: bool) -> Result<ExitStatus> {
    let found: DeliveryResponse = remote.get(&format!("/api/v1/deliveries/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))).await?;
    if as_json {
        anstream::println!("{}", serde_json::to_string(&found)?);
    } else {
        anstream::print!("{}", print::delivery(&found, true));
    }
    Ok(ExitStatus::Success)
}

/// What was done, page after page.
#[derive(Default)]
struct Done {
    queued: Vec<CreatedDelivery>,
    dropped: u64,
}

impl Done {
    fn count(&self) -> u64 {
        self.dropped + self.queued.len() as u64
    }
}

/// What is done with deliveries.
enum Action {
    Retry,
    Drop { reason: String },
    Move { to: String },
}

impl Action {
    fn name(&self) -> &'static str {
        match self {
            Action::Retry => "retry",
            Action::Drop { .. } => "drop",
            Action::Move { .. } => "move",
        }
    }

    /// Applies it to some deliveries.
    async fn apply(&self, remote: &Remote, ids: Vec<DeliveryId>, done: &mut Done) -> Result<()> {
        let path = format!("/api/v1/deliveries/{}", self.name());
        let request = DeliveriesRequest { ids, ..DeliveriesRequest::default() };
        let request = match self {
            Action::Retry => request,
            Action::Drop { reason } => {
                let dropped: DropResponse = remote.post(&path, &DeliveriesRequest { reason: Some(reason.clone()), ..request }).await?;
                done.dropped += dropped.dropped;
                return Ok(());
            }
            Action::Move { to } => DeliveriesRequest { to: Some(to.clone()), ..request },
        };
        let requeued: RequeueResponse = remote.post(&path, &request).await?;
        done.queued.extend(requeued.deliveries);
        Ok(())
    }

    /// The API's answer, of all pages together.
    fn answer(&self, done: Done) -> Result<String> {
        Ok(match self {
            Action::Drop { .. } => serde_json::to_string(&DropResponse { dropped: done.dropped })?,
            Action::Retry | Action::Move { .. } => serde_json::to_string(&RequeueResponse { deliveries: done.queued })?,
        })
    }
}

/// Applies an action, and prints what was done, also where it ended with an error.
async fn each(remote: &Remote, which: &Which, action: Action, as_json: bool) -> Result<ExitStatus> {
    let mut done = Done::default();
    let named = apply(remote, which, &action, &mut done).await;
    let total = done.count();
    if as_json {
        if named.is_ok() || total > 0 {
            anstream::println!("{}", action.answer(done)?);
        }
    } else {
        done.queued.iter().for_each(|created| anstream::println!("{} on {}", created.id, created.channel));
        if named.is_ok() || total > 0 {
            let idle = if remote.is_server() { "" } else { " (no server runs; they are sent when one does)" };
            anstream::println!("{}: {total} deliveries{idle}", action.name());
        }
    }
    let left = named?.map_or(0, |named| named.saturating_sub(total));
    if left > 0 {
        anstream::eprintln!(
            "{left} of those that were named stay as they are: they are being sent, or ended otherwise than dead, or are not there; \
             `watchfire queue show ID` says which"
        );
        return Ok(ExitStatus::Failure);
    }
    Ok(ExitStatus::Success)
}

/// Applies an action to deliveries named by id, or, in pages, to all that match. Returns how many were named.
async fn apply(remote: &Remote, which: &Which, action: &Action, done: &mut Done) -> Result<Option<u64>> {
    match &which.all {
        None if which.ids.is_empty() => anyhow::bail!("name delivery ids, or --all STATE"),
        None => {
            let id = |text: &String| text.trim().parse().map_err(|_| anyhow::anyhow!("`{text}` is no delivery id; `watchfire queue ls` lists them"));
            let ids = which.ids.iter().map(id).collect::<Result<BTreeSet<DeliveryId>>>()?;
            let named = ids.len() as u64;
            action.apply(remote, ids.into_iter().collect(), done).await?;
            Ok(Some(named))
        }
        Some(state) => {
            let part = Part { limit: 500, ..Part::default() };
            let mut filter = Filter { channel: which.channel.clone(), state: vec![state.clone()], part, ..Filter::default() };
            loop {
                let page: Deliveries = remote.get(&format!("/api/v1/deliveries?{}", filter.query())).await?;
                if !page.deliveries.is_empty() {
                    action.apply(remote, page.deliveries.iter().map(|row| row.id).collect(), done).await?;
                }
                let Some(next) = page.next else { return Ok(None) };
                filter.part.cursor = Some(next.to_string());
            }
        }
    }
}

impl Filter {
    fn query(&self) -> String {
        let states = self.state.join(",");
        let state = Some(states.as_str()).filter(|states| !states.is_empty());
        let (channel, text, message) = (self.channel.as_deref(), self.text.as_deref(), self.message.as_deref());
        self.part.query(&[("channel", channel), ("state", state), ("text", text), ("message", message)])
    }
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write, on the server's machine; it must not exist.
    file: PathBuf,
}

/// Writes a copy of the store.
pub fn backup(common: &Common, args: &BackupArgs) -> Result<ExitStatus> {
    block_on(async {
        let elsewhere = contexts::chosen(common)?;
        if let Some(context) = &elsewhere {
            let help = "name an absolute path there";
            anyhow::ensure!(args.file.is_absolute(), "the copy is written on {}, where relative paths have another meaning; {help}", context.server);
        }
        let remote = Remote::open(common).await?;
        let file = std::path::absolute(&args.file)?;
        let result: Result<BackupResponse> = remote.post("/api/v1/backup", &BackupRequest { file: file.clone() }).await;
        remote.close().await;
        let text = print::shown(common.json, &result?, |_| match elsewhere {
            Some(context) => format!("written on {}, to {}", context.server, file.display()),
            None => format!("written to {}", file.display()),
        });
        anstream::println!("{}", text?);
        Ok(ExitStatus::Success)
    })?
}
