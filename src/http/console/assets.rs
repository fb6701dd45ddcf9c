//! What the console's pages load. Each file's name has a hash of its text, so browsers keep it without asking again.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::lookalike;

/// A file.
struct Asset {
    /// Where it is served: `/ui/assets/console.3fa9c1d2.css`.
    path: String,
    kind: &'static str,
    text: Bytes,
}

impl Asset {
    fn new(name: &str, ending: &str, kind: &'static str, text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let hash: String = Sha256::digest(&text)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/ui/assets/{name}.{hash}.{ending}"), kind, text }
    }
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files, in the order of [`File`].
static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
    [
        Asset::new("console", "css", CSS, concat!(include_str!("../assets/tokens.css"), include_str!("assets/console.css"))),
        Asset::new("console", "js", JS, include_str!("assets/console.js")),
        Asset::new("icons", "svg", SVG, include_str!("assets/icons.svg")),
        Asset::new("htmx", "js", JS, include_str!("assets/htmx-2.0.11.min.js")),
        Asset::new("mark", "svg", SVG, include_str!("assets/mark.svg")),
        Asset::new("mark-hot", "svg", SVG, include_str!("assets/mark-hot.svg")),
        Asset::new("lookalike", "css", CSS, look_alikes()),
    ]
});

/// The style of what clients show, held inside of it: its classes are also names of parts of the console.
fn look_alikes() -> String {
    // Names of clients are on the element itself, others on what is in it.
    const CLIENTS: [&str; 11] = [".slack", ".dingtalk", ".wecom", ".feishu", ".telegram", ".discord", ".teams", ".mail", ".sms", ".call", ".card"];
    let scoped = |selector: &str| {
        let selector = selector.trim();
        let first = selector.split([' ', ':', '>']).next().unwrap_or_default();
        match first {
            ".lookalike" => Some(selector.to_owned()),
            _ if CLIENTS.contains(&first) => Some(format!(".lookalike{selector}")),
            _ if first.starts_with('.') && !first.starts_with(".lookalike") => Some(format!(".lookalike {selector}")),
            _ if first.starts_with(".lookalike") => Some(selector.to_owned()),
            _ => None,
        }
    };
    let text = lookalike::STYLE.split("*/").map(|part| part.split("/*").next().unwrap_or_default()).collect::<String>();
    let rules = text.split('}').filter_map(|rule| rule.split_once('{')).filter_map(|(selectors, body)| {
        let selectors: Vec<String> = selectors.split(',').filter_map(scoped).collect();
        (!selectors.is_empty()).then(|| format!("{}{{{}}}\n", selectors.join(","), body.trim()))
    });
    rules.collect()
}

/// A file that a page loads.
#[derive(Debug, Clone, Copy)]
pub(super) enum File {
    /// The style of every page.
    Style,
    /// Ages, countdowns, keys.
    Script,
    /// The sprite of icons.
    Icons,
    /// htmx.
    Htmx,
    /// The icon of the tab.
    Mark,
    /// The same while something needs somebody.
    MarkHot,
    /// The style of what clients show.
    Lookalike,
}

impl File {
    /// Its address.
    pub(super) fn path(self) -> &'static str {
        &ASSETS[self as usize].path
    }
}

/// Serves a file.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let path = format!("/ui/assets/{name}");
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.text.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_vendored_is_what_was_published() {
        let hex = |text: &[u8]| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // `dist/htmx.min.js` of htmx.org 2.0.11 in the npm registry.
        assert_eq!(hex(&ASSETS[File::Htmx as usize].text), "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717");
    }

    #[test]
    fn both_ways_to_a_dark_page_name_the_same_colours() {
        let style = std::str::from_utf8(&ASSETS[File::Style as usize].text).unwrap();
        let block = |mark: &str| style.split_once(mark).and_then(|(_, rest)| rest.split_once('}')).map(|(block, _)| block.to_owned());
        let asked = block(":root:not([data-theme=light]){").expect("the block for systems that are dark");
        assert_eq!(Some(asked), block("\n:root[data-theme=dark]{"));
    }

    #[test]
    fn every_file_has_its_own_address() {
        let paths: std::collections::BTreeSet<&str> = ASSETS.iter().map(|asset| asset.path.as_str()).collect();
        assert_eq!(paths.len(), ASSETS.len());
        let look_alikes = look_alikes();
        assert!(look_alikes.lines().count() > 20 && look_alikes.contains(".lookalike{") && look_alikes.contains(".lookalike.slack"));
        assert!(look_alikes.lines().all(|line| line.starts_with(".lookalike")), "the style of a client is none of the page");
        assert!(File::Style.path().starts_with("/ui/assets/console.") && File::Lookalike.path().ends_with(".css"));
    }
}
