//! The service manager: a listening socket that it passes, and status notifications to it (systemd's protocols, which other managers speak too).
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>,
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>. Without a manager everything here does nothing.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// The socket that the manager holds open for this process (`LISTEN_FDS`), so that restarts refuse no connection.
///
/// # Errors
/// Something else than one listening TCP socket was passed.
pub fn passed_socket() -> anyhow::Result<Option<TcpListener>> {
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        bail!("the service manager passes {} sockets and Watchfire serves one; keep a single ListenStream= in the .socket unit", passed.len());
    }
    let what =
        "the service manager passes something that is no TCP socket; write ListenStream=9091 or ListenStream=127.0.0.1:9091 in the .socket unit";
    let Some(socket) = passed.take_tcp_listener(0).context(what)? else { return Ok(None) };
    socket.set_nonblocking(true).context(what)?;
    Ok(Some(socket))
}

/// Notifies the manager; one that does not listen is logged, never a reason to stop.
fn notify_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be notified (NOTIFY_SOCKET)");
    }
}

/// Alerts are taken.
pub fn ready(status: &str) {
    notify_manager(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify_manager(&[NotifyState::Reloading, now]),
        Err(_) => notify_manager(&[NotifyState::Reloading]),
    }
}

/// The end begins; it may take as long as this.
pub fn stopping(within: Duration) {
    let micros = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    notify_manager(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros), NotifyState::Status("finishing what is being sent")]);
}

/// Signs of life, twice as often as the manager asks for (`WATCHDOG_USEC`), until it is aborted. They come from the runtime that does the work, so that
/// one that hangs is noticed.
pub fn watchdog() -> Option<JoinHandle<()>> {
    let interval = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())? / 2;
    Some(tokio::spawn(async move {
        let mut tick = tokio::time::interval(interval.max(Duration::from_millis(10)));
        loop {
            tick.tick().await;
            // A manager that does not read blocks its writer, which must not be a thread that delivers.
            let _ = tokio::task::spawn_blocking(|| notify_manager(&[NotifyState::Watchdog])).await;
        }
    }))
}
