//! One SMTP connection: the state machine of RFC 5321 with STARTTLS (RFC 3207), AUTH (RFC 4954), SIZE (RFC 1870).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::mime::Mail;
use super::{Act, Security, Smtp, SmtpOptions, Stage};

use super::super::call::{Answer, Call};
use super::super::crypt::{b64, unb64};
use super::super::server::Wire;

const MAX_COMMAND: u64 = 4096;
const MAX_LINE: usize = 998;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session<'a> {
    server: &'a Smtp,
    number: u64,
    peer: SocketAddr,
    io: BufReader<Box<dyn Stream>>,
    reset: Arc<AtomicBool>,
    tls: bool,
    greeted: bool,
    user: Option<String>,
    envelope: Option<Envelope>,
    mistakes: u32,
}

#[derive(Default, Clone)]
struct Envelope {
    from: String,
    to: Vec<String>,
    eight_bit: bool,
}

/// Whether the dialogue goes on.
#[derive(PartialEq)]
enum Flow {
    On,
    End,
}

/// Serves one connection to its end.
pub async fn run(server: &Smtp, number: u64, peer: SocketAddr, wire: Wire, reset: Arc<AtomicBool>) -> io::Result<()> {
    let options = server.with(|o| o.clone());
    let implicit = options.security == Security::Implicit;
    let stream: Box<dyn Stream> = if implicit { Box::new(server.tls.acceptor.accept(wire).await?) } else { Box::new(wire) };
    let mut session =
        Session { server, number, peer, io: BufReader::new(stream), reset, tls: implicit, greeted: false, user: None, envelope: None, mistakes: 0 };
    if server.open() > options.max_connections {
        return session.say(421, "4.7.0 too many connections, try again later").await;
    }
    if session.scripted(Stage::Connect, &[]).await? == Some(Flow::End) {
        return Ok(());
    }
    session.say(220, "mail.example.test ESMTP ready").await?;
    while let Some(line) = session.line().await? {
        if session.command(&line).await? == Flow::End {
            break;
        }
    }
    Ok(())
}

impl Session<'_> {
    async fn say(&mut self, code: u16, text: &str) -> io::Result<()> {
        let stream = self.io.get_mut();
        stream.write_all(format!("{code} {text}\r\n").as_bytes()).await?;
        stream.flush().await
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let n = (&mut self.io).take(MAX_COMMAND).read_until(b'\n', &mut bytes).await?;
        if n == 0 {
            return Ok(None);
        }
        while bytes.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
            bytes.pop();
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Plays the scripted act of a stage. `None`: go on properly; `Some(On)`: a reply was sent instead; `Some(End)`: it is over.
    async fn scripted(&mut self, stage: Stage, addresses: &[String]) -> io::Result<Option<Flow>> {
        let Some(act) = self.server.act(stage, addresses) else { return Ok(None) };
        match act {
            Act::Reply(code, text) => {
                self.note_refusal(stage, code, addresses);
                self.say(code, text).await?;
                Ok(Some(if code == 421 || (stage == Stage::Connect && code >= 500) { Flow::End } else { Flow::On }))
            }
            Act::Close | Act::TakeThenClose => Ok(Some(Flow::End)),
            Act::Reset => {
                self.reset.store(true, Ordering::SeqCst);
                Ok(Some(Flow::End))
            }
            Act::Hang | Act::TakeThenHang => self.until_gone().await.map(|()| Some(Flow::End)),
            Act::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
        }
    }

    /// Says nothing more, but notices when the client leaves.
    async fn until_gone(&mut self) -> io::Result<()> {
        let mut sink = [0u8; 1024];
        while self.io.read(&mut sink).await? > 0 {}
        Ok(())
    }

    fn note_refusal(&self, stage: Stage, code: u16, addresses: &[String]) {
        let call = Call { method: "SMTP".to_owned(), ..Call::new("SMTP", &format!("/{stage:?}").to_lowercase()) }.at(self.server.clock.now());
        let answer = Answer::text(code, "").refused(code).to(addresses.iter().cloned());
        self.server.rec.push(&call, &answer, code, None);
    }

    async fn refuse(&mut self, stage: Stage, code: u16, text: &str, who: &[String]) -> io::Result<Flow> {
        self.note_refusal(stage, code, who);
        self.mistakes += 1;
        if self.mistakes >= 100 {
            self.say(421, "4.7.0 too many errors").await?;
            return Ok(Flow::End);
        }
        self.say(code, text).await.map(|()| Flow::On)
    }

    async fn command(&mut self, line: &str) -> io::Result<Flow> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        self.server.log(self.number, if verb == "AUTH" { "AUTH ***" } else { line });
        let options = self.server.with(|o| o.clone());
        match verb.as_str() {
            "EHLO" | "HELO" => self.hello(&verb, rest, &options).await,
            "STARTTLS" => self.start_tls(&options).await,
            "AUTH" => self.auth(rest, &options).await,
            "MAIL" => self.mail(rest, &options).await,
            "RCPT" => self.rcpt(rest, &options).await,
            "DATA" => self.data(&options).await,
            "RSET" => {
                self.envelope = None;
                self.say(250, "2.0.0 Ok").await.map(|()| Flow::On)
            }
            "NOOP" => match self.scripted(Stage::Noop, &[]).await? {
                Some(flow) => Ok(flow),
                None => self.say(250, "2.0.0 Ok").await.map(|()| Flow::On),
            },
            "VRFY" => self.say(252, "2.0.0 send some mail, I will try my best").await.map(|()| Flow::On),
            "QUIT" => self.say(221, "2.0.0 Bye").await.map(|()| Flow::End),
            _ => self.refuse(Stage::Ehlo, 500, "5.5.2 command not recognised", &[]).await,
        }
    }

    async fn hello(&mut self, verb: &str, name: &str, options: &SmtpOptions) -> io::Result<Flow> {
        if let Some(flow) = self.scripted(Stage::Ehlo, &[]).await? {
            return Ok(flow);
        }
        if name.trim().is_empty() {
            return self.refuse(Stage::Ehlo, 501, "5.5.4 a host name is needed", &[]).await;
        }
        self.greeted = true;
        self.envelope = None;
        if verb == "HELO" {
            return self.say(250, "mail.example.test").await.map(|()| Flow::On);
        }
        let mut lines = vec!["mail.example.test".to_owned(), "PIPELINING".to_owned(), format!("SIZE {}", options.max_size), "8BITMIME".to_owned()];
        if options.security == Security::StartTls && !self.tls {
            lines.push("STARTTLS".to_owned());
        } else if !options.users.is_empty() {
            lines.push(format!("AUTH {}", options.mechanisms));
        }
        if options.smtputf8 {
            lines.push("SMTPUTF8".to_owned());
        }
        lines.push("ENHANCEDSTATUSCODES".to_owned());
        let last = lines.len() - 1;
        let text: String = lines.iter().enumerate().map(|(i, l)| format!("250{}{l}\r\n", if i == last { ' ' } else { '-' })).collect();
        let stream = self.io.get_mut();
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await.map(|()| Flow::On)
    }

    async fn start_tls(&mut self, options: &SmtpOptions) -> io::Result<Flow> {
        if options.security != Security::StartTls || self.tls {
            return self.refuse(Stage::StartTls, 503, "5.5.1 TLS is not available now", &[]).await;
        }
        if let Some(flow) = self.scripted(Stage::StartTls, &[]).await? {
            return Ok(flow);
        }
        self.say(220, "2.0.0 ready to start TLS").await?;
        // Whatever came after STARTTLS in the clear is dropped with the buffer, as RFC 3207 demands.
        let nothing: Box<dyn Stream> = Box::new(tokio::io::empty());
        let plain = std::mem::replace(&mut self.io, BufReader::new(nothing)).into_inner();
        self.io = BufReader::new(Box::new(self.server.tls.acceptor.accept(plain).await?));
        (self.tls, self.greeted, self.user, self.envelope) = (true, false, None, None);
        Ok(Flow::On)
    }

    async fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.say(334, prompt).await?;
        let answer = self.line().await?.unwrap_or_default();
        Ok(unb64(&answer).and_then(|b| String::from_utf8(b).ok()))
    }

    async fn auth(&mut self, rest: &str, options: &SmtpOptions) -> io::Result<Flow> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        if options.security == Security::StartTls && !self.tls {
            return self.refuse(Stage::Auth, 538, "5.7.11 encryption required for requested authentication mechanism", &[]).await;
        }
        if !self.greeted || self.user.is_some() || self.envelope.is_some() {
            return self.refuse(Stage::Auth, 503, "5.5.1 bad sequence of commands", &[]).await;
        }
        if options.users.is_empty() || !options.mechanisms.split(' ').any(|m| m == mechanism) {
            return self.refuse(Stage::Auth, 504, "5.5.4 unrecognised authentication type", &[]).await;
        }
        let first = if initial.is_empty() { None } else { Some(unb64(initial).and_then(|b| String::from_utf8(b).ok())) };
        let pair = if mechanism == "PLAIN" {
            let text = match first {
                Some(text) => text,
                None => self.ask("").await?,
            };
            text.and_then(|t| {
                let parts: Vec<&str> = t.split('\0').collect();
                if let [_, user, password] = parts[..] { Some((user.to_owned(), password.to_owned())) } else { None }
            })
        } else {
            let user = match first {
                Some(user) => user,
                None => self.ask(&b64(b"Username:")).await?,
            };
            let password = self.ask(&b64(b"Password:")).await?;
            user.zip(password)
        };
        let Some((user, password)) = pair else { return self.refuse(Stage::Auth, 501, "5.5.2 cannot decode the response", &[]).await };
        if let Some(flow) = self.scripted(Stage::Auth, std::slice::from_ref(&user)).await? {
            return Ok(flow);
        }
        if options.users.get(&user) != Some(&password) {
            return self.refuse(Stage::Auth, 535, "5.7.8 Error: authentication failed", &[user]).await;
        }
        self.user = Some(user);
        self.say(235, "2.7.0 Authentication successful").await.map(|()| Flow::On)
    }

    async fn mail(&mut self, rest: &str, options: &SmtpOptions) -> io::Result<Flow> {
        let parsed = path(rest, "FROM:");
        let who: Vec<String> = parsed.iter().map(|p| p.0.clone()).collect();
        if let Some(flow) = self.scripted(Stage::Mail, &who).await? {
            return Ok(flow);
        }
        let (code, text) = match &parsed {
            _ if !self.greeted => (503, "5.5.1 say EHLO first"),
            _ if options.security == Security::StartTls && !self.tls => (530, "5.7.0 Must issue a STARTTLS command first"),
            _ if !options.users.is_empty() && self.user.is_none() => (530, "5.7.0 Authentication required"),
            _ if self.envelope.is_some() => (503, "5.5.1 nested MAIL command"),
            None => (501, "5.1.7 bad sender address syntax"),
            Some((from, parameters)) => {
                let size = parameters.iter().find_map(|p| p.strip_prefix("SIZE=")).map(str::parse::<usize>);
                let utf8 = parameters.iter().any(|p| p == "SMTPUTF8");
                match size {
                    Some(Err(_)) => (501, "5.5.4 bad SIZE"),
                    Some(Ok(n)) if n > options.max_size => (552, "5.3.4 Message size exceeds fixed limit"),
                    _ if !(from.is_ascii() || utf8 && options.smtputf8) => (553, "5.6.7 non-ASCII address needs SMTPUTF8"),
                    _ if options.senders.as_ref().is_some_and(|s| !s.contains(from)) => (550, "5.7.1 Sender address rejected: not owned by user"),
                    _ => {
                        let eight_bit = utf8 || parameters.iter().any(|p| p == "BODY=8BITMIME");
                        self.envelope = Some(Envelope { from: from.clone(), to: Vec::new(), eight_bit });
                        return self.say(250, "2.1.0 Ok").await.map(|()| Flow::On);
                    }
                }
            }
        };
        self.refuse(Stage::Mail, code, text, &who).await
    }

    async fn rcpt(&mut self, rest: &str, options: &SmtpOptions) -> io::Result<Flow> {
        let parsed = path(rest, "TO:");
        let who: Vec<String> = parsed.iter().map(|p| p.0.clone()).collect();
        if let Some(flow) = self.scripted(Stage::Rcpt, &who).await? {
            return Ok(flow);
        }
        let (code, text) = match (&mut self.envelope, parsed) {
            (None, _) => (503, "5.5.1 need MAIL command"),
            (_, None) => (501, "5.1.3 bad recipient address syntax"),
            (Some(_), Some((to, _))) if to.is_empty() || !to.contains('@') => (504, "5.5.2 recipient address rejected: need fully-qualified address"),
            (Some(e), _) if e.to.len() >= options.max_recipients => (452, "4.5.3 Error: too many recipients"),
            (Some(_), Some((to, _))) if options.mailboxes.as_ref().is_some_and(|m| !m.contains(&to)) => {
                (550, "5.1.1 Recipient address rejected: User unknown in local recipient table")
            }
            (Some(envelope), Some((to, _))) => {
                envelope.to.push(to);
                return self.say(250, "2.1.5 Ok").await.map(|()| Flow::On);
            }
        };
        self.refuse(Stage::Rcpt, code, text, &who).await
    }

    async fn data(&mut self, options: &SmtpOptions) -> io::Result<Flow> {
        let to = self.envelope.as_ref().map(|e| e.to.clone()).unwrap_or_default();
        if let Some(flow) = self.scripted(Stage::Data, &to).await? {
            return Ok(flow);
        }
        let Some(envelope) = self.envelope.take_if(|e| !e.to.is_empty()) else {
            return self.refuse(Stage::Data, 554, "5.5.1 Error: no valid recipients", &[]).await;
        };
        self.say(354, "End data with <CR><LF>.<CR><LF>").await?;
        let (mut raw, mut notes, mut fault) = (Vec::new(), Vec::new(), None);
        loop {
            let mut line = Vec::new();
            if self.io.read_until(b'\n', &mut line).await? == 0 {
                return Ok(Flow::End);
            }
            if line == b".\r\n" {
                break;
            }
            if !line.ends_with(b"\r\n") {
                fault = Some((550, "5.6.0 bare line feed in message"));
            }
            if line.len() > MAX_LINE + 2 {
                fault = Some((500, "5.5.2 line longer than 998 octets"));
            }
            if !line.is_ascii() && !envelope.eight_bit && notes.is_empty() {
                notes.push("8bit_undeclared".to_owned());
            }
            if raw.len() <= options.max_size {
                raw.extend_from_slice(if line.starts_with(b".") { &line[1..] } else { &line });
            }
        }
        if raw.len() > options.max_size {
            fault = Some((552, "5.3.4 Error: message file too big"));
        }
        let act = self.server.act(Stage::Body, &envelope.to);
        if let (Some((code, text)), None) = (fault, &act) {
            return self.refuse(Stage::Body, code, text, &envelope.to).await;
        }
        match act {
            Some(Act::Reply(code, text)) => {
                self.note_refusal(Stage::Body, code, &envelope.to);
                self.say(code, text).await?;
                return Ok(if code == 421 { Flow::End } else { Flow::On });
            }
            Some(Act::Close) => return Ok(Flow::End),
            Some(Act::Reset) => {
                self.reset.store(true, Ordering::SeqCst);
                return Ok(Flow::End);
            }
            Some(Act::Hang) => return self.until_gone().await.map(|()| Flow::End),
            _ => {}
        }
        self.take(&envelope, raw, notes);
        match act {
            Some(Act::TakeThenClose) => return Ok(Flow::End),
            Some(Act::TakeThenHang) => return self.until_gone().await.map(|()| Flow::End),
            Some(Act::Delay(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let id = self.server.queue_id();
        self.say(250, &format!("2.0.0 Ok: queued as {id}")).await.map(|()| Flow::On)
    }

    fn take(&self, envelope: &Envelope, raw: Vec<u8>, notes: Vec<String>) {
        let mail = Mail::parse(&raw);
        let mut call = Call::new("SMTP", "/").at(self.server.clock.now());
        call.peer = self.peer.ip();
        call.query = vec![
            ("mail_from".to_owned(), envelope.from.clone()),
            ("user".to_owned(), self.user.clone().unwrap_or_default()),
            ("tls".to_owned(), self.tls.to_string()),
        ];
        call.headers = mail.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect();
        call.body = raw.into();
        let answer = Answer::text(250, "").accepted(250, mail.everything()).to(envelope.to.iter().cloned()).notes(notes);
        self.server.rec.push(&call, &answer, 250, None);
    }
}

/// Reads `FROM:<a@b> SIZE=1`: the address and the parameters in upper case.
fn path(text: &str, keyword: &str) -> Option<(String, Vec<String>)> {
    let head = text.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, rest) = text[keyword.len()..].trim_start().strip_prefix('<')?.split_once('>')?;
    if address.contains([' ', '<', '\r']) || address.len() > 320 {
        return None;
    }
    Some((address.to_owned(), rest.split_whitespace().map(str::to_ascii_uppercase).collect()))
}
