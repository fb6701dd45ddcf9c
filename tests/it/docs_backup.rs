//! The commands of docs/backup.md, which docs/backup.zh-CN.md repeats, run as they are written: what was accepted before the copy is there after it was restored, and what came later is not.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::docs_book::root;
use crate::docs_examples::blocks;
use crate::prometheus_e2e::{Ended, installed, port};
use crate::support::postgres::Postgres;
use crate::support::skip::skip;

/// The scripts of the page with a mark, in their order; in both languages they are the same.
fn scripts(mark: &str) -> Vec<String> {
    let of = |page: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join(page)).unwrap();
        blocks(&text).into_iter().filter(|block| block.mark == mark).map(|block| block.text).collect()
    };
    let found = of("docs/backup.md");
    assert!(!found.is_empty(), "docs/backup.md has no `<!-- {mark} -->`");
    assert_eq!(of("docs/backup.zh-CN.md"), found, "docs/backup.zh-CN.md has other scripts");
    found
}

/// A folder with a configuration, and the variables that every command sees.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
    database: String,
}

impl Place {
    /// On a SQLite file of the folder, or on a database.
    fn new(database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = if database.is_empty() { "store: sqlite:watchfire.db" } else { "store: { env: DATABASE_URL }" };
        let routes = format!("{store}\nchannels: {{ terminal: {{ log: {{}} }} }}\nroute: {{ to: [terminal] }}\n");
        fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        Self { folder, port: port(), database: database.to_owned() }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let built = Path::new(env!("CARGO_BIN_EXE_watchfire")).parent().unwrap();
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_remove("WATCHFIRE_CONFIG");
        command.env("PATH", format!("{}:{}", built.display(), std::env::var("PATH").unwrap_or_default()));
        command.env("WATCHFIRE_LISTEN", format!("127.0.0.1:{}", self.port)).env("DATABASE_URL", &self.database);
        command
    }

    fn run(&self, script: &str) -> String {
        let out = self.command("sh").args(["-e", "-c", script]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{script}\n{said}");
        said
    }

    /// Starts the server and waits until it is well.
    fn serve(&self) -> Ended {
        let mut command = self.command(env!("CARGO_BIN_EXE_watchfire"));
        let server = Ended(command.arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        for _ in 0..1_200 {
            if self.command(env!("CARGO_BIN_EXE_watchfire")).arg("health").output().unwrap().status.success() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not get ready");
    }

    /// An alert arrives, and is delivered to the terminal.
    fn fire(&self, name: &str) {
        let body = format!("{{\"version\":\"4\",\"alerts\":[{{\"labels\":{{\"alertname\":\"{name}\"}}}}]}}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!("POST /webhook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for _ in 0..1_200 {
            let sent = self.run("watchfire queue ls --state sent");
            if sent.contains(name) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{name} was not delivered");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// As `systemctl stop` ends it.
fn stop(mut server: Ended) {
    assert!(Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status().unwrap().success());
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn a_sqlite_store_is_restored_by_the_commands_of_the_page() {
    let place = Place::new("");
    let server = place.serve();
    place.fire("BeforeTheCopy");
    for script in scripts("server: runs") {
        place.run(&script);
    }
    place.fire("AfterTheCopy");
    let key = fs::read_to_string(place.file("watchfire.link-key")).unwrap();
    stop(server);
    // The disk is gone: neither the store nor the key is there.
    fs::write(place.file("watchfire.db"), "damaged").unwrap();
    fs::remove_file(place.file("watchfire.link-key")).unwrap();
    for script in scripts("server: stopped") {
        place.run(&script);
    }
    assert!(place.file("damaged/watchfire.db").exists(), "what was there is kept");
    assert_eq!(fs::read_to_string(place.file("watchfire.link-key")).unwrap(), key, "links in messages go on to work");
    let server = place.serve();
    let all = place.run("watchfire queue ls");
    assert!(all.contains("BeforeTheCopy") && !all.contains("AfterTheCopy"), "{all}");
    place.fire("AfterTheRestore");
    stop(server);
}

#[test]
fn a_database_is_restored_by_the_commands_of_the_page() {
    if !installed("pg_dump") || !installed("psql") {
        return skip("the package postgresql-client");
    }
    let Some(postgres) = Postgres::start() else { return };
    let place = Place::new(&postgres.url());
    let server = place.serve();
    place.fire("BeforeTheCopy");
    for script in scripts("database: used") {
        place.run(&script);
    }
    place.fire("AfterTheCopy");
    stop(server);
    for script in scripts("database: idle") {
        place.run(&script);
    }
    let server = place.serve();
    let all = place.run("watchfire queue ls");
    assert!(all.contains("BeforeTheCopy") && !all.contains("AfterTheCopy"), "{all}");
    place.fire("AfterTheRestore");
    stop(server);
    assert_eq!(postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'before_restore'").trim(), "1", "what was there is kept");
}
