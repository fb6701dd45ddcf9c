//! Group commit: whenever it is free and something is due, one task takes all that waits, commits it as one transaction, and answers once the database has it.
//!
//! Knows batches and their failures; does not know what the requests mean.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::connect::Db;
use super::error::DbError;
use super::queue::{Queue, Request};
use crate::store::StoreError;

/// Work that shares a transaction with others of its kind.
pub(super) trait Grouped: Send + Sync + Sized + 'static {
    /// What one request gets.
    type Answer: Send + 'static;

    /// Commits all of `group` in one transaction and returns one answer each, in order. An error means that nothing was written.
    fn commit(db: &Db, group: &[&Self]) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, DbError>> + Send;
}

/// Runs until the queue is closed and empty.
pub(super) async fn run<P: Grouped>(db: Arc<Db>, queue: Arc<Queue<P, P::Answer>>) {
    while let Some(batch) = queue.take().await {
        commit_all(&db, batch).await;
    }
}

async fn commit_all<P: Grouped>(db: &Db, batch: Vec<Request<P, P::Answer>>) {
    let mut parts = vec![batch];
    while let Some(mut part) = parts.pop() {
        let group: Vec<&P> = part.iter().map(|request| &request.work).collect();
        // A panic in one request must not stop the writer for all others.
        let done = AssertUnwindSafe(P::commit(db, &group)).catch_unwind().await.unwrap_or_else(|_| Err(StoreError::panicked().into()));
        match done {
            // No caller waits when it was cancelled; the work is done either way.
            Ok(answers) => part.into_iter().zip(answers).for_each(|(request, answer)| drop(request.reply.send(answer))),
            // Halves, so that a request that breaks a rule is found in few steps; the first half goes first, in the order of arrival.
            Err(fail) if part.len() > 1 && !fail.is_fatal() => {
                let tail = part.split_off(part.len() / 2);
                parts.push(tail);
                parts.push(part);
            }
            Err(fail) => {
                let error = fail.into_store_error();
                tracing::debug!(requests = part.len(), %error, "a transaction failed");
                part.into_iter().for_each(|request| drop(request.reply.send(Err(error.clone()))));
            }
        }
    }
}
