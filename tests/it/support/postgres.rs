//! A PostgreSQL server of the distribution that a test may kill and start again, and a wire to it that a test may cut.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::skip::skip;

/// The server: user `watchfire`, no password, database `postgres`, on loopback.
pub struct Postgres {
    bin: PathBuf,
    folder: tempfile::TempDir,
    pub port: u16,
    child: Option<Child>,
}

impl Postgres {
    /// Starts one; `None`, with a word on the error output, where no server is installed. In CI that is a failure.
    pub fn start() -> Option<Self> {
        let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
            })
            .filter(|(_, bin)| bin.join("initdb").exists())
            .collect();
        found.sort();
        let Some((_, bin)) = found.pop() else {
            skip("the package postgresql");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("wf-cluster-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut pg = Self { bin, folder, port, child: None };
        if let Some((uid, gid)) = user() {
            chown(pg.folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut initdb = pg.command("initdb");
        initdb.args(["--auth=trust", "--username=watchfire", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        let made = initdb.arg(pg.folder.path().join("data")).stdout(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        pg.run();
        Some(pg)
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://watchfire@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    fn command(&self, program: &str) -> Command {
        self.command_of(self.bin.join(program))
    }

    fn command_of(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match user() {
            Some((uid, gid)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups").arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir("/");
        command
    }

    /// Starts it (again) and waits until it answers.
    pub fn run(&mut self) {
        let (data, port) = (self.folder.path().join("data"), self.port.to_string());
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(data).arg("-k").arg(self.folder.path()).args(["-p", &port, "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "max_connections=200"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let begun = Instant::now();
        loop {
            let ready = Command::new(self.bin.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap();
            if ready.success() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Runs statements.
    pub fn sql(&self, text: &str) -> String {
        let out =
            Command::new(self.bin.join("psql")).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text, &self.url()]).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Ends it at once, as a crash would: what it acknowledged is on disk, all else is gone.
    pub fn crash(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let stopped = self.command("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(self.folder.path().join("data")).output().unwrap();
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        child.wait().unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Who runs it when this process is root, which PostgreSQL refuses.
fn user() -> Option<(u32, u32)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let fields: Vec<&str> = users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').collect();
        Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
    };
    find("postgres").or_else(|| find("nobody"))
}

/// PgBouncer in front of a server, which lends a connection for one transaction at a time.
pub struct Pooler {
    pub port: u16,
    _folder: tempfile::TempDir,
    child: Child,
}

impl Pooler {
    /// Connections to the server, fewer than two nodes have to the pooler.
    pub const CONNECTIONS: usize = 6;

    /// Starts one; `None`, with a word on the error output, where it is not installed. In CI that is a failure.
    pub fn start(server: &Postgres) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| std::path::Path::new(path).exists());
        let Some(program) = program else {
            skip("the package pgbouncer");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("wf-pooler-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=watchfire\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {}\nmax_prepared_statements = 0\n",
            server.port,
            Self::CONNECTIONS
        );
        // Older versions do not know the last setting, and have no prepared statements either.
        let settings = if version(program) < (1, 21) { settings.replace("max_prepared_statements = 0\n", "") } else { settings };
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = server.command_of(program);
        if let Some((uid, gid)) = user() {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
            chown(&file, Some(uid), Some(gid)).unwrap();
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pooler = Self { port, _folder: folder, child };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(pooler._folder.path().join("log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(10), "{}", log());
            std::thread::sleep(Duration::from_millis(30));
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version(program: &str) -> (u32, u32) {
    let out = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// What a wire does to what goes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Everything passes.
    Open,
    /// Nothing passes and nobody notices.
    Stalled,
    /// Connections are reset, new ones refused.
    Cut,
}

/// A TCP wire to an address.
pub struct Proxy {
    pub port: u16,
    state: Arc<watch::Sender<Wire>>,
}

impl Proxy {
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(Wire::Open));
        let wire = state.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = wire.subscribe();
                tokio::spawn(async move {
                    if *state.borrow() == Wire::Cut {
                        return reset(near);
                    }
                    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    carry(near, far, state).await;
                });
            }
        });
        Self { port, state }
    }

    pub fn set(&self, wire: Wire) {
        self.state.send_replace(wire);
    }
}

fn reset(stream: TcpStream) {
    #[allow(deprecated)]
    let _ = stream.set_linger(Some(Duration::ZERO));
}

async fn carry(mut near: TcpStream, mut far: TcpStream, mut state: watch::Receiver<Wire>) {
    let (mut a, mut b) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let wire = *state.borrow_and_update();
        match wire {
            Wire::Cut => return reset(near),
            Wire::Stalled => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            Wire::Open => tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                read = near.read(&mut a) => match read {
                    Ok(n) if n > 0 && far.write_all(&a[..n]).await.is_ok() => {}
                    _ => return,
                },
                read = far.read(&mut b) => match read {
                    Ok(n) if n > 0 && near.write_all(&b[..n]).await.is_ok() => {}
                    _ => return,
                },
            },
        }
    }
}
