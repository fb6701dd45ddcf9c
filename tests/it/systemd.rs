//! Under a service manager: a passed socket over restarts, the manager's notices, and the shipped units.

use std::io::{BufRead, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::app::alert;

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfire");
const ROUTES: &str = "store: sqlite:watchfire.db\nchannels: { t: { log: {} } }\nroute: { to: [t] }\n";

fn folder(routes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    folder
}

/// Starts the program as a manager does: what is passed has number 3, and `LISTEN_PID` is the program's own.
fn with_passed(folder: &Path, passed: OwnedFd, count: usize) -> Child {
    let script = format!("exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" serve --no-watch");
    Command::new("sh")
        .args(["-c", &script, PROGRAM])
        .current_dir(folder)
        .stdin(Stdio::from(passed))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A manager, and a program that reports to it.
fn managed(folder: &Path) -> (UnixDatagram, Command) {
    let path = folder.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut serve = Command::new(PROGRAM);
    serve.args(["serve", "--no-watch", "--listen", "127.0.0.1:0"]).current_dir(folder).env("NOTIFY_SOCKET", &path);
    serve.stdout(Stdio::null()).stderr(Stdio::null());
    (manager, serve)
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn said(mut child: Child) -> (bool, String) {
    let status = child.wait().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (status.success(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_socket_refuses_nobody_while_the_program_restarts() {
    watchfire::channel::kit::install_crypto();
    let folder = folder(ROUTES);
    // The file names no address, so without the socket this would be 127.0.0.1:9091.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = with_passed(folder.path(), listener.try_clone().unwrap().into(), 1);
    let (over, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (over, accepted) = (over.clone(), accepted.clone());
            tokio::spawn(async move {
                // Every request on a connection of its own.
                let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(30)).build().unwrap();
                let mut failed = Vec::new();
                let mut n = 0;
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    let body = alert(&format!("g-{sender}-{n}"), "x", "firing");
                    match client.post(format!("http://{address}/webhook")).json(&body).send().await {
                        Ok(response) if response.status() == 200 => _ = accepted.fetch_add(1, Ordering::Relaxed),
                        Ok(response) => failed.push(format!("HTTP {}", response.status())),
                        Err(error) => failed.push(format!("{error:?}")),
                    }
                }
                failed
            })
        })
        .collect();
    for _ in 0..3 {
        let before = accepted.load(Ordering::Relaxed);
        while accepted.load(Ordering::Relaxed) < before + 20 {
            assert!(child.try_wait().unwrap().is_none(), "{:?}", said(child));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        signal(&child, "-TERM");
        let (fine, text) = tokio::task::spawn_blocking(move || said(child)).await.unwrap();
        assert!(fine, "{text}");
        child = with_passed(folder.path(), listener.try_clone().unwrap().into(), 1);
    }
    let before = accepted.load(Ordering::Relaxed);
    while accepted.load(Ordering::Relaxed) < before + 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        assert_eq!(sender.await.unwrap(), Vec::<String>::new());
    }
    signal(&child, "-TERM");
    let (fine, text) = said(child);
    assert!(fine && text.contains(&format!("http://{address}/webhook")), "{text}");
}

#[test]
fn what_is_passed_wrongly_is_told() {
    let folder = folder(ROUTES);
    let null = std::fs::File::open("/dev/null").unwrap();
    let (fine, text) = said(with_passed(folder.path(), null.into(), 1));
    assert!(!fine && text.contains("no TCP socket") && text.contains("ListenStream="), "{text}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (fine, text) = said(with_passed(folder.path(), listener.into(), 2));
    assert!(!fine && text.contains("passes 2 sockets"), "{text}");
}

/// The address of the socket counts, not that of the file: nobody serves the network by accident.
#[test]
fn a_passed_socket_that_others_reach_needs_credentials() {
    let folder =
        folder("store: sqlite:watchfire.db\nchannels: { t: { slack: { webhook: 'https://hooks.slack.com/services/x' } } }\nroute: { to: [t] }\n");
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let (fine, text) = said(with_passed(folder.path(), listener.into(), 1));
    assert!(!fine && text.contains("E026"), "{text}");
}

/// Else its writer would wait for alerts on an address where nothing listens.
#[test]
fn a_file_that_names_another_address_than_the_passed_socket_is_reported() {
    for (listen, is_told) in [("0.0.0.0", true), ("127.0.0.1", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, port) = (listener.local_addr().unwrap(), listener.local_addr().unwrap().port());
        let folder = folder(&format!("{ROUTES}server: {{ listen: '{listen}:{port}' }}\n"));
        let mut child = with_passed(folder.path(), listener.into(), 1);
        let (mut line, mut log) = (String::new(), std::io::BufReader::new(child.stderr.take().unwrap()));
        let mut text = String::new();
        while !line.contains("takes alerts") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "{text}");
            text += &line;
        }
        signal(&child, "-TERM");
        assert!(child.wait().unwrap().success());
        assert_eq!(text.contains(&format!("passes a socket on {address}")), is_told, "{listen}: {text}");
    }
}

#[test]
fn the_manager_is_told_of_every_step() {
    let folder = folder(ROUTES);
    let (manager, mut serve) = managed(folder.path());
    let mut child = serve.env("WATCHDOG_USEC", "100000").spawn().unwrap();
    // The next notice that is no sign of life.
    let next = || loop {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("a notice within 20 s");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.trim() != "WATCHDOG=1" {
            return text;
        }
    };
    let first = next();
    assert!(first.contains("READY=1") && first.contains("STATUS=takes alerts at http://127.0.0.1:"), "{first}");
    // It listens by then.
    let address = first.split("http://").nth(1).unwrap().split('/').next().unwrap();
    std::net::TcpStream::connect(address).unwrap();

    signal(&child, "-HUP");
    let reloading = next();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(next().contains("READY=1"));
    std::fs::write(folder.path().join("routes.yaml"), "route: [").unwrap();
    signal(&child, "-HUP");
    assert!(next().contains("RELOADING=1"));
    let failed = next();
    assert!(failed.contains("READY=1") && failed.contains("could not be reloaded"), "{failed}");

    let mut buffer = [0; 64];
    for _ in 0..3 {
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"WATCHDOG=1\n", "twice as often as asked");
    }
    signal(&child, "-TERM");
    assert!(next().contains("STOPPING=1"));
    assert!(child.wait().unwrap().success());
}

/// `systemctl reload` reports what this command reports.
#[test]
fn the_units_reload_fails_where_the_server_keeps_what_it_has() {
    let folder = folder(ROUTES);
    let (manager, mut serve) = managed(folder.path());
    let mut child = serve.spawn().unwrap();
    let mut buffer = [0; 4096];
    let length = manager.recv(&mut buffer).unwrap();
    let ready = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let address = ready.split("http://").nth(1).unwrap().split('/').next().unwrap();

    let unit = std::fs::read_to_string("deploy/watchfire.service").unwrap();
    let lines: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("ExecReload=/usr/local/bin/watchfire ")).collect();
    let [command] = lines[..] else { panic!("one command reloads: {lines:?}") };
    let command = command.replace("/etc/watchfire/routes.yaml", "routes.yaml");
    let reload = || {
        let mut reload = Command::new(PROGRAM);
        reload.args(command.split_whitespace()).current_dir(folder.path()).env("WATCHFIRE_LISTEN", address);
        // As the unit sets it: the folder of contexts is not there.
        reload.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
        let output = reload.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(reload().0, "{}", reload().1);
    let missing = "store: sqlite:watchfire.db\nchannels: { t: { slack: { token: { env: NOT_THERE }, channel: '#ops' } } }\nroute: { to: [t] }\n";
    for (wrong, why) in [("route: [", "E002"), ("channels: { t: { log: {} } }\nroute: { to: [gone] }\n", "E014"), (missing, "NOT_THERE")] {
        std::fs::write(folder.path().join("routes.yaml"), wrong).unwrap();
        let (fine, text) = reload();
        assert!(!fine && text.contains(why), "{wrong}: {text}");
    }
    std::fs::write(folder.path().join("routes.yaml"), ROUTES).unwrap();
    assert!(reload().0);
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
}

/// Needs systemd-analyze of the package systemd.
#[test]
fn the_shipped_units_are_sound_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    let service = std::fs::read_to_string("deploy/watchfire.service").unwrap();
    assert!(service.contains("ExecStart=/usr/local/bin/watchfire serve"));
    std::fs::write(folder.path().join("watchfire.service"), service.replace("/usr/local/bin/watchfire", PROGRAM)).unwrap();
    std::fs::copy("deploy/watchfire.socket", folder.path().join("watchfire.socket")).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze").args(args).current_dir(folder.path()).output().expect("systemd-analyze of the package systemd");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (fine, text) = analyze(&["verify", "--man=no", "./watchfire.service", "./watchfire.socket"]);
    assert!(fine && text.trim().is_empty(), "{text}");
    let (fine, text) = analyze(&["security", "--offline=yes", "--threshold=20", "./watchfire.service"]);
    assert!(fine, "{text}");
}
