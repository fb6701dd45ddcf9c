//! `email_configs` of Alertmanager as `email` channels. Knows no other platform.

use super::context::{Converted, ImportContext, Unsupported, or_global, secret};
use super::reader::{Keys, is_template};
use super::text::Yaml;

/// An `email` block.
pub fn email<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let missing = |key: &str| Unsupported::new(format!("`{key}` is missing"), "Alertmanager refuses this too; write it and import again");
    let to = keys.text("to", context.notes).ok_or_else(|| missing("to"))?;
    let from = or_global(keys, "from", context, "smtp_from").ok_or_else(|| missing("from"))?;
    if is_template(to) || is_template(from) {
        let todo = "write one channel for each address, and a route with a matcher to each";
        return Err(Unsupported::new("its address is made by a Go template from the alert's labels", todo));
    }
    let server = or_global(keys, "smarthost", context, "smtp_smarthost").ok_or_else(|| missing("smarthost"))?;
    let port = server.rsplit_once(':').map_or("", |(_, port)| port);
    let mut block = Yaml::map([("server", Yaml::text(server))]);

    if let Some(mode) = tls_mode(keys, context, port) {
        block.push("tls", Yaml::text(mode));
    }
    tls(keys, context, &mut block);

    login(keys, context, &mut block);
    block.push("from", Yaml::text(from));
    block.push("to", Yaml::texts(addresses(to)));
    if let Some(hello) = or_global(keys, "hello", context, "smtp_hello").filter(|hello| *hello != "localhost") {
        block.push("hello", Yaml::text(hello));
    }
    if let Some(thread) = thread(keys, context) {
        block.push("thread", Yaml::text(thread));
    }
    if let Some(node) = keys.take("headers") {
        headers(Keys::new(node, "`headers`", context.notes), node.span.line, context, &mut block);
    }
    Ok(Converted { platform: "email", blocks: vec![block], channel_settings: Vec::new() })
}

/// How the connection is encrypted, where the port does not say it.
fn tls_mode<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>, port: &str) -> Option<&'static str> {
    let required = keys.flag("require_tls", context.notes).or_else(|| context.global.flag("smtp_require_tls", context.notes)).unwrap_or(true);
    let implicit = keys
        .flag("force_implicit_tls", context.notes)
        .or_else(|| context.global.flag("smtp_force_implicit_tls", context.notes))
        .unwrap_or(port == "465");
    let mode = match (implicit, required) {
        (true, _) => "implicit",
        (false, true) => "starttls",
        (false, false) => "opportunistic",
    };
    (port != "465" || !implicit).then_some(mode)
}

/// User name and password, and what of a login is left behind.
fn login<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>, block: &mut Yaml) {
    let user = or_global(keys, "auth_username", context, "smtp_auth_username");
    let password = secret(keys, "auth_password", context, Some("smtp_auth_password"), "SMTP_PASSWORD");
    // Alertmanager logs in by CRAM-MD5 with this one, and by PLAIN or LOGIN with the other.
    let shared = secret(keys, "auth_secret", context, Some("smtp_auth_secret"), "SMTP_SECRET");
    match (user, password, shared) {
        (Some(user), Some(password), second) => {
            block.push("username", Yaml::text(user));
            block.push("password", password);
            if second.is_some() {
                let what = format!("`auth_secret` of {}", context.what);
                let todo = "nothing, if the password holds for all ways to log in";
                context.notes.remark(keys.line, what, "one secret is enough here", todo);
            }
        }
        (Some(user), None, Some(shared)) => {
            block.push("username", Yaml::text(user));
            block.push("password", shared);
            block.push("auth", Yaml::text("cram-md5"));
        }
        (None, None, None) => {}
        (Some(_), None, None) => {
            let todo = "add `username` and `password` to the channel if the server asks for them";
            context.notes.remark(keys.line, format!("the login of {}", context.what), "there is no password for the user name", todo);
        }
        (None, ..) => {
            let todo = "add `username` and `password` to the channel if the server asks for them";
            context.notes.remark(keys.line, format!("the password of {}", context.what), "there is no user name for it", todo);
        }
    }
    let identity = keys.take("auth_identity").or_else(|| context.global.take("smtp_auth_identity"));
    if let Some(node) = identity
        && user.is_some()
    {
        let what = format!("`auth_identity` of {}", context.what);
        context.notes.remark(node.span.line, what, "PLAIN and LOGIN need user name and password only", "nothing, if the server offers them");
    }
}

/// Which mails are one thread, where that is not the default.
fn thread<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Option<&'static str> {
    let mut threading = Keys::new(keys.take("threading")?, "`threading`", context.notes);
    let on = threading.flag("enabled", context.notes).unwrap_or(false);
    let by = threading.text("thread_by_date", context.notes);
    match (on, by) {
        (false, _) => Some("off"),
        (true, Some("none")) => None,
        (true, _) => Some("day"),
    }
}

fn tls<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>, block: &mut Yaml) {
    let Some(node) = keys.take("tls_config").or_else(|| context.global.take("smtp_tls_config")) else { return };
    let mut tls = Keys::new(node, "`tls_config`", context.notes);
    if let Some(ca) = tls.text("ca_file", context.notes) {
        block.push("ca_file", Yaml::text(ca));
    }
    for entry in tls.rest() {
        let todo = match entry.key.as_str() {
            "insecure_skip_verify" => "name the server's authority in `ca_file`: certificates are always verified here",
            _ => "nothing, unless the server asks for it",
        };
        let what = format!("`tls_config.{}` of {}", entry.key, context.what);
        context.notes.remark(entry.key_span.line, what, "mail has no such setting here", todo);
    }
}

fn headers(mut headers: Keys<'_>, line: usize, context: &mut ImportContext<'_, '_>, block: &mut Yaml) {
    for (name, key) in [("Reply-To", "reply_to"), ("reply-to", "reply_to"), ("Cc", "cc"), ("CC", "cc"), ("cc", "cc")] {
        let Some(text) = headers.peek(name).and_then(super::reader::scalar).filter(|text| !is_template(text)) else { continue };
        headers.take(name);
        // Alertmanager's header only shows a Cc; who is not in `to` gets no mail.
        if key == "cc" {
            let todo = "add the addresses to `cc` if they are to get the mail, else nothing";
            context.notes.remark(line, format!("the header {name} of {}", context.what), "there it is shown and sends nothing", todo);
        } else {
            block.push(key, Yaml::text(text));
        }
    }
    let rest: Vec<&str> = headers.rest().into_iter().map(|entry| entry.key.as_str()).collect();
    if !rest.is_empty() {
        let what = format!("the headers {} of {}", rest.join(", "), context.what);
        let todo = "the subject is templates/email/default.subject.hbs; other headers cannot be set";
        context.notes.remark(line, what, "headers are made by Watchfire", todo);
    }
}

/// The addresses of a `to`, which are separated by commas outside quotes and brackets.
pub fn addresses(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut in_quotes, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' if !escaped => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        part.push(c);
    }
    parts.push(part);
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_name_separates_nothing() {
        assert_eq!(addresses(r#""Doe, Jane" <j@x.org>, b@x.org,"#), [r#""Doe, Jane" <j@x.org>"#, "b@x.org"]);
        assert_eq!(addresses(r#""a\",b" <c@x.org>"#), [r#""a\",b" <c@x.org>"#]);
    }
}
