//! The engine against simulated platforms, in injected time: lives that end in a crash or a stop, seeded random faults, clock jumps, reloads;
//! and at the end the invariants of the delivery core, checked from what the platforms saw. Tests only.

mod alarms;
mod allowances;
mod escalating;
mod exchange;
mod gates;
mod life;
mod lives;
mod living;
mod nights;
mod paused;
mod people;
mod plan;
mod platform;
mod presses;
mod reaching;
mod rotas;
mod scene;
mod sequences;
mod verdict;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::model::{DeliveryId, UnixMs};

use platform::Wire;

/// A random source that repeats itself for the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True in `n` of 1000 throws.
    pub fn permille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }
}

/// An accepted alert: which, how severe, on which channel.
#[derive(Debug, Clone)]
pub struct Promise {
    pub uid: String,
    pub channel: &'static str,
    pub severe: bool,
    pub lane: u64,
    /// The number of its last alert among those of the lane, in the order in which they were sent.
    pub place: u64,
    /// It was muted: it may come after what came later.
    pub muted: bool,
}

/// What outlives a life: the platforms, and the senders' ledger of what was acknowledged.
#[derive(Debug, Default)]
pub struct World {
    pub wires: BTreeMap<&'static str, Arc<Wire>>,
    pub ledger: Mutex<BTreeMap<DeliveryId, Promise>>,
    /// Wall-clock milliseconds at which the next life begins.
    pub wall: Mutex<UnixMs>,
    /// True milliseconds, which no clock jump moves.
    pub truth: Mutex<UnixMs>,
    pub next: Mutex<BTreeMap<u64, u64>>,
    /// What the configuration says now: names and credentials of channels.
    pub shape: Mutex<Shape>,
}

/// How the channels are called, what their credentials are, and what the configuration mutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// Whether the first of them has its second name.
    pub renamed: bool,
    /// The credential of the others: it changes.
    pub credential: u64,
    /// The mute of the file: none, one that comes again, or one without an end in sight.
    pub mute: u64,
}

fn run(seed: u64, lives: u64, disk: &life::Disk, nodes: Nodes) {
    let mut dice = Dice::new(seed);
    let world = Arc::new(World::new(&mut dice));
    for life in 0..lives {
        life::live(&world, disk, &mut dice, life + 1 == lives, nodes);
    }
    verdict::check(&world, seed);
}

/// How many processes share the store, and whether they hold outlets by leases.
#[derive(Debug, Clone, Copy)]
pub struct Nodes {
    pub count: usize,
    pub leased: bool,
}

const ALONE: Nodes = Nodes { count: 1, leased: false };
const LEASED: Nodes = Nodes { count: 1, leased: true };
const TWO: Nodes = Nodes { count: 2, leased: true };

/// The seeds to run: `WATCHFIRE_SEED` alone, or `WATCHFIRE_ROUNDS` of them.
fn seeds(rounds: u64) -> std::ops::RangeInclusive<u64> {
    if std::env::var("WATCHFIRE_TRACE").is_ok() {
        let _ = tracing_subscriber::fmt().with_env_filter("watchfire=debug").with_ansi(false).try_init();
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    number("WATCHFIRE_SEED").map_or(1..=number("WATCHFIRE_ROUNDS").unwrap_or(rounds), |seed| seed..=seed)
}

#[test]
fn every_promise_is_kept_through_crashes_faults_and_clock_jumps() {
    for seed in seeds(1) {
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone)");
        let folder =
            tempfile::Builder::new().prefix("wf-model").tempdir_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
        let folder = folder.expect("a folder");
        run(seed, 2 + (seed + 3) % 4, &life::Disk::File(folder.path().to_owned()), ALONE);
    }
}

#[test]
fn every_promise_is_kept_on_postgresql_with_leases() {
    for seed in seeds(1) {
        let Some(place) = crate::store::Place::new() else { return };
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone)");
        run(seed, 2 + (seed + 3) % 4, &life::Disk::Database(place), LEASED);
    }
}

#[test]
fn every_promise_is_kept_by_two_nodes_on_postgresql() {
    for seed in seeds(1) {
        let Some(place) = crate::store::Place::new() else { return };
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone)");
        run(seed, 2 + (seed + 2) % 3, &life::Disk::Database(place), TWO);
    }
}

#[test]
fn every_promise_is_kept_by_two_nodes_that_lease_outlets_of_one_file() {
    for seed in seeds(1) {
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone)");
        let folder =
            tempfile::Builder::new().prefix("wf-model").tempdir_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
        let folder = folder.expect("a folder");
        run(seed, 2 + (seed + 2) % 3, &life::Disk::File(folder.path().to_owned()), TWO);
    }
}
