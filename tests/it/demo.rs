//! `watchfire demo`: the real program shows every chapter, its console answers meanwhile, and nothing is left behind, however it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

struct Shown {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What was printed so far.
    text: String,
    /// Its folder for temporary files.
    temporary: TempDir,
    _folder: TempDir,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In an empty folder, without a configuration, a home or variables.
fn show(args: &[&str]) -> Shown {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.arg("demo").args(args).current_dir(folder.path()).env_clear().env("TMPDIR", temporary.path());
    // Neither a proxy nor a server's address of the environment is for it.
    command.env("HTTP_PROXY", "http://127.0.0.1:1").env("WATCHFIRE_LISTEN", "192.0.2.1:1");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    Shown { child, out, text: String::new(), temporary, _folder: folder }
}

impl Shown {
    /// Reads until a line holds these words, and returns it.
    fn until(&mut self, words: &str) -> String {
        loop {
            let from = self.text.len();
            assert!(self.out.read_line(&mut self.text).unwrap() > 0, "`{words}` was not shown:\n{}", self.text);
            if self.text[from..].contains(words) {
                return self.text[from..].to_owned();
            }
        }
    }

    /// The address of its console.
    fn console(&mut self) -> String {
        let line = self.until("/ui");
        line.split_once("http://").unwrap().1.split_once("/ui").unwrap().0.to_owned()
    }

    /// Its end: the exit code, and everything that was printed.
    fn end(mut self) -> (i32, String, String) {
        self.out.read_to_string(&mut self.text).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        (code, std::mem::take(&mut self.text), errors)
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_chapter_is_shown_and_nothing_is_left_behind() {
    let mut shown = show(&["--pace", "0"]);
    let address = shown.console();
    shown.until("5. A storm");
    // What the console shows is what was shown in the terminal.
    let page = get(&address, "/ui/incidents/1");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("DiskFull"), "{page}");
    let (code, text, errors) = shown.end();
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    let mut from = 0;
    for words in [
        "1. An alert arrives",
        "FIRING critical",
        "/ is 97% full",
        "2. Its group grows",
        "db-2",
        "3. Somebody is on it",
        "skipped: nothing new",
        "acked by Ann",
        "4. It is over",
        "RESOLVED",
        "acked by Ann",
        "5. A storm",
        "Digest",
        "40 alerts, ",
        "6. A dead letter",
        "CheckoutFails",
        "state dead",
        "invalid_blocks",
        "7. Your turn",
    ] {
        let at = text[from..].find(words).unwrap_or_else(|| panic!("`{words}` is not there, or not in its place:\n{text}"));
        from += at + words.len();
    }
    let messages: usize = text.split_once("40 alerts, ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
    assert!((1..=6).contains(&messages), "{messages} messages for a storm:\n{text}");
    assert!(!text.contains('\u{1b}'), "colours in a pipe:\n{text}");
}

#[test]
fn an_interrupt_ends_it_at_once() {
    for signal in ["-INT", "-HUP", "-QUIT"] {
        let mut shown = show(&[]);
        shown.console();
        let begun = Instant::now();
        assert!(Command::new("kill").args([signal, &shown.child.id().to_string()]).status().unwrap().success());
        let (code, text, _) = shown.end();
        assert_eq!(code, 0, "{signal}: {text}");
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        assert!(!text.contains("7. Your turn"), "{text}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, errors) = show(&["--listen", &address]).end();
    assert!(code == 1 && errors.contains(&format!("cannot listen on {address}")), "{code} {errors}");
    let (code, _, errors) = show(&["--listen", "0.0.0.0:0"]).end();
    assert!(code == 1 && errors.contains("--listen 127.0.0.1:PORT"), "{code} {errors}");
}
