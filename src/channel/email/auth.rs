//! Logging in: PLAIN, LOGIN, CRAM-MD5 and XOAUTH2 over an open session. Knows no configuration; the password never leaves the commands it is written
//! into.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::classify::Cause;
use super::wire::{Reply, Wire};
use crate::model::Secret;

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// RFC 4616.
    Plain,
    /// Never standardised; Exchange and many Chinese providers have nothing else.
    Login,
    /// RFC 2195: the password is not sent.
    CramMd5,
    /// Google's and Microsoft's: the password is an access token.
    Xoauth2,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::CramMd5 => "CRAM-MD5",
            Mechanism::Xoauth2 => "XOAUTH2",
        }
    }
}

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

    /// What goes with the AUTH command itself; nothing where the server asks first.
    fn initial(&self, mechanism: Mechanism) -> Option<String> {
        let (user, password) = (&self.username, self.password.expose());
        match mechanism {
            Mechanism::Plain => Some(STANDARD.encode(format!("\0{user}\0{password}"))),
            Mechanism::Xoauth2 => Some(STANDARD.encode(format!("user={user}\x01auth=Bearer {password}\x01\x01"))),
            Mechanism::Login | Mechanism::CramMd5 => None,
        }
    }

    /// The answer to a question of the server; `asked` counts from 0. `None` when there are no more answers than questions.
    fn answer(&self, mechanism: Mechanism, asked: usize, question: &str) -> Option<String> {
        match (mechanism, asked) {
            // The server did not read the initial response.
            (Mechanism::Plain, 0) => self.initial(mechanism),
            // It is about to refuse, and wants an empty line first.
            (Mechanism::Xoauth2, 0) => Some(String::new()),
            // Servers word their questions differently, but ask in this order.
            (Mechanism::Login, 0) => Some(STANDARD.encode(&self.username)),
            (Mechanism::Login, 1) => Some(STANDARD.encode(self.password.expose())),
            (Mechanism::CramMd5, 0) => {
                let challenge = STANDARD.decode(question.trim()).ok()?;
                let mut mac = Hmac::<Md5>::new_from_slice(self.password.expose().as_bytes()).ok()?;
                mac.update(&challenge);
                let digest: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
                Some(STANDARD.encode(format!("{} {digest}", self.username)))
            }
            _ => None,
        }
    }
}

/// Logs in with the first mechanism that both sides know. One that the server offers and then does not know (504) is followed by the next.
pub(super) async fn log_in(wire: &mut Wire, offered: &[String], login: &Login) -> Result<(), Cause> {
    let mut last = Cause::NoMechanism;
    for mechanism in login.mechanisms.iter().copied().filter(|m| offered.iter().any(|o| o == m.name())) {
        match attempt(wire, mechanism, login).await {
            Err(unknown @ Cause::Reply(504, _)) => last = unknown,
            result => return result,
        }
    }
    Err(last)
}

async fn attempt(wire: &mut Wire, mechanism: Mechanism, login: &Login) -> Result<(), Cause> {
    let name = mechanism.name();
    let command = login.initial(mechanism).map_or_else(|| format!("AUTH {name}"), |initial| format!("AUTH {name} {initial}"));
    let mut reply = wire.ask(&command).await?;
    let mut asked = 0;
    while reply.code == 334 {
        let Some(answer) = login.answer(mechanism, asked, &reply.text()) else {
            return Err(Cause::Garbage("it asks more questions than the mechanism has".into()));
        };
        asked += 1;
        reply = wire.ask(&answer).await?;
    }
    accepted(&reply)
}

fn accepted(reply: &Reply) -> Result<(), Cause> {
    if (200..300).contains(&reply.code) { Ok(()) } else { Err(Cause::Reply(reply.code, reply.text())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cram_md5_answers_as_the_rfc_does() {
        let login = Login { username: "tim".into(), password: Secret::new("tanstaaftanstaaf"), mechanisms: &[Mechanism::CramMd5] };
        let question = STANDARD.encode("<1896.697170952@postoffice.reston.mci.net>");
        let answer = login.answer(Mechanism::CramMd5, 0, &question).unwrap();
        assert_eq!(STANDARD.decode(answer).unwrap(), b"tim b913a602c7eda7a495b4e6e7334d3890");
        assert_eq!(login.answer(Mechanism::CramMd5, 0, "no base64!"), None);
        assert_eq!(login.answer(Mechanism::CramMd5, 1, &question), None);
    }
}
