//! How much memory deliveries that wait may take, over all outlets: real bytes, as allocators count them.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Alert, Event, Extra, Labels};
use crate::store::PendingDelivery;

/// Bytes that deliveries in memory may take, over all outlets.
pub const MEMORY_LIMIT: usize = 64 << 20;
/// Memory of a lane besides its deliveries: its row and its entries in maps.
pub const LANE_BYTES: usize = 512;
/// Bytes that an allocator adds to what it was asked for, about.
const ALLOCATOR_OVERHEAD: usize = 16;
/// A leaf of a tree of pairs of texts, which holds eleven of them and mostly about half.
const BTREE_LEAF: usize = 11 * 2 * size_of::<String>() + 16 + ALLOCATOR_OVERHEAD;

/// How much memory is left. Code that keeps events in memory keeps a [`Reservation`] for them.
#[derive(Debug)]
pub struct MemoryBudget {
    used: AtomicUsize,
    limit: usize,
}

/// Some of the bytes, released when it is dropped.
#[derive(Debug, Default)]
pub struct Reservation {
    budget: Option<Arc<MemoryBudget>>,
    bytes: usize,
}

impl MemoryBudget {
    /// One of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether less than a quarter is left.
    pub fn is_short(&self) -> bool {
        self.used() > self.limit / 4 * 3
    }

    /// So many bytes, if they are left.
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Reservation { budget: Some(self.clone()), bytes })
    }

    /// So many bytes, even if that is more than are left: what is in flight must go on.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Reservation { budget: Some(self.clone()), bytes }
    }
}

impl Reservation {
    /// How many bytes it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Memory of a delivery with its event. An event that several deliveries share counts for each: counted once, it would count for none when the one that
/// counts is gone.
pub fn delivery_bytes(waiting: &PendingDelivery) -> usize {
    row_bytes(waiting) + waiting.event.as_deref().map_or(0, event_bytes)
}

/// The same without the body.
pub fn row_bytes(waiting: &PendingDelivery) -> usize {
    let target = &waiting.target;
    let fallback: usize = target.fallback.iter().map(text).sum();
    let recipients: usize = target.recipients.len() * 96;
    let page = target.page.as_deref().map_or(0, page_bytes);
    size_of::<PendingDelivery>()
        + 2 * ALLOCATOR_OVERHEAD
        + text(&waiting.channel)
        + text(&waiting.summary.title)
        + text(&target.template)
        + text(&target.route)
        + target.alerts.capacity() * 4
        + target.mentions.as_ref().map_or(0, |_| 256)
        + fallback
        + recipients
        + page
}

/// Memory of a rendered page.
pub fn page_bytes(page: &crate::model::Page) -> usize {
    let fields: usize = page.fields.iter().map(|(name, value)| BTREE_LEAF / 4 + text(name) + text(value)).sum();
    size_of::<crate::model::Page>() + fields + page.coverage.len() * 64 + 512
}

/// Memory of an event.
pub fn event_bytes(event: &Event) -> usize {
    let texts = [&event.source, &event.receiver, &event.group_key, &event.external_url, &event.reason, &event.title, &event.message, &event.trace];
    let maps = [&event.group_labels, &event.common_labels, &event.common_annotations, &event.route_labels];
    size_of::<Event>()
        + 2 * ALLOCATOR_OVERHEAD
        + texts.into_iter().map(text).sum::<usize>()
        + maps.into_iter().map(map).sum::<usize>()
        + extra(&event.extra)
        + (event.alerts.capacity() - event.alerts.len()) * size_of::<Alert>()
        + event.alerts.iter().map(alert).sum::<usize>()
}

fn alert(alert: &Alert) -> usize {
    let texts = [
        &alert.fingerprint,
        &alert.generator_url,
        &alert.silence_url,
        &alert.dashboard_url,
        &alert.panel_url,
        &alert.image_url,
        &alert.value_string,
        &alert.rule_uid,
    ];
    let maps = map(&alert.labels) + map(&alert.annotations) + values(&alert.values) + extra(&alert.extra);
    size_of::<Alert>() + texts.into_iter().map(text).sum::<usize>() + maps
}

fn extra(members: &Extra) -> usize {
    leaves(members.len()) + members.iter().map(|(name, value)| text(name) + tree(value)).sum::<usize>()
}

fn tree(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(one) => text(one),
        serde_json::Value::Array(items) => items.capacity() * size_of::<serde_json::Value>() + items.iter().map(tree).sum::<usize>(),
        serde_json::Value::Object(members) => extra(members),
        _ => 0,
    }
}

fn text(text: &String) -> usize {
    if text.capacity() == 0 { 0 } else { text.capacity() + ALLOCATOR_OVERHEAD }
}

fn map(labels: &Labels) -> usize {
    leaves(labels.len()) + labels.iter().map(|(name, value)| text(name) + text(value)).sum::<usize>()
}

fn values(values: &BTreeMap<String, f64>) -> usize {
    leaves(values.len()) + values.keys().map(text).sum::<usize>()
}

fn leaves(pairs: usize) -> usize {
    if pairs == 0 { 0 } else { (pairs / 6 + 1) * BTREE_LEAF }
}
