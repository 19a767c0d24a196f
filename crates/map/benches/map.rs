//! How loading, extending, checking and ordering a map grow with its size: `cargo bench -p dfab-map`.
//!
//! The maps are layered: each configuration needs five of the layer below it (three links, two volumes),
//! extends a template, joins a network and owns a volume. Promised (issue 3): a map of 1,000
//! configurations takes less than 50 ms in all, and ten times as many at most twelve times as long.
//! The program fails when that does not hold, which a table of statistics alone would not do.
//!
//! As for the users of `dfab`, each round is a process of its own: one that has done the same work before
//! finds a small map in the caches, and a large one in memory that it gave back and has to get again. The
//! two sizes take turns, so that what else happens on the machine meets both, and the figures are those of
//! the least disturbed rounds, since other programs can only make a round slower.
#![allow(clippy::print_stdout, reason = "the figures are the output of this program")]

use std::fmt::Write;
use std::process::{Command, ExitCode, Stdio};
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
const SIZES: [usize; 2] = [1_000, 10_000];
const ROUNDS: usize = 25;
const MOST_GROWTH: f64 = 12.0;
const LONGEST: Duration = Duration::from_millis(50);

/// The stages, with the time each of them took.
const STAGES: [&str; 5] = ["load", "extend", "check", "graph", "order"];
type Times = [Duration; STAGES.len()];

/// The argument of a round, before its size.
const ROUND: &str = "--round";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [round, size] = &arguments[..]
        && round == ROUND
    {
        let times = once(&text(size.parse().expect("the size is a number")));
        println!("{}", times.map(|time| time.as_nanos().to_string()).join(" "));
        return ExitCode::SUCCESS;
    }
    let rounds: Vec<[Times; 2]> = (0..ROUNDS).map(|_| SIZES.map(process)).collect();
    let least = |time: &dyn Fn(&Times) -> Duration| {
        [0, 1].map(|size| rounds.iter().map(|round| time(&round[size])).min().unwrap_or_default())
    };
    println!("{:8} {:>12} {:>12} {:>8}", "stage", "1,000", "10,000", "growth");
    for (at, stage) in STAGES.iter().enumerate() {
        show(stage, least(&|times| times[at]));
    }
    let all @ [small, _] = least(&|times| times.iter().sum());
    let growth = show("all", all);
    let kept = growth <= MOST_GROWTH && small < LONGEST;
    println!("{}: growth at most 12, 1,000 below 50 ms", if kept { "kept" } else { "NOT kept" });
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn process(size: usize) -> Times {
    let program = std::env::current_exe().expect("the program knows itself");
    let output = Command::new(program).args([ROUND, &size.to_string()]).stderr(Stdio::inherit()).output();
    let output = output.expect("the program can be started");
    assert!(output.status.success(), "a round of {size} failed: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("a round prints numbers");
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a round prints numbers"));
    STAGES.map(|_| Duration::from_nanos(numbers.next().expect("a round prints a number for each stage")))
}

fn show(stage: &str, [small, large]: [Duration; 2]) -> f64 {
    let growth = large.as_secs_f64() / small.as_secs_f64();
    println!("{stage:8} {:>9.2} ms {:>9.2} ms {growth:>7.1}x", milliseconds(small), milliseconds(large));
    growth
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
