//! What every page has around it: head, navigation, the settings, and where toasts appear.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::File;
use super::manner::Manner;
use super::parts::{icon, say, shown, time};
use super::viewer::Viewer;
use crate::http::page::words::tag;
use crate::model::Language;

/// htmx without what the policy of pages refuses: no eval, no style of its own, no requests to elsewhere.
const HTMX: &str = r#"{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyCacheSize":0,"scrollBehavior":"auto","responseHandling":[{"code":"204","swap":false},{"code":"[23]..","swap":true},{"code":"[45]..","swap":true,"error":true}]}"#;

/// The largest count that the navigation has room for.
const MOST: u64 = 999;

/// Where a page is in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// Nowhere.
    #[default]
    None,
    /// The first page.
    Now,
    /// Every delivery.
    History,
    /// What was not delivered.
    Dead,
    /// The channels.
    Channels,
    /// What is muted.
    Mutes,
    /// Who is on call.
    OnCall,
    /// Where labels go.
    Route,
    /// What templates make.
    Templates,
    /// What alerts would become.
    Simulate,
    /// What runs.
    Config,
    /// What people did.
    Audit,
}

/// An entry of the navigation.
struct Entry {
    place: Place,
    path: &'static str,
    /// The key behind `g`.
    key: &'static str,
    icon: &'static str,
    en: &'static str,
    zh: &'static str,
}

/// The pages of daily work, in the order of the navigation; on a phone the first four are at the bottom.
const DAILY: &[Entry] = &[
    Entry { place: Place::Now, path: "/ui", key: "n", icon: "now", en: "Now", zh: "当前" },
    Entry { place: Place::History, path: "/ui/history", key: "h", icon: "clock", en: "History", zh: "历史" },
    Entry { place: Place::Dead, path: "/ui/dead", key: "d", icon: "dead", en: "Dead letters", zh: "死信" },
    Entry { place: Place::Channels, path: "/ui/channels", key: "c", icon: "channels", en: "Channels", zh: "通道" },
    Entry { place: Place::Mutes, path: "/ui/mutes", key: "m", icon: "mute", en: "Mutes", zh: "静音" },
    Entry { place: Place::OnCall, path: "/ui/oncall", key: "o", icon: "oncall", en: "On call", zh: "值班" },
];
/// What shows something without doing it.
const TRY: &[Entry] = &[
    Entry { place: Place::Route, path: "/ui/route", key: "r", icon: "route", en: "Route tester", zh: "路由测试" },
    Entry { place: Place::Templates, path: "/ui/templates", key: "t", icon: "template", en: "Templates", zh: "模板" },
    Entry { place: Place::Simulate, path: "/ui/simulate", key: "s", icon: "storm", en: "Simulate", zh: "模拟" },
];
/// The inside.
const SYSTEM: &[Entry] = &[
    Entry { place: Place::Config, path: "/ui/config", key: "f", icon: "config", en: "Configuration", zh: "配置" },
    Entry { place: Place::Audit, path: "/ui/audit", key: "u", icon: "audit", en: "Audit", zh: "审计" },
];

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The title of the tab.
    pub(super) title: String,
    /// Where it is.
    pub(super) at: Place,
    /// Where a page without a place of its own leads back to: address and word.
    pub(super) back: Option<(String, String)>,
    /// What is in `main`.
    pub(super) body: Markup,
    /// On a phone the bar at the bottom, in place of the navigation.
    pub(super) sheet: Option<Markup>,
    /// How much needs somebody: the tab says so, in its title and by its icon.
    pub(super) waiting: usize,
}

impl Page {
    /// The page for who looks at it.
    pub(super) fn of(self, viewer: &Viewer) -> Response {
        self.write(&viewer.manner, Some(viewer))
    }

    /// The page, also for who is not known.
    pub(super) fn write(self, manner: &Manner, viewer: Option<&Viewer>) -> Response {
        let language = manner.language;
        let body = html! {
            a.skip href="#main" { (say(language, "Skip to content", "跳到正文")) }
            div.shell {
                header.top {
                    @if let Some((path, word)) = &self.back {
                        a.back href=(path) { (icon("left")) (word) }
                    } @else {
                        span.mk { (icon("mark")) } b { (self.title) }
                    }
                }
                nav.side aria-label=(say(language, "Main", "主导航")) {
                    a.brand href="/ui" { (icon("mark")) "Watchfire" }
                    (entries(language, DAILY, self.at, viewer))
                    (group(language, say(language, "Try", "试验"), TRY, self.at, viewer))
                    (group(language, say(language, "System", "系统"), SYSTEM, self.at, viewer))
                    (me(manner, viewer))
                }
                main #main { (self.body) @if viewer.is_some() { (zone(manner, self.at)) } }
            }
            @if let Some(sheet) = &self.sheet { div.sheet.po role="region" aria-label=(say(language, "Acts", "操作")) { (sheet) } } @else { (bar(manner, self.at, viewer)) }
            form #set method="post" action="/ui/settings" hidden { input type="hidden" name="back" value=(manner.here); }
            div.toasts role="status" aria-live="polite" {}
            (keys(language))
        };
        html_page(document(manner, &self.title, self.waiting, "", body))
    }
}

/// The zone of a page's times, which only those who can hover over one would know; these pages say it in their head.
fn zone(manner: &Manner, at: Place) -> Markup {
    if matches!(at, Place::History | Place::OnCall | Place::Audit) {
        return Markup::default();
    }
    let language = manner.language;
    html! { p.dim.s.mt { (say(language, "Times are in ", "时间为 ")) (time::zone_name(manner)) (say(language, ".", "。")) } }
}

/// A page without navigation.
pub(super) fn bare(manner: &Manner, title: &str, body: Markup) -> Response {
    html_page(document(manner, title, 0, "gate", body))
}

/// A part of a page, for htmx.
pub(super) fn fragment(part: Markup) -> Response {
    html_page(part)
}

fn html_page(page: Markup) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], page.into_string()).into_response()
}

fn document(manner: &Manner, title: &str, waiting: usize, class: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(tag(manner.language)) data-now=(time::exact(manner, manner.now.into())) data-theme=[manner.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                meta name="color-scheme" content="light dark";
                meta name="format-detection" content="telephone=no";
                meta name="htmx-config" content=(HTMX);
                title { @if waiting > 0 { "(" (waiting) ") " } (title) " · Watchfire" }
                link rel="icon" href=(if waiting > 0 { File::MarkHot } else { File::Mark }.path()) data-hot=(File::MarkHot.path()) data-calm=(File::Mark.path());
                link rel="stylesheet" href=(File::Style.path());
                link rel="stylesheet" href=(File::Lookalike.path());
                script src=(File::Htmx.path()) defer {}
                script src=(File::Script.path()) defer {}
            }
            body class=[Some(class).filter(|class| !class.is_empty())] { (body) }
        }
    }
}

/// Whether a page opens for who looks: what leads to a refusal is not offered.
fn opens(entry: &Entry, viewer: Option<&Viewer>) -> bool {
    let Some(viewer) = viewer else { return true };
    match entry.place {
        Place::Config => viewer.operates && !viewer.caller.is_limited(),
        Place::OnCall | Place::Route | Place::Templates | Place::Simulate | Place::Audit => !viewer.caller.is_limited(),
        _ => true,
    }
}

fn entries(language: Language, entries: &[Entry], at: Place, viewer: Option<&Viewer>) -> Markup {
    html! {
        ul { @for entry in entries.iter().filter(|entry| opens(entry, viewer)) {
            li { a href=(entry.path) data-go=(entry.key) aria-current=[(entry.place == at).then_some("page")] { (icon(entry.icon)) (say(language, entry.en, entry.zh)) (tally(language, entry.place, viewer)) } }
        } }
    }
}

/// How much of an entry's page needs somebody. On the first page live updates keep its own count right, so it is there also when it is 0.
fn tally(language: Language, place: Place, viewer: Option<&Viewer>) -> Markup {
    let counts = viewer.map(|viewer| viewer.counts).unwrap_or_default();
    let (n, class, word) = match place {
        Place::Now => (counts.firing, "k hot", say(language, " not acked", " 个待认领")),
        Place::Dead => (counts.dead, "k", say(language, " not delivered", " 条未送达")),
        Place::Channels => (counts.held, "k hot", say(language, " held", " 个已挂起")),
        _ => return Markup::default(),
    };
    let live = place == Place::Now;
    html! {
        @if live || n > 0 {
            span class=(class) data-waiting[live] hidden[n == 0] { @if n > MOST { (MOST) "+" } @else { (n) } span.vh { (word) } }
        }
    }
}

/// The same below a heading; nothing where none of them opens.
fn group(language: Language, title: &str, list: &[Entry], at: Place, viewer: Option<&Viewer>) -> Markup {
    html! {
        @if list.iter().any(|entry| opens(entry, viewer)) { h2 { (title) } (entries(language, list, at, viewer)) }
    }
}

/// What a press on the theme's button changes to, where there is no script.
fn other_theme(manner: &Manner) -> &'static str {
    if manner.theme == Some("dark") { "light" } else { "dark" }
}

/// Who looks, and their settings.
fn me(manner: &Manner, viewer: Option<&Viewer>) -> Markup {
    let language = manner.language;
    let (code, word) = if language == Language::Zh { ("en", "English") } else { ("zh", "中文") };
    html! {
        div.me {
            @if let Some(viewer) = viewer {
                span {
                    @if viewer.caller.name.is_empty() { (say(language, "No login needed", "无需登录")) } @else { b { (shown(&viewer.caller.name)) } }
                    " · " (if viewer.administers { "admin" } else if viewer.operates { "operate" } else { "read" })
                }
            }
            span.acts {
                button.b.g.sm type="submit" form="set" name="theme" value=(other_theme(manner)) data-theme-switch title=(say(language, "Light or dark", "浅色或深色")) { (icon("theme")) (say(language, "Theme", "主题")) }
                button.b.g.sm type="submit" form="set" name="lang" value=(code) lang=(code) { (word) }
                button.b.g.sm type="button" data-keys { (say(language, "Keys", "快捷键")) }
                @if viewer.is_some_and(|viewer| viewer.login.is_some()) {
                    form method="post" action="/ui/logout" { button.b.g.sm { (say(language, "Sign out", "退出")) } }
                }
            }
        }
    }
}

/// The navigation of a phone.
fn bar(manner: &Manner, at: Place, viewer: Option<&Viewer>) -> Markup {
    let language = manner.language;
    let first = DAILY.iter().take(4);
    html! {
        nav.bar5 aria-label=(say(language, "Quick", "快捷导航")) {
            @for entry in first.clone() {
                a href=(entry.path) aria-current=[(entry.place == at).then_some("page")] { (icon(entry.icon)) (say(language, entry.en.split(' ').next().unwrap_or_default(), entry.zh)) (tally(language, entry.place, viewer)) }
            }
            details.menu {
                summary aria-current=[(!first.clone().any(|entry| entry.place == at) && at != Place::default()).then_some("true")] { (icon("more")) (say(language, "More", "更多")) }
                div.pop {
                    @for entry in DAILY.iter().skip(4).chain(TRY).chain(SYSTEM).filter(|entry| opens(entry, viewer)) {
                        a href=(entry.path) aria-current=[(entry.place == at).then_some("page")] { (icon(entry.icon)) (say(language, entry.en, entry.zh)) }
                    }
                    button type="submit" form="set" name="lang" value=(if language == Language::Zh { "en" } else { "zh" }) { (icon("chat")) (if language == Language::Zh { "English" } else { "中文" }) }
                    button type="submit" form="set" name="theme" value=(other_theme(manner)) data-theme-switch { (icon("theme")) (say(language, "Theme", "主题")) }
                    @if viewer.is_some_and(|viewer| viewer.login.is_some()) {
                        form method="post" action="/ui/logout" { button { (icon("left")) (say(language, "Sign out", "退出")) } }
                    }
                }
            }
        }
    }
}

/// The keys, shown by `?`.
fn keys(language: Language) -> Markup {
    let keys = [
        ("j k", say(language, "next, previous row; in an incident, of its list", "下一行、上一行；在事件页，来源列表中的")),
        ("a", say(language, "the row's or page's first act", "该行或该页的主要操作")),
        ("s", say(language, "snooze and more", "暂缓及更多")),
        ("e", say(language, "escalate", "升级")),
        ("/", say(language, "search", "搜索")),
        ("p", say(language, "pause, resume live", "暂停、继续实时更新")),
        (".", say(language, "show new rows", "显示新增")),
        ("g", say(language, "then n h d c m o r t s f u: a page of the navigation", "再按 n h d c m o r t s f u：导航中的页面")),
        ("Esc", say(language, "close", "关闭")),
    ];
    html! {
        dialog #keys.card.pad {
            h2 { (say(language, "Keys", "快捷键")) }
            dl.kv.mt { @for (key, what) in keys { dt { kbd { (key) } } dd { (what) } } }
            p.mt { label { input type="checkbox" data-keys-on checked; " " (say(language, "Use these keys", "启用快捷键")) } }
            form.mt method="dialog" { button.b { (say(language, "Close", "关闭")) } }
        }
    }
}
