//! Access tokens as the token endpoints of platforms hand them out: the same one while it is valid, counted,
//! expiring, and revocable at any moment by the test.

use std::collections::HashMap;
use std::time::Duration;

/// What a presented token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// Valid; the value is the application it was issued to.
    Good(String),
    /// Was valid once.
    Expired,
    /// Never issued, or revoked.
    Invalid,
}

#[derive(Debug, Clone)]
struct Issued {
    owner: String,
    expires_ms: u64,
    revoked: Option<TokenState>,
}

/// The token desk of one platform.
#[derive(Debug)]
pub struct Tokens {
    prefix: &'static str,
    /// How long a token lives.
    pub lifetime: Duration,
    /// Successful calls of the token endpoint.
    pub calls: u64,
    /// Distinct tokens issued.
    pub issued: u64,
    current: HashMap<String, String>,
    known: HashMap<String, Issued>,
}

impl Tokens {
    /// A desk whose tokens start with `prefix` and live two hours.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, lifetime: Duration::from_secs(7200), calls: 0, issued: 0, current: HashMap::new(), known: HashMap::new() }
    }

    /// The token of `owner` and its remaining life in seconds: the same one while it is valid.
    pub fn issue(&mut self, owner: &str, now_ms: u64) -> (String, u64) {
        self.calls += 1;
        if let Some(token) = self.current.get(owner)
            && let Some(known) = self.known.get(token)
            && known.revoked.is_none()
            && known.expires_ms > now_ms
        {
            return (token.clone(), (known.expires_ms - now_ms).div_ceil(1000));
        }
        self.issued += 1;
        let token = format!("{}{:06}-{}", self.prefix, self.issued, super::crypt::sha256_hex(format!("{owner}{}", self.issued).as_bytes()));
        let expires_ms = now_ms + self.lifetime.as_millis() as u64;
        self.known.insert(token.clone(), Issued { owner: owner.to_owned(), expires_ms, revoked: None });
        self.current.insert(owner.to_owned(), token.clone());
        (token, self.lifetime.as_secs())
    }

    /// Checks a presented token.
    pub fn check(&self, token: &str, now_ms: u64) -> TokenState {
        match self.known.get(token) {
            None => TokenState::Invalid,
            Some(Issued { revoked: Some(state), .. }) => state.clone(),
            Some(known) if known.expires_ms <= now_ms => TokenState::Expired,
            Some(known) => TokenState::Good(known.owner.clone()),
        }
    }

    /// Revokes every token at once; from now on they count `as_state` (`Expired` or `Invalid`).
    pub fn revoke_all(&mut self, as_state: &TokenState) {
        for known in self.known.values_mut() {
            known.revoked.get_or_insert_with(|| as_state.clone());
        }
        self.current.clear();
    }
}
