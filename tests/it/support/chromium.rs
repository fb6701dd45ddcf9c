//! A real Chromium, by its own protocol (<https://chromedevtools.github.io/devtools-protocol/>): nothing beside it has to be installed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::app::SOON;

/// A browser with one tab.
pub struct Chromium {
    socket: WebSocketStream<TcpStream>,
    next: u64,
    /// What the browser complained of: refusals of a page's policy, errors of scripts.
    pub complaints: Vec<String>,
    _process: Process,
    _profile: tempfile::TempDir,
}

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Chromium {
    /// Starts one; `None` where there is none.
    pub async fn start() -> Option<Self> {
        watchfire::channel::kit::install_crypto();
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--lang=en", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stderr.take()?).lines();
        let process = Process(process);
        let found = move || {
            let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
                let rest = line.strip_prefix("DevTools listening on ws://127.0.0.1:")?;
                rest.split('/').next()?.parse::<u16>().ok()
            });
            // What it says later is read, or it would wait for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            address
        };
        let port = tokio::task::spawn_blocking(found).await.ok()??;
        let http = reqwest::Client::builder().no_proxy().build().ok()?;
        let tabs: Value = http.get(format!("http://127.0.0.1:{port}/json")).send().await.ok()?.json().await.ok()?;
        let tab = tabs.as_array()?.iter().find(|tab| tab["type"] == "page")?["webSocketDebuggerUrl"].as_str()?.to_owned();
        let socket = upgrade(port, tab.split_once(&format!(":{port}"))?.1).await?;
        let mut browser = Self { socket, next: 0, complaints: Vec::new(), _process: process, _profile: profile };
        for domain in ["Page.enable", "Log.enable", "Runtime.enable"] {
            browser.call(domain, json!({})).await;
        }
        Some(browser)
    }

    /// Calls a method of the protocol.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.socket.send(Message::text(json!({ "id": id, "method": method, "params": params }).to_string())).await.unwrap();
        loop {
            let message = tokio::time::timeout(SOON, self.socket.next()).await.expect("the browser answers").unwrap().unwrap();
            let Ok(answer) = message.to_text().map(|text| serde_json::from_str::<Value>(text).unwrap_or_default()) else { continue };
            match answer["method"].as_str() {
                // An answer of 4xx is what a test may ask for.
                Some("Log.entryAdded") if answer["params"]["entry"]["level"] == "error" && answer["params"]["entry"]["source"] != "network" => {
                    self.complaints.push(answer["params"]["entry"]["text"].to_string());
                }
                Some("Runtime.exceptionThrown") => self.complaints.push(answer["params"]["exceptionDetails"].to_string()),
                _ => {}
            }
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The size of the window.
    pub async fn size(&mut self, width: u32, height: u32) {
        let phone = width < 900;
        self.call("Emulation.setDeviceMetricsOverride", json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone })).await;
    }

    /// Opens an address.
    pub async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until(&format!("document.readyState == 'complete' && location.href.startsWith({})", json!(url))).await;
    }

    /// What an expression is on the page.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let done = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true })).await;
        assert!(done["exceptionDetails"].is_null(), "{expression}: {done}");
        done["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub async fn until(&mut self, expression: &str) {
        let end = tokio::time::Instant::now() + SOON;
        // While a page is replaced there is nothing to ask.
        while self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true })).await["result"]["value"] != true {
            if tokio::time::Instant::now() > end {
                let page = self.eval("document.body.innerText").await;
                panic!("never: {expression}\n{page}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many pixels the page is wider than the window. `innerWidth` would not say it: on a phone it grows with the page.
    pub async fn sideways(&mut self) -> i64 {
        let beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.eval(beyond).await.as_i64().unwrap()
    }

    /// Writes into a field, as somebody who types does.
    pub async fn write(&mut self, selector: &str, text: &str) {
        let (field, text) = (json!(selector), json!(text));
        self.until(&format!("document.querySelector({field}) != null")).await;
        let typed = "e.dispatchEvent(new Event('input', { bubbles: true }))";
        self.eval(&format!("(e => {{ e.value = {text}; {typed}; }})(document.querySelector({field}))")).await;
    }

    /// Presses what a selector finds.
    pub async fn press(&mut self, selector: &str) {
        self.until(&format!("document.querySelector({}) != null", json!(selector))).await;
        self.eval(&format!("document.querySelector({}).click()", json!(selector))).await;
    }

    /// Presses the button or link with this text.
    pub async fn press_text(&mut self, text: &str) {
        let found = format!("[...document.querySelectorAll('main a, main button')].find(e => e.innerText.trim().startsWith({}))", json!(text));
        self.until(&format!("{found} != null")).await;
        self.eval(&format!("{found}.click()")).await;
    }
}

async fn upgrade(port: u16, path: &str) -> Option<WebSocketStream<TcpStream>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    Some(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
}
