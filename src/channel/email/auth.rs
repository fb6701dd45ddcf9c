//! Logging in: PLAIN, LOGIN and XOAUTH2 over an open session. Knows no configuration; the password never leaves the commands it is written into.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;

use super::classify::Cause;
use super::smtp::cause_of;
use crate::model::Secret;

/// A user and how to prove it.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// The account.
    pub username: String,
    /// Its password, authorisation code or (XOAUTH2) access token.
    pub password: Secret,
    /// Mechanisms to use, the first offered one wins.
    pub mechanisms: &'static [Mechanism],
}

impl Login {
    /// The forms in which a server could echo the password.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets = vec![self.password.clone(), Secret::new(STANDARD.encode(self.password.expose()))];
        secrets.extend(self.mechanisms.iter().filter_map(|m| self.initial(*m)).map(Secret::new));
        secrets
    }

    /// What goes with the AUTH command itself; nothing for LOGIN.
    fn initial(&self, mechanism: Mechanism) -> Option<String> {
        let (user, password) = (&self.username, self.password.expose());
        match mechanism {
            Mechanism::Plain => Some(STANDARD.encode(format!("\0{user}\0{password}"))),
            Mechanism::Xoauth2 => Some(STANDARD.encode(format!("user={user}\x01auth=Bearer {password}\x01\x01"))),
            Mechanism::Login => None,
        }
    }
}

/// Logs in with the first mechanism that both sides know.
pub(super) async fn log_in(conn: &mut AsyncSmtpConnection, login: &Login) -> Result<(), Cause> {
    let mechanism = conn.server_info().get_auth_mechanism(login.mechanisms).ok_or(Cause::NoMechanism)?;
    let mut answers = match login.initial(mechanism) {
        Some(initial) => {
            let reply = say(conn, format!("AUTH {mechanism} {initial}\r\n")).await?;
            if !reply.has_code(334) {
                return accepted(&reply);
            }
            // PLAIN: the server did not read the initial response. XOAUTH2: it is about to refuse, and wants an empty line first.
            vec![if mechanism == Mechanism::Plain { initial } else { String::new() }]
        }
        None => {
            let reply = say(conn, format!("AUTH {mechanism}\r\n")).await?;
            if !reply.has_code(334) {
                return accepted(&reply);
            }
            // Popped from the back: the user first. Servers word their questions differently, but ask in this order.
            vec![STANDARD.encode(login.password.expose()), STANDARD.encode(&login.username)]
        }
    };
    while let Some(answer) = answers.pop() {
        let reply = say(conn, format!("{answer}\r\n")).await?;
        if !reply.has_code(334) {
            return accepted(&reply);
        }
    }
    Err(Cause::Garbage("it asks more questions than the mechanism has".into()))
}

async fn say(conn: &mut AsyncSmtpConnection, line: String) -> Result<Response, Cause> {
    conn.command(line).await.map_err(|e| cause_of(&e))
}

fn accepted(reply: &Response) -> Result<(), Cause> {
    let code = u16::from(reply.code());
    if (200..300).contains(&code) { Ok(()) } else { Err(Cause::Reply(code, reply.message().collect::<Vec<_>>().join(" "))) }
}
