//! `watchfire oncall`: who is on call, and who is in place of whom.

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::print::{shown, time};
use super::remote::{Remote, print_answer};
use super::table::{Table, cell, number, text};
use super::{Common, ExitStatus};
use crate::api::{Calendars, OnCall, OverrideRequest, OverrideResponse, Overrides, RotaShift};
use crate::model::UnixMs;

const PATH: &str = "/api/v1/oncall";

/// Options of `oncall`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OnCallArgs {
    #[command(subcommand)]
    command: Option<OnCallCommand>,
    /// At this time, as `2026-12-04T10:00:00Z`, or `2026-12-04 18:00` or the next `18:00` in `time_zone`. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Who is on call in place of whom.
#[derive(Debug, Subcommand)]
enum OnCallCommand {
    /// Put somebody on call in place of those whose turn it is.
    Override {
        /// The rota.
        rota: String,
        /// Who is on call.
        person: String,
        /// From when, as `2026-12-04T10:00:00Z`, or `2026-12-04 18:00` or the next `18:00` in the rota's zone. Default: now.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Until when.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// List the overrides.
    Overrides,
    /// Print the address by which a calendar subscribes to the shifts of a person or rota. Who has it can read them.
    Calendar {
        /// The person or rota.
        name: String,
    },
    /// End an override.
    Rm {
        /// Its number.
        number: i64,
    },
}

/// Runs `oncall`.
pub fn run(common: &Common, args: &OnCallArgs) -> Result<ExitStatus> {
    print_answer(common, async |remote| answer(remote, args, common.json).await)
}

async fn answer(remote: &Remote, args: &OnCallArgs, as_json: bool) -> Result<String> {
    match &args.command {
        None => {
            let at = args.at.as_ref().map_or_else(String::new, |at| format!("?at={}", utf8_percent_encode(at, NON_ALPHANUMERIC)));
            let found: OnCall = remote.get(&format!("{PATH}{at}")).await?;
            shown(as_json, &found, table)
        }
        Some(OnCallCommand::Override { rota, person, from, until, reason }) => {
            let request =
                OverrideRequest { rota: rota.clone(), person: person.clone(), from: from.clone(), until: until.clone(), reason: reason.clone() };
            let made: OverrideResponse = remote.post(&format!("{PATH}/overrides"), &request).await?;
            shown(as_json, &made, |made| made.text.clone())
        }
        Some(OnCallCommand::Overrides) => {
            let found: Overrides = remote.get(&format!("{PATH}/overrides")).await?;
            shown(as_json, &found, overrides)
        }
        Some(OnCallCommand::Calendar { name }) => {
            let found: Calendars = remote.get(&format!("{PATH}/calendars")).await?;
            let found = named(found, name)?;
            shown(as_json, &found, addresses)
        }
        Some(OnCallCommand::Rm { number }) => {
            let ended: OverrideResponse = remote.delete(&format!("{PATH}/overrides/{number}")).await?;
            shown(as_json, &ended, |ended| ended.text.clone())
        }
    }
}

/// The calendars of a person or rota.
fn named(mut found: Calendars, name: &str) -> Result<Calendars> {
    let mut known: Vec<String> = found.calendars.iter().map(|one| one.name.clone()).collect();
    known.dedup();
    found.calendars.retain(|one| one.name == name);
    anyhow::ensure!(!found.calendars.is_empty(), "nobody and no rota is called `{name}`; there are: {}", known.join(", "));
    Ok(found)
}

fn addresses(found: &Calendars) -> String {
    let urls: Vec<&str> = found.calendars.iter().map(|one| one.url.as_str()).collect();
    let note = if urls.iter().any(|url| url.starts_with('/')) { "\nset `server.external_url` to have the whole address" } else { "" };
    format!("{}{note}", urls.join("\n"))
}

fn table(found: &OnCall) -> String {
    if found.rotas.is_empty() {
        return "there are no rotas; `rotas:` in routes.yaml makes them".into();
    }
    let row = |rota: &crate::api::RotaState| {
        let local = |at: UnixMs| {
            let zone = TimeZone::get(&rota.zone).unwrap_or(TimeZone::UTC);
            format!("{} {}", zone.to_datetime(at.timestamp()).strftime("%Y-%m-%d %H:%M"), rota.zone)
        };
        let by = |shift: &RotaShift| shift.by_override.map_or_else(String::new, |number| format!(" (override {number})"));
        let now = rota.now.as_ref().map_or_else(|| "nobody".to_owned(), |now| format!("{}{} until {}", now.person, by(now), local(now.until)));
        let then = rota.then.as_ref().map_or_else(String::new, |then| format!(", then {}{} until {}", then.person, by(then), local(then.until)));
        format!("{:<16}  {now}{then}", rota.rota)
    };
    found.rotas.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn overrides(found: &Overrides) -> String {
    if found.overrides.is_empty() {
        return "there are no overrides".into();
    }
    let columns =
        Table([number("NUMBER", 6), text("ROTA", 16), text("PERSON", 16), text("FROM", 20), text("UNTIL", 20), text("BY", 16), text("REASON", 6)]);
    let row = |one: &crate::store::Override| {
        let (from, until) = (time(one.from), time(one.until));
        [cell(one.id), cell(&one.rota), cell(&one.person), cell(from), cell(until), cell(&one.by), cell(&one.reason)]
    };
    columns.list(found.overrides.iter().map(row), None)
}
