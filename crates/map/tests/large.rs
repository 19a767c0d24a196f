//! A long chain of configurations goes through every stage without recursion (issue 3).
//!
//! A chain of 100,000 would overflow the two megabytes of a usual thread if each configuration took 20
//! bytes of them. This one is shorter, and has as much less: the same is found in a fraction of the time.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

use std::collections::BTreeMap;
use std::fmt::Write;

use dfab_map::check::{self, Options};
use dfab_map::deps::Dependencies;
use dfab_map::desired::{Session, Settings, Target};
use dfab_map::extend::extended;
use dfab_map::item::{Item, ItemId};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients};
use dfab_map::names::{ClientName, ConfigName};
use dfab_map::observed::Observed;
use dfab_map::plan::{ActionKind, PlanOptions, plan};
use dfab_map::select::Maps;
use dfab_map::value::Tables;

const LENGTH: usize = 12_500;
const STACK: usize = 256 << 10;

#[test]
fn a_long_chain_is_loaded_extended_checked_ordered_and_planned_on_a_small_stack() {
    let work = std::thread::Builder::new().stack_size(STACK).spawn(chain).unwrap();
    work.join().expect("no stage overflows or panics");
}

fn chain() {
    let mut text = "name: m\n".to_owned();
    for number in 1..LENGTH {
        writeln!(text, "c{}: {{image: i, links: c{number}}}", number - 1).unwrap();
    }
    writeln!(text, "c{}: {{image: i}}", LENGTH - 1).unwrap();
    let lookup = Tables::default();
    let loaded = load::map(&text, &LoadOptions { file: "m.yaml", name: None, lookup: &lookup }).unwrap();
    let map = extended(&loaded.value).unwrap();
    assert_eq!(check::check(&map, Options::default()), []);

    let first = Item::Container { config: ConfigName::new("c0").unwrap(), instance: None };
    let last =
        Item::Container { config: ConfigName::new(format!("c{}", LENGTH - 1)).unwrap(), instance: None };
    let graph = Dependencies::new(&map, &lookup).unwrap();
    assert_eq!(graph.forward(std::slice::from_ref(&first)).len(), LENGTH + 1);
    assert_eq!(graph.reverse(std::slice::from_ref(&last)).first(), Some(&first));

    let selected = [ItemId { map: map.name.clone(), item: first }];
    let maps = Maps::from([(map.name.clone(), map)]);
    let client = ClientName::default_client();
    let session = Session {
        maps: &maps,
        clients: &Clients::new(),
        defaults: vec![Target { name: client.clone(), config: ClientConfig::default(), is_default: true }],
        lookup: &lookup,
        settings: Settings::default(),
    };
    let options = PlanOptions::default();
    let desired = session.desired(ActionKind::Update, &selected, &options).unwrap();
    let observed = BTreeMap::from([(client, Observed::default())]);
    let plan = plan(&desired, &observed, &options).unwrap();
    // Each container, and the image.
    assert_eq!(plan.steps.len(), LENGTH + 1);
    let after_none = plan.steps.iter().filter(|step| step.after.is_empty()).count();
    assert_eq!(after_none, 1, "only the pull waits for nothing");
}
