//! Hints from other nodes: one connection that listens. It comes back by itself when the database does; behind a pooler that lends connections
//! for one transaction it hears nothing, and the poll finds the work.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Connection};

use super::connect::{Db, Listening};
use super::notify::CHANNEL;
use crate::model::OutletKey;

/// The pause before it connects again.
const AGAIN: Duration = Duration::from_secs(2);

/// Listens until nobody wants to hear it or the store is closed.
pub(super) async fn listen(db: Arc<Db>, hints: mpsc::Sender<OutletKey>) {
    let silent = db.silent();
    loop {
        tokio::select! {
            () = silent.cancelled() => return,
            () = hints.closed() => return,
            done = once(&db, &hints) => {
                if let Err(error) = done {
                    tracing::debug!(%error, "hints from other nodes do not come for now; the store is asked from time to time");
                }
            }
        }
        tokio::select! {
            () = silent.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn once(db: &Db, hints: &mpsc::Sender<OutletKey>) -> Result<(), tokio_postgres::Error> {
    match db.listening().await? {
        Listening::Plain(client, connection) => hear(client, *connection, hints).await,
        Listening::Secured(client, connection) => hear(client, *connection, hints).await,
    }
}

async fn hear<S, T>(client: Client, mut connection: Connection<S, T>, hints: &mpsc::Sender<OutletKey>) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let command = format!("LISTEN {CHANNEL}");
    let listening = client.batch_execute(&command);
    tokio::pin!(listening);
    let mut asked = false;
    loop {
        tokio::select! {
            done = &mut listening, if !asked => {
                done?;
                asked = true;
            }
            message = std::future::poll_fn(|cx| connection.poll_message(cx)) => match message {
                // A full queue is no loss: these are hints.
                Some(Ok(AsyncMessage::Notification(hint))) => drop(hints.try_send(OutletKey::from_stored(hint.payload()))),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
}
