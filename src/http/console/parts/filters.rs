//! The filters of a list, in one row on a phone: what is searched for, and the others behind a button that says how many of them are set.

use maud::{Markup, html};

use super::{icon, plain, say, shown};
use crate::http::App;
use crate::http::console::viewer::Viewer;
use crate::model::Language;

/// The form. `fields` are behind the button, `set` is how many of them narrow the list.
pub(in super::super) fn bar(language: Language, action: &str, search: &Markup, fields: &Markup, set: usize) -> Markup {
    html! {
        form.filters role="search" method="get" action=(action) {
            (search)
            details.menu {
                summary.b { (say(language, "Filter", "筛选")) @if set > 0 { (say(language, " (", "（")) (set) (say(language, ")", "）")) } (icon("down")) }
                div.pop.pad.wide-pop { div.grid { (fields) button.b.p { (say(language, "Apply", "应用")) } } }
            }
        }
    }
}

/// The field of what is searched for, with a button of its own: Enter sends a form by a button that can be seen.
pub(in super::super) fn search(language: Language, value: &str, word: &str, example: &str) -> Markup {
    html! {
        label.srch { (icon("search")) span.vh { (word) } input.in type="search" name="q" value=(plain(value)) data-search placeholder=(example); }
        button.b.ic { (icon("arrow")) span.vh { (say(language, "Search", "搜索")) } }
    }
}

/// A field with its word.
pub(in super::super) fn field(word: &str, input: &Markup) -> Markup {
    html! { label.f { span { (word) } (input) } }
}

/// A choice of the channels that the viewer may see.
pub(in super::super) fn channel(app: &App, viewer: &Viewer, chosen: &str) -> Markup {
    let (language, plan) = (viewer.manner.language, app.engine.plan());
    let choice = html! {
        select.in name="channel" {
            option value="" { (say(language, "any channel", "任意通道")) }
            @for name in plan.channels.keys().filter(|name| viewer.caller.may_use(name)) { option selected[chosen == &**name] { (name) } }
            // What is stored outlives its channel.
            @if !chosen.is_empty() && plan.channel(chosen).is_none() { option selected { (shown(chosen)) } }
        }
    };
    field(say(language, "Channel", "通道"), &choice)
}

/// The ends of a span of time: their names are `since` and `until`.
pub(in super::super) fn ends(language: Language, since: &str, until: &str) -> Markup {
    let title = say(
        language,
        "How long ago, as 2h, or a time, as 2026-11-28T03:12; without an offset in the zone of this page",
        "多久以前（如 2h）或时间（如 2026-11-28T03:12），不带偏移量时按本页时区",
    );
    let fields = [("since", say(language, "Since", "开始时间"), since, "2h"), ("until", say(language, "Until", "结束时间"), until, "1h")];
    html! {
        @for (name, word, value, example) in fields {
            (field(word, &html! { input.in name=(name) value=(plain(value)) list="spans" spellcheck="false" placeholder=(example) title=(title); }))
        }
        datalist #spans { @for span in ["1h", "1d", "1w"] { option value=(span) {} } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_counted_and_the_rest_is_behind_the_button() {
        let of = |set: usize| {
            let search = search(Language::En, "disk \"x\"", "Search titles", "Title");
            bar(Language::En, "/ui/x", &search, &ends(Language::En, "2h", ""), set).into_string()
        };
        let page = of(2);
        let (before, behind) = page.split_once("<details class=\"menu\"><summary class=\"b\">Filter (2)<svg").expect("one button, after the search");
        assert!(before.contains("name=\"q\" value=\"disk &quot;x&quot;\"") && before.matches("<input").count() == 1, "{before}");
        assert!(before.contains("<button class=\"b ic\">"), "what can be seen sends the form: {before}");
        assert_eq!((behind.matches("<input").count(), behind.contains("name=\"since\" value=\"2h\"")), (2, true), "{behind}");
        assert!(of(0).contains("<summary class=\"b\">Filter<svg"), "what is not set is not counted");
    }
}
