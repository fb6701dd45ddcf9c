//! Which fields of a view a template can read, found when it is checked: only those are built for it.

/// What the functions themselves read at the top of a page.
const OF_FUNCTIONS: [&str; 3] = ["language", "time_zone", "now"];

/// Fields that are read somewhere. A name counts anywhere: one read of an alert's `title` makes every `title`.
///
/// Bits rather than names, because a view asks about each of its fields for each alert. Two names that share a bit are built together, which costs
/// a field and changes nothing.
#[derive(Debug, Clone)]
pub struct FieldUsage {
    whole: bool,
    bits: [u64; 4],
}

/// The word and the bit of a name (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>); worked out by the compiler where the name is a literal.
#[inline(always)]
const fn place(name: &str) -> (usize, u64) {
    let (bytes, mut hash, mut at) = (name.as_bytes(), 0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    let hash = hash ^ (hash >> 32);
    ((hash >> 6) as usize % 4, 1 << (hash % 64))
}

impl Default for FieldUsage {
    fn default() -> Self {
        let mut usage = Self { whole: false, bits: [0; 4] };
        OF_FUNCTIONS.into_iter().for_each(|name| usage.reads(name));
        usage
    }
}

impl FieldUsage {
    /// Every field.
    pub fn everything() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Whether the field is to be built.
    #[inline(always)]
    pub fn has(&self, name: &str) -> bool {
        let (word, bit) = place(name);
        self.whole || self.bits[word] & bit != 0
    }

    /// Whether one of the fields is to be built.
    #[inline(always)]
    pub fn any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// A name is read.
    pub(super) fn reads(&mut self, name: &str) {
        let (word, bit) = place(name);
        self.bits[word] |= bit;
    }

    /// An object goes somewhere whole, so that any of its fields may be read there.
    pub(super) fn hands_on(&mut self) {
        self.whole = true;
    }

    /// What either reads.
    pub(super) fn join(&mut self, other: &Self) {
        self.whole |= other.whole;
        self.bits.iter_mut().zip(other.bits).for_each(|(mine, theirs)| *mine |= theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_built_and_little_else() {
        let mut usage = FieldUsage::default();
        usage.reads("headline");
        assert!(usage.has("headline") && usage.has("language") && usage.any(&["x", "now"]));
        let others = ["alerts", "briefs", "links", "labels", "annotations", "values", "extra_labels", "runbook_url", "since", "description"];
        assert!(others.iter().filter(|name| usage.has(name)).count() <= 1, "names spread over the bits");
        let mut both = FieldUsage::default();
        both.reads("links");
        both.join(&usage);
        assert!(both.has("headline") && both.has("links") && !usage.has("links"));
        assert!(FieldUsage::everything().has("whatever"));
    }
}
