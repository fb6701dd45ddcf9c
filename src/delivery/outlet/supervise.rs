//! Tasks that must not end: one that ends anyway, or panics, is restarted after a growing pause, and counted.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::delivery::core::Shared;

/// The first and the longest pause before a restart.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The restarts of a task.
pub struct Supervision {
    what: &'static str,
    shared: Arc<Shared>,
    pause: Duration,
}

impl Supervision {
    /// Of a task: `worker`, `maintenance`, ... (a label of a metric).
    pub fn of(what: &'static str, shared: &Arc<Shared>) -> Self {
        shared.telemetry.metrics.restarted(what, 0);
        Self { what, shared: shared.clone(), pause: FIRST_PAUSE }
    }

    /// Runs a task to its end; returns whether it ended as it should. If not, that is counted and logged (`whose` names it), and this returns after the pause
    /// before the next try, or when `cancel` comes first.
    pub async fn run(&mut self, task: impl Future<Output = bool>, whose: &str, cancel: &CancellationToken) -> bool {
        let begun = self.shared.clock.instant();
        let reason = match AssertUnwindSafe(task).catch_unwind().await {
            Ok(true) => return true,
            Ok(false) => "it ended by itself".to_owned(),
            Err(panic) => panic_text(&*panic),
        };
        self.pause_after_failure(begun, whose, &reason, cancel).await;
        cancel.is_cancelled()
    }

    async fn pause_after_failure(&mut self, begun: Instant, whose: &str, reason: &str, cancel: &CancellationToken) {
        self.shared.telemetry.metrics.restarted(self.what, 1);
        if self.shared.clock.instant().duration_since(begun) > 2 * LONGEST_PAUSE {
            self.pause = FIRST_PAUSE;
        }
        tracing::error!(task = self.what, whose, reason, pause = ?self.pause, "a task of Watchfire failed unexpectedly and is restarted; please report it");
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = cancel.cancelled() => {}
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}
