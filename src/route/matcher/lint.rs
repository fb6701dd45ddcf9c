//! Finds matcher lists that YAML has taken apart: in `[ team=~"a,b" ]` the comma splits the item, because the quotes are inside it.
//! Works on the items' texts; knows nothing of YAML itself.

/// Items of one matcher list that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListProblem {
    /// The first item, from 0.
    pub first: usize,
    /// The last item; the same as `first` when a quote is simply not closed.
    pub last: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Looks for items with an open double quote, and for the later item that closes it. Items in order, as YAML gave them.
/// An empty result does not mean that the items are matchers.
pub fn lint_matcher_list(items: &[impl AsRef<str>]) -> Vec<ListProblem> {
    let mut problems = Vec::new();
    let mut first = 0;
    while first < items.len() {
        if !leaves_quote_open(items[first].as_ref()) {
            first += 1;
            continue;
        }
        let closing = (first + 1..items.len()).find(|i| leaves_quote_open(items[*i].as_ref()));
        let last = closing.unwrap_or(first);
        let message = match closing {
            Some(_) => {
                // YAML drops the space after the comma; the joined text is a guess at what was meant.
                let whole = items[first..=last].iter().map(|item| item.as_ref().trim()).collect::<Vec<_>>().join(",");
                format!(
                    "YAML has split one matcher at its commas, because its double quotes are inside the item; \
                     put the whole matcher in single quotes: '{}'",
                    whole.replace('\'', "''")
                )
            }
            None => "a double quote in this matcher is not closed; put the whole matcher in single quotes, like 'team=~\"a,b\"'".to_owned(),
        };
        problems.push(ListProblem { first, last, message });
        first = last + 1;
    }
    problems
}

fn leaves_quote_open(item: &str) -> bool {
    let (mut open, mut escaped) = (false, false);
    for c in item.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => open = !open,
            _ => {}
        }
    }
    open
}
