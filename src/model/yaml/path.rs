//! Paths into a document: `channels.ops-ding.dingtalk.mentions.mobiles[0]`.

use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Item(usize),
}

/// Where a value is in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Step>);

impl Path {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A top-level key.
    pub fn of(key: &str) -> Self {
        Self::root().key(key)
    }

    /// This path and a key.
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// This path and a place in a list.
    pub fn item(&self, ix: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Item(ix));
        Self(steps)
    }

    /// This path and steps written as `email.to[2]`. Keys with a point or bracket in them cannot be written so.
    pub fn dotted(&self, tail: &str) -> Self {
        let mut path = self.clone();
        for part in tail.split('.').filter(|part| !part.is_empty()) {
            let (key, items) = part.find('[').map_or((part, ""), |at| part.split_at(at));
            if !key.is_empty() {
                path = path.key(key);
            }
            for item in items.split(['[', ']']).filter(|item| !item.is_empty()) {
                path = match item.parse() {
                    Ok(ix) => path.item(ix),
                    Err(_) => path.key(item),
                };
            }
        }
        path
    }

    /// The path to what this one is in; the document is in nothing.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    /// Its steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether it leads to `other` or to something in it.
    pub fn is_within(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(ix) => write!(f, "[{ix}]")?,
            }
        }
        Ok(())
    }
}
