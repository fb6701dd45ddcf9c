//! Hints to other nodes that something waits on an outlet: `NOTIFY watchfire` with the outlet's key. Nothing depends on them; a node that
//! misses one finds the work when it next looks.

use std::collections::BTreeSet;

use super::failure::Fail;
use super::tx::Tx;
use crate::store::{AcceptedDelivery, State};

/// The channel of the hints.
pub(super) const CHANNEL: &str = "watchfire";
/// The longest payload that PostgreSQL takes is 8,000 bytes; no outlet's key comes near.
const LONGEST: usize = 4_000;

/// Tells, with this transaction's commit, the owners of the outlets on which these wait.
pub(super) async fn notify(tx: &Tx, accepted: &[AcceptedDelivery]) -> Result<(), Fail> {
    let waits = accepted.iter().filter(|d| d.state == State::Waiting && d.outlet.as_str().len() < LONGEST);
    let outlets: Vec<&str> = waits.map(|d| d.outlet.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    if !outlets.is_empty() {
        tx.query("SELECT pg_notify($1, n.outlet) FROM unnest($2) AS n (outlet)", &[&CHANNEL, &outlets]).await?;
    }
    Ok(())
}
