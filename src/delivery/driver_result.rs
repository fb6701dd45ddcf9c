//! What a driver returns, whatever it does.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::model::{ErrorKind, SendError, format_duration};

/// What a driver returns. One that panics fails, transiently; one that has not returned by `end` leaves its outcome open. It was allowed `timeout`.
pub(super) async fn driver_result<T>(platform: &str, timeout: Duration, end: Instant, call: impl Future<Output = T>) -> Result<T, SendError> {
    match tokio::time::timeout_at(end, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(SendError::new(ErrorKind::Transient, format!("the {platform} driver failed unexpectedly; please report it"))),
        Err(_) => Err(SendError::new(ErrorKind::Ambiguous, format!("no answer within {}", format_duration(timeout)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn panicking() {
        panic!("a driver that was made to fail");
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_panics_or_does_not_return_fails() {
        let second = Duration::from_secs(1);
        let end = Instant::now() + second;
        assert_eq!(driver_result("webhook", second, end, async { 7 }).await.unwrap(), 7);
        let error = driver_result("webhook", second, end, panicking()).await.unwrap_err();
        assert_eq!((error.kind, error.summary.as_str()), (ErrorKind::Transient, "the webhook driver failed unexpectedly; please report it"));
        let error = driver_result("webhook", second, end, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!((error.kind, error.summary.as_str()), (ErrorKind::Ambiguous, "no answer within 1s"));
    }
}
