//! One connection that sends hints to other nodes and receives theirs. It comes back by itself when the database does; behind a pooler that lends
//! connections for one transaction it hears nothing, and the poll finds the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Connection, Error};

use super::connect::{Db, Listening};
use super::notify::{CHANNEL, Hints};
use crate::model::OutletKey;

/// The pause before it connects again.
const RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// How long it is silent after a hint; what is accepted in the meantime is sent together, each outlet once.
const SILENCE: Duration = Duration::from_millis(20);

/// Notifies and listens until the receiver is gone or the store is closed.
pub(super) async fn listen(db: Arc<Db>, hints: Arc<Hints>, heard: mpsc::Sender<OutletKey>) {
    let silent = db.silent();
    loop {
        tokio::select! {
            () = silent.cancelled() => return,
            () = heard.closed() => return,
            done = once(&db, &hints, &heard) => {
                if let Err(error) = done {
                    tracing::debug!(%error, "hints from other nodes do not come for now; the store is asked from time to time");
                }
            }
        }
        tokio::select! {
            () = silent.cancelled() => return,
            () = tokio::time::sleep(RECONNECT_DELAY) => {}
        }
    }
}

async fn once(db: &Db, hints: &Hints, heard: &mpsc::Sender<OutletKey>) -> Result<(), Error> {
    match db.listening().await? {
        Listening::Plain(client, connection) => both(client, *connection, hints, heard).await,
        Listening::Secured(client, connection) => both(client, *connection, hints, heard).await,
    }
}

async fn both<S, T>(client: Client, connection: Connection<S, T>, hints: &Hints, heard: &mpsc::Sender<OutletKey>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    // What this node sends comes back to it; it has the work already. 0 is no process's number.
    let own = AtomicI32::new(0);
    tokio::select! {
        done = forward(connection, &own, heard) => done,
        done = subscribe(client, &own, hints) => done,
    }
}

async fn subscribe(client: Client, own: &AtomicI32, hints: &Hints) -> Result<(), Error> {
    let process = client.query_typed("SELECT pg_backend_pid()", &[]).await?;
    own.store(process.first().map_or(Ok(0), |row| row.try_get(0))?, Ordering::Relaxed);
    client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
    loop {
        let outlets = hints.next().await;
        let keys: Vec<&str> = outlets.iter().map(OutletKey::as_str).collect();
        let sql = "SELECT pg_notify($1, n.outlet) FROM unnest($2) AS n (outlet)";
        client.execute_typed(sql, &[(&CHANNEL, Type::TEXT), (&keys, Type::TEXT_ARRAY)]).await?;
        tokio::time::sleep(SILENCE).await;
    }
}

async fn forward<S, T>(mut connection: Connection<S, T>, own: &AtomicI32, heard: &mpsc::Sender<OutletKey>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            // A full queue is no loss: these are hints.
            Some(Ok(AsyncMessage::Notification(hint))) if hint.process_id() != own.load(Ordering::Relaxed) => {
                drop(heard.try_send(OutletKey::from_stored(hint.payload())));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Ok(()),
        }
    }
}
