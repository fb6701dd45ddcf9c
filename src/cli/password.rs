//! `watchfire hash-password`: a password in, the hash that `server.auth` takes out.

use std::io::{IsTerminal, Read};

use anyhow::bail;

use super::ExitStatus;
use crate::config::PasswordHash;

/// The longest password that is read, in bytes.
const LONGEST: u64 = 1024;

/// Reads a password from standard input and prints its hash.
pub fn run() -> anyhow::Result<ExitStatus> {
    if std::io::stdin().is_terminal() {
        anstream::eprintln!("Type the password and press Enter; it is shown while you type. Better: `watchfire hash-password < password-file`.");
    }
    let mut text = String::new();
    if std::io::stdin().is_terminal() {
        std::io::stdin().read_line(&mut text)?;
    } else {
        std::io::stdin().take(LONGEST + 2).read_to_string(&mut text)?;
    }
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("there is no password on standard input; write for example `watchfire hash-password < password-file`");
    }
    if password.len() as u64 > LONGEST || password.contains('\n') {
        bail!("a password is one line of at most {LONGEST} bytes");
    }
    let salt = uuid::Uuid::new_v4().into_bytes();
    anstream::println!("{}", PasswordHash::create(password, &salt, argon2::Params::DEFAULT)?);
    Ok(ExitStatus::Success)
}
