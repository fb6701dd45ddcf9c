//! As much MIME as assertions on mails need: unfolded and RFC 2047-decoded headers, nested multiparts,
//! Base64 and quoted-printable bodies in UTF-8.

use super::super::crypt::unb64;

/// A parsed mail.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// Header names as written and values decoded, in order.
    pub headers: Vec<(String, String)>,
    /// The leaves of the MIME tree, in order.
    pub parts: Vec<Part>,
    /// The multipart types on the way down, outermost first (`multipart/alternative`).
    pub containers: Vec<String>,
}

/// A leaf of the MIME tree.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The part's own headers, decoded.
    pub headers: Vec<(String, String)>,
    /// The media type in lower case, without parameters.
    pub media_type: String,
    /// The body, decoded.
    pub body: Vec<u8>,
}

impl Part {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).replace("\r\n", "\n")
    }

    /// A header of the part.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Mail {
    /// Parses a raw mail; never fails, what is not understood is plain text.
    pub fn parse(raw: &[u8]) -> Self {
        let (headers, body) = split(raw);
        let mut mail = Mail { headers: headers.clone(), ..Mail::default() };
        mail.walk(headers, body, 0);
        mail
    }

    /// The first header of that name, decoded.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The subject, decoded.
    pub fn subject(&self) -> &str {
        self.header("subject").unwrap_or("")
    }

    /// The `text/plain` part.
    pub fn text(&self) -> String {
        self.first("text/plain")
    }

    /// The `text/html` part.
    pub fn html(&self) -> String {
        self.first("text/html")
    }

    /// Subject and all texts, one after the other.
    pub fn everything(&self) -> String {
        let texts = self.parts.iter().filter(|p| p.media_type.starts_with("text/")).map(Part::text);
        std::iter::once(self.subject().to_owned()).chain(texts).collect::<Vec<_>>().join("\n")
    }

    fn first(&self, media_type: &str) -> String {
        self.parts.iter().find(|p| p.media_type == media_type).map(Part::text).unwrap_or_default()
    }

    fn walk(&mut self, headers: Vec<(String, String)>, body: &[u8], depth: u32) {
        let content_type = find(&headers, "content-type").unwrap_or("text/plain").to_owned();
        let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if media_type.starts_with("multipart/")
            && depth < 10
            && let Some(boundary) = parameter(&content_type, "boundary")
        {
            self.containers.push(media_type);
            for piece in pieces(body, &boundary) {
                let (headers, body) = split(piece);
                self.walk(headers, body, depth + 1);
            }
            return;
        }
        let body = match find(&headers, "content-transfer-encoding").unwrap_or("").trim().to_ascii_lowercase().as_str() {
            "base64" => unb64(&String::from_utf8_lossy(body).split_whitespace().collect::<String>()).unwrap_or_default(),
            "quoted-printable" => quoted_printable(body, false),
            _ => body.to_vec(),
        };
        self.parts.push(Part { headers, media_type, body });
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// Splits at the empty line; headers are unfolded and decoded.
fn split(raw: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let (head, body): (&[u8], &[u8]) = if raw.starts_with(b"\r\n") {
        (b"", &raw[2..])
    } else {
        match raw.windows(4).position(|w| w == b"\r\n\r\n") {
            Some(at) => (&raw[..at], &raw[at + 4..]),
            None => (raw, b""),
        }
    };
    let head = String::from_utf8_lossy(head).replace("\r\n ", " ").replace("\r\n\t", " ");
    let headers = head.split("\r\n").filter_map(|l| l.split_once(':')).map(|(n, v)| (n.trim().to_owned(), decode_words(v.trim()))).collect();
    (headers, body)
}

/// The parts between the boundary lines.
fn pieces<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mark = format!("--{boundary}");
    let (mut out, mut start, mut at) = (Vec::new(), None, 0);
    while at < body.len() {
        let end = body[at..].iter().position(|&b| b == b'\n').map_or(body.len(), |n| at + n + 1);
        let line = body[at..end].strip_suffix(b"\r\n").unwrap_or(&body[at..end]);
        let closing = line == format!("{mark}--").as_bytes();
        if closing || line == mark.as_bytes() {
            if let Some(from) = start {
                // The line break before a boundary belongs to the boundary.
                out.push(&body[from..at.saturating_sub(2).max(from)]);
            }
            start = Some(end);
            if closing {
                return out;
            }
        }
        at = end;
    }
    out
}

/// A parameter of a structured header, unquoted.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|p| {
        let (k, v) = p.split_once('=')?;
        k.trim().eq_ignore_ascii_case(name).then(|| v.trim().trim_matches('"').to_owned())
    })
}

/// Decodes `=?utf-8?B?...?=` and `=?utf-8?Q?...?=`; white space between two encoded words disappears.
pub fn decode_words(text: &str) -> String {
    let (mut out, mut rest, mut after_word) = (String::new(), text, false);
    while let Some(at) = rest.find("=?") {
        let Some((word, len)) = encoded_word(&rest[at..]) else {
            out.push_str(&rest[..at + 2]);
            (rest, after_word) = (&rest[at + 2..], false);
            continue;
        };
        if !(after_word && rest[..at].trim().is_empty()) {
            out.push_str(&rest[..at]);
        }
        out.push_str(&word);
        (rest, after_word) = (&rest[at + len..], true);
    }
    out + rest
}

fn encoded_word(text: &str) -> Option<(String, usize)> {
    let mut fields = text[2..].splitn(3, '?');
    let (charset, kind, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let content = &rest[..rest.find("?=")?];
    if content.contains(' ') || charset.is_empty() {
        return None;
    }
    let bytes = match kind {
        "B" | "b" => unb64(content)?,
        "Q" | "q" => quoted_printable(content.as_bytes(), true),
        _ => return None,
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some((text, 2 + charset.len() + 1 + kind.len() + 1 + content.len() + 2))
}

/// Decodes quoted-printable; in headers `_` is a space.
fn quoted_printable(bytes: &[u8], header: bool) -> Vec<u8> {
    let (mut out, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while i < bytes.len() {
        match bytes[i] {
            b'=' if bytes[i + 1..].starts_with(b"\r\n") => i += 3,
            b'=' => {
                let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
                out.push(hex.unwrap_or(b'='));
                i += if hex.is_some() { 3 } else { 1 };
            }
            b'_' if header => {
                out.push(b' ');
                i += 1;
            }
            b => {
                out.push(b);
                i += 1;
            }
        }
    }
    out
}
