//! How loading, extending, checking and ordering a map grow with its size: `cargo bench -p dfab-map`.
//!
//! The maps are layered: each configuration needs five of the layer below it (three links, two volumes),
//! extends a template, joins a network and owns a volume. Promised (issue 3): a map of 1,000
//! configurations takes less than 50 ms in all, and ten times as many at most twelve times as long.
//! The program fails when that does not hold, which a table of statistics alone would not do. The
//! ratio is that of one run, and thus does not depend on the machine; it is one of the least times of
//! all rounds, since other programs can only make a round slower.
#![allow(clippy::print_stdout, reason = "the figures are the output of this program")]

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use dfab_map::check::{self, Options};
use dfab_map::deps::Dependencies;
use dfab_map::extend::extended;
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::Map;
use dfab_map::select::{Maps, Reference, select};
use dfab_map::value::Tables;

/// That of the `dfab` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WIDTH: usize = 100;
/// Small maps are measured more often: a short time is disturbed more easily.
const ROUNDS: usize = 12;
const SMALL_ROUNDS: usize = 3;
const MOST_GROWTH: f64 = 12.0;
const LONGEST: Duration = Duration::from_millis(50);

/// The stages, with the time each of them took.
const STAGES: [&str; 5] = ["load", "extend", "check", "graph", "order"];
type Times = [Duration; STAGES.len()];
const NEVER: Times = [Duration::MAX; STAGES.len()];

fn main() -> ExitCode {
    let texts = (text(1_000), text(10_000));
    let (mut small, mut large) = (NEVER, NEVER);
    // In turns, so that what else happens on the machine meets both.
    for _ in 0..ROUNDS {
        (0..SMALL_ROUNDS).for_each(|_| keep_least(&mut small, once(&texts.0)));
        keep_least(&mut large, once(&texts.1));
    }
    println!("{:8} {:>12} {:>12} {:>8}", "stage", "1,000", "10,000", "growth");
    let mut whole = (Duration::ZERO, Duration::ZERO);
    for (stage, (small, large)) in STAGES.iter().zip(small.iter().zip(large)) {
        show(stage, *small, large);
        whole = (whole.0 + *small, whole.1 + large);
    }
    show("all", whole.0, whole.1);
    let growth = whole.1.as_secs_f64() / whole.0.as_secs_f64();
    let kept = growth <= MOST_GROWTH && whole.0 < LONGEST;
    println!(
        "{}",
        if kept {
            "kept: growth at most 12, 1,000 below 50 ms"
        } else {
            "NOT kept: growth at most 12, 1,000 below 50 ms"
        }
    );
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(stage: &str, small: Duration, large: Duration) {
    let growth = large.as_secs_f64() / small.as_secs_f64();
    println!("{stage:8} {:>9.2} ms {:>9.2} ms {growth:>7.1}x", milliseconds(small), milliseconds(large));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Writes a map of this many configurations.
fn text(count: usize) -> String {
    let mut text =
        String::from("name: bench\nrepository: registry.example.com\nnetworks:\n  back: {internal: true}\n");
    text.push_str(
        "base: {abstract: true, networks: back, create_options: {mem_limit: 64m, environment: {LANG: C}}}\n",
    );
    for number in 0..count {
        let (layer, place) = (number / WIDTH, number % WIDTH);
        let needed = |at: usize| (layer - 1) * WIDTH + (place + at * 7) % WIDTH;
        text.push_str(&format!("c{number}:\n"));
        let mut line =
            |property: &str| writeln!(text, "  {property}").expect("writing to a text never fails");
        line("extends: base");
        line(&format!("image: app:{}", number % 20));
        line(&format!("attaches: {{v{number}: /srv/data}}"));
        line(&format!("exposes: {{80: {}}}", 10_000 + number % 50_000));
        if layer > 0 {
            line(&format!("links: [c{}, {{c{}: db}}, c{}]", needed(0), needed(1), needed(2)));
            line(&format!("uses: [v{}, {{v{}: ro}}]", needed(3), needed(4)));
        }
    }
    text
}

fn keep_least(least: &mut Times, round: Times) {
    least.iter_mut().zip(round).for_each(|(least, time)| *least = time.min(*least));
}

fn once(text: &str) -> Times {
    let lookup = Tables::default();
    let mut times = Times::default();
    let options = LoadOptions { file: "bench.yaml", name: None, lookup: &lookup };
    let loaded = timed(&mut times[0], || load::map(text, &options).expect("the map is valid"));
    let map: Map = timed(&mut times[1], || extended(&loaded.value).expect("every parent is there"));
    let findings = timed(&mut times[2], || check::check(&map, Options::default()));
    assert_eq!(findings, [], "the map passes its checks");
    let graph = timed(&mut times[3], || Dependencies::new(&map, &lookup).expect("the layers have no circle"));
    let count = map.containers.len();
    let maps = Maps::from([(map.name.clone(), map)]);
    let order = timed(&mut times[4], || {
        let selected =
            select(&maps, &[Reference::config("__all__")], None, &[]).expect("it names every configuration");
        let items: Vec<_> = selected.into_iter().map(|id| id.item).collect();
        (graph.forward(&items), graph.reverse(&items))
    });
    assert_eq!(order.1.len(), count);
    times
}

/// Adds the time that this thread is on a processor: the work waits for nothing, and other programs on
/// the machine do not count then.
fn timed<T>(time: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = processor_time();
    let result = work();
    *time = processor_time() - start;
    result
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("the processor time of a thread is not negative")
}
