//! A text that is longer than its platform takes, in several messages.

use super::{Failure, fail};
use crate::channel::Platform;
use crate::model::Page;

/// How many messages a text is split into that is longer than the platform takes.
const MAX_PARTS: usize = 10;

/// The pages of a call: its own, or where its text is longer than the platform takes (which some cut in silence), several.
pub fn parts(platform: &Platform, page: &Page) -> Result<Vec<Page>, Failure> {
    let fits = |text: &str| {
        let mut part = page.clone();
        part.fields.insert("text".into(), text.to_owned());
        (platform.measure)(&part).fits().then_some(part)
    };
    let mut rest = page.field("text");
    let size = (platform.measure)(page);
    if rest.is_empty() || !matches!(platform.name, "wecom" | "slack" | "dingtalk") || size.fits() {
        return Ok(vec![page.clone()]);
    }
    let too_long = || fail(format!("content 过长（{} 字节），最多可拆分为 {MAX_PARTS} 条消息，请缩短", page.field("text").len()));
    // Whatever it counts, a part has no more than four bytes for each of it: nothing longer is looked at.
    let most = size.max.saturating_mul(4);
    if rest.len() > most.saturating_mul(MAX_PARTS) {
        return Err(too_long());
    }
    let mut pages = Vec::new();
    while !rest.is_empty() {
        if pages.len() == MAX_PARTS {
            return Err(too_long());
        }
        // The longest beginning that fits, found by halves of what is known to fit and known not to.
        let (mut good, mut bad) = (0, rest.len().min(most) + 1);
        while bad - good > 1 {
            let mut middle = (good + bad) / 2;
            while middle > good && !rest.is_char_boundary(middle) {
                middle -= 1;
            }
            if middle <= good {
                // Within one character: the next one is asked for.
                middle = good + rest[good..].chars().next().map_or(1, char::len_utf8);
            }
            if middle >= bad {
                break;
            }
            if fits(&rest[..middle]).is_some() { good = middle } else { bad = middle }
        }
        // A line is kept whole where that leaves something to send.
        let end = match rest[..good].rfind('\n') {
            Some(line) if good < rest.len() && line > 0 => line + 1,
            _ => good,
        };
        let Some(part) = fits(&rest[..end]).filter(|_| end > 0) else {
            return Err(fail("content 无法按平台的长度限制拆分，请缩短"));
        };
        pages.push(part);
        rest = &rest[end..];
    }
    Ok(pages)
}

/// What of a text is not sent, since its platform takes it whole or not at all: a call, a DING. The old answer has no place for it.
pub fn shortened(platform: &Platform, parts: &[Page]) -> Option<String> {
    let too_long = parts.iter().map(platform.measure).find(|size| !size.fits())?;
    Some(format!("{} of {} {}", too_long.max, too_long.used, too_long.unit))
}

#[cfg(test)]
mod tests {
    use super::super::paths::page;
    use super::*;
    use crate::model::Mentions;

    #[test]
    fn a_long_text_is_split_and_nothing_of_it_is_lost() {
        let lines: String = (0..300).map(|n| format!("第{n}行：磁盘使用率 92%\n")).collect();
        for (name, most) in [("wecom", 10), ("slack", 1), ("dingtalk", 1)] {
            let platform = crate::channel::PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
            for text in ["短".to_owned(), "磁".repeat(4000), lines.clone(), format!("{}END", "x".repeat(15_000))] {
                let whole = page(&[("text", &text)], Mentions::default(), &text);
                let parts = parts(platform, &whole).map_err(|f| f.0).unwrap();
                assert!(parts.len() <= most, "{}: {}", platform.name, parts.len());
                assert!(parts.iter().all(|part| (platform.measure)(part).fits()), "{}", platform.name);
                assert_eq!(parts.iter().map(|part| part.field("text")).collect::<String>(), text, "{}", platform.name);
            }
            let endless = "磁".repeat(500_000);
            let told = parts(platform, &page(&[("text", &endless)], Mentions::default(), "x")).err().unwrap();
            assert!(told.0.contains("过长"), "{}", told.0);
        }
    }

    #[test]
    fn what_a_call_cuts_off_is_said() {
        let ding = crate::channel::PLATFORMS.iter().find(|platform| platform.name == "dingtalk_call").unwrap();
        for (length, wanted) in [(200, None), (250, Some("200 of 250 characters"))] {
            let page = page(&[("text", &"磁".repeat(length))], Mentions::default(), "x");
            assert_eq!(shortened(ding, &parts(ding, &page).map_err(|f| f.0).unwrap()).as_deref(), wanted);
        }
    }
}
