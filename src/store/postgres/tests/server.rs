//! A PostgreSQL server for the tests: the one that `WATCHFIRE_TEST_POSTGRES` names, or a private one that is started once for this process and
//! ends with it. Each test works in a schema of its own.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where one can connect.
#[derive(Debug, Clone)]
pub struct Server {
    pub url: String,
    /// What a server of our own has besides.
    pub ours: Option<Ours>,
}

/// A server of our own: user `watchfire`, no password, database `postgres`.
#[derive(Debug, Clone)]
pub struct Ours {
    /// It listens here on 127.0.0.1.
    pub port: u16,
    /// Its certificate for `localhost`, PEM.
    pub certificate: PathBuf,
}

/// The server. `None`, with a line on the error output, when there is none; a failure where `WATCHFIRE_CI` is set.
pub fn server() -> Option<Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    let found = SERVER.get_or_init(|| match std::env::var("WATCHFIRE_TEST_POSTGRES") {
        Ok(url) if !url.is_empty() => Ok(Server { url, ours: None }),
        _ => start(),
    });
    match found {
        Ok(server) => Some(server.clone()),
        Err(why) => {
            assert!(std::env::var_os("WATCHFIRE_CI").is_none(), "PostgreSQL must be tested where WATCHFIRE_CI is set: {why}");
            static SAID: std::sync::Once = std::sync::Once::new();
            // Past the capture of what tests print: a skip must be seen.
            SAID.call_once(|| {
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED every test on PostgreSQL: {why}; install its server or set WATCHFIRE_TEST_POSTGRES to a URL"
                );
            });
            None
        }
    }
}

/// A schema's name that no other test has.
pub fn schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("wf_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn binaries() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/initdb").exists().then(|| (version, path.join("bin")))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}

/// The user who runs the server: it refuses root. `None` when this process is not root and may run it itself.
fn other_user() -> Result<Option<(u32, u32)>, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse::<u32>().ok());
    if uid != Some(0) {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|e| e.to_string())?;
    let find = |name: &str| {
        let fields: Vec<&str> = users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).map(Some).ok_or_else(|| "there is no user `postgres` or `nobody` to run PostgreSQL".into())
}

fn start() -> Result<Server, String> {
    let bin = binaries().ok_or("no PostgreSQL server is installed under /usr/lib/postgresql")?;
    let user = other_user()?;
    let folder = tempfile::Builder::new().prefix("wf-pg-").tempdir().map_err(|e| e.to_string())?.keep();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|e| e.to_string())?;
    // Where another process takes the port in between the server does not start, which is reported.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|e| e.to_string())?.port();
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).and_then(|()| std::fs::write(&key, made.signing_key.serialize_pem())).map_err(|e| e.to_string())?;
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).map_err(|e| e.to_string())?;
    if let Some((uid, gid)) = user {
        for path in [&folder, &certificate, &key] {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(|e| e.to_string())?;
        }
    }
    let arguments = ["--auth=trust", "--username=watchfire", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"];
    let made = run(command(user, &bin.join("initdb")).args(arguments).arg(folder.join("data")));
    if let Err(why) = made.and_then(|()| serve(user, &bin, &folder, port)) {
        let _ = std::fs::remove_dir_all(&folder);
        return Err(why);
    }
    let host = folder.to_string_lossy().replace('/', "%2F");
    Ok(Server { url: format!("postgres://watchfire@{host}:{port}/postgres"), ours: Some(Ours { port, certificate }) })
}

fn command(user: Option<(u32, u32)>, program: &Path) -> Command {
    let Some((uid, gid)) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups").arg(program);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.current_dir("/").output().map_err(|e| format!("{command:?} cannot be run: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))) }
}

/// Starts the server below a shell that ends it, and removes the folder, when this process is gone: its input comes to an end then.
fn serve(user: Option<(u32, u32)>, bin: &Path, folder: &Path, port: u16) -> Result<(), String> {
    const SCRIPT: &str = r#"
        "$1/postgres" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file="$2/server.pem" \
            -c ssl_key_file="$2/server.key" -c fsync=off -c full_page_writes=off -c max_connections=500 >"$2/log" 2>&1 &
        server=$!
        cat >/dev/null
        kill -QUIT "$server"
        wait "$server"
        rm -rf "$2""#;
    let mut command = command(user, Path::new("/bin/sh"));
    command
        .arg("-c")
        .arg(SCRIPT)
        .arg("sh")
        .arg(bin)
        .arg(folder)
        .arg(port.to_string())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("{command:?} cannot be run: {e}"))?;
    let kept_open = child.stdin.take();
    // Never closed by this process: the end of the process closes it.
    std::mem::forget(kept_open);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if run(Command::new(bin.join("pg_isready")).args(["-q", "-p", &port.to_string(), "-h"]).arg(folder)).is_ok() {
            return Ok(());
        }
        if child.try_wait().map_err(|e| e.to_string())?.is_some() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let mut log = String::new();
    let _ = std::fs::File::open(folder.join("log")).and_then(|mut file| file.read_to_string(&mut log));
    Err(format!("the PostgreSQL server did not start: {log}"))
}
