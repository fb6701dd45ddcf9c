//! `watchfire audit ls`: what people did by hand, and what they were refused.

use anyhow::Result;
use clap::Subcommand;

use super::part::Part;
use super::print::{more, shown, time};
use super::remote::print_answer;
use super::table::{Cell, Table, cell, text};
use super::{Common, ExitStatus};
use crate::api::{Audit, AuditedAct};

/// Look at what people did by hand.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List acts and what was refused, newest first: who, from where, what, on what, and what became of it.
    Ls {
        /// Only those by this person or credential.
        #[arg(long)]
        person: Option<String>,
        /// Only those whose author, act, object, reason or outcome holds this text.
        #[arg(long)]
        text: Option<String>,
        #[command(flatten)]
        part: Part,
    },
}

/// Runs `audit`.
pub fn run(common: &Common, command: &AuditCommand) -> Result<ExitStatus> {
    let AuditCommand::Ls { person, text, part } = command;
    let path = format!("/api/v1/audit?{}", part.query(&[("person", person.as_deref()), ("text", text.as_deref())]));
    print_answer(common, async |remote| {
        let found: Audit = remote.get(&path).await?;
        shown(common.json, &found, table)
    })
}

fn table(found: &Audit) -> String {
    if found.acts.is_empty() && found.next.is_none() {
        return "no acts match".into();
    }
    let columns =
        Table([text("AT", 20), text("WHO", 16), text("FROM", 28), text("STATE", 7), text("ACT", 10), text("ON", 36), text("REASON, OUTCOME", 15)]);
    columns.list(found.acts.iter().map(row), found.next.as_ref().map(|next| more(next, found.searched_back_to.map(time))))
}

fn row(act: &AuditedAct) -> [Cell; 7] {
    let joined = |parts: [&str; 2]| parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let who = if act.who.is_empty() { "somebody" } else { &act.who };
    let (from, why) = (joined([&act.via, &act.from]), joined([&act.reason, &act.outcome]));
    [cell(time(act.at)), cell(who), cell(from), cell(act.state.as_str()), cell(&act.act), cell(&act.on), cell(why)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixMs;
    use crate::store::AuditState;

    #[test]
    fn an_act_is_a_row_with_its_reason_and_what_became_of_it() {
        let act = |who: &str, from: &str, reason: &str| AuditedAct {
            id: uuid::Uuid::nil(),
            at: UnixMs(1_795_489_200_000),
            who: who.into(),
            via: "API".into(),
            from: from.into(),
            act: "drop".into(),
            on: "delivery 7".into(),
            reason: reason.into(),
            state: AuditState::Done,
            outcome: "1 dropped".into(),
        };
        let acts = vec![act("ann", "192.0.2.7", "obsolete"), act("", "", "")];
        let found = Audit { acts, next: Some(uuid::Uuid::nil()), searched_back_to: Some(UnixMs(1_795_489_200_000)) };
        let text = anstream::adapter::strip_str(&table(&found)).to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
        // Below the header, where the tests run on a terminal.
        let lines = &lines[lines.len() - 3..];
        assert_eq!(lines[0], ["2026-11-24 03:00:00Z", "ann", "API, 192.0.2.7", "done", "drop", "delivery 7", "obsolete, 1 dropped"]);
        assert_eq!(lines[1], ["2026-11-24 03:00:00Z", "somebody", "API", "done", "drop", "delivery 7", "1 dropped"]);
        assert_eq!(lines[2], ["searched back to 2026-11-24 03:00:00Z; more: --cursor 00000000-0000-0000-0000-000000000000"]);
    }
}
